"""When the program counts as up, and what is run against it then: `--ready` and `--load`."""

import os
import re
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from runner.errors import ErrorKind, LeakrunError
from runner.plan import EventKind, Outcome, RunCommand
from runner.supervise import helper, signals
from runner.supervise.helper import Helper
from runner.supervise.timeline import Timeline

LOG = "load.log"
LATEST = 120.0  # seconds within which the program must be up; a tool can make it slow
_PATIENCE = 10.0  # seconds for one run of a command that asks whether it is up
_POLL = 0.1
_CONNECT = 0.2  # seconds; on one's own machine a connection is made or refused at once
_LAST_RITES = 2.0  # seconds between SIGTERM and SIGKILL for a load that is not needed any more
_ADDRESS = re.compile(r"tcp:(?:(?P<host>.+):)?(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class Work:
    """What the user asked for. `ready` is tcp:PORT, tcp:HOST:PORT or a shell command that succeeds when the program is up;
    `load` is a shell command; `log` takes what it says.
    """

    log: Path
    ready: str | None = None
    load: str | None = None


def check_ready(text: str) -> None:
    """Raise LeakrunError(USAGE) for a tcp: address that can't be."""
    if text.startswith("tcp:") and not _address(text):
        raise LeakrunError(ErrorKind.USAGE, f"--ready {text!r} is no address", "write tcp:PORT or tcp:HOST:PORT, or a command")


def _address(text: str) -> tuple[str, int] | None:
    found = _ADDRESS.fullmatch(text)
    if not found or not 0 < int(found["port"]) < 65536:
        return None
    return (found["host"] or "localhost").strip("[]"), int(found["port"])


def _refuses(address: tuple[str, int]) -> str:
    """Why nothing can be connected to there; empty where something can."""
    try:
        socket.create_connection(address, _CONNECT).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


class Workload:
    """Asks whether the program is up, runs the load then, and says when there is reason to stop.

    failure    how the load failed, or why it was never run; empty where it went well
    ready_at   seconds since the start when it was found up; None while it was not
    """

    def __init__(self, work: Work | None, raw: Path, timeline: Timeline) -> None:
        self.ready_at: float | None = None
        self.failure = ""
        self._work, self._raw, self._timeline = work, raw, timeline
        self._asking: Helper | None = None
        self._load: int | None = None  # the pid of the load
        self._waiting = work is not None  # for the program to be up
        self._due = 0.0 if work is not None else float("inf")
        self._kill_at = float("inf")
        self._why = "it does not answer"
        self._reason: str | None = None  # why the run is to be stopped

    @property
    def pids(self) -> set[int]:
        """Our own children among those that end."""
        return {pid for pid in (self._asking.pid if self._asking else None, self._load) if pid is not None}

    def check_free(self) -> None:
        """Raise LeakrunError(USAGE) where something answers before the program is there: the load would be another's."""
        address = _address(self._work.ready) if self._work is not None and self._work.ready is not None else None
        if address is not None and not _refuses(address):
            raise LeakrunError(
                ErrorKind.USAGE,
                f"{address[0]}:{address[1]} answers already, before the program is started",
                "end what listens there, or choose another port",
            )

    def due(self) -> float:
        """When tick() may have something to do."""
        return min(self._due, self._kill_at)

    def tick(self, now: float) -> str | None:
        """Go on. Returns why the run is to be stopped, once: "load" when the load has ended, "ready" when it never came up."""
        if self._asking is not None:
            self._asking.check(now)
        if now >= self._kill_at and self._load is not None:
            self._signal_load(signal.SIGKILL)
            self._kill_at = float("inf")
        if self._work is not None and now >= self._due:
            self._due = now + _POLL
            self._ask(self._work, now)
        reason, self._reason = self._reason, None
        return reason

    def _ask(self, work: Work, now: float) -> None:
        if work.ready is None or self._is_up(work.ready, now):
            self._begin(work, now)
        elif now > LATEST:
            self._due = float("inf")
            self._waiting = False
            self._fail(f"the program was not up within {LATEST:g} s (--ready {work.ready}): {self._why}")
            self._reason = "ready"

    def _is_up(self, ready: str, now: float) -> bool:
        address = _address(ready)
        if address is not None:
            self._why = _refuses(address)
            return not self._why
        if self._asking is None:
            self._asking = helper.start(RunCommand(("/bin/sh", "-c", ready), _PATIENCE), 0, 0, self._raw, now)
            return False
        if self._asking.status is None:
            return False
        self._why = self._asking.finish()
        self._asking = None
        return not self._why

    def _begin(self, work: Work, now: float) -> None:
        self._waiting = False
        self._due = float("inf")
        self.ready_at = round(now, 3) if work.ready is not None else None
        if work.ready is not None:
            self._note(f"the program is up (--ready {work.ready})")
        if work.load is not None:
            try:
                self._load = _spawn(work.load, work.log)
            except OSError as error:
                self._fail(f"the load can't be run: {error.strerror}")
                self._reason = "load"

    def reaped(self, pid: int, status: int) -> None:
        """One of ours has ended, with that status as waitpid gives it."""
        if self._asking is not None and pid == self._asking.pid:
            self._asking.status = status
            self._due = 0.0 if self._due != float("inf") else self._due
            return
        self._load = None
        code = os.waitstatus_to_exitcode(status)
        if self._kill_at != float("inf"):  # it was ended by us
            self._kill_at = float("inf")
            return
        if code == 0:
            self._note("the load has ended")
        else:
            how = f"failed with {code}" if code > 0 else f"died of signal {-code}"
            self._fail(f"the load {how}: {LOG} in the run directory has what it said")
        self._reason = "load"

    def end(self, now: float) -> None:
        """It is not needed any more: the run is being stopped, or over."""
        self._due = float("inf")
        if self._asking is not None and self._asking.status is None:
            self._asking.kill()
        if self._load is not None and self._kill_at == float("inf"):
            self._signal_load(signal.SIGTERM)
            self._kill_at = now + _LAST_RITES

    def _signal_load(self, signum: int) -> None:
        if self._load is not None:
            try:
                os.killpg(self._load, signum)
            except ProcessLookupError:
                return

    def close(self, outcome: Outcome) -> None:
        """The run is over: say so where it was before the program was up, and how the program ended if it did so itself."""
        if self._waiting and self._work is not None:
            load = ", and the load was not run" if self._work.load is not None else ""
            ready = f" (--ready {self._work.ready})" if self._work.ready is not None else ""
            self._fail(f"{_end_of(outcome)} before the program was up{ready}{load}")

    def kill(self) -> None:
        """Nothing of ours is to be left, whatever happened."""
        self._signal_load(signal.SIGKILL)
        if self._asking is not None and self._asking.status is None:
            self._asking.kill()

    def _fail(self, text: str) -> None:
        self.failure = text
        self._note(text)

    def _note(self, text: str) -> None:
        self._timeline.tell(EventKind.NOTE, None, text)


def _end_of(outcome: Outcome) -> str:
    if outcome.stopped_by is None and outcome.code is not None:
        return f"the run ended (with code {outcome.code})"
    if outcome.stopped_by is None and outcome.signum is not None:
        return f"the run ended (by {signals.name_of(outcome.signum)})"
    return "the run ended"


def _spawn(command: str, log: Path) -> int:
    """Start a shell command in a group of its own, away from the terminal; what it says goes to `log`. Raises OSError."""
    to_log = (os.POSIX_SPAWN_OPEN, 1, os.fspath(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    return os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", command],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), to_log, (os.POSIX_SPAWN_DUP2, 1, 2)],
        setpgroup=0,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
    )
