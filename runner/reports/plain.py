"""Text that is safe and short enough for a terminal: symbol names come from the program and may hold anything."""

import unicodedata
from collections.abc import Sequence
from typing import TextIO

from runner.paths import near as near

_BLOCKS = "▁▂▃▄▅▆▇█"
_IN_ASCII = str.maketrans(f"{_BLOCKS}…", "_.,-=+*#~")


def plain(text: str) -> str:
    """`text` with control characters, escape sequences and directions of writing shown as \\x1b, \\u202e ...; one line."""
    return "".join(char if _shows(char) else _escaped(char) for char in text)


def _shows(char: str) -> bool:
    return char == " " or (char.isprintable() and unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def fitted(text: str, width: int) -> str:
    """`text` in at most `width` columns: the middle gives way to an ellipsis, since both ends of a name tell most."""
    if len(text) <= width:
        return text
    if width <= 1:
        return text[: max(0, width)]
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def sparkline(series: Sequence[tuple[float, int]], columns: int) -> str:
    """A series of (time, bytes) as unicode blocks, evenly in time; empty for fewer than three points."""
    if len(series) < 3 or columns < 1 or series[-1][0] <= series[0][0]:
        return ""
    start, span = series[0][0], series[-1][0] - series[0][0]
    top = max(size for _, size in series)
    if top <= 0:
        return ""
    values, at = [], 0
    for column in range(columns):
        moment = start + span * (column + 1) / columns
        while at + 1 < len(series) and series[at + 1][0] <= moment + 1e-9 * span:
            at += 1
        values.append(series[at][1])
    return "".join(_BLOCKS[min(7, int(8 * max(0, value) / top))] for value in values)


def encodable(text: str, stream: TextIO) -> str:
    """`text` with what the stream's encoding lacks replaced: blocks and the ellipsis by what is like them in ASCII."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_IN_ASCII).encode(encoding, "replace").decode(encoding)
    return text


def file_line(file: str, line: int | None) -> str:
    """A place as people and editors write it, relative to the working directory where it is below it."""
    return f"{near(file)}:{line}" if line is not None else near(file)
