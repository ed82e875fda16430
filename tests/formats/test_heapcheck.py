"""The heap checker's two outputs: its report in a text, and the .heap file of what it found."""

import io
from pathlib import Path

import pytest

from runner.formats import gperftools_heap, heapcheck_report, read_file, recognise
from runner.model import Amount, LossKind, Recording, check_valid

GOLDEN = Path(__file__).parent.parent / "golden"
PLAIN = GOLDEN / "heapcheck_report" / "plain" / "plain.log"
NAMED = GOLDEN / "heapcheck_report" / "named" / "named.log"
CLEAN = GOLDEN / "heapcheck_report" / "clean" / "clean.log"
LEAKS = next((GOLDEN / "gperftools_heap" / "leaks").glob("*.heap"))


def read(data: bytes) -> Recording:
    recording = heapcheck_report.read(io.BytesIO(data), "log")
    check_valid(recording)
    return recording


def losses(recording: Recording) -> list[tuple[int, int]]:
    return sorted((loss.bytes, loss.blocks) for loss in recording.losses)


def test_names_are_those_that_pprof_found() -> None:
    recording = read(NAMED.read_bytes())
    stacks = [[frame.signature for frame in recording.table.frames_of(loss.stack_id)][:3] for loss in recording.losses]
    assert stacks == [["lose", "main", "__libc_start_call_main"], ["lose", "once", "main"]]
    assert losses(recording) == [(4000, 1), (5000, 50)]
    assert recording.complete and not recording.limits


def test_addresses_without_names_lead_to_the_file_that_has_them() -> None:
    recording = read(PLAIN.read_bytes())
    assert losses(recording) == [(4000, 1), (5000, 50)]
    assert any("/tmp/demo/leaks." in limit and "leakrun show" in limit for limit in recording.limits)


def test_the_report_and_the_file_agree() -> None:
    with LEAKS.open("rb") as stream:
        recording = gperftools_heap.read(stream, LEAKS.name)
    check_valid(recording)
    assert losses(recording) == losses(read(PLAIN.read_bytes()))
    assert (recording.tool, recording.snapshots) == ("heapcheck", [])
    assert {loss.kind for loss in recording.losses} == {LossKind.DEFINITE}


def test_a_dump_of_the_profiler_is_no_list_of_losses() -> None:
    with LEAKS.open("rb") as stream:
        recording = gperftools_heap.read(stream, "leaks.0001.heap")
    assert recording.tool == "heapprofile" and not recording.losses and len(recording.snapshots) == 1


def test_nothing_found_is_a_whole_answer() -> None:
    recording = read(CLEAN.read_bytes())
    assert recording.complete and not recording.losses
    assert recording.leak_summary == {LossKind.REACHABLE: Amount(78235, 13)}


def test_it_is_found_among_what_the_program_says() -> None:
    lines = PLAIN.read_bytes().splitlines(keepends=True)
    mixed = b"starting up\n" * 50 + b"".join(line + b"" for line in lines) + b"bye\n"
    assert recognise(mixed) is heapcheck_report
    assert losses(read(mixed)) == [(4000, 1), (5000, 50)]


def test_two_programs_in_one_log_are_added() -> None:
    recording = read(PLAIN.read_bytes() + CLEAN.read_bytes() + NAMED.read_bytes())
    assert losses(recording) == [(4000, 1), (4000, 1), (5000, 50), (5000, 50)]
    assert recording.complete


@pytest.mark.parametrize("end", [b"Leak of 4000 bytes", b"If the preceding", b"\t@ 5600f0a091a2"])
def test_a_cut_report_says_so(end: bytes) -> None:
    whole = PLAIN.read_bytes()
    recording = read(whole[: whole.index(end)])
    assert not recording.complete and "cut" in recording.flaws[0]


def test_what_it_does_not_list_is_said() -> None:
    (log,) = (GOLDEN / "heapcheck_report" / "many").glob("*.log")
    recording = read(log.read_bytes())
    assert len(recording.losses) == 20
    assert any("lists the largest leaks: 5,120 of 6,380 bytes" in limit for limit in recording.limits)
    assert recording.complete


@pytest.mark.parametrize("text", [b"", b"Leak check\n", b"no leaks\n", b"heap profile: 1: 2 [3: 4] @\n"])
def test_what_it_is_not(text: bytes) -> None:
    assert not heapcheck_report.sniff(text)


def test_addresses_with_0x_are_frames_too(tmp_path: Path) -> None:
    """Until gperftools 1.5."""
    (tmp_path / "log").write_bytes(
        b"Leak check _main_ detected leaks of 8 bytes in 1 objects\nThe 1 largest leaks:\n"
        b"Leak of 8 bytes in 1 objects allocated from:\n    @ 0x2ac7c0ac976e load\n    @ 0x4026fd \n\nExiting with error code\n"
    )
    recording = read_file(tmp_path / "log")
    frames = recording.table.frames_of(recording.losses[0].stack_id)
    assert [(frame.signature, frame.address) for frame in frames] == [("load", 0x2AC7C0AC976E), (None, 0x4026FD)]


def test_a_line_that_was_broken_is_whole_again(tmp_path: Path) -> None:
    said = (
        b'No leaks found for check "_main_" (but no 100%% guarantee that there aren\'t%sany): '
        b"found 18 reachable heap objects of 500604 bytes\n"
    )
    (tmp_path / "broken").write_bytes(said % b"\n")
    recording = read_file(tmp_path / "broken")
    assert recording.complete and recording.leak_summary == {LossKind.REACHABLE: Amount(500604, 18)}
    (tmp_path / "cut").write_bytes((said % b"\n").partition(b"\n")[0])
    assert "cut" in read_file(tmp_path / "cut").flaws[0]
