"""A gate's result as GitLab's Code Quality report: a JSON list, of which merge requests show what changed."""

import json
from typing import Any

from runner.gate import CheckedRun, Item, Result, Standing
from runner.paths import near
from runner.reports.fingerprint import fingerprint
from runner.reports.gate_text import message, severity
from runner.reports.plain import plain

_SEVERITIES = {"error": "major", "warning": "minor", "note": "info"}


def render(result: Result) -> str:
    """An entry for each item that is not suppressed, and a blocker for each run that could not be judged.

    Every entry needs a path: without a source file it is the module, and without that the run.
    """
    entries: list[dict[str, Any]] = []
    for run in result.runs:
        entries += [_entry(item, run) for item in run.items if item.standing is not Standing.SUPPRESSED]
        entries += [_doubt(run, doubt) for doubt in run.doubts]
    return json.dumps(_told_apart(entries), indent=1, ensure_ascii=False) + "\n"


def _entry(item: Item, run: CheckedRun) -> dict[str, Any]:
    path = item.file if item.file is not None else item.module
    return {
        "description": message(item),
        "check_name": f"leakrun/{item.kind}",
        "fingerprint": fingerprint(item),
        "severity": _SEVERITIES[severity(item, run)],
        "location": {"path": plain(near(path) if path else run.name), "lines": {"begin": max(1, item.line or 1)}},
    }


def _doubt(run: CheckedRun, doubt: str) -> dict[str, Any]:
    return {
        "description": plain(f"inconclusive: {doubt}"),
        "check_name": "leakrun/inconclusive",
        "fingerprint": f"inconclusive:{plain(run.name)}",
        "severity": "blocker",
        "location": {"path": plain(run.name), "lines": {"begin": 1}},
    }


def _told_apart(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """GitLab takes one entry for each fingerprint: those of one function and file are numbered in their order."""
    seen: dict[str, int] = {}
    for entry in entries:
        name = entry["fingerprint"]
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            entry["fingerprint"] = f"{name}-{seen[name]}"
    return entries
