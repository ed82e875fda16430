import io
import math
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.formats import gperftools_heap
from runner.formats.gperftools_heap import read_series, sniff
from runner.mappings import MappingIndex, parse_maps
from runner.model import Frame, Mapping, Metric, Recording, TimeUnit, check_valid

GOLDEN = Path(__file__).parent.parent / "golden/gperftools_heap"
TCMALLOC = next((str(path) for path in sorted(Path("/usr/lib").glob("*/libtcmalloc.so*"))), None)
needs_tcmalloc = pytest.mark.skipif(not (TCMALLOC and shutil.which("gcc")), reason="needs gcc and libtcmalloc")

MAPS = (
    b"\nMAPPED_LIBRARIES:\n"
    b"00400000-00500000 r-xp 00001000 08:01 77   /opt/app\n"
    b"7f00000000-7f00010000 r-xp 00000000 08:01 78   /opt/lib x.so\n"
)
DUMP = b"heap profile:      3:      300 [     5:      500] @ heapprofile\n"
LINES = b"     2:      200 [     3:      300] @ 0x400010 0x7f00000100\n     1:      100 [     2:      200] @ 0x400020\n"


def read(data: bytes) -> Recording:
    recording = gperftools_heap.read(io.BytesIO(data), "x.heap")
    check_valid(recording)
    return recording


def amounts(recording: Recording, metric: Metric, snapshot: int = -1) -> dict[tuple[int | None, ...], int]:
    table = recording.table
    items = recording.snapshots[snapshot].columns[metric].items()
    return {tuple(frame.address for frame in table.frames_of(stack_id)): amount for stack_id, amount in items}


def test_a_whole_dump() -> None:
    recording = read(DUMP + LINES + MAPS)
    assert recording.complete and not recording.flaws and not recording.limits
    assert recording.snapshots[0].totals == {
        Metric.LIVE_BLOCKS: 3,
        Metric.LIVE_BYTES: 300,
        Metric.ALLOCATED_BLOCKS: 5,
        Metric.ALLOCATED_BYTES: 500,
    }
    assert amounts(recording, Metric.LIVE_BYTES) == {(0x400010, 0x7F00000100): 200, (0x400020,): 100}
    assert amounts(recording, Metric.ALLOCATED_BLOCKS) == {(0x400010, 0x7F00000100): 3, (0x400020,): 2}
    assert recording.table.frames_of(0) == [
        Frame(address=0x400010, module="/opt/app"),
        Frame(address=0x7F00000100, module="/opt/lib x.so"),
    ]
    assert recording.mappings[0] == Mapping(0x400000, 0x500000, 0x1000, "/opt/app")
    assert recording.time_unit is TimeUnit.SNAPSHOTS


def test_what_it_is_not() -> None:
    assert sniff(DUMP)
    assert not sniff(b"heap_v2/524288\n  t*: 28106: 56637512 [0: 0]\n")  # jemalloc
    assert not sniff(b"desc: --threshold=0\ncmd: ./app\n")
    assert not sniff(b"")
    assert not sniff(b"--- symbol\nbinary=/opt/app\n")


def test_addresses_outside_of_any_mapping_have_no_module() -> None:
    frames = read(
        DUMP.replace(b"3:      300", b"1:        1") + b" 1: 1 [5: 500] @ 0x10 0x500000 0x500001 0xffffffffffffffff\n" + MAPS
    ).table
    # The call is before its return address: one just behind the end of a mapping is in it.
    assert [frame.module for frame in frames.frames] == [None, "/opt/app", None, None]


def test_a_stack_without_frames_and_one_that_stands_twice() -> None:
    lines = b" 1: 100 [ 2: 200] @\n 1: 100 [ 2: 200] @ 0x400010\n 1: 100 [ 1: 100] @ 0x400010\n"
    recording = read(DUMP + lines + MAPS)
    assert amounts(recording, Metric.LIVE_BYTES) == {(None,): 100, (0x400010,): 200}
    assert recording.complete


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        (DUMP + LINES, "mapped libraries is missing"),
        (DUMP + LINES[:-20], "mapped libraries is missing"),
        (DUMP[:-3] + b"\0\0\n" + b"rubbish\n" + LINES + MAPS, "can't be read"),
        (b"heap profile: what\n" + LINES + MAPS, "first line"),
        (DUMP + LINES + MAPS[:-10], "cut within the list"),
        (DUMP + LINES.replace(b"200]", b"99999999999999999999999]") + MAPS, "1 of its lines can't be read"),
        (DUMP + LINES.splitlines(keepends=True)[0] + MAPS, "lines list 200 of the 300 bytes"),
        (b"heap profile:", "first line"),
    ],
)
def test_what_is_cut_or_damaged_is_said_and_the_rest_kept(data: bytes, flaw: str) -> None:
    recording = read(data)
    assert not recording.complete
    assert any(flaw in each for each in recording.flaws)
    assert len(recording.snapshots) == 1
    if data.startswith(DUMP):
        assert recording.snapshots[0].totals[Metric.LIVE_BYTES] == 300
    if LINES[:30] in data:
        assert amounts(recording, Metric.LIVE_BYTES)[(0x400010, 0x7F00000100)] == 200


def test_half_an_address_at_the_end_of_a_cut_file_is_not_taken_for_one() -> None:
    assert amounts(read(DUMP + LINES[:-4]), Metric.LIVE_BYTES) == {(0x400010, 0x7F00000100): 200}


def test_a_series_has_each_stack_once_and_is_in_the_order_of_time(tmp_path: Path) -> None:
    later = DUMP.replace(b"3:      300", b"4:      700") + LINES.replace(b"200 [", b"600 [") + MAPS
    (tmp_path / "a").write_bytes(later)
    (tmp_path / "b").write_bytes(DUMP + LINES + MAPS)
    recording = read_series([(tmp_path / "a", 9.5), (tmp_path / "b", 2.0)])
    check_valid(recording)
    assert recording.time_unit is TimeUnit.SECONDS
    assert [(snapshot.time, snapshot.label) for snapshot in recording.snapshots] == [(2.0, "b"), (9.5, "a")]
    assert len(recording.table.stacks) == 2
    assert [amounts(recording, Metric.LIVE_BYTES, n)[(0x400010, 0x7F00000100)] for n in (0, 1)] == [200, 600]
    bare = read_series([(tmp_path / "a", None), (tmp_path / "b", None)])
    assert bare.time_unit is TimeUnit.SNAPSHOTS
    assert [(snapshot.time, snapshot.label) for snapshot in bare.snapshots] == [(0.0, "a"), (1.0, "b")]


def test_a_library_that_was_unloaded_is_known_from_an_earlier_dump(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(DUMP + LINES + MAPS)
    (tmp_path / "b").write_bytes(DUMP + LINES + MAPS.partition(b"7f0000")[0])
    other = MAPS.replace(b"lib x.so", b"other.so")
    (tmp_path / "c").write_bytes(DUMP + LINES + other)
    recording = read_series([(tmp_path / name, None) for name in "abc"])
    check_valid(recording)
    modules = [
        {frame.module for stack, _ in snapshot.columns[Metric.LIVE_BYTES].items() for frame in recording.table.frames_of(stack)}
        for snapshot in recording.snapshots
    ]
    assert modules == [{"/opt/app", "/opt/lib x.so"}] * 2 + [{"/opt/app", "/opt/other.so"}]


def test_a_series_with_a_dump_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(DUMP + LINES + MAPS)
    recording = read_series([(tmp_path / "a", 1.0), (tmp_path / "gone", 2.0)])
    assert len(recording.snapshots) == 1
    assert not recording.complete and "gone: can't be read" in recording.flaws[0]
    assert not read_series([]).complete


def test_maps_with_odd_paths() -> None:
    text = (
        b"00400000-00500000 r-xp 00001000 08:01 77   /opt/a b (deleted)\n"
        b"00500000-00600000 rw-p 00001000 08:01 77   /opt/data\n"
        b"00600000-00700000 rwxp 00000000 00:00 0 \n"
        b"00700000-00800000 --xp 00000000 00:00 0   [vdso]\n"
        b"00800000-00900000 r-xp 00000000 00:00 5   /opt/new\\012line\nnonsense\n\xff\xfe\n"
    )
    assert parse_maps(text) == [
        Mapping(0x400000, 0x500000, 0x1000, "/opt/a b", deleted=True),
        Mapping(0x700000, 0x800000, 0, "[vdso]"),
        Mapping(0x800000, 0x900000, 0, "/opt/new\nline"),
    ]


def test_our_own_maps_are_those_that_the_kernel_says() -> None:
    index = MappingIndex(parse_maps(Path("/proc/self/maps").read_bytes()))
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, perms, *_ = re.split("[- ]", line)[0], line.split()[1]
        found = index.find(int(start, 16))
        assert (found is not None) == ("x" in perms and len(line.split()) > 5)


def test_the_latest_of_overlapping_mappings_wins() -> None:
    old, new = Mapping(0x1000, 0x5000, 0, "/old"), Mapping(0x2000, 0x3000, 0, "/new")
    index = MappingIndex([old, new])
    assert [index.find(address) for address in (0x1800, 0x2800, 0x3800, 0x5000)] == [old, new, old, None]


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_any_damage_gives_a_valid_recording(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(sorted(GOLDEN.glob("*/*.heap"))))
    raw = bytearray(case.read_bytes())
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6)):
        raw[at : at + 1] = bytes([value])
    read(bytes(raw[: data.draw(st.integers(0, len(raw)))]))


# ---- against the real thing

MANY = """\
#include <stdlib.h>
void *volatile kept[1 << 13];
static int at;
void descend(int depth, int path) {  /* one stack for each path: left or right, thirteen times */
  if (depth == 0) { kept[at++] = malloc(16); return; }
  if (path & 1) descend(depth - 1, path >> 1);
  else descend(depth - 1, path >> 1);
}
int main(void) { for (int path = 0; path < 1 << 13; path++) descend(13, path); return 0; }
"""


@needs_tcmalloc
def test_a_dump_that_tcmalloc_cut_says_how_much_is_missing(tmp_path: Path) -> None:
    (tmp_path / "many.c").write_text(MANY)
    subprocess.run(["gcc", "-O0", "many.c", "-o", "many"], cwd=tmp_path, check=True)
    env = {**os.environ, "LD_PRELOAD": TCMALLOC or "", "HEAPPROFILE": str(tmp_path / "heap")}
    subprocess.run([tmp_path / "many"], env=env, check=True, capture_output=True)
    recording = read_series([(path, 0.0) for path in tmp_path.glob("heap.*.heap")])
    check_valid(recording)
    listed = sum(recording.snapshots[0].columns[Metric.LIVE_BYTES].amounts)
    assert recording.snapshots[0].totals[Metric.LIVE_BYTES] == 16 << 13 > listed
    assert recording.complete
    assert any(f"lists {listed} of {16 << 13} bytes" in limit for limit in recording.limits)


@pytest.mark.skipif(not shutil.which("google-pprof"), reason="needs google-pprof")
@pytest.mark.parametrize("case", ["leak", "mmap", "sampled"])
def test_bytes_agree_with_pprof(case: str) -> None:
    (path,) = (GOLDEN / case).glob("*.heap")
    text = subprocess.run(
        ["google-pprof", "--text", "--show_bytes", "--addresses", "/bin/true", path], capture_output=True, text=True, check=True
    ).stdout
    total = int(re.findall(r"Total: (\d+) B", text)[0])
    with path.open("rb") as stream:
        recording = gperftools_heap.read(stream, path.name)
    listed = recording.snapshots[0].columns[Metric.LIVE_BYTES].amounts
    assert abs(sum(listed) - total) <= len(recording.table.stacks) + len(path.read_text().splitlines())


@pytest.mark.parametrize(("kind", "period"), [("heap_v2/4096", 4096), ("heapz_v2/4096", 4096), ("heap/8192", 4096)])
def test_samples_are_scaled_as_go_s_pprof_scales_them(kind: str, period: int) -> None:
    """internal/profile/legacy_profile.go, parseHeapHeader and scaleHeapSample: heap/N has a period of N / 2."""
    text = f"heap profile: 2: 2048 [4: 4096] @ {kind}\n2: 2048 [4: 4096] @ 0x400010\n".encode() + MAPS
    factor = 1 / (1 - math.exp(-1024 / period))
    recording = read(text)
    assert amounts(recording, Metric.LIVE_BYTES) == {(0x400010,): round(2048 * factor)}
    assert amounts(recording, Metric.ALLOCATED_BLOCKS) == {(0x400010,): round(4 * factor)}
    assert recording.complete and kind in recording.limits[0]


def test_heap_2_is_every_allocation() -> None:
    recording = read(b"heap profile: 2: 2048 [4: 4096] @ heap/2\n2: 2048 [4: 4096] @ 0x400010\n" + MAPS)
    assert amounts(recording, Metric.LIVE_BYTES) == {(0x400010,): 2048} and not recording.limits


def test_a_memory_map_as_servers_write_it_is_read() -> None:
    """google-pprof's ReadHeapProfile reads it: "--- Memory map:", "build=" stands for "$build"."""
    maps = b"\n--- Memory map:\n  build=/opt\n  00400000-00500000 r-xp 00001000 08:01 77   $build/app\n"
    recording = read(DUMP + LINES + maps)
    assert recording.complete and [each.path for each in recording.mappings] == ["/opt/app"]


def test_go_s_comments_name_what_they_stand_below() -> None:
    """/debug/pprof/heap?debug=1: no mappings, the call's address beside each name, several for one where calls are inlined."""
    inlined = (
        b"#\t0x4b3ab4\tmain.inner+0x74\t\t/src/app/inner.go:14\n#\t0x4b3ab4\tmain.outer+0x74\t\tD:/src/app/outer.go:20\n"
        b"#\t0x4b3a0c\tmain.deep+0xec\t/src/app/deep.go:19\n" * 2
    )
    text = (
        b"heap profile: 5: 500 [5: 500] @ heap/2\n"
        b"3: 300 [3: 300] @ 0x46c9d6 0x4b3ab5 0x4b3a0d 0x4b3a0d\n" + inlined + b"\n"
        b"2: 200 [2: 200] @ 0x4b3ab5\n" + inlined[: inlined.rindex(b"#")] + b"\n# runtime.MemStats\n# Alloc = 7\n"
    )
    recording = read(text)
    deep, call = ("main.deep", "/src/app/deep.go", 19, False), ("main.outer", "D:/src/app/outer.go", 20, False)
    inner = ("main.inner", "/src/app/inner.go", 14, True)
    stacks = [
        [(frame.signature, frame.file, frame.line, frame.inlined) for frame in recording.table.frames_of(number)]
        for number in range(2)
    ]
    assert stacks == [[(None, None, None, False), inner, call, deep, deep], [inner, call]]
    assert recording.complete and not recording.limits


def test_go_s_text_without_comments_and_end_may_be_cut() -> None:
    assert not read(b"heap profile: 1: 8 [1: 8] @ heap/2\n1: 8 [1: 8] @ 0x400010\n").complete
    sampled = read(b"heap profile: 1: 8 [1: 8] @ heap/1024\n1: 8 [1: 8] @ 0x400011\n#\t0x400010\ta.b+0x1\t/a/b.go:1\n")
    assert sampled.complete and "Go's runtime" in sampled.limits[0]
