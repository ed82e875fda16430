"""The answer as JSON (schema leakrun.answer/1) and back.

Keys are those of docs/answer.md, whose schema is docs/answer.schema.json. What is not known is null.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import chain, repeat
from typing import Any, TextIO

from runner.errors import ErrorKind, LeakrunError
from runner.model import (
    Amount,
    Answer,
    AnswerError,
    AnswerFrame,
    Doubt,
    DoubtKind,
    Finding,
    FindingKind,
    HeapSummary,
    LossKind,
    Note,
    Rate,
    Verdict,
)

SCHEMA = "leakrun.answer/1"


def to_dict(answer: Answer) -> dict[str, Any]:
    """The answer as plain data."""
    return {
        "schema": SCHEMA,
        "run": dict(answer.run),
        "verdict": answer.verdict.value,
        "reasons": list(answer.reasons),
        "doubts": [doubt.text for doubt in answer.doubts],
        "doubted": [_doubted_dict(doubt) for doubt in answer.doubts],
        "findings": [_finding_dict(finding) for finding in answer.findings],
        "errors": [asdict(error) for error in answer.errors],
        "notes": [_note_dict(note) for note in answer.notes],
        "heap_summary": asdict(answer.heap_summary) if answer.heap_summary else None,
        "leak_summary": _leak_summary_dict(answer.leak_summary),
    }


def write(answer: Answer, stream: TextIO) -> None:
    """Write the answer as JSON with a newline at its end."""
    stream.write(text_of(to_dict(answer)))


def text_of(document: Mapping[str, Any]) -> str:
    """A document as JSON with a newline at its end. Bytes that are no text become replacement characters."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace").decode("utf-8") + "\n"


def read(stream: TextIO) -> Answer:
    """The answer that `write` wrote. Raises LeakrunError(USAGE) for anything else."""
    try:
        data = json.load(stream)
    except (ValueError, RecursionError) as error:
        raise _not_ours(str(error)) from error
    return from_dict(data)


def from_dict(data: Any) -> Answer:
    """The answer of `to_dict`. Raises LeakrunError(USAGE) for anything else; keys that are not known are ignored."""
    if not isinstance(data, Mapping) or data.get("schema") != SCHEMA:
        raise _not_ours(f"its schema is not {SCHEMA}")
    try:
        heap, leaks = data.get("heap_summary"), data.get("leak_summary")
        return Answer(
            verdict=Verdict(data["verdict"]),
            reasons=[str(reason) for reason in data["reasons"]],
            findings=[_finding(finding) for finding in data["findings"]],
            errors=[_error(error) for error in data["errors"]],
            notes=[_note(note) for note in data["notes"]],
            heap_summary=None if heap is None else _heap_summary(heap),
            leak_summary=None if leaks is None else {LossKind(kind): Amount(**amount) for kind, amount in leaks.items()},
            run=dict(data.get("run") or {}),
            doubts=_doubts(data.get("doubts", []), data.get("doubted", [])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _not_ours(f"{type(error).__name__}: {error}") from error


def _not_ours(why: str) -> LeakrunError:
    return LeakrunError(ErrorKind.USAGE, f"not an answer of leakrun: {why}", "delete answer.json: `leakrun show` writes it anew")


def _finding_dict(finding: Finding) -> dict[str, Any]:
    data = asdict(finding)
    data["kind"] = finding.kind.value
    data["share"] = round(finding.share, 4)
    for key in ("bytes_per_second", "share", "confidence"):
        data[key] = _finite(data[key])
    if data["rate"] is not None:
        data["rate"]["value"] = _finite(data["rate"]["value"])
    data["series"] = [list(point) for point in finding.series]
    return data


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _note_dict(note: Note) -> dict[str, Any]:
    """A note; the keys of a site only where it has one."""
    return {key: value for key, value in asdict(note).items() if key in ("kind", "text") or value is not None}


def _doubted_dict(doubt: Doubt) -> dict[str, Any]:
    """What a doubt bears on; the keys of a site only where it has one."""
    return {key: value for key, value in doubt._asdict().items() if key != "text" and (key == "kind" or value is not None)}


def _leak_summary_dict(summary: Mapping[LossKind, Amount] | None) -> dict[str, Any] | None:
    return None if summary is None else {kind.value: asdict(amount) for kind, amount in summary.items()}


def _fields(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    known = getattr(cls, "__dataclass_fields__", {})
    return {key: value for key, value in data.items() if key in known}


def _stack(frames: Any) -> list[AnswerFrame]:
    return [AnswerFrame(**_fields(AnswerFrame, frame)) for frame in frames]


def _finding(data: Mapping[str, Any]) -> Finding:
    values = _fields(Finding, data)
    values["kind"] = FindingKind(data["kind"])
    values["rate"] = None if data["rate"] is None else Rate(**_fields(Rate, data["rate"]))
    values["stack"] = _stack(data["stack"])
    values["series"] = [(float(time), int(size)) for time, size in data.get("series", [])]
    return Finding(**values)


def _error(data: Mapping[str, Any]) -> AnswerError:
    values = _fields(AnswerError, data)
    values["stack"] = _stack(data["stack"])
    values["auxiliary"] = [(str(text), _stack(frames)) for text, frames in data.get("auxiliary", [])]
    return AnswerError(**values)


def _note(data: Mapping[str, Any]) -> Note:
    return Note(**_fields(Note, data))


def _doubts(texts: Sequence[str], doubted: Sequence[Mapping[str, Any]]) -> list[Doubt]:
    """One whose bearing is not told, as older answers have them, bears on the whole run."""
    told = chain(doubted, repeat({"kind": DoubtKind.RUN}))
    return [
        Doubt(str(text), DoubtKind(about["kind"]), about.get("function"), about.get("file"), about.get("line"))
        for text, about in zip(texts, told, strict=False)
    ]


def _heap_summary(data: Mapping[str, Any]) -> HeapSummary:
    values = _fields(HeapSummary, data)
    in_use = values.get("in_use_at_exit")
    values["in_use_at_exit"] = None if in_use is None else Amount(**_fields(Amount, in_use))
    return HeapSummary(**values)
