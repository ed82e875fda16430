"""How a run is ended: a pure state machine. It decides; the session does.

The ladder: the last snapshots, the plan's signal, SIGINT, and then waiting, with snapshots of what still runs. Each rung is given
the plan's grace, which begins anew whenever output has grown; the last snapshots too have no longer. A rung whose signal the
program ignores is no rung. The main process is killed only when the user insists and nothing is being written, or where the
plan says after how long, and then after the last snapshots; what outlives it is killed when the ladder is used up.
"""

from enum import Enum, IntEnum

from runner.plan import StopPlan


class Rung(IntEnum):
    """How far the stop has got."""

    RUNNING = 0
    DELIVERED = 1  # the terminal has sent Ctrl-C to the program too
    SNAPSHOT = 2
    REST = 3  # the main process is gone; what outlives it may be about to end as well
    SIGNAL = 4
    INTERRUPT = 5
    WAITING = 6
    LAST = 7  # it is to be killed: the snapshots that can still be had
    KILLED = 8


_AFTER_SNAPSHOTS = {Rung.SNAPSHOT: Rung.SIGNAL, Rung.LAST: Rung.KILLED}


class Deed(Enum):
    """What the session is to do now."""

    SNAPSHOT = "snapshot"  # begin the last snapshots
    SIGNAL = "signal"  # send the plan's signal
    INTERRUPT = "interrupt"  # send SIGINT
    TELL = "tell"  # say that it does not end
    SPARE = "spare"  # say that it is not killed, because it still writes
    KILL = "kill"


_SAME_REQUEST = 0.5  # `timeout` sends its signal twice, once to the group: one request
_REST = 1.0  # seconds
_REMINDER = 60.0  # seconds until it is said again that the program does not end; from then on each time twice as many, up to
_SELDOM = 3600.0
_QUIET = 3.0  # seconds without any growth of the output before a kill may lose nothing


class StopSequence:
    """One stop of one run. `by` is who asked first; None while nobody has."""

    def __init__(self, plan: StopPlan) -> None:
        self.by: str | None = None
        self.rung = Rung.RUNNING
        self._grace, self._kill_after = plan.grace, plan.kill_after
        self._since = 0.0
        self._told_at, self._reminder = 0.0, _REMINDER
        self._asked = 0
        self._asked_at = float("-inf")

    @property
    def begun(self) -> bool:
        """Somebody asked for the end, or what outlived the main process is being ended."""
        return self.rung > Rung.RUNNING

    def ask(self, now: float, by: str, *, delivered: bool, grown_at: float) -> list[Deed]:
        """Someone asks for the end. `delivered`: the program has had the signal already."""
        if now - self._asked_at < _SAME_REQUEST:
            return []
        self._asked_at = now
        self._asked += 1
        if self.by is None:
            self.by = by
        if self.rung == Rung.RUNNING:
            return self._climb(now, Rung.DELIVERED if delivered else Rung.SNAPSHOT)
        if self._asked == 2 and self.rung < Rung.WAITING:
            return self._climb(now, Rung(max(Rung.SIGNAL, self.rung + 1)))
        if now - max(self._since, grown_at) < _QUIET:
            return [Deed.SPARE]
        return self._climb(now, Rung.KILLED)

    def end_rest(self, now: float) -> list[Deed]:
        """Begin to end what outlived the main process, unasked."""
        return self._climb(now, Rung.SNAPSHOT) if self.rung == Rung.RUNNING else []

    def main_ended(self, now: float) -> list[Deed]:
        """The main process is gone while stopping: those that are left get a moment, and then the signals themselves."""
        return self._climb(now, Rung.REST) if Rung.RUNNING < self.rung < Rung.KILLED else []

    def tick(self, now: float, *, snapping: bool, grown_at: float, main_alive: bool) -> list[Deed]:
        """Time has passed. `snapping`: the last snapshots are not all done; `grown_at`: when output last grew."""
        if self.rung == Rung.RUNNING or self.rung == Rung.KILLED:
            return []
        if self.rung in (Rung.SNAPSHOT, Rung.LAST):
            return [] if snapping and now < self.due(grown_at) else self._climb(now, _AFTER_SNAPSHOTS[self.rung])
        if now < self.due(grown_at):
            return []
        if self.rung == Rung.WAITING and self._kill_after is None:
            return self._remind(now)
        if self.rung == Rung.INTERRUPT and not main_alive:
            return self._climb(now, Rung.KILLED)
        return self._climb(now, Rung(self.rung + 1))

    def refused(self, now: float) -> list[Deed]:
        """The program ignores the signal of this rung: it would wait for nothing."""
        return self._climb(now, Rung(self.rung + 1))

    def due(self, grown_at: float) -> float:
        """When tick() may have something to say, on the caller's clock."""
        if self.rung in (Rung.RUNNING, Rung.KILLED):
            return float("inf")
        if self.rung == Rung.WAITING and self._kill_after is None:
            return self._told_at + self._reminder  # it is the program's own time, or the user's
        return max(self._since, grown_at) + self._patience()

    def _patience(self) -> float:
        if self.rung == Rung.WAITING and self._kill_after is not None:
            return self._kill_after
        return min(_REST, self._grace) if self.rung == Rung.REST else self._grace

    def _remind(self, now: float) -> list[Deed]:
        """Take snapshots, and say again that it stays, ever more seldom: nobody may ever end it but by a kill."""
        self._told_at, self._reminder = now, min(2 * self._reminder, _SELDOM)
        return [Deed.SNAPSHOT, Deed.TELL]

    def _climb(self, now: float, rung: Rung) -> list[Deed]:
        self.rung, self._since, self._told_at = rung, now, now
        return {
            Rung.SNAPSHOT: [Deed.SNAPSHOT],
            Rung.SIGNAL: [Deed.SIGNAL],
            Rung.INTERRUPT: [Deed.INTERRUPT],
            Rung.WAITING: [Deed.SNAPSHOT, Deed.TELL] if self._kill_after is None else [Deed.TELL],  # else right before the kill
            Rung.LAST: [Deed.SNAPSHOT],
            Rung.KILLED: [Deed.KILL],
        }.get(rung, [])
