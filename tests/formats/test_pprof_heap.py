"""pprof's heap profiles: what Go wrote, as Go's own pprof reads it, and what leakrun exports comes back the same."""

import gzip
import io
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import LeakrunError
from runner.formats import pprof_heap, read_file, read_files
from runner.formats.writers import pprof
from runner.formats.writers.pprof import varint
from runner.formats.writers.sheet import Row, Sheet, sheet_of_losses, sheet_of_snapshot
from runner.model import Frame, Metric, Recording, TimeUnit, check_valid

GOLDEN = Path(__file__).parents[1] / "golden"
GO = GOLDEN / "pprof_heap/go/heap.pb"


def read(data: bytes) -> Recording:
    recording = pprof_heap.read(io.BytesIO(data), "x.pb")
    check_valid(recording)
    return recording


def exported(sheet: Sheet) -> bytes:
    out = io.BytesIO()
    pprof.write(sheet, out)
    return gzip.decompress(out.getvalue())


def amounts(recording: Recording, metric: Metric) -> Counter[tuple[tuple[str | None, str | None, int | None, bool], ...]]:
    """By the names of a stack."""
    found: Counter[tuple[tuple[str | None, str | None, int | None, bool], ...]] = Counter()
    for stack, amount in recording.snapshots[-1].columns[metric].items():
        frames = recording.table.frames_of(stack)
        found[tuple((each.signature, each.file, each.line, each.inlined) for each in frames)] += amount
    return found


@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")
@pytest.mark.parametrize("metric", [Metric.LIVE_BYTES, Metric.ALLOCATED_BYTES])
def test_bytes_agree_with_go_s_pprof(metric: Metric) -> None:
    index = {Metric.LIVE_BYTES: "inuse_space", Metric.ALLOCATED_BYTES: "alloc_space"}[metric]
    top = subprocess.run(
        ["go", "tool", "pprof", "-top", "-unit=B", "-nodefraction=0", f"-sample_index={index}", GO],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    flat = {row[2]: int(row[1]) for row in re.finditer(r"^ *([1-9]\d*)B .*% {1,2}(\S+)(?: \(inline\))?$", top, re.MULTILINE)}
    ours: Counter[str] = Counter()
    for frames, amount in amounts(read(GO.read_bytes()), metric).items():
        ours[str(frames[0][0])] += amount
    assert flat and dict(ours) == flat


CASES = [
    "massif/cxx/*.out*",
    "gperftools_heap/mmap/*.heap",
    "dhat/c/dhat.out*",
    "heaptrack/interpreted/*",
    "jemalloc_heap/exact/*.heap",
]


@pytest.mark.parametrize("pattern", CASES)
def test_what_is_exported_comes_back(pattern: str) -> None:
    native = next(
        path for path in GOLDEN.glob(pattern) if path.name not in ("version.txt", "expected.json") and path.suffix != ".c"
    )
    original = read_file(native)
    number = max(place for place, snapshot in enumerate(original.snapshots) if snapshot.columns)
    sheet = sheet_of_snapshot("x", original, number)
    again = read(exported(sheet))
    for metric in sheet.metrics:
        assert again.snapshots[0].totals[metric] == original.snapshots[number].totals[metric]
    assert exported(sheet_of_snapshot("x", again, 0))  # it is as good as the original for what comes next
    before, after = (
        Counter({names(frames): amount for frames, amount in found.items()})
        for found in (
            amounts(Recording("x", table=original.table, snapshots=[original.snapshots[number]]), Metric.LIVE_BYTES),
            amounts(again, Metric.LIVE_BYTES),
        )
    )
    assert before == after


def names(frames: tuple[tuple[str | None, str | None, int | None, bool], ...]) -> tuple[tuple[str | None, ...], ...]:
    return tuple((signature, file, str(line)) for signature, file, line, _ in frames)


def test_losses_come_back_as_losses() -> None:
    original = read_file(GOLDEN / "memcheck_xml/leaks/memcheck.xml")
    again = read(exported(sheet_of_losses("x", [original])))
    assert Counter((loss.kind, loss.blocks) for loss in again.losses) == Counter(
        (loss.kind, loss.blocks) for loss in original.losses
    )
    assert not again.snapshots


def test_profiles_of_one_process_are_a_series_by_when_they_were_written(tmp_path: Path) -> None:
    recording = Recording("x")
    stack = recording.table.intern([Frame("main", "/a.c", 3)])
    row = Row(stack, (2, 100))
    for number in (1, 2, 10):
        sheet = Sheet("x", recording.table, (Metric.LIVE_BLOCKS, Metric.LIVE_BYTES), [row], taken_at=1000.0 + number)
        (tmp_path / f"heap.{number}.pb.gz").write_bytes(gzip.compress(exported(sheet)))
    (series,) = read_files([tmp_path / f"heap.{number}.pb.gz" for number in (10, 1, 2)])
    assert series.time_unit is TimeUnit.SECONDS and [each.time for each in series.snapshots] == [0, 1, 9]
    whole = (tmp_path / "heap.2.pb.gz").read_bytes()
    (tmp_path / "heap.2.pb.gz").write_bytes(whole[:-8])  # all but gzip's own sum
    (cut,) = read_files(sorted(tmp_path.iterdir()))
    assert not cut.complete and any("heap.2.pb.gz: it was compressed" in flaw for flaw in cut.flaws), cut.flaws


def message(*fields: tuple[int, int | bytes]) -> bytes:
    out = b""
    for field, value in fields:
        out += (
            varint(field << 3) + varint(value) if isinstance(value, int) else varint(field << 3 | 2) + varint(len(value)) + value
        )
    return out


def profile(kind: str, value: int) -> bytes:
    """One sample of one type, and one place without a name."""
    strings = [(6, b""), (6, kind.encode()), (6, b"bytes"), (6, b"/opt/app")]
    sample = message((1, varint(1)), (2, varint(value % (1 << 64))))
    mapped = message((1, 1), (2, 0x400000), (3, 0x500000), (4, 0x1000), (5, 3))
    place = message((1, 1), (2, 1), (3, 0x400010))
    return message((1, message((1, 1), (2, 2))), (2, sample), (3, mapped), (4, place), *strings)


def test_an_address_without_lines_is_named_later() -> None:
    recording = read(profile("inuse_space", 7))
    frame = recording.table.frames[0]
    assert (frame.signature, frame.module, frame.address) == (None, "/opt/app", 0x400011)  # a return address lies behind the call
    assert recording.mappings[0][:4] == (0x400000, 0x500000, 0x1000, "/opt/app")


def test_a_profile_of_time_is_refused() -> None:
    with pytest.raises(LeakrunError, match="cpu, which is not memory"):
        read(profile("cpu", 7))


def test_a_difference_is_told() -> None:
    recording = read(profile("inuse_space", -7))
    assert not recording.complete and "difference" in recording.flaws[0]


@given(st.binary(max_size=400), st.integers(0, 1160))
def test_any_damage_gives_a_valid_recording_or_is_told(noise: bytes, at: int) -> None:
    raw = GO.read_bytes()
    for data in (raw[:at] + noise + raw[at + len(noise) :], raw[:at], noise):
        pprof_heap.sniff(data)
        try:
            read(data)
        except LeakrunError as error:
            assert error.hint


@pytest.mark.parametrize(
    "text", [b"hello\nworld\n" * 99, b"", b"\x00" * 99, b"\n\x01\x01" * 9, b"==1== Memcheck", bytes(range(256))]
)
def test_what_it_is_not(text: bytes) -> None:
    assert not pprof_heap.sniff(text)


def test_the_first_mapping_is_the_program() -> None:
    assert read(profile("inuse_space", 7)).command == ["/opt/app"] and read(GO.read_bytes()).command == ["/tmp/leaks/leaks"]
    assert read(profile("inuse_space", 7).replace(b"/opt/app", b"/op/x.so")).command == []
