"""A great deal of output, and a reader that goes away."""

import signal
import subprocess
import time
from pathlib import Path

from runner.supervise import proc
from tests.leakrun_command import COMMAND, answer

TEN_GB = 10_000_000_000


def test_10_gb_of_output_are_kept_in_bounded_memory_and_space(tmp_path: Path) -> None:
    words = [*COMMAND, "-q", "-p", "pmap", "--log-output", "-o", str(tmp_path / "run"), "head", "-c", str(TEN_GB), "/dev/zero"]
    running = subprocess.Popen([*words], stdout=subprocess.DEVNULL)
    most = 0
    while running.poll() is None:
        for pid in [running.pid, *proc.children(running.pid)]:
            memory = proc.memory(pid)
            most = max(most, memory.rss if memory else 0)
        time.sleep(0.05)
    assert running.returncode == 0
    log = tmp_path / "run" / "output" / "stdout.log"
    assert log.stat().st_size < 9 << 20
    missing = TEN_GB - (8 << 20)
    assert f"[leakrun: {missing:,} bytes are left out here]".encode() in log.read_bytes()
    assert 0 < most < 100 << 20


def test_a_reader_that_closes_the_pipe_ends_the_program_with_sigpipe(tmp_path: Path) -> None:
    command = subprocess.Popen([*COMMAND, "-q", "-p", "memcheck", "-o", tmp_path / "run", "yes"], stdout=subprocess.PIPE)
    assert command.stdout is not None
    command.stdout.read(100)
    command.stdout.close()
    assert command.wait(60) == 128 + signal.SIGPIPE
    assert answer(tmp_path / "run")["run"]["exit"]["signal"] == "SIGPIPE"
