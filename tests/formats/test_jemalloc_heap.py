import io
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from runner.formats import gperftools_heap, jemalloc_heap, recognise
from runner.formats._heap_dumps import STACKLESS
from runner.formats.jemalloc_heap import read_series, series_of, sniff
from runner.model import Metric, Recording, TimeUnit, check_valid

GOLDEN = Path(__file__).parent.parent / "golden/jemalloc_heap"
JEMALLOC = next((str(path) for path in sorted(Path("/usr/lib").glob("*/libjemalloc.so.2"))), None)
needs_jemalloc = pytest.mark.skipif(not (JEMALLOC and shutil.which("gcc")), reason="needs gcc and libjemalloc")

FIRST = b"heap_v2/1\n  t*: 3: 320 [9: 960]\n  t0: 1: 160 [4: 400]\n  t2: 2: 160 [5: 560]\n"
STACKS = (
    b"@ 0x400010 0x400020\n  t*: 1: 160 [4: 400]\n  t0: 1: 160 [4: 400]\n"
    b"@ 0x400030\n  t*: 2: 160 [5: 560]\n  t2: 2: 160 [5: 560]\n"
)
MAPS = b"\nMAPPED_LIBRARIES:\n00400000-00500000 r-xp 00001000 08:01 77   /opt/app\n"


def read(data: bytes) -> Recording:
    recording = jemalloc_heap.read(io.BytesIO(data), "x.heap")
    check_valid(recording)
    return recording


def amounts(recording: Recording, metric: Metric) -> dict[tuple[int | None, ...], int]:
    items = recording.snapshots[-1].columns[metric].items()
    return {tuple(frame.address for frame in recording.table.frames_of(stack)): amount for stack, amount in items}


def test_the_lines_of_single_threads_are_not_added_to_those_of_all() -> None:
    recording = read(FIRST + STACKS + MAPS)
    assert recording.complete
    assert recording.snapshots[0].totals == {
        Metric.LIVE_BLOCKS: 3,
        Metric.LIVE_BYTES: 320,
        Metric.ALLOCATED_BLOCKS: 9,
        Metric.ALLOCATED_BYTES: 960,
    }
    assert amounts(recording, Metric.LIVE_BYTES) == {(0x400010, 0x400020): 160, (0x400030,): 160}
    assert amounts(recording, Metric.ALLOCATED_BLOCKS) == {(0x400010, 0x400020): 4, (0x400030,): 5}
    assert {frame.module for frame in recording.table.frames} == {"/opt/app"}


def test_what_was_allocated_in_all_is_left_out_where_it_was_not_counted() -> None:
    recording = read(re.sub(rb"\[\d+: \d+\]", b"[0: 0]", FIRST + STACKS + MAPS))
    assert set(recording.snapshots[0].totals) == {Metric.LIVE_BLOCKS, Metric.LIVE_BYTES}
    assert set(recording.snapshots[0].columns) == {Metric.LIVE_BLOCKS, Metric.LIVE_BYTES}


def test_it_is_not_taken_for_gperftools_text_nor_that_for_it() -> None:
    assert sniff(FIRST) and not gperftools_heap.sniff(FIRST)
    assert recognise(FIRST) is jemalloc_heap
    assert not sniff(b"heap profile:  1: 2 [3: 4] @ heap_v2/524288\n")
    assert not sniff(b"")


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        (FIRST + STACKS, "mapped libraries is missing"),
        (FIRST + STACKS + MAPS[:-4], "cut within the list"),
        (b"heap_v2/", "first lines"),
        (FIRST.replace(b"3: 320 [", b"what [") + STACKS + MAPS, "first lines"),
        (FIRST + STACKS.replace(b"0x400030", b"0xrubbish") + MAPS, "1 of its lines"),
        (FIRST + STACKS.replace(b"t*: 2:", b"t*: x:") + MAPS, "1 of its lines"),
        (FIRST + STACKS[: STACKS.index(b"@ 0x400030")] + MAPS, "list 160 of the 320 bytes"),
    ],
)
def test_what_is_cut_or_damaged_is_said_and_the_rest_kept(data: bytes, flaw: str) -> None:
    recording = read(data)
    assert not recording.complete
    assert any(flaw in each for each in recording.flaws), recording.flaws
    if STACKS[:30] in data:
        assert amounts(recording, Metric.LIVE_BYTES)[(0x400010, 0x400020)] == 160


def test_a_few_blocks_without_a_stack_are_a_limit_and_no_flaw() -> None:
    first, stacks = (data.replace(b" 160 [", b" 160000 [").replace(b" 320 [", b" 320024 [") for data in (FIRST, STACKS))
    recording = read(first + stacks + MAPS)
    assert recording.complete and recording.flaws == []
    assert any("24 bytes more" in limit for limit in recording.limits)


def test_names_of_a_series() -> None:
    assert series_of("jeprof.23850.0.m0.heap") == ("jeprof.23850", 0)
    assert series_of("a.b.7.12.f.heap") == ("a.b.7", 12)
    assert series_of("heap.0001.heap") is None


def test_a_series_counts_numbers_as_numbers(tmp_path: Path) -> None:
    for name in ("j.7.10.i9.heap", "j.7.9.i8.heap"):
        (tmp_path / name).write_bytes(FIRST + STACKS + MAPS)
    recording = read_series([(tmp_path / "j.7.9.i8.heap", 1.0), (tmp_path / "j.7.10.i9.heap", 2.5)])
    check_valid(recording)
    assert recording.time_unit is TimeUnit.SECONDS
    assert [(each.time, each.label) for each in recording.snapshots] == [(1.0, "j.7.9.i8.heap"), (2.5, "j.7.10.i9.heap")]
    assert len(recording.table.stacks) == 2


# ---- against the real thing

MIXED = """\
#include <stdlib.h>
static void *kept[60000];
__attribute__((noinline)) static void small(int i) { kept[i] = malloc(192); }      /* all of them size classes */
__attribute__((noinline)) static void large(int i) { kept[i] = malloc(16384); }
int main(void) {
  for (int i = 0; i < 50000; i++) small(i);
  for (int i = 50000; i < 50600; i++) large(i);
  return 0;
}
"""
SMALL, LARGE = 50000 * 192, 600 * 16384


def dumped(directory: Path, conf: str) -> Path:
    (directory / "mixed.c").write_text(MIXED)
    subprocess.run(["gcc", "-g", "-O0", "mixed.c", "-o", "mixed"], cwd=directory, check=True, timeout=60)
    env = {
        **os.environ,
        "LD_PRELOAD": JEMALLOC or "",
        "MALLOC_CONF": f"prof:true,prof_final:true,prof_prefix:{directory}/j,{conf}",
    }
    subprocess.run([directory / "mixed"], env=env, check=True, timeout=60)
    (dump,) = directory.glob("j.*.heap")
    return dump


@needs_jemalloc
def test_every_byte_is_counted_where_every_allocation_is_a_sample(tmp_path: Path) -> None:
    recording = read(dumped(tmp_path, "lg_prof_sample:0").read_bytes())
    sizes = amounts(recording, Metric.LIVE_BYTES).values()
    assert SMALL in sizes and LARGE in sizes
    assert not any("estimates" in limit for limit in recording.limits)


@needs_jemalloc
def test_samples_are_scaled_to_what_there_was(tmp_path: Path) -> None:
    dump = dumped(tmp_path, "lg_prof_sample:12")
    recording = read(dump.read_bytes())
    sizes = sorted(amounts(recording, Metric.LIVE_BYTES).values())[-2:]
    # 2,300 samples of the small blocks: five standard deviations are a tenth
    assert SMALL * 0.9 < sizes[0] < SMALL * 1.1
    assert LARGE * 0.95 < sizes[1] < LARGE * 1.05
    assert any("heap_v2/4096" in limit and "estimates" in limit for limit in recording.limits)


@needs_jemalloc
@pytest.mark.skipif(not shutil.which("jeprof"), reason="needs jeprof")
def test_scaled_bytes_agree_with_jeprof(tmp_path: Path) -> None:
    dump = dumped(tmp_path, "lg_prof_sample:14")
    text = subprocess.run(
        ["jeprof", "--text", "--show_bytes", tmp_path / "mixed", dump], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    total = int(re.findall(r"Total: (\d+) B", text)[0])
    recording = read(dump.read_bytes())
    assert abs(recording.snapshots[0].totals[Metric.LIVE_BYTES] - total) <= len(recording.table.stacks)


MESSAGES = b"<jemalloc>: Leak approximation summary: ~31 bytes, ~2 objects, >= 1 contexts\n<jemalloc>: Run jeprof\n"
ONE = b"heap_v2/1\n  t*: 1: 8 [0: 0]\n  t0: 1: 8 [0: 0]\n@%b\n  t*: 1: 8 [0: 0]\n  t0: 1: 8 [0: 0]\n\nMAPPED_LIBRARIES:\n%b"
LINUX = b"00400000-00500000 r-xp 00000000 08:01 7  /opt/app\n"


def test_jemalloc_s_own_messages_may_stand_before_a_dump() -> None:
    """Where they go into the same file."""
    data = ONE % (b" 0x400123", LINUX)
    assert recognise(MESSAGES + data) is jemalloc_heap
    assert said(MESSAGES + data) == said(data)


def said(data: bytes) -> object:
    recording = jemalloc_heap.read(io.BytesIO(data), "x.heap")
    return recording.snapshots[0].totals, recording.table.frames, recording.flaws, recording.mappings


def test_mappings_as_macos_has_them_name_the_file() -> None:
    maps = b"0000000102ce0000-0000000102e64000: /Users/x/app\n000000018211a000-00000001821a7ff8: /usr/lib/libc++.1.dylib\n"
    recording = jemalloc_heap.read(io.BytesIO(ONE % (b" 0x102dc9aec 0x18211a100 0x5", maps)), "x.heap")
    assert [frame.module for frame in recording.table.frames] == ["/Users/x/app", "/usr/lib/libc++.1.dylib", None]


def test_stacks_that_could_not_be_walked_are_told() -> None:
    assert STACKLESS in jemalloc_heap.read(io.BytesIO(ONE % (b"", LINUX)), "x.heap").limits
    assert STACKLESS not in jemalloc_heap.read(io.BytesIO(ONE % (b" 0x400123", LINUX)), "x.heap").limits
