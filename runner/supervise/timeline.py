"""What happened in a run, in order, on one clock."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from runner.plan import Event, EventKind


@dataclass(slots=True)
class Timeline:
    """Events stamped in seconds since `origin`, a time of `clock` (monotonic: it does not jump when the date is set).

    fresh  something was added since the caller last set it to False
    notes  the lines that a person should see, until the caller has shown them
    warnings  those of the notes that a person must see, wherever stderr leads to; likewise
    """

    clock: Callable[[], float] = time.monotonic
    origin: float = 0.0
    events: list[Event] = field(default_factory=list)
    fresh: bool = False
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def now(self) -> float:
        """Seconds since the start."""
        return self.clock() - self.origin

    def tell(self, kind: EventKind, pid: int | None, text: str, file: str | None = None) -> None:
        """Add one line, at this moment."""
        self.events.append(Event(round(self.now(), 3), kind, pid, file, text))
        self.fresh = True
        if kind is EventKind.NOTE:
            self.notes.append(text)

    def warn(self, text: str) -> None:
        """Add a note that the run's end may depend on."""
        self.tell(EventKind.NOTE, None, text)
        self.warnings.append(text)
