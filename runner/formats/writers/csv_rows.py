"""Stacks as comma-separated rows (RFC 4180), for a spreadsheet or a data frame."""

import csv
import io
from typing import BinaryIO

from runner.formats.writers.sheet import Sheet, frame_name, outermost_first, visible

FORMAT = "CSV"

_PLACE = ("kind", "function", "file", "line", "module", "stack")


def write(sheet: Sheet, stream: BinaryIO) -> None:
    """A row for each stack, the largest first: its amounts, the leaf's place, and the stack from the outermost caller on.

    `kind` is that of a loss, and empty for what lives. Frames in `stack` are separated by semicolons, as in folded stacks.
    """
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow([*(metric.value for metric in reversed(sheet.metrics)), *_PLACE])
    for row in sorted(sheet.rows, key=lambda row: row.amounts[::-1], reverse=True):
        leaf = sheet.frames(row)[0]
        names = [name.replace(";", "\\x3b") for name in list(outermost_first(sheet, row))[1 if row.kind else 0 :]]
        place = [
            row.kind,
            frame_name(leaf),
            visible(leaf.file or ""),
            leaf.line or "",
            visible(leaf.module or ""),
            ";".join(names),
        ]
        rows.writerow([*reversed(row.amounts), *place])
    stream.write(text.getvalue().encode())
