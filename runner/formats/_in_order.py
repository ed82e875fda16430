"""Files of one process, each of which is a moment."""

from collections.abc import Iterable
from pathlib import Path

from runner.model import TimeUnit


def in_order(files: Iterable[tuple[Path, float | None]]) -> tuple[TimeUnit, list[tuple[float, Path]]]:
    """The files by their times, in seconds since the process's start; where one is not known the order given is all there is."""
    found = list(files)
    known = [(time, path) for path, time in found if time is not None]
    if len(known) == len(found):
        return TimeUnit.SECONDS, sorted(known)
    return TimeUnit.SNAPSHOTS, [(float(number), path) for number, (path, _) in enumerate(found)]
