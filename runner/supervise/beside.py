"""The plan's sidecar: a command that works beside the main process for as long as the run lasts."""

import os
import signal
from contextlib import suppress

from runner.plan import EventKind, RunCommand, Sidecar
from runner.supervise import helper
from runner.supervise.family import Family
from runner.supervise.gates import closed
from runner.supervise.helper import Helper
from runner.supervise.output import RawOutput
from runner.supervise.timeline import Timeline

_POLL = 0.05  # seconds between two looks while it gets ready or ends
_NUMBER = 1  # there is one of it in a run


class Beside:
    """Starts the sidecar once its gate is open, and sees to its end.

    failure   why it did not work, or no longer does; empty while there is nothing to say
    ready_at  seconds since the start when it was found ready; None while it is not
    """

    def __init__(self, sidecar: Sidecar | None, family: Family, output: RawOutput, timeline: Timeline) -> None:
        self.failure = ""
        self.ready_at: float | None = None
        self._sidecar, self._family, self._output, self._timeline = sidecar, family, output, timeline
        self._running: Helper | None = None
        self._started = self._stopping = False

    @property
    def pid(self) -> int | None:
        """Of the command while it runs."""
        return self._running.pid if self._running is not None else None

    @property
    def failed(self) -> bool:
        """It has ended, or never worked, though nobody stopped it."""
        return bool(self.failure)

    def give_up(self) -> None:
        """The one that there was died with the leakrun that had started it; what it had seen can't be gone on with."""
        if self._sidecar is not None:
            self._fail("it ended with the leakrun that had started it")

    @property
    def awaited(self) -> bool:
        """It is to get ready, and has neither done so nor failed."""
        return self._sidecar is not None and self.ready_at is None and not self.failed

    def due(self, now: float) -> float:
        """When tick() may have something to do."""
        waits = self._sidecar is not None and not self.failed and (self.ready_at is None or self._stopping)
        return now + _POLL if waits and (self._running is not None or not self._started) else float("inf")

    def tick(self, now: float) -> None:
        """Start it, see whether it has got ready, end it when its time is up."""
        if self._sidecar is None or self.failed:
            return
        if not self._started:
            self._start(self._sidecar, now)
        elif self._running is not None:
            self._running.check(now)
            if (
                self.ready_at is None
                and not self._stopping
                and self._output.holds(self._name(self._sidecar), self._sidecar.ready)
            ):
                self.ready_at, self._running.deadline = now, float("inf")
                self._timeline.tell(EventKind.NOTE, self._family.main_pid, f"{self._sidecar.name}: ready")

    def _start(self, sidecar: Sidecar, now: float) -> None:
        main = self._family.main
        if main is None or self._stopping:
            return
        why = closed(sidecar.gate, main)
        if why and now > sidecar.timeout:
            self._fail(f"{sidecar.name} was never possible: {why}")
        if why:
            return
        self._started = True
        command = RunCommand(sidecar.argv, sidecar.timeout, sidecar.stdout)
        try:
            self._running = helper.start(command, main.pid, _NUMBER, self._output.raw, now)
        except (OSError, ValueError) as error:
            self._fail(f"{sidecar.argv[0]}: {error}")
            return
        self._family.helpers.add(self._running.pid)

    def _name(self, sidecar: Sidecar) -> str:
        return helper.fill(sidecar.stdout, self._family.main_pid, _NUMBER)

    def stop(self, now: float) -> bool:
        """Ask it to end, once. True when it has."""
        if self._running is None:
            return True
        if not self._stopping and self._sidecar is not None:
            self._stopping, self._running.deadline = True, now + self._sidecar.timeout
            self._signal(self._sidecar.signum)
        return False

    def reaped(self, status: int) -> None:
        """It has ended, with that status as waitpid gives it."""
        ended, self._running = self._running, None
        if ended is None:
            return
        self._family.helpers.discard(ended.pid)
        ended.status = status
        said = ended.finish()
        if not self._stopping:
            self._fail(said or f"{ended.name} ended by itself")
        elif said:
            self._timeline.tell(EventKind.NOTE, self._family.main_pid, said)

    def kill(self) -> None:
        """After an error of ours: it may not be left behind."""
        if self._running is not None:
            self._running.kill()
            with suppress(ChildProcessError):
                os.waitpid(self._running.pid, 0)

    def _signal(self, signum: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid or 0, signal.Signals(signum))

    def _fail(self, why: str) -> None:
        self.failure = why
        self._timeline.tell(EventKind.NOTE, self._family.main_pid, f"nothing more is recorded: {why}")
