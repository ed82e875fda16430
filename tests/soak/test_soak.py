"""What repeats or lasts, by `make soak`: races 20 times in a row, hundreds of snapshots in one run, and what they cost."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.supervise import proc
from tests.faults.conftest import LEAKER
from tests.leakrun_command import answer, leakrun
from tests.live.conftest import start

__all__ = ["start"]  # a fixture
pytestmark = pytest.mark.timeout(1200)

ROOT = Path(__file__).resolve().parents[2]
RACY = (
    "tests/supervise/test_snapshots.py::test_a_signal_that_would_kill_waits_for_its_handler",
    "tests/supervise/test_snapshots.py::test_dropped_signals_are_sent_again",
    "tests/supervise/test_snapshots.py::test_a_snapshot_under_way_when_the_program_ends_is_no_miss",
    "tests/supervise/test_processes.py::test_hundreds_of_quick_children_leave_nothing",
    "tests/supervise/test_stopping.py::test_timeout_from_outside_is_one_request",
    "tests/supervise/test_stopping.py::test_a_stopped_program_is_woken_to_end",
    "tests/live/test_requests.py::test_two_ask_for_the_end_at_once",
    "tests/live/test_requests.py::test_six_ask_at_once_and_each_is_answered",
    "tests/test_forks.py::test_what_the_parent_was_asked_for_is_told_from_what_its_brief_children_write",
    "tests/backends/test_lsan.py::test_a_program_that_was_built_with_it",
    "tests/test_run_directory_faults.py::test_a_run_directory_that_is_renamed_is_followed",
    "tests/faults/test_snapshot_faults.py::test_a_program_that_is_replaced_by_exec_again_and_again_survives",
    "tests/faults/test_snapshot_faults.py::test_four_threads_that_allocate_while_signals_come_every_5_ms",
)
TIMES = 20


@pytest.fixture(scope="session")
def leaker(compiled: Callable[..., Path]) -> Path:
    return compiled("leaker", LEAKER, "-pthread")


@pytest.mark.parametrize("test", RACY, ids=lambda test: test.partition("::")[2])
def test_twenty_times_in_a_row(test: str) -> None:
    for turn in range(TIMES):
        ran = subprocess.run([sys.executable, "-m", "pytest", "-q", test], cwd=ROOT, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"turn {turn + 1} of {TIMES}:\n{ran.stdout[-3000:]}"


def test_288_snapshots_in_one_run(start: Any, leaker: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A day's worth, one each five minutes, in little more than a minute; what the supervisor takes is printed."""
    run = start("-p", "heapprofile", "--every", "250ms", leaker, "work", "600")
    run.wait_until(lambda: (run.directory / "manifest.json").exists() and len(run.files()) >= 10)
    began, used, held = time.monotonic(), cpu(run.process.pid), rss(run.process.pid)
    while len(run.files()) < 288:
        time.sleep(1)
    share = (cpu(run.process.pid) - used) / (time.monotonic() - began)
    grown = rss(run.process.pid) - held
    with capsys.disabled():
        print(f"\n288 snapshots: {share:.2%} of a core, {grown / 1e6:+.1f} MB")
    assert leakrun("stop", run.directory).returncode == 0
    manifest = run.manifest
    taken = [each for each in manifest["timeline"] if each["kind"] == "snapshot"]
    assert len(taken) >= 288 and not [each for each in manifest["timeline"] if each["kind"] == "miss"]
    assert all((run.directory / "raw" / each["file"]).stat().st_size > 0 for each in taken)
    assert grown < 10 << 20
    assert answer(run.directory)["findings"][0]["function"] == "leaks"


def test_a_thousand_gated_snapshots_without_a_death(start: Any, leaker: Path) -> None:
    """By a signal that kills whoever does not catch it, of a program whose four threads allocate all the time."""
    run = start("-p", "heapprofile", "--set", "signal=USR2", "--every", "20ms", leaker, "threads", "1000")
    run.wait_until(lambda: (run.directory / "manifest.json").exists() and len(run.files()) >= 10)
    while len(run.files()) < 1000:
        assert run.process.poll() is None, "it died"
        time.sleep(1)
    assert leakrun("stop", run.directory).returncode == 0
    assert run.manifest["exit"]["stopped_by"] == "stop"


def cpu(pid: int) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss(pid: int) -> int:
    memory = proc.memory(pid)
    assert memory is not None
    return memory.rss
