"""One snapshot of one process, from the action to its proof: a pure state machine over what was seen and when."""

from dataclasses import dataclass
from enum import Enum

from runner.plan import Trigger


class Move(Enum):
    """What is to be done next."""

    ACT = "act"  # do the trigger's action (again)
    WAIT = "wait"
    CONFIRMED = "confirmed"
    MISSED = "missed"  # every try failed; `reason` says how
    VOID = "void"  # the process ended before: nobody's failure


@dataclass(frozen=True, slots=True)
class Sighting:
    """The newest file that may be the proof. `whole`: it holds the marker (or none is asked for)."""

    name: str
    size: int
    changed: int  # modification time in nanoseconds; only compared
    whole: bool


UNSURE = Sighting("", 0, 0, whole=False)  # something came that could be another process's: ask again


class Attempt:
    """Tries, and tries again, until a file proves the snapshot or the tries are used up."""

    def __init__(self, trigger: Trigger) -> None:
        self.trigger = trigger
        self.tries = 0
        self.reason = ""
        self._deadline = 0.0
        self._last: Sighting | None = None
        self._still_since = 0.0

    @property
    def settled_at(self) -> float:
        """When the file seen last will have stood still for long enough."""
        return self._still_since + self.trigger.proof.settle

    def acted(self, now: float) -> None:
        """The action was done just now."""
        self.tries += 1
        self._deadline = now + self.trigger.patience

    def failed(self, reason: str) -> Move:
        """The action itself failed: try again or give up."""
        self.reason = reason
        return Move.ACT if self.tries <= self.trigger.retries else Move.MISSED

    def see(self, now: float, seen: Sighting | None, *, acting: bool, alive: bool) -> Move:
        """What to do, given the file seen now. `acting`: a command still runs, so that no file counts yet."""
        if seen is UNSURE:
            return self.failed("what came could be another process's")
        if seen is not None and (self._last is None or (seen.name, seen.size, seen.changed) != self._identity()):
            self._last, self._still_since = seen, now
            self._deadline = max(self._deadline, now + self.trigger.patience)  # it is being written
        elif seen is not None:
            self._last = seen
        if acting:
            return Move.WAIT
        still = now >= self.settled_at or not alive
        if seen is not None and seen.size > 0 and seen.whole and still:
            return Move.CONFIRMED
        if not alive:
            self.reason = "the process ended first"
            return Move.VOID
        if now < self._deadline:
            return Move.WAIT
        return self.failed(self._lack(seen))

    def _identity(self) -> tuple[str, int, int] | None:
        return (self._last.name, self._last.size, self._last.changed) if self._last else None

    def _lack(self, seen: Sighting | None) -> str:
        waited = f"within {self.trigger.patience:g} s"
        if seen is None:
            return f"no new file {self.trigger.proof.pattern} came {waited}"
        if seen.size == 0:
            return f"{seen.name} stayed empty"
        return f"{seen.name} was not whole {waited}"
