"""What bpftrace prints under leakrun's program: whole, cut, damaged. See tests/golden/bpftrace_heap too."""

import io
import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runner.formats import bpftrace_heap, recognise
from runner.model import FindingKind, Metric, Recording, check_valid

WHOLE = (Path(__file__).parent.parent / "golden" / "bpftrace_heap" / "grows" / "grows.bpf.json").read_bytes()
START = {"pid": 7, "what": "heap", "map_keys": 5000, "unix_time": 1000.0, "monotonic_ns": 50_000_000_000, "maps": []}


def read(content: bytes, started_at: float | None = None) -> Recording:
    return bpftrace_heap.read(io.BytesIO(content), "bpf.json", started_at)


def written(*said: tuple[str, Any], start: dict[str, Any] = START) -> bytes:
    lines = [("leakrun.bpf", start), ("attached_probes", {"probes": 3}), *said]
    return b"".join(json.dumps({"type": kind, "data": data}).encode() + b"\n" for kind, data in lines)


def sums(name: str, **rows: tuple[int, int]) -> tuple[str, Any]:
    """Rows of (count, bytes) by the stack's number, of which the first character is left out."""
    return "stats", {name: {key[1:]: {"count": count, "average": 0, "total": size} for key, (count, size) in rows.items()}}


def at(seconds: float) -> tuple[str, Any]:
    return "map", {"@at": round(seconds * 1e9)}


def test_the_format_is_known_by_its_first_line() -> None:
    assert recognise(WHOLE[: 64 * 1024]) is bpftrace_heap
    assert recognise(b'{"type": "attached_probes", "data": {"probes": 1}}\n') is None


def test_what_is_live_is_what_was_allocated_and_not_freed() -> None:
    frames = {"@frame": {"16": 16, "-5": 32}}
    below = {"@below": {"16": 0, "-5": 16}}
    recording = read(
        written(
            sums("@freed", _16=(1, 10)),
            sums("@allocated", _16=(3, 30), **{"_-5": (2, 8)}),
            ("map", frames),
            ("map", below),
            at(51.5),
        )
    )
    check_valid(recording)
    (snapshot,) = recording.snapshots
    assert snapshot.time == 1.5
    assert snapshot.totals == {
        Metric.LIVE_BYTES: 28,
        Metric.LIVE_BLOCKS: 4,
        Metric.ALLOCATED_BYTES: 38,
        Metric.ALLOCATED_BLOCKS: 5,
    }
    stacks = [[frame.address for frame in recording.table.frames_of(each)] for each in range(len(recording.table.stacks))]
    assert stacks == [[16], [16, 32]]  # a number that is printed with a sign is the one that is printed without
    assert recording.complete


def test_stacks_of_one_frame_say_what_brings_the_callers() -> None:
    bare = read(written(sums("@allocated", _16=(1, 1), _32=(1, 1)), at(51)))
    assert any("-fno-omit-frame-pointer" in limit for limit in bare.limits)
    deep = read(
        written(
            sums("@allocated", _16=(1, 1)), ("map", {"@frame": {"16": 16, "32": 32}}), ("map", {"@below": {"16": 32}}), at(51)
        )
    )
    assert not any("-fno-omit-frame-pointer" in limit for limit in deep.limits)


def test_times_count_from_the_start_of_the_run_where_that_is_known() -> None:
    content = written(sums("@allocated", _16=(1, 1)), at(51), at(52))
    assert [snapshot.time for snapshot in read(content).snapshots] == [1.0, 2.0]
    assert [snapshot.time for snapshot in read(content, started_at=996.0).snapshots] == [5.0, 6.0]


def test_snapshots_that_are_printed_late_are_the_moment_at_which_they_are_printed() -> None:
    content = written(sums("@allocated", _16=(1, 8)), at(52), sums("@allocated", _16=(2, 16)), at(52), at(53))
    snapshots = read(content).snapshots
    assert [(each.time, each.totals[Metric.LIVE_BYTES]) for each in snapshots] == [(2.0, 16), (3.0, 16)]


def test_frames_that_are_printed_later_than_the_sums_are_found() -> None:
    recording = read(
        written(sums("@allocated", _16=(1, 8)), at(51), ("map", {"@frame": {"16": 4096}}), ("map", {"@below": {"16": 0}}), at(52))
    )
    assert [frame.address for frame in recording.table.frames_of(0)] == [4096]


def test_what_was_not_seen_is_said() -> None:
    flaws = {
        "did not come to watch": b'{"type": "leakrun.bpf", "data": ' + json.dumps(START).encode() + b"}\n",
        "no snapshot": written(),
        "allocated nothing": written(at(51)),
        "12 allocations were not followed": written(sums("@allocated", _16=(1, 1)), ("map", {"@untracked": 12}), at(51)),
        "lost 3 of its own": written(sums("@allocated", _16=(1, 1)), ("lost_events", {"events": 3}), at(51)),
    }
    for words, content in flaws.items():
        recording = read(content)
        assert not recording.complete and any(words in flaw for flaw in recording.flaws), words


def test_stacks_beyond_the_bound_stand_together() -> None:
    recording = read(written(sums("@allocated", _1=(4, 400)), at(51)))
    assert recording.table.frames_of(0)[0].signature == "(stacks beyond the bound)"


def test_mappings_are_another_kind_of_growth() -> None:
    assert read(written(start={**START, "what": "mappings"})).growth_kind is FindingKind.MAPPING_GROWTH


def test_of_a_file_that_is_cut_the_snapshots_before_it_are_whole() -> None:
    whole = read(WHOLE)
    cut = read(WHOLE[: WHOLE.rindex(b"@allocated")])
    assert not cut.complete and "middle of a line" in cut.flaws[0]
    assert len(whole.snapshots) - 1 <= len(cut.snapshots) <= len(whole.snapshots)


@given(st.integers(0, len(WHOLE)), st.binary(max_size=40), st.integers(0, 2000))
def test_whatever_is_damaged_gives_a_valid_recording(at: int, noise: bytes, gap: int) -> None:
    check_valid(read(WHOLE[:at] + noise + WHOLE[at + gap :]))
