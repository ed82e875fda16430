"""What is wrong with what a user wrote, each with its place, and all of it as one error."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from runner.errors import ErrorKind, LeakrunError
from runner.quantities import shown

MOST_LINES = 100  # of one error


class Place(NamedTuple):
    """Where something was written: a file with line and column, both from 1; line 0 stands for a source without lines.

    directory  what relative paths written there are relative to
    """

    source: str
    line: int = 0
    column: int = 0
    directory: Path = Path()

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


class Problem(NamedTuple):
    """One thing that is wrong. `key` is the dotted path of what it is about, and may be empty."""

    place: Place
    key: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.key}: {self.what}" if self.key and self.place.line else f"{self.place}: {self.what}"


def dotted(keys: Iterable[object]) -> str:
    """The path of a key for a message: options.leak_check, args.0; names that are not plain are quoted."""
    parts = (str(key) for key in keys)
    return ".".join(part if part.isprintable() and part and len(part) <= 60 else shown(part) for part in parts)


def refusal(problems: list[Problem]) -> LeakrunError:
    """All problems as one error, a line each in the order of the files; of very many the first hundred."""
    lines = dict.fromkeys(str(problem) for problem in sorted(problems, key=lambda problem: _order(problem.place)))
    more = [f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    return LeakrunError(ErrorKind.USAGE, "\n".join([*list(lines)[:MOST_LINES], *more]))


def _order(place: Place) -> tuple[bool, str, int, int]:
    return place.line == 0, place.source, place.line, place.column
