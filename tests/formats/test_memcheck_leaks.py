"""Leak checks through vgdb, as files of their own."""

import io
from pathlib import Path

from runner import formats
from runner.formats import memcheck_leaks, memcheck_text
from runner.model import LossKind, Metric

# Three checks of one process (golden/memcheck_leaks/changed/server.c), a second apart; later ones list changes only.
CHECKS = sorted((Path(__file__).parent / "memcheck_leaks").glob("*.leaks"))


def lost(recording):
    return {
        (loss.kind, recording.table.frames_of(loss.stack_id)[1].line): (loss.bytes, loss.blocks, loss.indirect_bytes)
        for loss in recording.losses
    }


def test_checks_of_one_process_are_a_series_and_not_added_up():
    (recording,) = formats.read_files(CHECKS)
    last = formats.read_file(CHECKS[-1])
    assert len(recording.snapshots) == 3
    assert lost(recording).items() >= lost(last).items()
    leaked = [snapshot.totals[Metric.LEAKED_BYTES] for snapshot in recording.snapshots]
    assert leaked == sorted(set(leaked))
    assert leaked[-1] == sum(last.leak_summary[kind].bytes for kind in (LossKind.DEFINITE, LossKind.INDIRECT))


def test_what_did_not_change_stands_as_it_stood():
    (recording,) = formats.read_files(CHECKS)
    kept = [snapshot.totals[Metric.LIVE_BYTES] - snapshot.totals[Metric.LEAKED_BYTES] for snapshot in recording.snapshots]
    assert kept == [recording.leak_summary[LossKind.REACHABLE].bytes] * 3
    assert recording.complete


def test_a_later_check_alone_says_that_it_is_not_all():
    recording = formats.read_file(CHECKS[-1])
    assert not recording.complete
    assert any("stand in earlier leak checks" in flaw for flaw in recording.flaws)


def test_what_comes_later_is_a_doubt_always():
    assert len(formats.read_file(CHECKS[0]).flaws) == 1


def test_a_check_that_is_cut_is_a_flaw():
    text = CHECKS[0].read_bytes()
    recording = memcheck_leaks.read(io.BytesIO(text[: text.index(b"LEAK SUMMARY")]), "cut")
    assert recording.losses
    assert not recording.complete


def test_checks_of_two_processes_are_not_mixed(tmp_path):
    pid = str(formats.read_file(CHECKS[0]).pid).encode()
    for number, path in enumerate(CHECKS[:2], 1):
        (tmp_path / f"check.{number}").write_bytes(path.read_bytes().replace(pid, pid if number == 1 else b"7"))
    (recording,) = formats.read_files([tmp_path / "check.1", tmp_path / "check.2"])
    assert len(recording.snapshots) == 1
    assert any("other processes" in flaw for flaw in recording.flaws)


def test_a_heap_without_blocks_has_lost_nothing():
    freed = b"==7== All heap blocks were freed -- no leaks are possible\n==7== \n"
    assert memcheck_leaks.sniff(freed)
    recording = memcheck_leaks.read(io.BytesIO(freed), "check")
    assert (recording.pid, recording.losses, recording.complete) == (7, [], True)


def test_a_log_is_none():
    log = (Path(__file__).parent.parent / "golden" / "memcheck_text" / "leaks" / "memcheck.log").read_bytes()
    without_banner = log[log.index(b"HEAP SUMMARY") - 9 :]
    assert not memcheck_leaks.sniff(log)
    assert not memcheck_leaks.sniff(without_banner)
    assert memcheck_text.sniff(without_banner)
