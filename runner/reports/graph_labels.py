"""What the nodes and figures of a call graph are called, in text and in a drawing."""

from collections.abc import Sequence
from dataclasses import dataclass

from runner.analysis.callgraph import Node, function_name
from runner.formats.writers.sheet import frame_name
from runner.model import Frame
from runner.reports.plain import plain

_MIB = 1 << 20
_IEC = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


@dataclass(frozen=True, slots=True)
class Heading:
    """What a graph is of.

    name     the run or file and the moment
    sample   what is counted: inuse_space, alloc_objects ...
    counts   it counts blocks, not bytes
    base     what was subtracted; empty where nothing was
    focus, ignore   the patterns; empty where there are none
    """

    name: str
    sample: str
    counts: bool = False
    base: str = ""
    focus: str = ""
    ignore: str = ""


def size(amount: int, *, counts: bool) -> str:
    """An amount for people: blocks as a number, bytes in units of 1024 with one decimal, 7.6 MiB."""
    if counts:
        return f"{amount:,}"
    value, unit = float(amount), 0
    while abs(value) >= 1023.95 and unit < len(_IEC) - 1:
        value, unit = value / 1024, unit + 1
    return f"{amount} B" if unit == 0 else f"{value:.1f} {_IEC[unit]}"


def megabytes(amount: int) -> str:
    """Bytes as pprof writes them: units of 1,048,576, one decimal."""
    return f"{amount / _MIB:.1f}"


def percent(amount: int, total: int) -> str:
    """The part of `total` with one decimal; - where that is 0."""
    return f"{100 * amount / total:.1f}%" if total else "-"


def function(frame: Frame) -> str:
    """The function as pprof calls it, marked where it was inlined; the object and the address where it has no name."""
    return plain(function_name(frame) or frame_name(frame)) + (" (inline)" if frame.inlined else "")


def place(frame: Frame) -> str:
    """File and line, as far as they are known and are one; the object where there is no file; empty where that is the name."""
    if frame.file:
        return plain(frame.file if frame.line is None else f"{frame.file}:{frame.line}")
    return plain(frame.module) if frame.module and frame.signature else ""


def names(nodes: Sequence[Node], *, lines: bool) -> list[str]:
    """A name for each node on one line: the function, with `lines` its place too. Equal names get what tells them apart."""
    shown = [_named(node.frame, lines) for node in nodes]
    for more in (_whole, _file, _module):
        alike: dict[str, list[int]] = {}
        for at, name in enumerate(shown):
            alike.setdefault(name, []).append(at)
        for group in alike.values():
            told = [more(nodes[at].frame) for at in group]
            if len(set(told)) > 1:
                for at, text in zip(group, told, strict=True):
                    shown[at] += text
    return shown


def _named(frame: Frame, lines: bool) -> str:
    at = place(frame) if lines and frame.file else ""
    return f"{function(frame)} {at}" if at else function(frame)


def _file(frame: Frame) -> str:
    return f" [{plain(frame.file)}]" if frame.file else ""


def _whole(frame: Frame) -> str:
    return f" [{plain(frame.signature)}]" if frame.signature else ""


def _module(frame: Frame) -> str:
    return f" [{plain(frame.module)}]" if frame.module else ""
