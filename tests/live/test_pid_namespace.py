"""A run in a container, whose pids mean nothing outside: its directory is seen from outside, and from another container."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.supervise import proc
from tests.leakrun_command import COMMAND, leakrun

IN_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")


@pytest.fixture(scope="module", autouse=True)
def _needed() -> None:
    if not proc.all_namespaces_seen():
        pytest.skip("this is not the first pid namespace")
    if subprocess.run([*IN_NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no pid namespace can be made here")


@pytest.fixture
def contained(start: Any, server: Path) -> Any:
    """A run in progress that was started in a pid namespace of its own."""
    run = start("-p", "heapprofile", "--every", "1h", server, before=(*IN_NAMESPACE, "--kill-child"))
    run.wait_for_line("up")
    return run


def _states(runs_dir: Path, ask: Callable[..., str]) -> list[str]:
    return [each["state"] for each in json.loads(ask("runs", "--runs-dir", runs_dir, "--json"))["runs"]]


def _from_another(*words: object) -> subprocess.CompletedProcess[str]:
    command = [*IN_NAMESPACE, *COMMAND, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_it_is_seen_and_served_from_outside(contained: Any) -> None:
    run = contained
    assert run.manifest["supervisor"]["pid"] == 1
    assert _states(run.directory.parent, lambda *words: leakrun(*words).stdout) == ["running"]
    asked = leakrun("snapshot", run.directory)
    assert asked.returncode == 0 and Path(asked.stdout.strip()).is_file(), asked.stderr
    refused = leakrun("recover", "--finish", run.directory)
    assert refused.returncode == 2 and "is in progress" in refused.stderr
    leakrun("runs", "--runs-dir", run.directory.parent, "--prune", "--yes")
    assert run.directory.is_dir()
    assert leakrun("stop", run.directory).returncode == 0
    assert run.manifest["state"] == "complete" and run.process.wait(30) == 0


def test_a_process_in_a_container_within_it_is_found_too() -> None:
    command = [*IN_NAMESPACE, "--kill-child", *IN_NAMESPACE, "--kill-child", "sh", "-c", "echo up; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as nested:
        assert nested.stdout is not None and nested.stdout.readline()
        (outer,) = proc.children(nested.pid)
        (inner,) = proc.children(outer)
        stat = proc.stat(inner)
        assert stat is not None
        pids = [int(pid) for pid in Path(f"/proc/{inner}/status").read_text().partition("NSpid:")[2].splitlines()[0].split()]
        assert len(pids) == 3
        for pid in pids[:2]:  # the innermost is 1, as that of the one around it, which may have begun in the same tick
            assert proc.pid_here(pid, stat.start_ticks, "pid:[1]") == inner
        assert proc.pid_here(4_000_000, stat.start_ticks, "pid:[1]") is None
        nested.kill()


def test_from_another_container_it_is_let_alone(contained: Any) -> None:
    run = contained
    assert _states(run.directory.parent, lambda *words: _from_another(*words).stdout) == ["running"]
    for verb in ("snapshot", "stop", "recover"):
        refused = _from_another(verb, run.directory)
        assert refused.returncode == 2 and "another pid namespace" in refused.stderr, refused.stderr
    _from_another("runs", "--runs-dir", run.directory.parent, "--prune", "--yes")
    assert run.directory.is_dir()
    assert leakrun("stop", run.directory).returncode == 0


def test_when_all_of_it_was_killed_it_is_finished_from_outside(contained: Any) -> None:
    run = contained
    assert leakrun("snapshot", run.directory).returncode == 0
    supervisor = run.manifest["supervisor"]
    namespace = run.manifest["process"]["pid_namespace"]
    pid = proc.pid_here(supervisor["pid"], supervisor["start_ticks"], namespace)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)  # the first process of its namespace: the others go with it
    run.process.wait(30)
    assert _states(run.directory.parent, lambda *words: leakrun(*words).stdout) == ["lost"]
    assert leakrun("recover", run.directory).returncode in (0, 3)
    assert run.manifest["state"] in ("complete", "incomplete") and len(run.files()) == 1
