"""A moment's stacks as plain data, for the JSON export."""

from typing import Any

from runner.formats.writers.sheet import Sheet
from runner.model import Frame


def to_dict(sheet: Sheet) -> dict[str, Any]:
    """Frames once each, and stacks as places in that list, leaf first, with their amounts. Unknown is null.

    Keys of `stacks`: frames, kind (of a loss, else null), and the metrics that were measured.
    """
    metrics = [metric.value for metric in sheet.metrics]
    return {
        "name": sheet.name,
        "pid": sheet.pid,
        "seconds": sheet.time,
        "metrics": metrics,
        "frames": [_frame(frame) for frame in sheet.table.frames],
        "stacks": [
            {
                "frames": list(sheet.table.stacks[row.stack_id]),
                "kind": row.kind or None,
                **dict(zip(metrics, row.amounts, strict=True)),
            }
            for row in sheet.rows
        ],
        "limits": list(sheet.limits),
    }


def _frame(frame: Frame) -> dict[str, Any]:
    address = None if frame.address is None else f"0x{frame.address:x}"
    return {**frame._asdict(), "address": address}
