"""The line that is shown while a program runs."""

import io
import os
import pty
import signal
import time
from pathlib import Path

import pytest

from runner.cli.screen import Progress as ProgressLine
from runner.cli.screen import progress_line
from runner.supervise import Progress
from tests.leakrun_command import COMMAND


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (Progress(5.2, 3_400_000, 0.0, 1, 0, 1, "running"), "leakrun: 5 s, rss 3.4 MB, 1 snapshot"),
        (Progress(125, 3_400_000, 98_000.0, 12, 2, 1, "running"), "leakrun: 2:05, rss 3.4 MB (+98 kB/s), 12 snapshots, 2 missed"),
        (
            Progress(3723, 2_000_000_000, -1_500_000.0, 0, 0, 4, "stopping"),
            "leakrun: 1:02:03, rss 2000.0 MB (-1,500 kB/s), 0 snapshots, 4 processes, stopping",
        ),
    ],
)
def test_it_says_how_the_run_goes(report: Progress, line: str) -> None:
    assert progress_line(report) == line


def shown_on_a_terminal(words: list[str], directory: Path, **more: str) -> str:
    """What a terminal shows until leakrun has ended; Ctrl-C is typed after some seconds."""
    child, master = pty.fork()
    if child == 0:
        environment = {**{k: v for k, v in os.environ.items() if k != "CI" and not k.startswith("LEAKRUN_")}, **more}
        os.execve(COMMAND[0], [*COMMAND, "-o", str(directory / "run"), "-p", "pmap", *words], environment)
    time.sleep(3.5)
    os.write(master, b"\x03")
    text = b""
    try:
        while got := os.read(master, 4096):
            text += got
    except OSError:  # EIO: it has ended
        pass
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + signal.SIGTERM
    return text.decode()


def test_it_is_on_a_terminal_and_gone_at_the_end(tmp_path: Path) -> None:
    shown = shown_on_a_terminal(["sleep", "60"], tmp_path)
    lines = [part for part in shown.split("\r\x1b[K") if part.startswith("leakrun: ")]
    assert len(lines) >= 2 and all("rss" in line for line in lines)
    assert "\r\x1b[K" in shown[shown.rindex(lines[-1]) :]


def test_what_is_said_meanwhile_stands_in_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", stream)
    with ProgressLine(enabled=True) as line:
        line.show(Progress(3, 2_000_000, 0.0, 16, 0, 1, "running"))
        line.say("2. heapprofile: what grows on the heap")
    assert "snapshots\r\x1b[Kleakrun: 2. heapprofile" in stream.getvalue() and stream.getvalue().endswith("heap\n")


def test_it_is_not_there_when_it_is_not_wanted(tmp_path: Path) -> None:
    assert "snapshots" not in shown_on_a_terminal(["-q", "sleep", "60"], tmp_path)
    (tmp_path / "ci").mkdir()
    assert "\x1b[K" not in shown_on_a_terminal(["sleep", "60"], tmp_path / "ci", CI="true")
