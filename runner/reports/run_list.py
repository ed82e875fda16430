"""The list of runs, on a terminal and as JSON (schema leakrun.runs/1)."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from runner.analysis.wording import seconds_text, size_text
from runner.quantities import utc_text
from runner.reports.plain import encodable, fitted
from runner.reports.table import aligned

SCHEMA = "leakrun.runs/1"
_HEAD = ["RUN", "STATE", "VERDICT", "AGE", "SIZE", "PROGRAM"]
_DAY = 86400.0
_PROGRAM_COLUMNS = 60


@dataclass(frozen=True, slots=True)
class Listed:
    """One run. state is the manifest's, or "lost" where nobody runs it any more; age in seconds; size on disk in bytes."""

    id: str
    directory: str
    state: str
    verdict: str | None
    started_at: float | None
    age: float | None
    size: int
    profile: str
    command: list[str]


def to_dict(runs: Sequence[Listed], runs_dir: str, problems: Sequence[str]) -> dict[str, Any]:
    """The list as plain data, the newest run last; `problems` name what is there and could not be read."""
    return {"schema": SCHEMA, "runs_dir": runs_dir, "runs": [_run(each) for each in runs], "problems": list(problems)}


def _run(each: Listed) -> dict[str, Any]:
    return {
        "id": each.id,
        "directory": each.directory,
        "state": each.state,
        "verdict": each.verdict,
        "started_at": None if each.started_at is None else utc_text(each.started_at),
        "age_seconds": each.age,
        "bytes": each.size,
        "profile": each.profile,
        "command": each.command,
    }


def render(runs: Sequence[Listed], stream: TextIO) -> None:
    """Write a line for each run, the newest last."""
    rows = [_HEAD, *(_row(each) for each in runs)]
    stream.write(encodable("".join(f"{line}\n" for line in aligned(rows, right=(3, 4))), stream))


def _row(each: Listed) -> list[str]:
    age = "-" if each.age is None else _age_text(each.age)
    program = fitted(shlex.join(each.command), _PROGRAM_COLUMNS)
    return [each.id, each.state, each.verdict or "-", age, size_text(each.size), program]


def _age_text(seconds: float) -> str:
    return seconds_text(seconds) if seconds < 2 * _DAY else f"{seconds / _DAY:.0f} days"
