"""What is installed here, on a terminal and as JSON (schema leakrun.doctor/1)."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
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
    """

    name: str
    tool: str
    status: str
    version: str | None
    path: str | None
    purpose: str
    limits: list[str] = field(default_factory=list)
    install: str = ""


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


def render(checkup: Checkup, stream: TextIO) -> None:
    """Write it for a person, the line that installs what is missing last."""
    lines = [", ".join(f"{name} {value}" for name, value in checkup.facts.items())]
    for title, found in (("backends", checkup.backends), ("helpers", checkup.helpers)):
        lines += ["", title, *_table(found)]
    lines += [
        "",
        "settings",
        *(f"  {line}" for line in aligned([[each.name, each.value, each.effect] for each in checkup.settings])),
    ]
    lines += ["", *_advice(checkup)]
    stream.write(encodable("\n".join(lines) + "\n", stream))


def _table(found: Sequence[Found]) -> Iterator[str]:
    rows = [[each.name, each.status, _versioned(each), each.path or "-", each.purpose] for each in found]
    for each, line in zip(found, aligned(rows), strict=True):
        yield f"  {line}"
        yield from (plain(f"      {limit}") for limit in each.limits)


def _versioned(each: Found) -> str:
    named = "" if each.tool == each.name else f"{each.tool} "
    return (named + (each.version or "")).strip()


def _advice(checkup: Checkup) -> Iterator[str]:
    if not checkup.missing:
        yield "nothing is missing"
        return
    if checkup.install is not None:
        yield "to install what is missing:"
        yield f"  {checkup.install}"
        return
    yield "missing, and no apt-get, dnf or pacman is here to install it:"
    yield from (plain(f"  {each.name}: {each.install}") for each in checkup.missing)
