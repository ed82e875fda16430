import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runner.errors import ErrorKind
from runner.plan import EventKind, LaunchPlan


@pytest.mark.parametrize("code", [0, 7, 255])
def test_exit_code_passes_through(run: Any, code: int) -> None:
    outcome = run.start(LaunchPlan(("sh", "-c", f"exit {code}"))).outcome()
    assert (outcome.code, outcome.signum, outcome.stopped_by, outcome.exit_code) == (code, None, None, code)
    assert run.states == ["starting", "running", "stopping"]
    assert run.process.returncode == code


def test_death_by_signal_is_a_signal(run: Any) -> None:
    outcome = run.start(LaunchPlan(("sh", "-c", "kill -SEGV $$"))).outcome()
    assert (outcome.code, outcome.signum, outcome.exit_code) == (None, signal.SIGSEGV, 139)


def test_stdin_stdout_and_stderr_are_the_programs(run: Any) -> None:
    run.start(LaunchPlan(("sh", "-c", "cat; echo err >&2")), stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = run.process.communicate("a line\n")
    assert (out, err) == ("a line\n", "err\n")


def test_environment_changes_and_directory(run: Any, tmp_path: Path) -> None:
    plan = LaunchPlan(("sh", "-c", "echo ${GONE-unset} $NEW; pwd"), env={"GONE": None, "NEW": "x y"}, cwd=tmp_path)
    run.start(plan, env=run.environment | {"GONE": "here"}).outcome()
    assert run.stdout == f"unset x y\n{tmp_path}\n"


def test_environment_may_name_the_programs_own_pid(run: Any) -> None:
    outcome = run.start(LaunchPlan(("sh", "-c", "echo $WHO $$"), env={"WHO": "{pid}"})).outcome()
    assert run.stdout == f"{outcome.pid} {outcome.pid}\n"


def make(path: Path, content: bytes, mode: int = 0o755) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return os.fspath(path)


REFUSED = {
    "no such program on PATH": (lambda _: "no-such-program-here", ErrorKind.NOT_FOUND, "on PATH"),
    "no such path": (lambda d: f"{d}/nothing", ErrorKind.NOT_FOUND, "no such program"),
    "part of the path is a file": (lambda d: make(d / "file", b"") + "/x", ErrorKind.NOT_FOUND, "no such program"),
    "not executable": (lambda d: make(d / "plain", b"#!/bin/sh\n", 0o644), ErrorKind.NOT_EXECUTABLE, "Permission denied"),
    "directory": (os.fspath, ErrorKind.NOT_EXECUTABLE, "is a directory"),
    "garbage": (lambda d: make(d / "garbage", b"\x01\x02\x03"), ErrorKind.NOT_EXECUTABLE, "not a program that can run here"),
    "interpreter missing": (
        lambda d: make(d / "script", b"#!/no/such/sh -e\n"),
        ErrorKind.NOT_EXECUTABLE,
        "interpreter /no/such/sh",
    ),
    "empty name": (lambda _: "", ErrorKind.USAGE, "no program"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_program_that_cannot_start_is_one_clear_line(run: Any, tmp_path: Path, case: str) -> None:
    name, kind, words = REFUSED[case]
    got_kind, message, hint = run.start(LaunchPlan((name(tmp_path),))).result()
    assert got_kind is kind
    assert words in message
    assert "\n" not in message + hint and hint


def test_an_argument_that_is_too_long_says_so(run: Any) -> None:
    kind, message, _ = run.start(LaunchPlan(("echo", "x" * 131072))).result()
    assert kind is ErrorKind.NOT_EXECUTABLE
    assert "131,072 bytes" in message and "131,071" in message


def test_arguments_that_are_too_many_say_so(run: Any) -> None:
    kind, message, _ = run.start(LaunchPlan(("echo", *["x" * 100_000] * 60))).result()
    assert kind is ErrorKind.NOT_EXECUTABLE
    assert "more than the kernel takes" in message


def test_the_longest_argument_that_the_kernel_takes_works(run: Any) -> None:
    run.start(LaunchPlan(("printf", "%s", "x" * 131071))).outcome()
    assert len(run.stdout) == 131071


@pytest.mark.parametrize("argv", [("echo", "a\0b"), ()])
def test_an_impossible_command_line_is_refused(run: Any, argv: tuple[str, ...]) -> None:
    assert run.start(LaunchPlan(argv)).result()[0] is ErrorKind.USAGE


def test_a_directory_that_is_not_there_is_refused(run: Any) -> None:
    kind, message, _ = run.start(LaunchPlan(("true",), cwd=Path("/no/such/place"))).result()
    assert kind is ErrorKind.USAGE
    assert "/no/such/place" in message


def test_bytes_that_are_no_utf8_arrive_as_they_are(run: Any) -> None:
    run.start(LaunchPlan(("sh", "-c", 'printf %s "$1" | od -An -tx1', "sh", "\udcff\udc80")))
    outcome = run.outcome()
    assert run.stdout.split() == ["ff", "80"]
    assert outcome.processes[0].command[-1] == "\udcff\udc80"


SIGNAL_STATE = ("grep", "-E", "^Sig(Blk|Ign|Cgt)|^ShdPnd", "/proc/self/status")


def test_the_program_finds_signals_as_without_leakrun(run: Any) -> None:
    plain = subprocess.run(SIGNAL_STATE, capture_output=True, text=True, check=True).stdout
    run.start(LaunchPlan(SIGNAL_STATE)).outcome()
    assert run.stdout == plain


def blocked_and_ignored() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGURG, signal.SIGUSR2, signal.SIGTERM})
    signal.signal(signal.SIGURG, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def test_what_was_blocked_or_ignored_stays_so(run: Any) -> None:
    plain = subprocess.run(SIGNAL_STATE, capture_output=True, text=True, check=True, preexec_fn=blocked_and_ignored)
    outcome = run.start(LaunchPlan(SIGNAL_STATE), preexec_fn=blocked_and_ignored).outcome()
    assert run.stdout == plain.stdout
    assert outcome.code == 0  # though SIGCHLD was ignored, and children's codes are lost with that


def test_default_signals_are_default_and_unblocked(run: Any) -> None:
    plan = LaunchPlan(SIGNAL_STATE, default_signals=(signal.SIGURG, signal.SIGUSR2))
    run.start(plan, preexec_fn=blocked_and_ignored).outcome()
    state = dict(line.split(":\t") for line in run.stdout.splitlines())
    bits = 1 << signal.SIGURG - 1 | 1 << signal.SIGUSR2 - 1
    assert int(state["SigBlk"], 16) & bits == 0 and int(state["SigIgn"], 16) & bits == 0
    assert int(state["SigBlk"], 16) >> signal.SIGTERM - 1 & 1


def test_inherited_files_stay_open(run: Any) -> None:
    read_end, write_end = os.pipe()
    run.start(LaunchPlan(("bash", "-c", f"echo through >&{write_end}")), pass_fds=[write_end]).outcome()
    os.close(write_end)
    with os.fdopen(read_end) as file:
        assert file.read() == "through\n"


def test_a_full_disk_in_the_journal_does_not_cost_the_run(run: Any, texts: Any) -> None:
    outcome = run.start(LaunchPlan(("sh", "-c", "sleep 0.3; exit 4")), fault="journal").outcome()
    assert outcome.code == 4
    assert any("manifest can't be written" in text for text in texts(outcome, EventKind.NOTE))


def test_progress_on_a_terminal_that_is_gone_does_not_cost_the_run(run: Any) -> None:
    assert run.start(LaunchPlan(("sh", "-c", "sleep 1.5; exit 4")), fault="progress").outcome().code == 4


def test_a_bug_of_ours_leaves_no_program_behind(run: Any) -> None:
    error = run.start(LaunchPlan(("sleep", "1000")), fault="bug").result()
    assert isinstance(error, RuntimeError)  # and the fixture looks for what is left
