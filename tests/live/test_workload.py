"""--ready and --load: what is run against the program once it is up, and how it ends the run."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runner.plan import EventKind
from runner.supervise.timeline import Timeline
from runner.supervise.workload import LATEST, Work, Workload
from tests.examples_truth import build, read_truth
from tests.leakrun_command import answer, leakrun

EXAMPLE = Path(__file__).parents[2] / "examples" / "c_leaks" / "leak_server.c"
CLIENT = """
import socket, sys, time
for number in range(int(sys.argv[2])):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5) as one:
        one.sendall(b"some words\\n")
        one.recv(100)
    time.sleep(0.02)
print("all said")
sys.exit(int(sys.argv[3]))
"""


@pytest.fixture(scope="session")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(read_truth(EXAMPLE), tmp_path_factory.mktemp("leaky"))


@pytest.fixture
def port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        number: int = one.getsockname()[1]
        return number


@pytest.fixture
def client(tmp_path: Path) -> str:
    path = tmp_path / "client.py"
    path.write_text(CLIENT)
    return f"{sys.executable} {path}"


def told(run: Any) -> list[str]:
    return [each["text"] for each in run.manifest["timeline"] if each["kind"] == "note"]


def test_the_load_runs_when_the_port_answers_and_its_end_ends_the_run(start: Any, leaky: Path, port: int, client: str) -> None:
    load = f"{client} {port} 100 0"
    run = start("-p", "heapprofile", "--every", "100ms", "--ready", f"tcp:{port}", "--load", load, leaky, port)
    assert run.process.wait() == 0
    assert run.manifest["exit"]["stopped_by"] == "load"
    assert (run.directory / "load.log").read_text() == "all said\n"
    assert f"the program is up (--ready tcp:{port})" in told(run)
    assert 0 < run.manifest["ready"] < run.manifest["seconds"]
    assert answer(run.directory)["findings"][0]["function"] == "count_words"


def test_a_command_says_when_it_is_up(start: Any, leaky: Path, port: int, client: str, tmp_path: Path) -> None:
    asks = tmp_path / "asks"
    ready = f"echo >> {asks}; test $(wc -l < {asks}) -ge 4"
    load = f"{client} {port} 5 0"
    run = start("-p", "heapprofile", "--every", "1h", "--ready", ready, "--load", load, leaky, port)
    assert run.process.wait() == 0
    assert asks.read_text() == "\n" * 4
    assert run.manifest["exit"]["stopped_by"] == "load"


def test_a_load_that_fails_is_said(start: Any, leaky: Path, port: int, client: str) -> None:
    load = f"{client} {port} 5 7"
    run = start("-p", "heapprofile", "--every", "1h", "--ready", f"tcp:{port}", "--load", load, leaky, port)
    assert run.process.wait() == 0
    assert run.process.stderr is not None and "the load failed with 7: load.log" in run.process.stderr.read()


def test_without_its_load_no_program_is_clean(tmp_path: Path) -> None:
    (tmp_path / "brief.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-o", tmp_path / "brief", tmp_path / "brief.c"], check=True, timeout=60)
    ready = ("--ready", f"test -e {tmp_path}/up", "--load", "true")
    done = leakrun("-p", "memcheck", *ready, "-o", tmp_path / "run", tmp_path / "brief")
    assert done.returncode == 0 and "ended (with code 0) before the program was up" in done.stderr
    said = answer(tmp_path / "run")
    assert said["verdict"] == "inconclusive" and "the load was not run" in said["reasons"][0]


def test_a_program_that_is_not_up_when_its_time_is_over_was_not_measured(tmp_path: Path) -> None:
    words = ("-p", "pmap", "--ready", f"test -e {tmp_path}/up", "--for", "1500ms", "-o")
    done = leakrun(*words, tmp_path / "run", "sleep", "60")
    assert done.returncode == 3 and "never came up" in done.stderr and "\n  leakrun show" in done.stderr
    (tmp_path / "up").touch()
    assert leakrun(*words, tmp_path / "again", "sleep", "60").returncode == 0


def test_a_port_that_answers_already_is_another_programs(leaky: Path, port: int, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        done = leakrun("-p", "heapprofile", "--ready", f"tcp:{port}", "-o", tmp_path / "run", leaky, port)
    assert done.returncode == 2
    assert "answers already" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("ready", ["tcp:", "tcp:70000", "tcp:http", "tcp:host:"])
def test_an_address_that_can_not_be_is_refused(ready: str, leaky: Path) -> None:
    done = leakrun("--ready", ready, leaky)
    assert done.returncode == 2 and "is no address" in done.stderr


def test_a_program_that_ends_first_takes_the_load_with_it(start: Any, server: Path, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    load = f"echo $$ > {pids}; sleep 1000 & echo $! >> {pids}; wait"
    run = start("-p", "heapprofile", "--every", "1h", "--load", load, "timeout", "1", server)
    assert run.process.wait() == 124
    assert run.manifest["exit"]["stopped_by"] is None
    left = [pid for pid in pids.read_text().split() if Path(f"/proc/{pid}").exists()]
    assert left == []


def test_a_load_that_ignores_the_end_is_killed(start: Any, server: Path) -> None:
    load = "trap '' TERM; while :; do sleep 0.1; done"
    run = start("-p", "heapprofile", "--every", "1h", "--for", "500ms", "--load", load, server)
    assert run.process.wait() == 0
    assert run.manifest["exit"]["stopped_by"] == "for"


def test_a_program_that_never_comes_up_ends_the_run(tmp_path: Path, port: int) -> None:
    timeline = Timeline()
    workload = Workload(Work(tmp_path / "load.log", f"tcp:{port}", "true"), tmp_path, timeline)
    assert workload.tick(1.0) is None
    assert workload.tick(LATEST - 1) is None
    assert workload.tick(LATEST + 1) == "ready"
    assert workload.tick(LATEST + 2) is None
    notes = [event.text for event in timeline.events if event.kind is EventKind.NOTE]
    assert len(notes) == 1 and "was not up within 120 s" in notes[0] and "refused" in notes[0]
