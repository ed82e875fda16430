"""JSON documents as the verbs write them: a line for each entry of a list, which people can read and `grep`, and fast."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from runner.analysis.sites import Site
from runner.model import AnswerFrame, Frame
from runner.reports.plain import encodable


def write(document: Mapping[str, Any], stream: TextIO) -> None:
    """Write the document with a newline at its end. Bytes that are no text become replacement characters."""
    entries = ",\n".join(f"  {_text(key)}: {_value(value)}" for key, value in document.items())
    text = f"{{\n{entries}\n}}\n"
    stream.write(encodable(text.encode("utf-8", "replace").decode("utf-8"), stream))


def _value(value: object) -> str:
    if not isinstance(value, list) or not value:
        return _text(value)
    lines = ",\n".join(f"    {_text(each)}" for each in value)
    return f"[\n{lines}\n  ]"


def _text(value: object) -> str:
    # Without indentation: json's own way of it is ten times slower.
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def place(site: Site | None, frame: Frame | None) -> dict[str, Any]:
    """Where something is, as plain data, by its site and the frame that was blamed; null for what is not known."""
    return {
        "function": site.function if site else None,
        "signature": frame.signature if frame else None,
        "file": site.file if site else None,
        "line": site.line if site else None,
        "module": frame.module if frame else None,
    }


def frames(stack: Iterable[AnswerFrame]) -> list[dict[str, Any]]:
    """A stack as plain data."""
    return [{name: getattr(frame, name) for name in AnswerFrame.__slots__} for frame in stack]
