"""speedscope's own JSON (its file-format-spec.ts): a table of frames, and a "sampled" profile for each metric."""

import json
from collections.abc import Hashable
from typing import Any, BinaryIO

from runner import __version__
from runner.formats.writers.sheet import BYTES, Row, Sheet, frame_name, visible
from runner.model import Frame, Metric

FORMAT = "speedscope"

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"
_TITLES = {
    Metric.LIVE_BYTES: "bytes in use",
    Metric.LIVE_BLOCKS: "blocks in use",
    Metric.ALLOCATED_BYTES: "bytes allocated",
    Metric.ALLOCATED_BLOCKS: "blocks allocated",
    Metric.LEAKED_BYTES: "bytes lost",
    Metric.LEAKED_BLOCKS: "blocks lost",
}


def write(sheet: Sheet, stream: BinaryIO) -> None:
    """A profile for each metric, the main one first; weights are bytes, or blocks without a unit."""
    frames = _Frames()
    profiles = [_profile(sheet, metric, frames) for metric in reversed(sheet.metrics)]
    document = {
        "$schema": _SCHEMA,
        "shared": {"frames": frames.listed},
        "profiles": profiles,
        "name": visible(sheet.name),
        "activeProfileIndex": 0,
        "exporter": f"leakrun@{__version__}",
    }
    stream.write(json.dumps(document, separators=(",", ":")).encode() + b"\n")


class _Frames:
    """speedscope's frames: one for each that looks different."""

    def __init__(self) -> None:
        self.listed: list[dict[str, Any]] = []
        self._places: dict[Hashable, int] = {}
        self._known: dict[Frame | str, int] = {}

    def place(self, frame: Frame | str) -> int:
        place = self._known.get(frame)
        if place is None:
            shown = {"name": frame} if isinstance(frame, str) else _shown(frame)
            place = self._places.setdefault(tuple(shown.items()), len(self.listed))
            if place == len(self.listed):
                self.listed.append(shown)
            self._known[frame] = place
        return place


def _shown(frame: Frame) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": frame_name(frame)}
    if frame.file is not None:
        shown["file"] = visible(frame.file)
    elif frame.module is not None:
        shown["file"] = visible(frame.module)
    if frame.line:
        shown["line"] = frame.line
    return shown


def _profile(sheet: Sheet, metric: Metric, frames: _Frames) -> dict[str, Any]:
    samples, weights = [], []
    for row, amount in sheet.column(metric):
        samples.append(_sample(sheet, row, frames))
        weights.append(amount)
    return {
        "type": "sampled",
        "name": f"{visible(sheet.name)}: {_TITLES[metric]}",
        "unit": "bytes" if metric in BYTES else "none",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": samples,
        "weights": weights,
    }


def _sample(sheet: Sheet, row: Row, frames: _Frames) -> list[int]:
    kind = [frames.place(row.kind)] if row.kind else []
    return [*kind, *(frames.place(frame) for frame in reversed(sheet.frames(row)))]
