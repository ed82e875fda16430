"""`leakrun recover`: leakrun itself was killed, and its program goes on, has ended, or was never started."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.leakrun_command import answer, leakrun
from tests.live.conftest import lives

OFTEN = ("--every", "100ms")


@pytest.mark.parametrize("profile", ["heapprofile", "massif"])
def test_the_program_is_taken_back_and_watched_to_its_end(start: Any, server: Path, profile: str) -> None:
    run = start("-p", profile, *OFTEN, server)
    run.wait_for_line("up")
    run.wait_until(lambda: len(run.files()) >= 4)
    run.kill()
    before, target = run.files(), run.target
    assert lives(target)
    again = start("recover", run.directory)
    run.wait_until(lambda: len(run.files()) >= len(before) + 20)
    assert run.manifest["supervisor"]["pid"] == again.process.pid
    stopped = leakrun("stop", run.directory)
    assert stopped.returncode == 0, stopped.stderr
    assert again.process.wait() == 0
    manifest = run.manifest
    files = run.files()
    assert files[: len(before)] == before
    assert len(set(files)) == len(files), "a snapshot was written over"
    there = [file for file in files if (run.directory / "raw" / file).exists()]
    assert there == files if profile == "heapprofile" else there[-2:] == files[-2:]  # each of massif's holds the older ones
    assert manifest["process"]["pid"] == target and not lives(target)
    assert [manifest["exit"][key] for key in ("code", "signal", "stopped_by", "detached")] == [None, None, "stop", False]
    times = [each["time"] for each in manifest["timeline"]]
    assert times == sorted(times)
    said = answer(run.directory)
    assert said["verdict"] == "growing", said["reasons"]
    assert said["findings"][0]["function"] == "main"


@pytest.mark.parametrize("profile", ["heapprofile", "massif"])
def test_the_program_dies_with_leakrun_where_that_is_asked_for(start: Any, server: Path, profile: str) -> None:
    run = start("-p", profile, *OFTEN, "--die-with-parent", server)
    run.wait_for_line("up")
    run.wait_until(lambda: len(run.files()) >= 3)
    run.kill()
    run.wait_until(lambda: not lives(run.target))
    done = leakrun("recover", run.directory)
    assert done.returncode == 0, done.stderr
    assert answer(run.directory)["run"]["snapshots"] >= 3


def test_the_time_that_was_given_holds_for_what_was_taken_back(start: Any, server: Path) -> None:
    run = start("-p", "heapprofile", *OFTEN, "--for", "3s", server)
    run.wait_for_line("up")
    run.wait_until(lambda: len(run.files()) >= 3)
    run.kill()
    assert leakrun("recover", run.directory).returncode == 0
    assert run.manifest["exit"]["stopped_by"] == "for" and not lives(run.target)


def test_ctrl_c_ends_what_was_taken_back(start: Any, server: Path) -> None:
    run = start("-p", "heapprofile", "--every", "1h", server)
    run.wait_for_line("up")
    run.kill()
    again = start("recover", run.directory)
    run.wait_until(lambda: run.manifest["supervisor"]["pid"] == again.process.pid)
    again.process.send_signal(signal.SIGINT)
    again.process.wait()
    assert run.manifest["exit"]["stopped_by"] == "interrupt"
    assert len(run.files()) == 1 and not lives(run.target)


def test_finish_leaves_the_program_alone(start: Any, server: Path) -> None:
    run = start("-p", "heapprofile", *OFTEN, server)
    run.wait_for_line("up")
    run.wait_until(lambda: len(run.files()) >= 3)
    run.kill()
    done = leakrun("recover", run.directory, "--finish")
    assert done.returncode == 0, done.stderr
    assert lives(run.target)
    assert run.manifest["state"] == "complete"
    assert f"process {run.target} still ran" in run.manifest["timeline"][-1]["text"]
    assert answer(run.directory)["run"]["snapshots"] >= 3


def test_where_nothing_was_written_it_is_no_run_in_progress(start: Any, server: Path) -> None:
    run = start("-p", "massif", "--every", "1h", server)
    run.wait_for_line("up")
    run.kill()
    done = leakrun("recover", run.directory, "--finish")
    assert done.returncode == 3
    for said in (done.stderr, leakrun("show", run.directory).stdout):
        assert "leakrun was killed, and massif had written nothing" in " ".join(said.split())
        assert "in progress" not in said
    os.kill(run.target, signal.SIGKILL)


def test_what_a_dead_program_left_is_made_an_answer_of(start: Any, server: Path) -> None:
    run = start("-p", "heapprofile", *OFTEN, server)
    run.wait_for_line("up")
    run.wait_until(lambda: len(run.files()) >= 3)
    run.kill()
    os.kill(run.target, signal.SIGKILL)
    run.wait_until(lambda: not lives(run.target))
    done = leakrun("recover", run.directory)
    assert done.returncode == 0, done.stderr
    said = answer(run.directory)
    assert said["run"]["snapshots"] >= 3
    assert said["verdict"] != "clean"


def test_what_needs_no_recovery_says_why(start: Any, server: Path) -> None:
    run = start("-p", "heapprofile", "--every", "1h", server)
    run.wait_for_line("up")
    asked = leakrun("recover", run.directory)
    assert asked.returncode == 2 and f"process {run.process.pid} supervises it" in asked.stderr
    leakrun("stop", run.directory)
    asked = leakrun("recover", run.directory)
    assert asked.returncode == 2 and "there is nothing to recover" in asked.stderr


def test_a_program_that_was_never_started_says_so(start: Any, server: Path) -> None:
    run = start("-p", "heapprofile", "--every", "1h", server)
    run.wait_for_line("up")
    run.kill()
    os.kill(run.target, signal.SIGKILL)
    path = run.directory / "manifest.json"
    manifest = json.loads(path.read_text())
    fresh = {
        "state": "starting",
        "timeline": [],
        "processes": [],
        "process": {**manifest["process"], "pid": None, "start_ticks": 0},
    }
    path.write_text(json.dumps({**manifest, **fresh}))
    asked = leakrun("recover", run.directory)
    assert asked.returncode == 2 and "never started" in asked.stderr


def test_a_later_process_with_the_same_pid_is_not_touched(start: Any, server: Path) -> None:
    """As after a reuse of the pid: the start time in the manifest is another."""
    run = start("-p", "heapprofile", "--every", "1h", server)
    run.wait_for_line("up")
    run.kill()
    target, path = run.target, run.directory / "manifest.json"
    manifest = json.loads(path.read_text())
    for entry in (manifest["process"], *manifest["processes"]):
        entry["start_ticks"] -= 1
    path.write_text(json.dumps(manifest))
    leakrun("recover", run.directory)
    assert lives(target), "it was taken for the run's program"
    os.kill(target, signal.SIGKILL)


def test_another_boot_is_another_machine(start: Any, server: Path) -> None:
    run = start("-p", "heapprofile", "--every", "1h", server)
    run.wait_for_line("up")
    run.kill()
    target, path = run.target, run.directory / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["process"]["boot_id"] = "00000000-0000-0000-0000-000000000000"
    path.write_text(json.dumps(manifest))
    leakrun("recover", run.directory)
    assert lives(target)
    os.kill(target, signal.SIGKILL)
