"""samples.csv of a run directory: the memory of each process, sampled while the program ran.

leakrun's own format: a header, then a line for each process and moment: time_s, pid, and bytes; a figure that could not be had is
empty. A last line that a full disk or a crash has cut is left out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

FIELDS = ("rss", "pss", "anonymous", "stack")


@dataclass(slots=True)
class Samples:
    """One process over time: seconds since the run's start, and bytes by field; None where they could not be had."""

    times: list[float] = field(default_factory=list)
    rss: list[int | None] = field(default_factory=list)
    pss: list[int | None] = field(default_factory=list)
    anonymous: list[int | None] = field(default_factory=list)
    stack: list[int | None] = field(default_factory=list)


def read_file(path: Path) -> dict[int, Samples]:
    """The samples of a run by pid; none where they were not kept or can't be read."""
    try:
        with path.open(encoding="ascii", errors="replace") as lines:
            return read(lines)
    except OSError:
        return {}


def read(lines: Iterable[str]) -> dict[int, Samples]:
    """The samples by pid, in the order of the file. Lines that are none are left out."""
    found: dict[int, Samples] = {}
    for line in lines:
        words = line.rstrip("\n").split(",")
        try:
            time, pid, figures = float(words[0]), int(words[1]), [int(word) if word else None for word in words[2:]]
        except (ValueError, IndexError):
            continue
        if len(figures) == len(FIELDS) and line.endswith("\n"):
            of_process = found.setdefault(pid, Samples())
            of_process.times.append(time)
            for name, figure in zip(FIELDS, figures, strict=True):
                getattr(of_process, name).append(figure)
    return found
