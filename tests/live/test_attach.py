"""`leakrun attach`: a process that runs already, which is looked at and let go. And pmap, the first that can."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import attaching
from runner.errors import ErrorKind, LeakrunError
from tests.leakrun_command import answer, leakrun
from tests.live.conftest import lives


@pytest.fixture
def target(server: Path) -> Iterator[subprocess.Popen[str]]:
    """The server, started by somebody else than leakrun."""
    with subprocess.Popen([server], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_it_says_what_grows_and_lets_go(target: subprocess.Popen[str], tmp_path: Path) -> None:
    done = leakrun("attach", target.pid, "--every", "200ms", "--for", "4s", "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert target.poll() is None
    said = answer(tmp_path / "run")
    first = said["findings"][0]
    assert (said["verdict"], first["kind"], first["function"]) == ("growing", "mapping-growth", "[heap]")
    assert first["bytes_per_second"] == pytest.approx(20_000 / 0.010, rel=0.4)
    assert any("heapprofile" in note["text"] for note in said["notes"])
    assert said["run"]["exit"]["code"] is None and said["run"]["complete"]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_leakrun_only_lets_go(start: Any, target: subprocess.Popen[str], signum: int) -> None:
    run = start("attach", target.pid, "--every", "100ms")
    run.wait_until(lambda: (run.directory / "manifest.json").exists() and len(run.files()) >= 2)
    run.process.send_signal(signum)
    assert run.process.wait() == 0
    assert target.poll() is None
    assert run.manifest["exit"]["detached"] and run.manifest["state"] == "complete"
    assert all(each["kind"] != "signal" or "leakrun got" in each["text"] for each in run.manifest["timeline"])


def test_snapshot_and_stop_work_here_too(start: Any, target: subprocess.Popen[str]) -> None:
    run = start("attach", target.pid, "--every", "1h")
    run.wait_for_state("running")
    asked = leakrun("snapshot", run.directory)
    assert asked.returncode == 0 and "Rss:" in Path(asked.stdout.strip()).read_text()
    assert leakrun("stop", run.directory).returncode == 0
    assert target.poll() is None


def test_a_process_that_ends_meanwhile_ends_the_run(start: Any, target: subprocess.Popen[str]) -> None:
    run = start("attach", target.pid, "--every", "100ms")
    run.wait_until(lambda: (run.directory / "manifest.json").exists() and len(run.files()) >= 2)
    target.kill()
    target.wait()
    assert run.process.wait() == 0
    assert not run.manifest["exit"]["detached"] and run.files("ended") == [None]


def test_leakruns_own_death_leaves_the_process_alone(start: Any, target: subprocess.Popen[str]) -> None:
    run = start("attach", target.pid, "--every", "100ms")
    run.wait_until(lambda: (run.directory / "manifest.json").exists() and len(run.files()) >= 2)
    run.kill()
    assert target.poll() is None


def test_what_can_not_be_attached_to(tmp_path: Path, target: subprocess.Popen[str]) -> None:
    cases = {
        (4194304,): "there is no process 4194304",
        (2,): "the kernel's own",
        (target.pid, "-p", "massif"): "can't attach",
    }
    for words, message in cases.items():
        asked = leakrun("attach", *words, "-o", tmp_path / "run")
        assert asked.returncode == 2, words
        assert message in asked.stderr
        assert not (tmp_path / "run").exists()


def test_another_users_process_is_refused(target: subprocess.Popen[str]) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root, to become another user")
    child = os.fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        try:
            attaching.inspect_process(target.pid)
        except LeakrunError as error:
            os._exit(0 if error.kind is ErrorKind.USAGE and "may not be looked into" in error.message else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_a_program_is_started_under_it_too(start: Any, server: Path) -> None:
    run = start("-p", "pmap", "--every", "100ms", "--for", "2s", server)
    assert run.process.wait() == 0
    assert answer(run.directory)["findings"][0]["function"] == "[heap]"
    assert not lives(run.target)


def test_saved_files_are_read_without_a_run(target: subprocess.Popen[str], tmp_path: Path) -> None:
    saved = tmp_path / "smaps.17.1"
    saved.write_bytes(Path(f"/proc/{target.pid}/smaps").read_bytes())
    said = answer(saved)
    assert said["verdict"] == "inconclusive" and said["run"]["backend"] == "pmap"
    assert any(note["kind"] == "live" and "[heap]" in note["text"] for note in said["notes"])
