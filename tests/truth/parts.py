"""The parts that programs are made of: parts/leaks, parts/clean and parts/wrappers, one behaviour a file.

A part is C or C++ in which `$name` stands for a name or a number that each program chooses anew. Its entry is
`void $op(long i, double passed)`: the number of the call, and the part of the run that has passed, from 0 to 1.
`// KEY: text` lines at its top say what it is. At the end of a line

    //@ here FUNCTION      the line that a person would change
    //@ also FUNCTION      another that a reasonable person could name
    //@ wrapper FUNCTION   an allocation wrapper's own line
"""

import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

from tests.truth.naming import Names

PARTS = Path(__file__).resolve().parent / "parts"

_HEADER = re.compile(r"// ([A-Z-]+): (.+)")
_MARK = re.compile(r"[ ]*//@ (here|also|wrapper) (\S+)$")


@dataclass(frozen=True)
class Place:
    """A line of a generated program that may be named: `role` is here, also or wrapper."""

    function: str
    file: str
    line: int
    role: str


@dataclass(frozen=True)
class Part:
    """One file of parts/: its name, its headers, and its text without them."""

    name: str
    headers: dict[str, str]
    text: str
    cxx: bool

    @property
    def kind(self) -> str:
        """What a tool that can see it should call it; "clean" for nothing."""
        return self.headers.get("KIND", "clean")


def read_parts(room: str) -> list[Part]:
    """All parts of parts/leaks, parts/clean or parts/wrappers, by name."""
    return [_read(path) for path in sorted((PARTS / room).iterdir())]


def _read(path: Path) -> Part:
    headers: dict[str, str] = {}
    lines = path.read_text().splitlines()
    while lines and (match := _HEADER.fullmatch(lines[0])):
        headers[match[1]] = match[2]
        lines.pop(0)
    return Part(path.stem, headers, "\n".join(lines) + "\n", path.suffix == ".cpp")


def filled(part: Part, names: Names, numbers: dict[str, int], file: str, first_line: int = 1) -> tuple[str, list[Place]]:
    """The part's text with names and numbers, and the places that it marks; its first line will be `first_line` of `file`."""
    chosen = names
    for key, number in numbers.items():
        chosen[key] = str(number)
    text: list[str] = []
    places: list[Place] = []
    for number, line in enumerate(Template(part.text).substitute(chosen).splitlines(), first_line):
        if mark := _MARK.search(line):
            places.append(Place(mark[2], file, number, mark[1]))
        text.append(_MARK.sub("", line))
    return "\n".join(text) + "\n", places
