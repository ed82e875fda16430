"""What is installed here, on a terminal and as JSON (schema leakrun.doctor/1)."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from textwrap import wrap
from typing import Any, TextIO

from runner.reports.plain import encodable, plain
from runner.reports.table import aligned

SCHEMA = "leakrun.doctor/1"


@dataclass(frozen=True, slots=True)
class Found:
    """A native tool as it is here.

    name      the backend's, or the helping program's
    tool      what it stands for: valgrind, libtcmalloc ...
    status    found, limited (`limits` say how) or missing
    purpose   what it is there for
    install   the line that installs it, as its backend gives it; of use where no package manager is known
    lacks     what no package brings and is missing here, and `install` is the way out
    """

    name: str
    tool: str
    status: str
    version: str | None
    path: str | None
    purpose: str
    limits: list[str] = field(default_factory=list)
    install: str = ""
    lacks: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of the kernel or of the environment, and what it means for measuring."""

    name: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Checkup:
    """All of it. `install` is one line for a shell that installs what is missing; None where nothing is, or none is known."""

    facts: dict[str, str]
    backends: Sequence[Found]
    helpers: Sequence[Found]
    settings: Sequence[Setting]
    install: str | None

    @property
    def missing(self) -> list[Found]:
        """What is not here."""
        return [each for each in (*self.backends, *self.helpers) if each.status == "missing"]


def to_dict(checkup: Checkup) -> dict[str, Any]:
    """The checkup as plain data."""
    return {
        "schema": SCHEMA,
        **checkup.facts,
        "backends": [asdict(each) for each in checkup.backends],
        "helpers": [asdict(each) for each in checkup.helpers],
        "settings": [asdict(each) for each in checkup.settings],
        "install": checkup.install,
    }


def render(checkup: Checkup, stream: TextIO, width: int) -> None:
    """Write it for a person, in lines of `width` columns but for paths and the line that installs what is missing, the last."""
    lines = _wrapped(", ".join(f"{name} {value}" for name, value in checkup.facts.items()), "", width)
    for title, found in (("backends", checkup.backends), ("helpers", checkup.helpers)):
        lines += ["", title, *_table(found, width)]
    settings = [([each.name, each.value], [each.effect]) for each in checkup.settings]
    lines += ["", "settings", *_rows(settings, width)]
    lines += ["", *_advice(checkup)]
    stream.write(encodable("\n".join(lines) + "\n", stream))


def _table(found: Sequence[Found], width: int) -> Iterator[str]:
    return _rows(
        [([each.name, each.status, _versioned(each), each.path or "-"], [each.purpose, *each.limits]) for each in found], width
    )


def _rows(rows: Sequence[tuple[list[str], list[str]]], width: int) -> Iterator[str]:
    """Each row's first texts in columns; then its sentences, the first on the same line where it fits there."""
    lines = [f"  {line}" for line in aligned([texts for texts, _ in rows])]
    start = max(map(len, lines)) + len("  ")
    for line, (_, sentences) in zip(lines, rows, strict=True):
        fits = start + len(sentences[0]) <= width
        yield f"{line.ljust(start)}{plain(sentences[0])}" if fits else line
        for sentence in sentences[1:] if fits else sentences:
            yield from _wrapped(sentence, " " * 6, width)


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    return wrap(
        plain(text), width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _versioned(each: Found) -> str:
    named = "" if each.tool == each.name else f"{each.tool} "
    return (named + (each.version or "")).strip()


def _advice(checkup: Checkup) -> Iterator[str]:
    if not checkup.missing:
        yield "nothing is missing"
        return
    packages = [each for each in checkup.missing if not each.lacks]
    if checkup.install is not None:
        yield "to install what is missing:"
        yield f"  {checkup.install}"
    elif packages:
        yield "missing, and no apt-get, dnf or pacman is here to install it:"
        yield from (plain(f"  {each.name}: {each.install}") for each in packages)
    yield from (plain(f"{each.name} needs {each.lacks}: {each.install}") for each in checkup.missing if each.lacks)
