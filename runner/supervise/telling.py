"""What others are told while a run goes on: the journal at every change, and the progress once a second."""

import time
from collections.abc import Callable

from runner.errors import LeakrunError
from runner.plan import EventKind, Outcome
from runner.supervise.terms import Journal, Progress
from runner.supervise.timeline import Timeline

_JOURNAL = 0.2  # seconds at least between two journal entries for snapshots alone
_PROGRESS = 1.0


class Teller:
    """`outcome` and `progress` give what is known now; the latter is given the state, and the notes and warnings not shown yet.

    state   starting, running or stopping
    """

    def __init__(
        self,
        timeline: Timeline,
        journal: Journal,
        show: Callable[[Progress], None] | None,
        outcome: Callable[[], Outcome],
        progress: Callable[[str, str, str], Progress],
    ) -> None:
        self.state = "starting"
        self._timeline, self._journal, self._show = timeline, journal, show
        self._outcome, self._progress = outcome, progress
        self._journal_due, self._progress_due = 0.0, _PROGRESS  # tools greet in the first moments
        self._unwritable: set[str] = set()

    @property
    def due(self) -> float:
        """When report() has something to write; the progress waits until somebody wakes up for more than that."""
        return self._journal_due if self._timeline.fresh else float("inf")

    def change_state(self, state: str) -> None:
        """The run is in another state: the journal says so at once."""
        if state != self.state:
            self.state = state
            self._journal_due = 0.0
            self._write_journal(self._timeline.now())

    def report(self, now: float) -> None:
        """Tell what is new, where that is due."""
        if self._timeline.fresh and now >= self._journal_due:
            self._write_journal(now)
        if self._show is not None and now >= self._progress_due:
            self._progress_due = now + _PROGRESS
            note, warning = "\n".join(self._timeline.notes), "\n".join(self._timeline.warnings)
            self._timeline.notes.clear()
            self._timeline.warnings.clear()
            try:
                self._show(self._progress(self.state, note, warning))
            except OSError:
                self._show = None  # the terminal is gone

    def _write_journal(self, now: float) -> None:
        self._timeline.fresh = False
        began = time.monotonic()
        try:
            self._journal(self._outcome(), self.state)
        except (OSError, LeakrunError) as error:
            self._tell_once("the manifest", str(error))
        self._journal_due = now + max(_JOURNAL, 50 * (time.monotonic() - began))

    def write(self, what: str, write: Callable[[], None]) -> None:
        """Our own notes must never cost the run: a full disk is said once, and the program goes on."""
        try:
            write()
        except OSError as error:
            self._tell_once(what, error.strerror or str(error))

    def _tell_once(self, what: str, why: str) -> None:
        if what not in self._unwritable:
            self._unwritable.add(what)
            self._timeline.tell(EventKind.NOTE, None, f"{what} can't be written: {why}")
