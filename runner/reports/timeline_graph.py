"""The timeline on a terminal: memory over time as blocks, and below it the snapshots that say more, as ms_print marks them.

A column shows the most that was seen in its stretch of time, so that no peak is lost; where nothing was seen, what was last.
"""

from collections.abc import Iterator, Sequence
from typing import TextIO

from runner.analysis.curve import Curve
from runner.analysis.wording import count_text, size_text, span_text
from runner.model import TimeUnit
from runner.reports.plain import encodable, fitted, plain

_BLOCKS = " ▁▂▃▄▅▆▇█"
_HEIGHT = 12  # rows
_LABEL = 9  # columns of a size at the left: "1,023 MB "
_NARROWEST = 30


def can_draw(stream: TextIO) -> bool:
    """The stream's encoding has the blocks."""
    try:
        "▁█▲●│└─".encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def render(drawn: Sequence[Curve], stream: TextIO, *, width: int, height: int = _HEIGHT) -> None:
    """Draw each curve, `width` columns wide and `height` rows high; in ASCII where the stream's encoding has no more."""
    blocks = can_draw(stream)
    for curve in drawn:
        lines = _lines(curve, max(width, _NARROWEST), height, blocks=blocks)
        stream.write(encodable("\n" + "\n".join(lines) + "\n", stream))


def _lines(curve: Curve, width: int, height: int, *, blocks: bool) -> Iterator[str]:
    columns = width - _LABEL - 1
    sizes, marks = _columns(curve, columns)
    top = max(*sizes, 1)
    yield fitted(plain(_title(curve)), width)
    wall, corner, floor = ("│", "└", "─") if blocks else ("|", "+", "-")
    for row in reversed(range(height)):
        label = size_text(top) if row == height - 1 else size_text(top / 2) if row == height // 2 - 1 else ""
        cells = "".join(
            _cell(size * height * 8 / top - row * 8, mark, blocks=blocks) for size, mark in zip(sizes, marks, strict=True)
        )
        yield f"{label:>{_LABEL - 1}} {wall}{cells}".rstrip()
    yield f"{'0':>{_LABEL - 1}} {corner}{floor * columns}"
    if blocks and any(mark != " " for mark in marks):
        yield f"{'':{_LABEL}} {''.join('▲' if mark == '#' else '●' if mark == '@' else ' ' for mark in marks)}".rstrip()
    yield " " * (_LABEL + 1) + _ends(curve, columns)
    yield " " * (_LABEL + 1) + fitted(_legend(curve, marks, blocks=blocks), columns)


def _columns(curve: Curve, columns: int) -> tuple[list[int], list[str]]:
    """By column: the size, and its mark: # the peak, @ a snapshot with stacks, else a space."""
    start, span = curve.points[0].time, curve.end - curve.points[0].time
    seen: list[int | None] = [None] * columns
    marks = [" "] * columns
    last = 0
    held: list[int] = [0] * columns
    some = not all(point.detailed for point in curve.points)  # where every one has stacks a mark tells nothing
    for point in curve.points:
        at = min(columns - 1, int((point.time - start) / span * columns))
        seen[at] = max(seen[at] or 0, point.size)
        held[at] = point.size
        if point.peak or (point.detailed and some and marks[at] != "#"):
            marks[at] = "#" if point.peak else "@"
    sizes = []
    for at, size in enumerate(seen):
        sizes.append(last if size is None else size)
        last = last if size is None else held[at]
    return sizes, marks


def _cell(eighths: float, mark: str, *, blocks: bool) -> str:
    """One character of a column: so many eighths of it are filled."""
    if blocks:
        return _BLOCKS[max(0, min(8, round(eighths)))]
    return (":" if mark == " " else mark) if eighths >= 4 else " "


def _title(curve: Curve) -> str:
    whose = f" of process {curve.pid}" if curve.pid is not None else ""
    return f"{curve.what}{whose}, {curve.tool}"


def _ends(curve: Curve, columns: int) -> str:
    """What stands below both ends of the time axis."""
    if curve.unit is TimeUnit.SNAPSHOTS:
        left, right = "the first", "the last snapshot"
    else:
        start = curve.points[0].time
        left, right = span_text(start, curve.unit) if start else "0", span_text(curve.end, curve.unit)
    return fitted(f"{left}{right:>{max(1, columns - len(left))}}", columns)


def _legend(curve: Curve, marks: Sequence[str], *, blocks: bool) -> str:
    highest = max(curve.points, key=lambda point: point.size)
    moment = "" if curve.unit is TimeUnit.SNAPSHOTS else f" at {span_text(highest.time, curve.unit)}"
    said = [count_text(len(curve.points), curve.noun), f"most {size_text(highest.size)}{moment}"]
    if "@" in marks:
        detailed = sum(point.detailed for point in curve.points)
        said.append(f"{'●' if blocks else '@'} {detailed} with stacks")
    if "#" in marks:
        said.append(f"{'▲' if blocks else '#'} the peak")
    return ", ".join(said)
