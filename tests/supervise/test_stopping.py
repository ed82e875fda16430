import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from runner.plan import EventKind, Gate, LaunchPlan, Proof, SendSignal, StopPlan, Trigger
from tests.supervise.on_terminal import Terminal

FOREVER = 3600.0  # a grace that a test could never wait out
LAST = Trigger("dump", SendSignal(signal.SIGURG), Proof("dump.{pid}.*", b"whole"), Gate(catches=signal.SIGURG))


def plan(subject: Path, run: Any, *words: str, grace: float = FOREVER, triggers: tuple[Trigger, ...] = ()) -> LaunchPlan:
    return LaunchPlan((os.fspath(subject), f"raw={run.raw}", *words), stop=StopPlan(grace=grace), triggers=triggers)


def test_the_grace_is_not_waited_out_when_the_program_ends_sooner(run: Any, subject: Path) -> None:
    run.start(plan(subject, run)).wait_for_line("up")
    run.send(signal.SIGTERM)
    outcome = run.outcome()
    assert (outcome.signum, outcome.stopped_by) == (signal.SIGTERM, "terminate")
    assert run.states == ["starting", "running", "stopping"]


def test_an_interrupt_by_kill_takes_the_last_snapshot_and_then_terminates(run: Any, subject: Path) -> None:
    run.start(plan(subject, run, "pause=300", triggers=(LAST,))).wait_for_line("up")
    run.send(signal.SIGINT)
    outcome = run.outcome()
    assert (outcome.signum, outcome.stopped_by) == (signal.SIGTERM, "interrupt")
    snapshots = [event for event in outcome.timeline if event.kind is EventKind.SNAPSHOT]
    assert [event.file for event in snapshots] == [f"dump.{outcome.pid}.0001"]
    assert (run.raw / snapshots[0].file).read_text() == "half whole\n"
    sent = next(event for event in outcome.timeline if event.text == "sent SIGTERM")
    assert sent.time >= snapshots[0].time


def test_a_program_that_ignores_term_is_interrupted(run: Any, subject: Path, texts: Any) -> None:
    run.start(plan(subject, run, "term=ignore", "int=exit", "code=5", grace=0.3)).wait_for_line("up")
    run.send(signal.SIGTERM)
    outcome = run.outcome()
    assert (outcome.code, outcome.stopped_by) == (5, "terminate")
    assert texts(outcome, EventKind.SIGNAL)[1:] == ["sent SIGTERM", "sent SIGINT"]


def test_a_signal_that_the_program_ignores_is_not_waited_for(run: Any, texts: Any) -> None:
    ignoring = ("sh", "-c", "trap '' TERM; echo up; exec sleep 1000")
    run.start(LaunchPlan(ignoring, stop=StopPlan(grace=FOREVER))).wait_for_line("up")
    run.send(signal.SIGTERM)
    outcome = run.outcome()
    assert outcome.signum == signal.SIGINT
    assert "the program ignores SIGTERM" in texts(outcome, EventKind.NOTE)


def test_a_program_that_ignores_all_is_killed_where_the_plan_says_so(run: Any, subject: Path) -> None:
    words = (os.fspath(subject), f"raw={run.raw}", "term=ignore", "int=ignore")
    run.start(LaunchPlan(words, stop=StopPlan(grace=0.1, kill_after=0.2), triggers=(LAST,))).wait_for_line("up")
    run.send(signal.SIGTERM)
    outcome = run.outcome()
    assert (outcome.signum, outcome.stopped_by) == (signal.SIGKILL, "terminate")
    kinds = [event.kind for event in outcome.timeline if event.kind in (EventKind.SNAPSHOT, EventKind.SIGNAL)]
    assert kinds.count(EventKind.SNAPSHOT) == 2 and kinds[-2:] == [EventKind.SNAPSHOT, EventKind.SIGNAL]


def test_a_program_that_ignores_all_is_killed_only_when_asked_again(run: Any, subject: Path, texts: Any) -> None:
    run.start(plan(subject, run, "term=ignore", "int=ignore", grace=0.1)).wait_for_line("up")
    run.send(signal.SIGTERM)
    time.sleep(1)
    assert run.process.poll() is None
    run.send(signal.SIGTERM)
    time.sleep(4)
    assert run.process.poll() is None
    run.send(signal.SIGINT)
    outcome = run.outcome()
    assert (outcome.signum, outcome.stopped_by) == (signal.SIGKILL, "terminate")
    assert any("does not end" in text for text in texts(outcome, EventKind.NOTE))
    assert any("does not end" in report.note for report in run.heard)


def test_it_is_not_killed_while_its_output_grows(run: Any, subject: Path, texts: Any) -> None:
    run.start(plan(subject, run, "term=slow", "int=ignore", "slow=3000")).wait_for_line("up")
    for _ in range(4):
        run.send(signal.SIGTERM)
        time.sleep(0.6)
    outcome = run.outcome()
    assert outcome.code == 0
    assert (run.raw / f"final.{outcome.pid}").read_text().endswith("whole\n")
    assert any("not killed yet" in text for text in texts(outcome, EventKind.NOTE))


def test_the_grace_begins_anew_while_output_grows(run: Any, subject: Path, texts: Any) -> None:
    run.start(plan(subject, run, "term=slow", "int=exit", "code=9", "slow=2000", grace=0.5)).wait_for_line("up")
    run.send(signal.SIGTERM)
    outcome = run.outcome()
    assert outcome.code == 0
    assert (run.raw / f"final.{outcome.pid}").read_text().endswith("whole\n")
    assert "sent SIGINT" not in texts(outcome, EventKind.SIGNAL)
    assert outcome.files == {f"final.{outcome.pid}": pytest.approx(outcome.seconds, abs=1)}


def test_a_stopped_program_is_woken_to_end(run: Any, subject: Path, texts: Any) -> None:
    run.start(plan(subject, run, "term=exit", "code=6", triggers=(LAST,))).wait_for_line("up")
    os.kill(run.main_pid, signal.SIGSTOP)
    time.sleep(0.3)
    run.send(signal.SIGTERM)
    outcome = run.outcome()
    assert outcome.code == 6
    assert any("it is stopped" in text for text in texts(outcome, EventKind.NOTE))


def test_a_leakrun_that_was_stopped_and_continued_goes_on(run: Any, subject: Path, texts: Any) -> None:
    run.start(plan(subject, run)).wait_for_line("up")
    for _ in range(3):
        run.send(signal.SIGSTOP)
        time.sleep(0.7)  # until what it waited for is over
        run.send(signal.SIGCONT)
        time.sleep(0.2)
    run.send(signal.SIGTERM)
    outcome = run.outcome()
    assert (outcome.signum, outcome.stopped_by) == (signal.SIGTERM, "terminate")
    assert texts(outcome, EventKind.SIGNAL)[1:] == ["sent SIGTERM"]


def test_the_time_given_ends_it(run: Any, subject: Path) -> None:
    outcome = run.start(plan(subject, run, triggers=(LAST,)), duration=0.5).outcome()
    assert (outcome.signum, outcome.stopped_by) == (signal.SIGTERM, "for")
    assert outcome.seconds >= 0.5
    assert len(outcome.files) == 1


def test_the_plans_own_signal_is_used(run: Any, subject: Path) -> None:
    one = LaunchPlan((os.fspath(subject), "int=exit", "term=ignore", "code=3"), stop=StopPlan(signal.SIGINT, FOREVER))
    run.start(one).wait_for_line("up")
    run.send(signal.SIGTERM)
    outcome = run.outcome()
    assert outcome.code == 3
    assert "ints=1" in run.stdout


def test_asking_again_does_not_wait_for_a_snapshot_that_never_comes(run: Any, subject: Path, texts: Any) -> None:
    stubborn = Trigger("dump", SendSignal(signal.SIGURG), Proof("dump.{pid}.*"), patience=FOREVER)
    run.start(plan(subject, run, "drop=0", triggers=(stubborn,))).wait_for_line("up")
    run.send(signal.SIGTERM)
    time.sleep(1)
    assert run.process.poll() is None
    run.send(signal.SIGTERM)
    outcome = run.outcome()
    assert outcome.signum == signal.SIGTERM
    assert any("given up" in text for text in texts(outcome, EventKind.NOTE))


def test_a_hangup_that_was_ignored_stays_ignored(run: Any, subject: Path) -> None:
    run.start(plan(subject, run, "life=800"), preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    run.wait_for_line("up")
    run.send(signal.SIGHUP)
    outcome = run.outcome()
    assert (outcome.code, outcome.stopped_by) == (0, None)


def test_a_hangup_ends_it_like_term(run: Any, subject: Path) -> None:
    run.start(plan(subject, run)).wait_for_line("up")
    run.send(signal.SIGHUP)
    outcome = run.outcome()
    assert (outcome.signum, outcome.stopped_by) == (signal.SIGTERM, "terminate")


def test_ctrl_c_that_the_program_ignores_becomes_a_snapshot_and_term(run: Any, subject: Path) -> None:
    terminal = Terminal(run.prepare(plan(subject, run, "int=ignore", grace=0.3, triggers=(LAST,))), run.environment)
    terminal.read_until("up")
    terminal.type("\x03")
    assert terminal.close() == 128 + signal.SIGTERM
    outcome = run.outcome()
    assert (outcome.signum, outcome.stopped_by) == (signal.SIGTERM, "interrupt")
    assert [event.kind for event in outcome.timeline if event.file] == [EventKind.SNAPSHOT]


def test_the_program_reads_the_terminal(run: Any) -> None:
    terminal = Terminal(run.prepare(LaunchPlan(("sh", "-c", 'echo ready; read line; echo "got $line"'))), run.environment)
    terminal.read_until("ready")
    terminal.type("typed words\n")
    assert terminal.close() == 0
    assert "got typed words" in terminal.text


def test_a_terminal_that_goes_away_ends_the_run(run: Any, subject: Path) -> None:
    terminal = Terminal(run.prepare(plan(subject, run)), run.environment)
    terminal.read_until("up")
    os.close(terminal.master)
    os.waitpid(terminal.pid, 0)
    outcome = run.outcome()
    assert (outcome.signum, outcome.stopped_by) == (signal.SIGTERM, "terminate")


def test_timeout_from_outside_is_one_request(run: Any, subject: Path, texts: Any) -> None:
    """timeout(1) sends its signal to its child and then to the whole group, leakrun included, at once."""
    command = run.prepare(plan(subject, run, "term=ignore", "int=ignore", "life=2500", triggers=(LAST,)))
    done = subprocess.run(["timeout", "1", *command], env=run.environment, stdout=subprocess.PIPE, text=True, check=False)
    outcome = run.outcome()
    assert done.returncode == 124 and outcome.code == 0
    assert texts(outcome, EventKind.SIGNAL).count("sent SIGTERM") == 1
    assert "sent SIGINT" not in texts(outcome, EventKind.SIGNAL)
