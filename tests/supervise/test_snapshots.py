import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from runner.plan import Event, EventKind, Gate, LaunchPlan, Outcome, Proof, RunCommand, SendSignal, StopPlan, Trigger
from runner.supervise import proc

HANDLED = Gate(catches=signal.SIGURG)


def dump(**changes: Any) -> Trigger:
    fields = {"gate": HANDLED, "every": 0.1, "proof": Proof("dump.{pid}.*", b"whole", settle=0.02)} | changes
    return Trigger("dump", fields.pop("action", SendSignal(signal.SIGURG)), **fields)


def launch(subject: Path, run: Any, trigger: Trigger, *words: str, **changes: Any) -> LaunchPlan:
    return LaunchPlan((os.fspath(subject), f"raw={run.raw}", *words), triggers=(trigger,), stop=StopPlan(grace=60), **changes)


def events(outcome: Outcome, kind: EventKind) -> list[Event]:
    return [event for event in outcome.timeline if event.kind is kind]


def test_each_snapshot_on_the_timer_is_proven(run: Any, subject: Path) -> None:
    outcome = run.start(launch(subject, run, dump()), duration=1.0).outcome()
    files = [event.file for event in events(outcome, EventKind.SNAPSHOT)]
    assert files == [f"dump.{outcome.pid}.{number:04d}" for number in range(1, len(files) + 1)]
    assert len(files) >= 5 and set(files) == set(outcome.files)
    assert all((run.raw / file).read_text() == "half whole\n" for file in files)
    assert outcome.misses == 0
    assert 0 < run.heard[-1].snapshots <= len(files)


def test_a_signal_that_would_kill_waits_for_its_handler(run: Any, subject: Path) -> None:
    killing = dump(action=SendSignal(signal.SIGUSR1), gate=Gate(catches=signal.SIGUSR1), every=0.02)
    plan = launch(subject, run, killing, f"dump_on={int(signal.SIGUSR1)}", "handler_after=400", "life=1000", "code=8")
    outcome = run.start(plan).outcome()
    assert outcome.code == 8
    assert events(outcome, EventKind.SNAPSHOT)[0].time >= 0.3


def test_a_file_that_is_written_slowly_is_confirmed_when_whole(run: Any, subject: Path) -> None:
    outcome = run.start(launch(subject, run, dump(every=None), "pause=700"), duration=0.3).outcome()
    assert [(run.raw / event.file).read_text() for event in events(outcome, EventKind.SNAPSHOT)] == ["half whole\n"]
    assert "asked=" not in run.stdout  # it died by TERM, after the snapshot
    assert outcome.signum == signal.SIGTERM


def test_dropped_signals_are_sent_again(run: Any, subject: Path) -> None:
    plan = launch(subject, run, dump(patience=0.1, retries=2, before_stop=False), "drop=2", "life=900")
    outcome = run.start(plan).outcome()
    confirmed = len(events(outcome, EventKind.SNAPSHOT))
    asked, dumped = (int(word.split("=")[1]) for word in run.stdout.split()[1:3])
    assert confirmed >= 2 and outcome.misses == 0
    assert dumped == confirmed and asked >= 2 * confirmed


CLAIMED = Proof("dump.*", b"whole", settle=0.02, keep_as="kept.{pid}.{n}")


def test_a_signal_that_was_taken_and_came_to_nothing_is_sent_again_before_the_patience_ends(run: Any, subject: Path) -> None:
    plan = launch(subject, run, dump(proof=CLAIMED, patience=60, retries=0, before_stop=False), "drop=2", "life=3000")
    outcome = run.start(plan).outcome()
    asked, dumped = (int(word.split("=")[1]) for word in run.stdout.split()[1:3])
    assert len(events(outcome, EventKind.SNAPSHOT)) == dumped >= 2 and asked >= 2 * dumped


def test_while_a_dump_is_prepared_no_other_is_asked_for(run: Any, subject: Path) -> None:
    plan = launch(subject, run, dump(every=0.8, proof=CLAIMED, patience=60, before_stop=False), "think=500", "life=1500")
    taken = events(run.start(plan).outcome(), EventKind.SNAPSHOT)
    assert len(taken) >= 2 and {event.text for event in taken} == {"dump"}  # of one asked for twice the second came by itself


def test_a_snapshot_that_never_comes_is_a_miss_with_a_reason(run: Any, subject: Path) -> None:
    plan = launch(subject, run, dump(every=None, patience=0.1, retries=2), "drop=0", "term=exit")
    run.start(plan).wait_for_line("up")
    run.send(signal.SIGTERM)
    outcome = run.outcome()
    assert [event.text for event in events(outcome, EventKind.MISS)] == ["dump: no new file dump.{pid}.* came within 0.1 s"]
    assert "asked=3 dumped=0" in run.stdout


def test_a_file_without_its_marker_is_no_proof(run: Any, subject: Path) -> None:
    trigger = dump(every=None, patience=0.1, retries=0, proof=Proof("dump.{pid}.*", b"never there"))
    run.start(launch(subject, run, trigger)).wait_for_line("up")
    run.send(signal.SIGTERM)
    outcome = run.outcome()
    assert ["was not whole" in event.text for event in events(outcome, EventKind.MISS)] == [True]


def test_a_gate_that_never_opens_is_said(run: Any, texts: Any) -> None:
    trigger = dump(gate=Gate(mapped="libnothing"))
    outcome = run.start(LaunchPlan(("sleep", "0.3"), triggers=(trigger,))).outcome()
    assert texts(outcome, EventKind.NOTE) == ["dump: never possible: libnothing is not mapped in it"]
    assert outcome.processes[0].unsnapped == "libnothing is not mapped in it"
    assert outcome.code == 0 and outcome.misses == 0


def test_each_step_of_rss_is_a_snapshot(run: Any, subject: Path) -> None:
    trigger = dump(every=None, rss_step=1 << 20, before_stop=False)
    outcome = run.start(launch(subject, run, trigger, "grow=65536", "life=1500")).outcome()
    assert 3 <= len(events(outcome, EventKind.SNAPSHOT)) <= 12


def test_a_command_is_run_beside_the_program(run: Any, subject: Path) -> None:
    words = ("sh", "-c", "sleep 0.1; echo pid {pid} number {n} {other}; cat /proc/{pid}/comm")
    trigger = dump(action=RunCommand(words, 5.0, "shot.{pid}.{n}"), proof=Proof("shot.{pid}.{n}"), gate=Gate())
    outcome = run.start(launch(subject, run, trigger), duration=0.8).outcome()
    shots = events(outcome, EventKind.SNAPSHOT)
    assert [event.file for event in shots][:2] == [f"shot.{outcome.pid}.0001", f"shot.{outcome.pid}.0002"]
    assert (run.raw / shots[0].file).read_text() == f"pid {outcome.pid} number 0001 {{other}}\nsubject\n"
    assert [process.pid for process in outcome.processes] == [outcome.pid]  # our own commands are none of the run's


def test_a_command_that_takes_long_leaves_the_program_half_of_the_time(run: Any, subject: Path, texts: Any) -> None:
    slow = RunCommand(("/bin/sh", "-c", "sleep 0.4; echo whole"), 10, stdout="slow.{pid}.{n}")
    trigger = dump(action=slow, proof=Proof("slow.{pid}.*", b"whole", settle=0.02), every=0.1, before_stop=False)
    outcome = run.start(launch(subject, run, trigger), duration=5.0).outcome()
    assert 2 <= len(events(outcome, EventKind.SNAPSHOT)) <= 6, "without a rest there would be ten and more"
    assert sum("less often than asked for" in text for text in texts(outcome, EventKind.NOTE)) == 1
    assert outcome.processes[0].rested >= 0.4


def test_a_command_that_fails_is_a_miss_in_its_own_words(run: Any, subject: Path) -> None:
    trigger = dump(action=RunCommand(("sh", "-c", "echo it broke >&2; exit 3"), 5.0, "s.{n}"), gate=Gate(), every=None, retries=1)
    outcome = run.start(launch(subject, run, trigger), duration=0.2).outcome()
    assert [event.text for event in events(outcome, EventKind.MISS)] == ["dump: sh failed with 3: it broke"]
    assert list(run.raw.iterdir()) == []


def test_a_command_that_hangs_is_killed_in_time(run: Any, subject: Path) -> None:
    trigger = dump(action=RunCommand(("sh", "-c", "sleep 1000; true"), 0.3, "s.{n}"), gate=Gate(), every=None, retries=0)
    outcome = run.start(launch(subject, run, trigger), duration=0.2).outcome()
    assert ["took too long" in event.text for event in events(outcome, EventKind.MISS)] == [True]


def test_a_command_that_is_not_there_is_a_miss(run: Any, subject: Path) -> None:
    trigger = dump(action=RunCommand(("no-such-command",), 1.0), gate=Gate(), every=None, retries=0)
    outcome = run.start(launch(subject, run, trigger), duration=0.2).outcome()
    assert ["no-such-command" in event.text for event in events(outcome, EventKind.MISS)] == [True]


def test_a_gate_on_a_path_may_end_in_a_pattern(run: Any, subject: Path) -> None:
    (run.directory / "pipe-of-somebody").touch()
    trigger = dump(gate=Gate(exists=f"{run.directory}/pipe-of-*"))
    outcome = run.start(launch(subject, run, trigger), duration=0.4).outcome()
    assert events(outcome, EventKind.SNAPSHOT)


def test_every_process_has_its_own_snapshots(run: Any, subject: Path) -> None:
    script = f"{subject} raw={run.raw} & {subject} raw={run.raw} & wait"
    plan = LaunchPlan(("sh", "-c", script), triggers=(dump(),), stop=StopPlan(grace=5))
    outcome = run.start(plan, duration=0.8).outcome()
    by_pid = {event.pid for event in events(outcome, EventKind.SNAPSHOT)}
    assert len(by_pid) == 2 and outcome.pid not in by_pid
    assert all(f".{event.pid}." in event.file for event in events(outcome, EventKind.SNAPSHOT))


def test_what_newer_ones_hold_too_is_dropped(run: Any, subject: Path) -> None:
    outcome = run.start(launch(subject, run, dump(keep_last=2)), duration=1.0).outcome()
    files = [event.file for event in events(outcome, EventKind.SNAPSHOT)]
    assert len(files) >= 5
    assert sorted(path.name for path in run.raw.iterdir()) == files[-2:] == sorted(outcome.files)


def test_only_the_last_ones_stay_where_the_profile_says_so(run: Any, subject: Path, texts: Any) -> None:
    outcome = run.start(launch(subject, run, dump())._replace(keep=3), duration=1.0).outcome()
    files = [event.file for event in events(outcome, EventKind.SNAPSHOT)]
    assert len(files) >= 6
    assert sorted(path.name for path in run.raw.iterdir()) == files[-3:]
    assert f"{len(files) - 3} snapshots were confirmed and did not stay: snapshots.keep is 3" in texts(outcome, EventKind.NOTE)


def test_fewer_stay_the_older_they_are(run: Any, subject: Path) -> None:
    plan = launch(subject, run, dump(every=0.01, proof=Proof("dump.{pid}.*", b"whole", settle=0.0)))._replace(keep="log")
    run.start(plan).wait_for_line("up")
    run.wait_until(lambda: any(name.name.endswith("0100") for name in run.raw.iterdir()))
    run.send(signal.SIGTERM)
    files = [event.file for event in events(run.outcome(), EventKind.SNAPSHOT)]
    there = sorted(path.name for path in run.raw.iterdir())
    assert files[0] in there and set(files[-16:]) <= set(there)
    assert len(there) < 16 + 8 * 4


def test_a_thousand_snapshots(run: Any, subject: Path) -> None:
    trigger = dump(every=0.002, proof=Proof("dump.{pid}.*", b"whole", settle=0.0))
    run.start(launch(subject, run, trigger)).wait_for_line("up")
    run.wait_until(lambda: sum(1 for _ in run.raw.iterdir()) >= 1000)
    run.send(signal.SIGTERM)
    outcome = run.outcome()
    files = [event.file for event in events(outcome, EventKind.SNAPSHOT)]
    assert len(files) >= 1000 and len(set(files)) == len(files) == len(outcome.files)
    assert outcome.misses == 0 and outcome.signum == signal.SIGTERM


def test_a_snapshot_under_way_when_the_program_ends_is_no_miss(run: Any, subject: Path, texts: Any) -> None:
    trigger = dump(every=0.05, patience=60)
    outcome = run.start(launch(subject, run, trigger, "drop=0", "life=400", "code=2")).outcome()
    assert outcome.code == 2 and outcome.misses == 0
    assert any("under way when the process ended" in text for text in texts(outcome, EventKind.NOTE))


def test_the_journal_has_what_was_confirmed_before_a_crash(run: Any, subject: Path) -> None:
    """A supervisor that is killed has told the world of its snapshots; the program is still there to be taken back."""
    run.start(launch(subject, run, dump())).wait_for_line("up")
    pid = run.main_pid
    time.sleep(0.8)
    run.send(signal.SIGKILL)
    run.process.wait()
    os.kill(pid, signal.SIGKILL)
    while proc.maps(pid):
        time.sleep(0.01)
    assert run.order.with_suffix(".states").read_text().count("running") >= 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: to mount a small disk")
@pytest.mark.parametrize(("size", "room"), [(1_000_000, False), (100_000, True)])
def test_a_file_that_fills_the_disk_and_has_no_end_is_no_snapshot(run: Any, subject: Path, size: int, room: bool) -> None:
    run.raw.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", run.raw], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting is not permitted here")
    try:
        writes = RunCommand(("sh", "-c", f"head -c {size} /dev/zero > {run.raw}/copy.{{pid}}.{{n}}; true"), 10)
        trigger = dump(action=writes, every=None, gate=Gate(), proof=Proof("copy.{pid}.{n}", settle=0.02))
        outcome = run.start(launch(subject, run, trigger), duration=0.5).outcome()
        snapshots, misses = (events(outcome, kind) for kind in (EventKind.SNAPSHOT, EventKind.MISS))
        assert (len(snapshots), [event.text for event in misses]) == ((1, []) if room else (0, ["dump: the disk was full"]))
        assert len(list(run.raw.iterdir())) == len(snapshots)
    finally:
        subprocess.run(["umount", "-l", run.raw], check=True)
