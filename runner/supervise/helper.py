"""A command beside the target: vgdb and its like. It never blocks the loop, and never outlives its time."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from runner.plan import RunCommand


def fill(text: str, pid: int, number: int) -> str:
    """`text` with {pid} and {n} replaced; other braces stay."""
    return text.replace("{pid}", str(pid)).replace("{n}", f"{number:04d}")


@dataclass(slots=True)
class Helper:
    """One running command. `status` is set by whoever reaps it, as waitpid gives it."""

    name: str
    pid: int
    deadline: float
    output: Path | None
    _words: int  # a memory file that takes what the command says
    status: int | None = None
    killed: bool = False

    def shorten(self, deadline: float) -> None:
        """Give it no longer than that: its target is gone."""
        self.deadline = min(self.deadline, deadline)

    def check(self, now: float) -> None:
        """Kill it, and what it started, when its time is up."""
        if self.status is None and not self.killed and now >= self.deadline:
            self.kill()

    def kill(self) -> None:
        """End it at once. It is ours and not reaped yet, so the pid is its own."""
        self.killed = True
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def finish(self) -> str:
        """After it was reaped: why it failed, in a line; empty when it did not. An empty output of a failure is removed."""
        words = os.pread(self._words, 4096, 0).decode("utf-8", "replace").split("\n")
        os.close(self._words)
        code = os.waitstatus_to_exitcode(self.status or 0)
        if code == 0 and not self.killed:
            return ""
        if self.output is not None and self.output.exists() and self.output.stat().st_size == 0:
            self.output.unlink()
        said = next((line.strip() for line in words if line.strip()), "")
        how = "took too long and was killed" if self.killed else f"failed with {code}" if code > 0 else f"died of signal {-code}"
        return f"{self.name} {how}" + (f": {said[:200]}" if said else "")


def start(command: RunCommand, pid: int, number: int, raw: Path, now: float) -> Helper:
    """Start the command on process `pid`, in a process group of its own, away from the terminal. Raises OSError."""
    argv = [fill(word, pid, number) for word in command.argv]
    words = os.memfd_create("words", os.MFD_CLOEXEC)
    output = raw / fill(command.stdout, pid, number) if command.stdout is not None else None
    try:
        if output is None:
            stdout: tuple[int, ...] | tuple[int, int, str, int, int] = (os.POSIX_SPAWN_DUP2, words, 1)
        else:
            stdout = (os.POSIX_SPAWN_OPEN, 1, os.fspath(output), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        child = os.posix_spawnp(
            argv[0],
            argv,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), stdout, (os.POSIX_SPAWN_DUP2, words, 2)],
            setpgroup=0,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )
    except (OSError, ValueError):
        os.close(words)
        raise
    return Helper(Path(argv[0]).name, child, now + command.timeout, output, words)
