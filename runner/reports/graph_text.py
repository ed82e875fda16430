"""A call graph's nodes as gperftools' pprof prints them with --text: flat, its share, their sum, cumulative, its share, the name.

Bytes are in MB of 1,048,576 with one decimal, as there; in bytes where nothing reaches one MB, or where that is wanted.
"""

from collections.abc import Iterator
from typing import TextIO

from runner.analysis.callgraph import CallGraph, Limits, drawn
from runner.reports.graph_labels import Heading, megabytes, names, percent
from runner.reports.plain import encodable, plain

_MB = 1 << 20


def render(graph: CallGraph, stream: TextIO, heading: Heading, *, lines: bool, limits: Limits | None, in_bytes: bool) -> None:
    """Write the nodes that hold anything, the largest flat first. `limits` is None for all of them."""
    stream.write(encodable("".join(f"{line}\n" for line in _lines(graph, heading, lines, limits, in_bytes)), stream))


def _lines(graph: CallGraph, heading: Heading, by_line: bool, limits: Limits | None, in_bytes: bool) -> Iterator[str]:
    held = [node for node in graph.nodes if node.flat or node.cumulative]
    largest = max((abs(node.cumulative) for node in held), default=0)
    unit = "objects" if heading.counts else "B" if in_bytes or largest < _MB else "MB"
    written = megabytes if unit == "MB" else str
    yield f"Total: {written(graph.total)} {unit}"
    if heading.base:
        yield f"Base: {plain(heading.base)} is subtracted"
    for word, pattern in (("Focus", heading.focus), ("Ignore", heading.ignore)):
        if pattern:
            yield f"{word}: {plain(pattern)}"
    if heading.focus or heading.ignore:
        yield f"Chosen: {written(graph.chosen)} {unit} of {written(graph.total)} ({percent(graph.chosen, graph.total)})"
    shown = held if limits is None else [graph.nodes[place] for place in drawn(graph, limits).nodes]
    rows = sorted(zip(shown, names(shown, lines=by_line), strict=True), key=lambda row: (-row[0].flat, row[1]))
    yield f"{'flat':>8} {'flat%':>6} {'sum%':>6} {'cum':>8} {'cum%':>6} {'line' if by_line else 'function'}"
    running = 0
    for node, name in rows:
        running += node.flat
        flat, cumulative = (f"{written(amount):>8} {percent(amount, graph.chosen):>6}" for amount in (node.flat, node.cumulative))
        yield f"{flat} {percent(running, graph.chosen):>6} {cumulative} {name}"
    if len(held) > len(shown):
        left = len(held) - len(shown)
        yield "1 smaller node is left out" if left == 1 else f"{left:,} smaller nodes are left out"
