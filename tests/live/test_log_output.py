"""`--log-output`: the head and the tail of what the program writes, and nothing changed for the program and its readers."""

import hashlib
import os
import pty
import shlex
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from runner.supervise.passing import HEAD, TAIL
from tests.leakrun_command import COMMAND, leakrun
from tests.live.conftest import lives

PMAP = ("-q", "-p", "pmap", "--log-output")
LINES = "i=0; while [ $i -lt {n} ]; do echo out$i; echo err$i >&2; i=$((i+1)); done"


def test_what_is_short_is_kept_whole(tmp_path: Path) -> None:
    ran = leakrun(*PMAP, "-o", tmp_path / "run", "sh", "-c", LINES.format(n=3))
    assert (ran.stdout, ran.stderr) == ("out0\nout1\nout2\n", "err0\nerr1\nerr2\n")
    kept = {path.name: path.read_text() for path in (tmp_path / "run" / "output").iterdir()}
    assert kept == {"stdout.log": ran.stdout, "stderr.log": ran.stderr}


def test_without_it_there_is_none(tmp_path: Path) -> None:
    leakrun("-q", "-p", "pmap", "-o", tmp_path / "run", "sh", "-c", "echo a")
    assert not (tmp_path / "run" / "output").exists()


@pytest.mark.parametrize("size", [HEAD - 1, HEAD, HEAD + 1, HEAD + TAIL, HEAD + TAIL + 1, 3 * HEAD + TAIL + 12345])
def test_head_and_tail_are_exact_and_all_is_passed_on(tmp_path: Path, size: int) -> None:
    data = os.urandom(1 << 16) * (size // (1 << 16) + 1)
    (tmp_path / "data").write_bytes(data[:size])
    ran = subprocess.run(
        [*COMMAND, *PMAP, "-o", tmp_path / "run", "cat", tmp_path / "data"], capture_output=True, timeout=60, check=False
    )
    assert hashlib.sha256(ran.stdout).digest() == hashlib.sha256(data[:size]).digest()
    kept = (tmp_path / "run" / "output" / "stdout.log").read_bytes()
    missing = size - HEAD - TAIL
    between = f"\n[leakrun: {missing:,} bytes are left out here]\n".encode() if missing > 0 else b""
    assert kept == (data[:HEAD] + between + data[size - TAIL : size] if missing > 0 else data[:size])


def test_both_to_one_place_keep_their_order(tmp_path: Path) -> None:
    ran = subprocess.run(
        [*COMMAND, *PMAP, "-o", tmp_path / "run", "sh", "-c", LINES.format(n=200) + "; sleep 0.5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=True,
    )
    assert ran.stdout.split() == [f"{name}{n}".encode() for n in range(200) for name in ("out", "err")]
    assert (tmp_path / "run" / "output" / "output.log").read_bytes() == ran.stdout


def test_a_program_on_a_terminal_still_has_one(tmp_path: Path) -> None:
    child, master = pty.fork()
    if child == 0:
        os.execv(
            COMMAND[0],
            [*COMMAND, *PMAP, "-o", str(tmp_path / "run"), "sh", "-c", "test -t 1 && test -t 2 && stty size <&1; sleep 0.5"],
        )
    said = b""
    try:
        while got := os.read(master, 4096):
            said += got
    except OSError:  # it has ended
        pass
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert said == b"0 0\r\n"
    assert (tmp_path / "run" / "output" / "output.log").read_bytes() == b"0 0\n"


def test_a_reader_that_closes_the_pipe_ends_the_program_as_without_leakrun(tmp_path: Path) -> None:
    command = subprocess.Popen([*COMMAND, *PMAP, "-o", tmp_path / "run", "yes"], stdout=subprocess.PIPE)
    assert command.stdout is not None
    command.stdout.read(100)
    time.sleep(1)  # for what pmap takes to see it
    command.stdout.close()
    assert command.wait(60) == 128 + signal.SIGPIPE
    assert (tmp_path / "run" / "output" / "stdout.log").read_bytes()[:4] == b"y\ny\n"


def test_closed_streams_are_found_closed(tmp_path: Path) -> None:
    program = "test ! -e /proc/self/fd/0 && test ! -e /proc/self/fd/1; echo $? >&2; sleep 0.5"
    words = shlex.join([*COMMAND, *PMAP, "-o", str(tmp_path / "run"), "sh", "-c", program])
    ran = subprocess.run(["sh", "-c", f"exec {words} <&- >&-"], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "0\n")
    assert [path.name for path in (tmp_path / "run" / "output").iterdir()] == ["stderr.log"]


def test_leakrun_without_any_stream_does_its_work(tmp_path: Path) -> None:
    words = shlex.join([*COMMAND, "-p", "pmap", "-o", str(tmp_path / "run"), "sh", "-c", "sleep 0.5; exit 7"])
    assert subprocess.run(["sh", "-c", f"exec {words} <&- >&- 2>&-"], timeout=60, check=False).returncode == 7


def test_a_program_whose_leakrun_is_killed_can_still_write_and_nothing_kept_is_lost(start: Any, tmp_path: Path) -> None:
    script = "echo before; while [ ! -e go ]; do sleep 0.05; done; echo after; sleep 1000"
    run = start("-p", "pmap", "--log-output", "--cwd", tmp_path, "sh", "-c", script)
    run.wait_for_line("before")
    run.wait_for_state("running")
    run.kill()
    (tmp_path / "go").touch()
    run.wait_for_line("after")
    assert lives(run.target)
    again = start("recover", run.directory)
    run.wait_until(lambda: run.manifest["supervisor"]["pid"] == again.process.pid)
    assert leakrun("stop", run.directory).returncode == 0
    again.process.wait()
    assert (run.directory / "output" / "stdout.log").read_text() == "before\nafter\n"


def test_a_full_disk_behind_stdout_is_told_and_the_copy_is_there(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [*COMMAND, "-p", "pmap", "--log-output", "-o", tmp_path / "run", "sh", "-c", "yes | head -c 100000; sleep 0.5"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "run" / "output" / "stdout.log").stat().st_size == 100_000
    assert "100,000 bytes of the program's output could not be passed on" in (tmp_path / "run" / "manifest.json").read_text()


def test_a_reader_that_never_reads_holds_only_the_program_up(start: Any) -> None:
    reader, writer = os.pipe()
    run = start("-p", "pmap", "--log-output", "--every", "100ms", "yes", stdout=writer)
    os.close(writer)
    run.wait_until(lambda: (run.directory / "manifest.json").exists() and len(run.files()) >= 5)
    stopped = threading.Thread(target=lambda: leakrun("stop", run.directory))
    stopped.start()
    run.wait_until(lambda: not lives(run.target))
    os.close(reader)
    stopped.join()
    assert run.process.wait() == 0
