"""Several runs beside each other: what one has and another has not, and which findings they agree on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from runner.analysis.diff import Difference
from runner.model import Answer, Finding
from runner.reports.page.tables import Tables

_MOST_CHANGES = 1000


@dataclass(frozen=True, slots=True)
class Compared:
    """Two sides by their names, and what changed; where they can't be compared, `difference` is None and `why` says it."""

    before: str
    after: str
    difference: Difference | None
    why: str = ""
    notes: Sequence[str] = ()


def difference_dict(compared: Compared, tables: Tables) -> dict[str, Any]:
    """The changes as columns, the largest growth first."""
    found: dict[str, Any] = {
        "before": compared.before,
        "after": compared.after,
        "why": compared.why,
        "notes": list(compared.notes),
    }
    difference = compared.difference
    if difference is None:
        return found
    changes = sorted(difference.changes, key=lambda change: -abs(change.bytes))[:_MOST_CHANGES]
    sites = [change.shown.site for change in changes]
    found["columns"] = {
        "function": [
            tables.string(site.function or "an unnamed function" if site else change.place())
            for change, site in zip(changes, sites, strict=True)
        ],
        "file": [tables.string(site.file if site else None) for site in sites],
        "line": [(site.line or 0) if site else 0 for site in sites],
        "module": [tables.string(site.module if site else None) for site in sites],
        "kind": [tables.string(change.key.kind.value if change.key.kind else None) for change in changes],
        "way": [tables.string(change.way.value) for change in changes],
        "before": [change.before.bytes if change.before else 0 for change in changes],
        "after": [change.after.bytes if change.after else 0 for change in changes],
    }
    found["totals"] = [difference.before.bytes, difference.after.bytes]
    found["notes"] += difference.notes
    if len(difference.changes) > len(changes):
        found["notes"].append(f"the {len(changes):,} largest of {len(difference.changes):,} changes are here")
    return found


def agreement(answers: Sequence[Answer], tables: Tables) -> list[dict[str, Any]]:
    """Each place that any run has a finding at, and what each run says of it (None: nothing); what most runs name first.

    Places are the same by function and file name: lines move between builds, and directories between machines.
    """
    places: dict[tuple[str | None, str], list[Finding | None]] = {}
    for number, answer in enumerate(answers):
        for finding in answer.findings:
            said = places.setdefault(_place(finding), [None] * len(answers))
            said[number] = said[number] or finding
    ordered = sorted(places.values(), key=lambda said: (-sum(each is not None for each in said), _best(said)))
    return [_agreed(said, tables) for said in ordered]


def _place(finding: Finding) -> tuple[str | None, str]:
    return finding.function, PurePosixPath(finding.file or finding.module or "").name


def _best(said: Sequence[Finding | None]) -> int:
    return min(finding.rank for finding in said if finding is not None)


def _agreed(said: Sequence[Finding | None], tables: Tables) -> dict[str, Any]:
    first = next(finding for finding in said if finding is not None)
    return {
        "function": tables.string(first.function or "an unnamed function"),
        "file": tables.string(first.file),
        "line": first.line or 0,
        "module": tables.string(first.module),
        "runs": [None if each is None else {"rank": each.rank, "kind": each.kind.value, "bytes": each.bytes} for each in said],
    }
