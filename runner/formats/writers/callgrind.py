"""callgrind's profile format, which callgrind_annotate, KCachegrind and QCachegrind read.

Described in valgrind's manual, "Callgrind Format Specification". Names are written once and referred to by number. A line of
cost is `line amounts...`; `calls=COUNT LINE`, and the line after it, give what the call's callee holds in all.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from operator import add
from typing import BinaryIO

from runner import __version__
from runner.formats.writers.sheet import Row, Sheet, frame_name, visible
from runner.model import Frame, Metric

FORMAT = "callgrind"

_EVENTS = {
    Metric.LIVE_BYTES: ("curB", "Bytes in use"),
    Metric.LIVE_BLOCKS: ("curBk", "Blocks in use"),
    Metric.ALLOCATED_BYTES: ("totB", "Bytes allocated"),
    Metric.ALLOCATED_BLOCKS: ("totBk", "Blocks allocated"),
    Metric.LEAKED_BYTES: ("lostB", "Bytes lost"),
    Metric.LEAKED_BLOCKS: ("lostBk", "Blocks lost"),
}

Function = tuple[str, str, str]  # module, file, name
Amounts = tuple[int, ...]


@dataclass(slots=True)
class _Costs:
    """Of one function: its own by line, and by (line, callee, the callee's line) what that callee holds in all."""

    own: dict[int, Amounts] = field(default_factory=dict)
    calls: dict[tuple[int, Function, int], Amounts] = field(default_factory=dict)


def write(sheet: Sheet, stream: BinaryIO) -> None:
    """Costs by function and line, and by call. The events are bytes and blocks, in the order of importance."""
    costs = _costs(sheet)
    metrics = list(reversed(sheet.metrics))
    names = _Names()
    command = visible(" ".join(sheet.command))
    head = ["# callgrind format", "version: 1", f"creator: leakrun-{__version__}"]
    head += [f"pid: {sheet.pid}"] if sheet.pid is not None else []
    head += [f"cmd: {command}", f"desc: {visible(sheet.name)}", "positions: line"]
    head += [f"event: {name} : {title}" for name, title in (_EVENTS[metric] for metric in metrics)]
    head += ["events: " + " ".join(_EVENTS[metric][0] for metric in metrics), ""]
    stream.write("\n".join(head).encode() + b"\n")
    for function, cost in costs.items():
        stream.write("\n".join(_written(function, cost, names)).encode() + b"\n\n")
    totals = [0] * len(metrics)
    for row in sheet.rows:
        totals = [total + amount for total, amount in zip(totals, reversed(row.amounts), strict=True)]
    stream.write(f"totals: {' '.join(map(str, totals))}\n".encode())


def _costs(sheet: Sheet) -> dict[Function, _Costs]:
    costs: dict[Function, _Costs] = defaultdict(_Costs)
    for row in sheet.rows:
        _add_row(costs, sheet, row)
    return costs


def _add_row(costs: dict[Function, _Costs], sheet: Sheet, row: Row) -> None:
    amounts = row.amounts[::-1]
    chain = [(_function(frame), frame.line or 0) for frame in sheet.frames(row)]
    if row.kind:
        chain.append((("", "", row.kind), 0))
    leaf, line = chain[0]
    costs[leaf].own[line] = _sum(costs[leaf].own.get(line), amounts)
    seen = set()  # a call that recursion repeats holds its bytes once
    for (callee, callee_line), (caller, caller_line) in pairwise(chain):
        call = (caller, caller_line, callee, callee_line)
        if call not in seen:
            seen.add(call)
            calls = costs[caller].calls
            calls[call[1:]] = _sum(calls.get(call[1:]), amounts)


@lru_cache(maxsize=65536)
def _function(frame: Frame) -> Function:
    return visible(frame.module or ""), visible(frame.file or ""), frame_name(frame)


def _sum(before: Amounts | None, more: Amounts) -> Amounts:
    return more if before is None else tuple(map(add, before, more))


class _Names:
    """Names by number, each written out where it comes first."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[str, int]] = defaultdict(dict)

    def shown(self, space: str, name: str) -> str:
        """`(1) name` the first time, `(1)` from then on; objects, files and functions are numbered apart."""
        numbers = self._numbers[space]
        if name in numbers:
            return f"({numbers[name]})"
        numbers[name] = len(numbers) + 1
        return f"({numbers[name]}) {name.strip() or '???'}"


def _written(function: Function, cost: _Costs, names: _Names) -> Iterable[str]:
    module, file, name = function
    yield f"ob={names.shown('ob', module)}"
    yield f"fl={names.shown('fl', file)}"
    yield f"fn={names.shown('fn', name)}"
    for line, amounts in sorted(cost.own.items()):
        yield f"{line} {' '.join(map(str, amounts))}"
    for (line, callee, callee_line), amounts in cost.calls.items():
        yield f"cob={names.shown('ob', callee[0])}"
        yield f"cfi={names.shown('fl', callee[1])}"
        yield f"cfn={names.shown('fn', callee[2])}"
        yield f"calls=1 {callee_line}"
        yield f"{line} {' '.join(map(str, amounts))}"
