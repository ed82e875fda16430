"""leakrun is killed while something of its own works in a process that it attached to: that lets go by itself."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from runner.backends import bpf, heaptrack
from tests.leakrun_command import answer, leakrun
from tests.live.conftest import Running

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def target(server: Path) -> Iterator[subprocess.Popen[str]]:
    """The server, started by somebody else than leakrun, and up."""
    with subprocess.Popen([server], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        yield process
        process.kill()


def killed_with_helpers(run: Running) -> None:
    """Kill leakrun alone, and wait for what it has started beside the target to be gone."""
    helpers = psutil.Process(run.process.pid).children(recursive=True)
    assert helpers
    run.kill()
    _, left = psutil.wait_procs(helpers, timeout=60)
    for each in left:
        each.kill()
    assert not left, "it was left behind"


def ignoring_ctrl_c() -> None:
    """As a shell starts what a script puts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.skipif(heaptrack.find_library() is None, reason="heaptrack is not here")
def test_heaptrack_s_record_is_ended(start: Any, target: subprocess.Popen[str]) -> None:
    run = start("attach", target.pid, "-p", "heaptrack", preexec_fn=ignoring_ctrl_c)
    open_files = Path(f"/proc/{target.pid}/fd")

    def records() -> list[str]:
        return [link for each in open_files.iterdir() if (link := str(each.readlink())).endswith(".raw")]

    run.wait_until(lambda: records() and any(each.read_bytes() for each in run.directory.glob("raw/*.log")))
    killed_with_helpers(run)
    assert records() == [] and target.poll() is None
    assert leakrun("recover", run.directory, "--finish").returncode == 0
    said = answer(run.directory)
    assert said["verdict"] != "clean" and said["run"]["snapshots"] and "main" in str(said)
    assert target.poll() is None


@pytest.mark.alone
@pytest.mark.skipif(bpf.Bpf().probe(bpf.BpfOptions()).path is None, reason="bpftrace is not here, or not for this user")
@pytest.mark.parametrize("sign", [b"leakrun.bpf", b'"@at": '], ids=["as it attaches", "as it watches"])
def test_bpftrace_is_not_left_behind(start: Any, target: subprocess.Popen[str], sign: bytes) -> None:
    run = start("attach", target.pid, "-p", "bpf", "--every", "300ms", preexec_fn=ignoring_ctrl_c)
    run.wait_until(lambda: any(sign in each.read_bytes() for each in run.directory.glob("raw/bpf.*.json")))
    killed_with_helpers(run)
    assert target.poll() is None
    assert leakrun("recover", run.directory, "--finish").returncode == (0 if b"@at" in sign else 3)  # 3: nothing was measured
    assert answer(run.directory)["verdict"] == "inconclusive"
