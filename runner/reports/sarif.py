"""A gate's result as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"), as GitHub and editors read it."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runner import __version__
from runner.gate import ERRORS, KINDS, CheckedRun, Item, Result, Standing
from runner.model import AnswerFrame
from runner.paths import near
from runner.reports.fingerprint import fingerprint
from runner.reports.gate_text import message, severity
from runner.reports.plain import plain

_ROOT = "SRCROOT"
_RULES = {
    "lost": "Memory that nothing points to any more",
    "suspect": "Memory that only pointers into its blocks reach",
    "growing": "Live memory that keeps growing",
    "mapping-growth": "Mapped memory that keeps growing",
    "stack-growth": "A stack that keeps growing",
    ERRORS: "An error in the use of memory",
}
_BASELINE_STATES = {Standing.WORSE: "updated", Standing.KNOWN: "unchanged"}


def render(result: Result) -> str:
    """A log with one SARIF run for each run that was checked; one that could not be judged did not succeed."""
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [_run(run, compared=result.compared) for run in result.runs],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _run(run: CheckedRun, *, compared: bool) -> dict[str, Any]:
    rules = [{"id": f"leakrun/{kind}", "name": _pascal(kind), "shortDescription": {"text": _RULES[kind]}} for kind in KINDS]
    driver = {"name": "leakrun", "version": __version__, "semanticVersion": __version__, "rules": rules}
    doubts = [{"level": "error", "message": {"text": plain(f"inconclusive: {doubt}")}} for doubt in run.doubts]
    invocation: dict[str, Any] = {"executionSuccessful": not run.doubts, "toolExecutionNotifications": doubts}
    if run.command:
        invocation["commandLine"] = plain(run.command)
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"leakrun/{plain(run.name)}"},
        "invocations": [invocation],
        "originalUriBaseIds": {_ROOT: {"uri": _directory_uri()}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(item, run, compared=compared) for item in run.items],
    }


def _pascal(kind: str) -> str:
    return "".join(word.capitalize() for word in kind.split("-"))


def _directory_uri() -> str:
    return f"file://{quote(str(Path.cwd()))}/"


def _result(item: Item, run: CheckedRun, *, compared: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ruleId": f"leakrun/{item.kind}",
        "ruleIndex": KINDS.index(item.kind),
        "level": severity(item, run),
        "message": {"text": message(item)},
        "locations": [_location(item.file, item.line, item.function, item.module)],
        "partialFingerprints": {"leakrunIdentity/v1": fingerprint(item)},
        "properties": {
            "standing": item.standing.value,
            "bytes": item.bytes,
            "blocks": item.blocks,
            "bytesPerSecond": item.bytes_per_second,
        },
    }
    if compared:
        found["baselineState"] = "new" if item.before is None else _BASELINE_STATES.get(item.standing, "unchanged")
    if item.stack:
        frames = [
            {"location": _location(frame.file, frame.line, frame.function, frame.module), **_module(frame)}
            for frame in item.stack
        ]
        found["stacks"] = [{"message": {"text": "allocated at" if item.kind != ERRORS else "at"}, "frames": frames}]
    if item.standing is Standing.SUPPRESSED:
        found["suppressions"] = [{"kind": "external"}]
    return found


def _module(frame: AnswerFrame) -> dict[str, str]:
    return {"module": plain(frame.module)} if frame.module else {}


def _location(file: str | None, line: int | None, function: str | None, module: str | None) -> dict[str, Any]:
    """A place; without a source file the module is the artifact, and without either there is only a name."""
    location: dict[str, Any] = {}
    path = file if file is not None else module
    if path:
        location["physicalLocation"] = {"artifactLocation": _artifact(path)}
        if file is not None:
            location["physicalLocation"]["region"] = {"startLine": max(1, line or 1)}
    if function:
        location["logicalLocations"] = [{"fullyQualifiedName": plain(function), "kind": "function"}]
    return location


def _artifact(path: str) -> dict[str, str]:
    short = near(path)
    if short.startswith("/"):
        return {"uri": f"file://{_uri(short)}"}
    return {"uri": _uri(short), "uriBaseId": _ROOT}


def _uri(path: str) -> str:
    return quote(path.encode("utf-8", "surrogateescape"))
