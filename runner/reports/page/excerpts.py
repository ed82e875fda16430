"""The lines of source around the places that matter, where the files are found."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from runner.model import AnswerFrame
from runner.reports.page.tables import Tables
from runner.reports.plain import plain

_AROUND = 3  # lines before and after
_DEPTH = 8  # frames of a stack
_SITES = 200
_LONGEST = 240  # characters of a line
_MOST = 400_000  # characters altogether


@dataclass(frozen=True, slots=True)
class Source:
    """A source file. `newer` than the run: its lines may have moved."""

    lines: Sequence[str]
    newer: bool = False


class Excerpts:
    """What is wanted of the sources, read as it is asked for; what comes first has the room."""

    def __init__(self, source: Callable[[str], Source | None]) -> None:
        self._source = source
        self._files: dict[str, Source | None] = {}
        self._found: dict[str, dict[int, str]] = {}
        self._room = _MOST

    def want(self, file: str, line: int) -> None:
        """The lines around this one."""
        if file not in self._files:
            self._files[file] = self._source(file)
        source = self._files[file]
        if source is None or not 0 < line <= len(source.lines):
            return
        held = self._found.setdefault(file, {})
        for number in range(max(1, line - _AROUND), min(len(source.lines), line + _AROUND) + 1):
            if number not in held and self._room > 0:
                held[number] = plain(source.lines[number - 1].expandtabs(4)[:_LONGEST])
                self._room -= len(held[number])

    def want_frames(self, frames: Iterable[AnswerFrame]) -> None:
        """Those of a stack's innermost frames that have any."""
        placed = [frame for frame in frames if frame.file and frame.line]
        for frame in placed[:_DEPTH]:
            assert frame.file is not None and frame.line is not None
            self.want(frame.file, frame.line)

    def want_sites(self, sites: dict[str, list[Any]], tables: Tables) -> None:
        """Those of the sites, the first ones."""
        texts = tables.texts()
        for file, line in list(zip(sites["file"], sites["line"], strict=True))[:_SITES]:
            if file and line:
                self.want(texts[file], line)

    def to_dict(self) -> dict[str, Any]:
        """By file: lines by number, and whether it was changed since."""
        return {
            plain(file): {
                "newer": source.newer,
                "lines": {str(number): text for number, text in sorted(self._found[file].items())},
            }
            for file, source in self._files.items()
            if source is not None and file in self._found
        }
