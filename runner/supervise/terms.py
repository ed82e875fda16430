"""What the supervisor's caller gives and gets."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runner.plan import Outcome


@dataclass(frozen=True, slots=True)
class Places:
    """Where the supervisor writes: directories that exist, and the path of samples.csv.

    requests   the directory, to be made, in which others ask for snapshots and for the end; None for none
    output     the directory, to be made, for a bounded copy of the program's stdout and stderr; None for none
    spool      where the tool writes, if not in `raw`: what is there is moved to `raw` as it is proven, and at the end
    """

    raw: Path
    maps: Path
    samples: Path
    requests: Path | None = None
    spool: Path | None = None
    output: Path | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How the run goes, at most once a second. Seconds, bytes, bytes a second.

    note     what is worth being shown, a line each
    warning  those of these lines that must be shown, even where nobody watches
    interactive   the program has the terminal: nobody else is to write there
    """

    elapsed: float
    rss: int
    rss_slope: float
    snapshots: int
    misses: int
    processes: int
    state: str
    note: str = ""
    warning: str = ""
    interactive: bool = False


# Called with the outcome so far and the state: starting, running or stopping.
Journal = Callable[[Outcome, str], None]
