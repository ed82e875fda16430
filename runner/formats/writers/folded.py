"""Folded stacks, as Brendan Gregg's flamegraph.pl and most flame graph tools read them: `main;f;malloc 4096`, a stack a line."""

from collections import defaultdict
from typing import BinaryIO

from runner.formats.writers.sheet import Sheet, outermost_first

FORMAT = "folded stacks"


def write(sheet: Sheet, stream: BinaryIO) -> None:
    """Bytes by stack, outermost first. A semicolon in a name is written as \\x3b, as it separates frames."""
    sums: dict[str, int] = defaultdict(int)
    for row, amount in sheet.column(sheet.main_metric):
        sums[";".join(name.replace(";", "\\x3b") for name in outermost_first(sheet, row))] += amount
    for stack, amount in sums.items():
        stream.write(f"{stack} {amount}\n".encode())
