"""heaptrack's record: raw and interpreted say the same, and as much as heaptrack_print; whatever it was compressed with."""

import gzip
import itertools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.formats import heaptrack, read_file
from runner.formats.heaptrack import CUT, MOST_SNAPSHOTS
from runner.model import Metric, Recording

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GOLDEN = Path(__file__).parents[1] / "golden" / "heaptrack"
RAW, INTERPRETED = GOLDEN / "raw" / "heaptrack.churn.raw", GOLDEN / "interpreted" / "heaptrack.churn"


def figures(recording: Recording) -> list[tuple[float, dict[Metric, int], list[tuple[int, int]]]]:
    return [(each.time, each.totals, sorted(each.columns[Metric.LIVE_BYTES].items())) for each in recording.snapshots]


def test_the_raw_and_the_interpreted_record_say_the_same() -> None:
    raw, interpreted = read_file(RAW), read_file(INTERPRETED)
    assert figures(raw) == figures(interpreted)
    assert [(each.kind, each.stack_id, each.bytes) for each in raw.remarks] == [
        (each.kind, each.stack_id, each.bytes) for each in interpreted.remarks
    ]
    assert raw.complete and interpreted.complete


@pytest.mark.skipif(shutil.which("heaptrack_print") is None, reason="heaptrack_print is not here")
def test_the_figures_are_those_of_heaptrack_print() -> None:
    said = subprocess.run(["heaptrack_print", INTERPRETED], capture_output=True, text=True, check=True, timeout=60).stdout
    last = read_file(INTERPRETED).snapshots[-1].totals
    calls = re.search(r"calls to allocation functions: (\d+)", said)
    leaked = re.search(r"total memory leaked: ([\d.]+)K", said)
    assert calls and leaked
    assert last[Metric.ALLOCATED_BLOCKS] == int(calls[1])
    assert last[Metric.LIVE_BYTES] == pytest.approx(float(leaked[1]) * 1000, abs=5)


@pytest.mark.parametrize(("suffix", "compress"), [("gz", gzip.compress), ("zst", zstd.compress)])
@pytest.mark.parametrize("file", [RAW, INTERPRETED], ids=["raw", "interpreted"])
def test_a_compressed_record_is_read_as_it_is(tmp_path: Path, suffix: str, compress, file: Path) -> None:  # type: ignore[no-untyped-def]
    packed = tmp_path / f"record.{suffix}"
    packed.write_bytes(compress(file.read_bytes()))
    assert figures(read_file(packed)) == figures(read_file(file))


@pytest.mark.parametrize(("suffix", "compress"), [("gz", gzip.compress), ("zst", zstd.compress)])
def test_a_compressed_file_that_is_cut_keeps_what_came_before(tmp_path: Path, suffix: str, compress) -> None:  # type: ignore[no-untyped-def]
    packed = tmp_path / f"record.{suffix}"
    # zstd gives out whole blocks only: a file of several
    text = RAW.read_bytes() + b"".join(b"+ %x 9 %x\nc %x\nR 1\n" % (i % 97, i * 7919 % 2**40, 400 + i) for i in range(30_000))
    whole = compress(text)
    packed.write_bytes(whole[: len(whole) * 9 // 10])
    recording = read_file(packed)
    assert recording.snapshots[-1].totals[Metric.LIVE_BLOCKS] > 100
    assert not recording.complete and "cut" in recording.flaws[0]


def test_other_native_files_may_be_compressed_too(tmp_path: Path) -> None:
    (massif,) = (GOLDEN.parent / "massif" / "c").glob("massif.out*")
    log = GOLDEN.parent / "mtrace" / "c" / "mtrace.log"
    for file in (massif, log):
        packed = tmp_path / f"{file.name}.gz"
        packed.write_bytes(gzip.compress(file.read_bytes()))
        assert [each.totals for each in read_file(packed).snapshots] == [each.totals for each in read_file(file).snapshots]


def test_a_record_that_ends_between_two_lines_is_cut_too(tmp_path: Path) -> None:
    lines = RAW.read_bytes().splitlines(keepends=True)
    last_event = max(number for number, line in enumerate(lines) if line.startswith(b"-"))
    (tmp_path / "cut").write_bytes(b"".join(lines[: last_event + 1]))
    assert read_file(tmp_path / "cut").flaws == [f"cut: {CUT}"]


def test_a_long_record_has_a_bounded_number_of_snapshots_evenly_spread(tmp_path: Path) -> None:
    text = b"v 10400 3\nx 4 /a/b\nX /a/b\nI 1000 1\nm 1 -\nm 1 x 1000 0 1000\nt 1100 0\n"
    (tmp_path / "long").write_bytes(text + b"".join(b"+ 10 1 %x\nc %x\nR 1\n" % (i + 1, i * 10) for i in range(5000)))
    recording = read_file(tmp_path / "long")
    times = [each.time for each in recording.snapshots]
    assert MOST_SNAPSHOTS // 2 <= len(times) <= MOST_SNAPSHOTS + 1 and times[-1] == 49.99
    steps = {round(after - before, 3) for before, after in itertools.pairwise(times[:-1])}
    assert len(steps) == 1
    assert recording.snapshots[-1].totals[Metric.LIVE_BYTES] == 5000 * 16


def test_an_address_is_that_of_what_was_mapped_when_it_was_seen(tmp_path: Path) -> None:
    before = b"v 10400 3\nx 4 /a/b\nI 1000 1\nm 1 -\nm 1 x 400000 1000 1000\nt 401100 0\n+ 8 1 10\n"
    after = b"m 1 -\nm 5 /x/so 400000 0 5000\nt 401200 1\n+ 8 2 20\nc a\nR 1\n"
    (tmp_path / "two").write_bytes(before + after)
    recording = read_file(tmp_path / "two")
    # Counted from the first byte that is mapped: the program's is at 0x401000.
    assert [(frame.module, frame.address) for frame in recording.table.frames] == [("/a/b", 0x100), ("/x/so", 0x1200)]


def test_what_is_not_its_record_is_not_taken_for_one() -> None:
    assert not heaptrack.sniff(b"v 1 2\nhello\n") and not heaptrack.sniff(b"version 10400\nx a\n")


@pytest.mark.parametrize(
    "line", [b"+ 10 99 1", b"+ zz 1 1", b"t 1 7", b"t 1", b"- ", b"m 5", b"+ 1", b"a 1 1", b"s 3 x", b"i 1 4"]
)
def test_a_damaged_line_is_counted_and_passed_over(tmp_path: Path, line: bytes) -> None:
    text = RAW.read_bytes()
    at = text.index(b"c ")
    (tmp_path / "damaged").write_bytes(text[:at] + line + b"\n" + text[at:])
    recording = read_file(tmp_path / "damaged")
    assert recording.snapshots and len(recording.snapshots) >= 10


def test_format_0_has_no_kinds_of_blocks(tmp_path: Path) -> None:
    """heaptrack's src/analyze/accumulatedtracedata.cpp reads it: below file version 1, "+ size trace address" and "- address"."""
    named = "X ./app\ns app\ns main\ns app.c\ni 401136 1 2 3 a\nt 1 0\n"
    (tmp_path / "old").write_text("v 10000\n" + named + "+ 64 1 55a0\n+ 10 1 55b0\n- 55a0\nc a\nR 3a1\n# strings: 3\n# ips: 1\n")
    recording = read_file(tmp_path / "old")
    assert recording.complete and recording.snapshots[-1].totals[Metric.LIVE_BYTES] == 0x10
    assert [frame.signature for frame in recording.table.frames] == ["main"]
