"""A baseline: the findings that were known when it was written, so that a gate speaks of new and of worse ones only.

A JSON file to be kept beside the source. Entries are known by kind, function and file, since lines and addresses move with
every edit; a file that only lies elsewhere (another checkout) is the same one where nothing else of its name is there.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from runner.analysis.moved import moved
from runner.errors import ErrorKind, LeakrunError

SCHEMA = "leakrun.baseline/1"
_HINT = "write a new one: leakrun check RUN --baseline FILE --update-baseline"
_NUMBERS = (int, float, type(None))


class Identity(NamedTuple):
    """What two findings must share to be the same one.

    kind    of the finding, or memcheck's name of an error
    file    relative to the working directory where it is below it
    module  a file name, only where there is no source file
    """

    kind: str
    function: str | None
    file: str | None
    module: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """One entry. Figures are those of the sites with this identity together; None where they are not known."""

    kind: str
    function: str | None
    file: str | None
    module: str | None
    bytes: int | None = None
    blocks: int | None = None
    bytes_per_second: float | None = None

    @property
    def identity(self) -> Identity:
        """What it is known by."""
        return Identity(self.kind, self.function, self.file, self.module)


def read(text: str, name: str) -> list[Known]:
    """The entries of a baseline. Raises LeakrunError(USAGE) for anything else."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LeakrunError(ErrorKind.USAGE, f"{name}: not a baseline: {error}", _HINT) from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA or not isinstance(data.get("findings"), list):
        raise LeakrunError(ErrorKind.USAGE, f"{name}: not a baseline: its schema is not {SCHEMA}", _HINT)
    return [_known(entry, f"{name}: entry {number}") for number, entry in enumerate(data["findings"], 1)]


def _known(entry: Any, place: str) -> Known:
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
        raise LeakrunError(ErrorKind.USAGE, f"{place} has no kind", _HINT)
    texts = [entry.get(key) for key in ("function", "file", "module")]
    numbers = [entry.get(key) for key in ("bytes", "blocks", "bytes_per_second")]
    if not all(isinstance(text, str | None) for text in texts) or not all(type(number) in _NUMBERS for number in numbers):
        raise LeakrunError(ErrorKind.USAGE, f"{place} is damaged", _HINT)
    return Known(entry["kind"], *texts, *numbers)


def text_of(entries: Iterable[Known]) -> str:
    """The baseline as text, in an order that does not depend on the run, so that its history reads well."""
    ordered = sorted(entries, key=lambda known: tuple(part or "" for part in known.identity))
    document = {"schema": SCHEMA, "findings": [asdict(known) for known in ordered]}
    return json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8", "replace").decode() + "\n"


def matched(identities: Iterable[Identity], known: Iterable[Known]) -> dict[Identity, Known]:
    """For each identity that has one, its entry. First those that are wholly equal; then files by their name alone."""
    by_identity = {entry.identity: entry for entry in known}
    asked = list(dict.fromkeys(identities))
    found = {identity: by_identity[identity] for identity in asked if identity in by_identity}
    left = [identity for identity in by_identity if identity not in found]
    elsewhere = moved(left, [identity for identity in asked if identity not in found])
    return found | {new: by_identity[old] for old, new in elsewhere.items()}
