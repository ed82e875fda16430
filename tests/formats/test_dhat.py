"""DHAT's files: what the real tool wrote, whole and damaged, and what Rust's crate writes."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from runner.answers import answer_of
from runner.errors import ErrorKind, LeakrunError
from runner.formats import dhat
from runner.model import Amount, Metric, Recording, TimeUnit, check_valid

CASE = Path(__file__).parents[1] / "golden" / "dhat" / "c" / "dhat.out.4711"


def recording_of(text: bytes | str) -> Recording:
    found = dhat.read(io.BytesIO(text.encode() if isinstance(text, str) else text), "dhat.out")
    check_valid(found)
    return found


def document(**changes: Any) -> dict[str, Any]:
    """The real file as data, with some of its keys replaced."""
    return {**json.loads(CASE.read_bytes()), **changes}


def figures(recording: Recording) -> list[Any]:
    """All that the snapshots say."""
    columns = [[(metric, dict(column.items())) for metric, column in each.columns.items()] for each in recording.snapshots]
    return [[(each.time, each.label, each.totals) for each in recording.snapshots], columns]


def functions(recording: Recording, stack_id: int) -> list[str | None]:
    return [frame.signature for frame in recording.table.frames_of(stack_id)]


def test_the_peak_and_the_end_are_two_snapshots_with_all_their_stacks() -> None:
    recording = recording_of(CASE.read_bytes())
    peak, end = recording.snapshots
    assert recording.complete and recording.time_unit is TimeUnit.INSTRUCTIONS
    assert peak.peak and not end.peak and peak.time < end.time
    live = {functions(recording, stack)[1]: amount for stack, amount in end.columns[Metric.LIVE_BYTES].items()}
    allocated = {functions(recording, stack)[1]: amount for stack, amount in end.columns[Metric.ALLOCATED_BYTES].items()}
    assert live == {"keep": 8 * 4000}
    assert allocated == {"keep": 16 * 4000, "blink": 400 * 64, "reserve": 20000}
    assert peak.totals[Metric.LIVE_BYTES] == sum(peak.columns[Metric.LIVE_BYTES].amounts) >= 16 * 4000
    assert Metric.ALLOCATED_BYTES not in peak.totals  # DHAT does not say what had been allocated until then
    assert recording.heap_summary and recording.heap_summary.in_use_at_exit == Amount(32000, 8)


def test_a_note_says_what_was_held_at_the_peak_and_what_at_the_end(tmp_path: Path) -> None:
    notes = {note.function: note for note in answer_of([str(CASE)], tmp_path).notes if note.kind == "live"}
    keep, blink = notes["keep"], notes["blink"]
    assert keep.text.endswith("held 64.0 kB (100% of all) at the peak, and 32.0 kB (100% of all) at the end")
    assert blink.text.endswith("held 64 bytes (0% of all) at the peak, and nothing at the end")
    assert keep.bytes == 64_000


def test_what_is_there_only_at_the_end_is_named_too(tmp_path: Path) -> None:
    freed, stays = (
        {**place, "gb": gb, "gbk": gb and 1, "eb": eb, "ebk": eb and 1, "mb": 0, "mbk": 0}
        for place, gb, eb in zip(document()["pps"], (29, 0), (0, 10), strict=False)
    )
    (tmp_path / "dhat.out").write_text(json.dumps(document(pps=[freed, stays])))
    texts = [note.text for note in answer_of([str(tmp_path / "dhat.out")], tmp_path).notes if note.kind == "live"]
    assert len(texts) == 2
    assert texts[0].endswith("held 29 bytes (100% of all) at the peak, and nothing at the end")
    assert texts[1].endswith("held nothing at the peak, and 10 bytes (100% of all) at the end")


def test_memory_that_nobody_needed_is_remarked_on() -> None:
    recording = recording_of(CASE.read_bytes())
    said = {(functions(recording, each.stack_id)[1], each.kind): each.bytes for each in recording.remarks}
    assert said == {
        ("keep", "never-read"): 64000,
        ("reserve", "never-used"): 20000,
        ("reserve", "short-lived"): 20000,
        ("blink", "short-lived"): 25600,
    }


def test_version_1_says_the_same_by_other_names() -> None:
    """valgrind 3.15's first form, as in its dhat/dh_test.js; the real file's figures here."""
    now = document()
    old = {"dhatFileVersion": 1, "cmd": now["cmd"], "pid": now["pid"], "mi": now["tg"], "ei": now["te"]}
    names = {"eb": "fb", "ebk": "fbk", "tl": "tli"}
    old["aps"] = [{names.get(key, key): figure for key, figure in place.items()} for place in now["pps"]]
    found = recording_of(json.dumps({**old, "ftbl": now["ftbl"]}))
    assert found.complete and figures(found) == figures(recording_of(CASE.read_bytes()))
    assert {each.kind for each in found.remarks} == {"never-read", "never-used"}  # it does not say what is short


def test_without_figures_of_access_nothing_is_said_of_access() -> None:
    places = [{key: value for key, value in place.items() if key not in ("rb", "wb")} for place in document()["pps"]]
    recording = recording_of(json.dumps(document(pps=places, bkacc=False)))
    assert {each.kind for each in recording.remarks} == {"short-lived"}


def test_white_space_and_the_order_of_keys_do_not_matter() -> None:
    turned = dict(reversed(document().items()))
    turned = {"dhatFileVersion": turned.pop("dhatFileVersion"), **turned}
    for text in (json.dumps(turned), json.dumps(turned, indent=4), json.dumps(turned, separators=(",", ":"))):
        recording = recording_of(text)
        assert recording.complete
        assert figures(recording) == figures(recording_of(CASE.read_bytes()))


class Dribble(io.BytesIO):
    """A stream that gives a few bytes at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(7, size if size and size > 0 else 7))


def test_it_does_not_matter_where_the_pieces_that_are_read_end() -> None:
    piecemeal = dhat.read(Dribble(CASE.read_bytes()), "dhat.out")
    assert piecemeal.complete
    assert figures(piecemeal) == figures(recording_of(CASE.read_bytes()))


def test_a_file_larger_than_what_is_read_at_once_is_read_whole() -> None:
    data = document()
    place = data["pps"][0]
    data["ftbl"] = [*data["ftbl"], *(f"0x{number:X}: f{number} (a.c:{number})" for number in range(1, 5001))]
    first = len(document()["ftbl"])
    data["pps"] = [{**place, "fs": [first + number]} for number in range(5000)]
    recording = recording_of(json.dumps(data))
    assert recording.complete
    assert recording.snapshots[1].totals[Metric.LIVE_BYTES] == 5000 * place["eb"]
    assert functions(recording, 4999) == ["f5000"]


def test_one_place_that_stands_twice_is_one_stack() -> None:
    data = document()
    recording = recording_of(json.dumps({**data, "pps": data["pps"] * 2}))
    assert dict(recording.snapshots[1].columns[Metric.LIVE_BYTES].items()) == {0: 64000}


def test_lines_with_columns_and_microseconds_are_read_as_rust_s_dhat_crate_writes_them() -> None:
    frames = ["[root]", "0x55D0C0: alloc::alloc (src/alloc.rs:96:9)", "0x55D0D1: heaps::grow (src/main.rs:6:15)"]
    places = [{**document()["pps"][0], "fs": [1, 2]}]
    changes = {"mode": "rust-heap", "bkacc": False, "tu": "µs", "Mtu": "s", "tuth": 10, "te": 2_500_000, "tg": 1_000_000}
    recording = recording_of(json.dumps(document(**changes, pps=places, ftbl=frames), ensure_ascii=False))
    assert recording.time_unit is TimeUnit.SECONDS
    assert [snapshot.time for snapshot in recording.snapshots] == [1.0, 2.5]
    assert [frame[:3] for frame in recording.table.frames_of(0)] == [
        ("alloc::alloc", "src/alloc.rs", 96),
        ("heaps::grow", "src/main.rs", 6),
    ]


@pytest.mark.parametrize("mode", ["copy", "ad-hoc"])
def test_a_mode_that_does_not_count_memory_is_told(mode: str) -> None:
    with pytest.raises(LeakrunError) as told:
        recording_of(json.dumps(document(mode=mode, bklt=False, bkacc=False)))
    assert told.value.kind is ErrorKind.USAGE
    assert mode in told.value.message and "--mode=heap" in told.value.hint


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({"dhatFileVersion": 3}, "file version 3"),
        ({"te": -1}, "times of the peak and of the end"),
        ({"te": 1}, "times of the peak and of the end"),
        ({"pps": [{"tb": 1}]}, "lacks a figure or its stack"),
        ({"pps": [7]}, "no group of figures"),
        ({"pps": 7}, "where '[' is due"),
        ({"ftbl": [7]}, "a frame is no text"),
        ({"pps": [{**document()["pps"][0], "tb": 2**63}]}, "lacks a figure"),
        ({"pps": [{**document()["pps"][0], "tb": True}]}, "lacks a figure"),
        ({"cmd": "[" * 90000}, None),
    ],
)
def test_what_is_damaged_is_told(changes: dict[str, Any], flaw: str | None) -> None:
    recording = recording_of(json.dumps(document(**changes)))
    assert recording.complete == (flaw is None)
    assert flaw is None or flaw in " ".join(recording.flaws)


def test_a_file_without_its_end_has_its_figures_and_no_names() -> None:
    whole = CASE.read_bytes()
    recording = recording_of(whole[: whole.index(b',"ftbl"')])
    assert not recording.complete and recording.flaws and recording.heap_summary is None
    assert recording.snapshots[1].totals[Metric.LIVE_BYTES] == 32000
    assert {name for stack in range(len(recording.table.stacks)) for name in functions(recording, stack)} == {None}


def test_nesting_without_end_is_told() -> None:
    recording = recording_of('{"dhatFileVersion":2,"x":' + "[" * 200_000)
    assert not recording.complete and recording.flaws


def test_a_command_that_is_no_utf8_is_shown_and_costs_nothing() -> None:
    named = CASE.read_bytes().replace(json.dumps(document()["cmd"]).encode(), b'"./caf\xe9 \xff\xfe"')
    recording = recording_of(named)
    assert recording.complete and recording.command == ["./caf\\xe9", "\\xff\\xfe"]
    assert figures(recording) == figures(recording_of(CASE.read_bytes()))
