"""The formats that other programs read: the same figures come out, whatever the symbols are called."""

import csv
import io
import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from runner.formats import massif as massif_reader
from runner.formats import read_file
from runner.formats.writers import callgrind, csv_rows, folded, massif, pprof, speedscope, stacks
from runner.formats.writers.sheet import UNLISTED, Sheet, recording_of, sheet_of_losses, sheet_of_snapshot
from runner.model import (
    BELOW_THRESHOLD,
    Column,
    FindingKind,
    Frame,
    Loss,
    LossKind,
    Mapping,
    Metric,
    Recording,
    Snapshot,
    TimeUnit,
    check_valid,
)
from tests.formats.pprof_decoder import decode

GOLDEN = Path(__file__).parent.parent / "golden"
MASSIF_CASES = sorted(path for path in (GOLDEN / "massif").glob("*/massif.*") if path.name != "massif.cut")
NASTY = [
    "line\nbreak",
    "carriage\rreturn\ttab\x00nul\x1b[31m",
    "</script><img onerror=alert(1)>",
    'quote" and \'apostrophe\', and comma; and semicolon',
    "bytes \udcff\udc80 that are no text",
    "(7) looks like a number",
    "n0: 99 0x1: looks like a row (a.c:1)",
    "fn=(1) looks like a name",
    "\u202eright to left\u2028separated",
    "=1+2",
    "%0A%s{}\\x",
    "🦀::größe<T>",
    " ",
]  # fmt: skip


def write(writer, sheet: Sheet) -> bytes:
    stream = io.BytesIO()
    writer(sheet, stream)
    return stream.getvalue()


def a_recording(*stacks_and_amounts: tuple[list[Frame], int, int]) -> Recording:
    recording = Recording("massif", pid=7, command=["./a", "b"], time_unit=TimeUnit.SECONDS)
    size, blocks = Column(), Column()
    for frames, amount, count in stacks_and_amounts:
        stack = recording.table.intern(frames)
        size.append(stack, amount)
        blocks.append(stack, count)
    totals = {Metric.LIVE_BYTES: sum(size.amounts), Metric.LIVE_BLOCKS: sum(blocks.amounts)}
    recording.snapshots.append(Snapshot(1.5, totals, {Metric.LIVE_BYTES: size, Metric.LIVE_BLOCKS: blocks}, label="snapshot 0"))
    check_valid(recording)
    return recording


def frame(name: str, line: int = 1, **more) -> Frame:
    return Frame(name, more.pop("file", "a.c"), line, address=0x1000 + line, **more)


MAIN = frame("main(int, char**)", 30)
PLAIN = a_recording(([frame("f(int)", 3), MAIN], 100, 2), ([frame("g()", 9), frame("f(int)", 4), MAIN], 28, 1), ([MAIN], 5, 5))
PLAIN_SHEET = sheet_of_snapshot("run@0", PLAIN, 0)
HOSTILE = a_recording(*(([Frame(name, f"{name}.c", 3, None, 5 + n), MAIN], 10 + n, 1) for n, name in enumerate(NASTY)))
HOSTILE_SHEET = sheet_of_snapshot(NASTY[0], HOSTILE, 0)
HOSTILE_BYTES = sum(10 + n for n in range(len(NASTY)))


def test_pprof_holds_every_stack() -> None:
    said = decode(write(pprof.write, PLAIN_SHEET))
    assert said["types"] == [("inuse_objects", "count"), ("inuse_space", "bytes")] and said["default"] == "inuse_space"
    assert said["samples"] == [
        ([("f", "a.c", 3), ("main", "a.c", 30)], [2, 100], {}),
        ([("g", "a.c", 9), ("f", "a.c", 4), ("main", "a.c", 30)], [1, 28], {}),
        ([("main", "a.c", 30)], [5, 5], {}),
    ]
    assert ("f", "f(int)") in said["functions"] and sorted(said["addresses"]) == [0x1003, 0x1004, 0x1009, 0x101E]


def test_pprof_says_what_was_allocated_where_it_is_known() -> None:
    recording = a_recording(([MAIN], 4, 1))
    snapshot = recording.snapshots[0]
    for metric, amount in ((Metric.ALLOCATED_BYTES, 400), (Metric.ALLOCATED_BLOCKS, 100)):
        snapshot.columns[metric], snapshot.totals[metric] = Column([0], [amount]), amount
    said = decode(write(pprof.write, sheet_of_snapshot("x", recording, 0)))
    assert [name for name, _ in said["types"]] == ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"]
    assert said["samples"][0][1] == [100, 400, 1, 4]


def test_pprof_puts_inlined_frames_into_one_location() -> None:
    inner, outer = Frame("in", "a.h", 2, "/app", 0x5000, inlined=True), Frame("out", "a.c", 8, "/app", 0x5000)
    recording = a_recording(([inner, outer, MAIN], 1, 1), ([outer, MAIN], 1, 1))
    recording.mappings.append(Mapping(0x4000, 0x6000, 0, "/app", "abcd"))
    said = decode(write(pprof.write, sheet_of_snapshot("x", recording, 0)))
    assert [[name for name, _, _ in frames] for frames, _, _ in said["samples"]] == [["in", "out", "main"], ["out", "main"]]
    assert sorted(said["addresses"]) == [0x101E, 0x5000, 0x5000] and said["mappings"] == ["/app"]


def test_what_only_the_totals_hold_is_a_sample_too() -> None:
    recording = a_recording(([MAIN], 4, 1))
    recording.snapshots[0].totals[Metric.LIVE_BYTES] = 1004
    sheet = sheet_of_snapshot("x", recording, 0)
    assert folded_sums(write(folded.write, sheet)) == {"main": 4, UNLISTED.signature: 1000}
    assert len(recording.table.stacks) == 1, "the recording itself is left as it was"


def test_losses_are_told_apart_and_counted_once() -> None:
    recording = Recording("memcheck")
    stack = recording.table.intern([frame("f"), MAIN])
    recording.losses += [
        Loss(LossKind.DEFINITE, 50, 1, stack, indirect_bytes=30),
        Loss(LossKind.INDIRECT, 30, 3, stack),
        Loss(LossKind.REACHABLE, 7, 1, stack),
    ]
    sheet = sheet_of_losses("x", [recording])
    assert folded_sums(write(folded.write, sheet)) == {
        "definitely lost;main;f": 20,
        "indirectly lost;main;f": 30,
        "still reachable;main;f": 7,
    }
    assert [sample[1:] for sample in decode(write(pprof.write, sheet))["samples"]] == [
        ([1, 20], {"kind": "definitely lost"}),
        ([3, 30], {"kind": "indirectly lost"}),
        ([1, 7], {"kind": "still reachable"}),
    ]
    assert sum(column_of(recording_of(sheet)).values()) == 57


def folded_sums(text: bytes) -> dict[str, int]:
    found = {}
    for line in text.decode().splitlines():
        stack, _, amount = line.rpartition(" ")
        assert stack not in found
        found[stack] = int(amount)
    return found


def column_of(recording: Recording, number: int = 0) -> dict[tuple[Frame, ...], int]:
    column = recording.snapshots[number].columns[Metric.LIVE_BYTES]
    return {tuple(recording.table.frames_of(stack)): amount for stack, amount in column.items()}


def test_hostile_names_do_not_break_folded_stacks() -> None:
    found = folded_sums(write(folded.write, HOSTILE_SHEET))
    assert sorted(found.values()) == [10 + n for n in range(len(NASTY))]
    assert all(stack.count(";") == 1 and stack.isprintable() for stack in found)


def test_hostile_names_do_not_break_pprof() -> None:
    said = decode(write(pprof.write, HOSTILE_SHEET))
    assert sum(values[1] for _, values, _ in said["samples"]) == HOSTILE_BYTES
    assert all(text.isprintable() for text in said["strings"])
    assert any("\\xff\\x80" in text for text in said["strings"])


def test_hostile_names_do_not_break_speedscope() -> None:
    document = json.loads(write(speedscope.write, HOSTILE_SHEET))
    frames = document["shared"]["frames"]
    assert {profile["unit"]: sum(profile["weights"]) for profile in document["profiles"]} == {
        "bytes": HOSTILE_BYTES,
        "none": len(NASTY),
    }
    assert all(frame["name"] for frame in frames)
    for profile in document["profiles"]:
        assert profile["endValue"] == sum(profile["weights"]) and len(profile["samples"]) == len(profile["weights"])
        assert all(frames[place[0]]["name"] == "main" and len(place) == 2 for place in profile["samples"])


def test_hostile_names_do_not_break_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(write(csv_rows.write, HOSTILE_SHEET).decode(), newline="")))
    assert [int(row["live_bytes"]) for row in rows] == sorted((10 + n for n in range(len(NASTY))), reverse=True)
    assert all(row["stack"].startswith("main;") and int(row["line"]) == 3 for row in rows)


def test_hostile_names_stay_what_they_are_in_json() -> None:
    said = json.loads(json.dumps(stacks.to_dict(HOSTILE_SHEET)))
    assert {each["signature"] for each in said["frames"]} >= set(NASTY)
    assert sum(each["live_bytes"] for each in said["stacks"]) == HOSTILE_BYTES


def test_hostile_names_do_not_break_massif() -> None:
    stream = io.BytesIO()
    massif.write(HOSTILE, stream)
    stream.seek(0)
    again = massif_reader.read(stream, "massif.out.7")
    check_valid(again)
    assert again.flaws == [] and sorted(column_of(again).values()) == [10 + n for n in range(len(NASTY))]


def annotated(raw: bytes, tmp_path: Path, *options: str) -> str:
    file = tmp_path / "callgrind.out"
    file.write_bytes(raw)
    command = ["callgrind_annotate", "--auto=no", "--threshold=100", *options, file]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert ran.returncode == 0 and ran.stderr == "", ran.stderr
    return "\n".join(" ".join(line.split()) for line in ran.stdout.splitlines())


needs_valgrind = pytest.mark.skipif(shutil.which("callgrind_annotate") is None, reason="valgrind is not installed")


@needs_valgrind
def test_callgrind_annotate_adds_up_the_same(tmp_path: Path) -> None:
    said = annotated(write(callgrind.write, PLAIN_SHEET), tmp_path)
    assert "133 (100.0%) 8 (100.0%) PROGRAM TOTALS" in said
    assert "100 (75.19%) 2 (25.00%) a.c:f" in said
    inclusive = annotated(write(callgrind.write, PLAIN_SHEET), tmp_path, "--inclusive=yes")
    assert "133 (100.0%) 8 (100.0%) a.c:main" in inclusive and "128 (96.24%) 3 (37.50%) a.c:f" in inclusive


@needs_valgrind
def test_recursion_is_not_counted_twice(tmp_path: Path) -> None:
    turn = frame("turn", 4)
    sheet = sheet_of_snapshot("x", a_recording(([turn, turn, turn, MAIN], 100, 1)), 0)
    assert "100 (100.0%) 1 (100.0%) a.c:main" in annotated(write(callgrind.write, sheet), tmp_path, "--inclusive=yes")


@needs_valgrind
def test_hostile_names_do_not_break_callgrind(tmp_path: Path) -> None:
    said = annotated(write(callgrind.write, HOSTILE_SHEET), tmp_path)
    assert f"{HOSTILE_BYTES} (100.0%) {len(NASTY)} (100.0%) PROGRAM TOTALS" in said
    rows = [line for line in said.splitlines() if ".c:" in line and "%)" in line]
    assert len(rows) == len(NASTY)


@needs_valgrind
@pytest.mark.parametrize("recording", [PLAIN, HOSTILE], ids=["plain", "hostile"])
def test_ms_print_reads_what_was_written(recording: Recording, tmp_path: Path) -> None:
    file = tmp_path / "massif.out"
    with file.open("wb") as stream:
        massif.write(recording, stream)
    ran = subprocess.run(["ms_print", "--threshold=0", file], capture_output=True, timeout=60, check=False)
    assert ran.returncode == 0 and ran.stderr == b"", ran.stderr
    column = recording.snapshots[0].columns[Metric.LIVE_BYTES]
    assert f"({sum(column.amounts):,}B) (heap allocation functions)".encode() in ran.stdout
    assert b"main(int, char**) (a.c:30)" in ran.stdout


@pytest.mark.parametrize("file", MASSIF_CASES, ids=lambda path: path.parent.name)
def test_a_real_massif_file_comes_back_the_same(file: Path, tmp_path: Path) -> None:
    recording = read_file(file)
    copy = tmp_path / file.name
    with copy.open("wb") as stream:
        massif.write(recording, stream)
    again = read_file(copy)
    assert (again.command, again.time_unit, again.growth_kind) == (recording.command, recording.time_unit, recording.growth_kind)
    assert again.complete and len(again.snapshots) == len(recording.snapshots)
    for number, (before, after) in enumerate(zip(recording.snapshots, again.snapshots, strict=True)):
        assert (before.time, before.totals, before.peak, before.label) == (after.time, after.totals, after.peak, after.label)
        assert before.columns.keys() == after.columns.keys()
        if before.columns:
            assert column_of(recording, number) == column_of(again, number)


def test_an_xtree_keeps_its_live_bytes(tmp_path: Path) -> None:
    recording = read_file(GOLDEN / "massif" / "xtree" / "xtree.ms")
    with (tmp_path / "massif.out").open("wb") as stream:
        massif.write(recording, stream)
    before = {stack: amount for stack, amount in column_of(recording).items() if amount}
    assert column_of(read_file(tmp_path / "massif.out")) == before


def test_a_stack_that_ends_within_another_keeps_its_bytes() -> None:
    stream = io.BytesIO()
    massif.write(PLAIN, stream)
    stream.seek(0)
    again = massif_reader.read(stream, "massif.out")
    assert again.flaws == [] and Counter(column_of(again).values()) == Counter([100, 28, 5])


def test_what_massif_summed_up_stays_summed_up() -> None:
    recording = a_recording(([MAIN], 10, 1), ([BELOW_THRESHOLD], 3, 1))
    recording.growth_kind = FindingKind.MAPPING_GROWTH
    stream = io.BytesIO()
    massif.write(recording, stream)
    stream.seek(0)
    again = massif_reader.read(stream, "massif.out")
    assert (BELOW_THRESHOLD,) in column_of(again) and again.growth_kind is FindingKind.MAPPING_GROWTH
    assert any("--threshold" in limit for limit in again.limits)


@pytest.mark.parametrize("writer", [pprof.write, folded.write, speedscope.write, callgrind.write, csv_rows.write])
def test_nothing_at_all_is_written_as_nothing(writer) -> None:
    empty = sheet_of_losses("x", [Recording("memcheck")])
    assert isinstance(write(writer, empty), bytes)


@pytest.mark.parametrize("writer", [pprof.write, folded.write, speedscope.write, callgrind.write, csv_rows.write])
def test_the_same_moment_gives_the_same_bytes(writer) -> None:
    assert write(writer, PLAIN_SHEET) == write(writer, PLAIN_SHEET)


def test_pprof_gives_a_nameless_frame_the_address_that_it_had() -> None:
    recording = a_recording(([Frame(module="/app", address=0x1234), MAIN], 1, 1))
    recording.mappings += [Mapping(0x4000, 0x5000, 0, "/app"), Mapping(0x9000, 0xA000, 0x1000, "/app")]
    said = decode(write(pprof.write, sheet_of_snapshot("x", recording, 0)))
    assert sorted(said["addresses"]) == [0x101E, 0x9234] and said["mappings"] == ["/app"]
