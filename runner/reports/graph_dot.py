"""A call graph in graphviz's language (https://graphviz.org/doc/info/lang.html), drawn as pprof draws it.

A node is as large, and as red, as its flat share is; green where less is held than in the base. An edge is as wide as what was
allocated through the call. A dashed edge leads through functions that are left out, a dashed frame is inlined code.
"""

import math
import re
from collections.abc import Iterator
from typing import TextIO

from runner.analysis.callgraph import CallGraph, Drawn, Edge, Node
from runner.model import Frame
from runner.reports.graph_labels import Heading, function, percent, place, size
from runner.reports.plain import fitted, plain

_SMALLEST, _GROWTH = 10.0, 26.0  # of a node's letters, in points: with a flat share of 0, and what a share of 1 adds
_WIDEST = 6.0  # an edge that carries everything, in points
_NAME_COLUMNS = 48  # of one line of a label
_WHITE, _RED, _GREEN = (250, 247, 243), (226, 106, 86), (120, 178, 108)
_INK_RED, _INK_GREEN, _INK_GREY = (170, 52, 36), (52, 122, 44), (150, 146, 140)


def render(graph: CallGraph, shown: Drawn, stream: TextIO, heading: Heading) -> None:
    """Write the graph; the same graph gives the same text."""
    stream.write("".join(f"{line}\n" for line in _lines(graph, shown, heading)))


def _lines(graph: CallGraph, shown: Drawn, heading: Heading) -> Iterator[str]:
    yield f"digraph {quoted(f'{heading.name}; {heading.sample}')} {{"
    yield 'graph [fontname="Helvetica,Arial,sans-serif", nodesep=0.3, ranksep=0.45, bgcolor="white"];'
    yield 'node [fontname="Helvetica,Arial,sans-serif", shape=box, style=filled, width=0.4, height=0.25, margin="0.14,0.09"];'
    yield 'edge [fontname="Helvetica,Arial,sans-serif", fontsize=10];'
    yield _legend(graph, shown, heading)
    numbers = {node: number for number, node in enumerate(shown.nodes, 1)}
    for at, number in numbers.items():
        yield _node(number, graph.nodes[at], abs(graph.chosen), heading)
    for edge in shown.edges:
        yield _edge(edge, numbers, graph, heading)
    yield "}"


def quoted(text: str) -> str:
    """`text` as a string of the language that stands for itself: no escape, no entity, one line."""
    return f'"{_literal(text)}"'


def _literal(text: str) -> str:
    return plain(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")


def _label(lines: list[str], end: str) -> str:
    """Lines of a label; `end` is \\n for centred ones, \\l for those that begin at the left."""
    return '"' + "".join(_literal(line) + end for line in lines) + '"'


def _legend(graph: CallGraph, shown: Drawn, heading: Heading) -> str:
    def written(amount: int) -> str:
        return size(amount, counts=heading.counts)

    lines = [fitted(heading.name, 80), f"{heading.sample}: {written(graph.total)}"]
    if heading.base:
        lines.append(fitted(f"less {heading.base}", 80))
    lines += [fitted(f"{word}: {text}", 80) for word, text in (("focus", heading.focus), ("ignore", heading.ignore)) if text]
    if heading.focus or heading.ignore:
        lines.append(f"of it {written(graph.chosen)} ({percent(graph.chosen, graph.total)})")
    if shown.dropped:
        nodes = "1 node" if shown.dropped == 1 else f"{shown.dropped} nodes"
        lines.append(f"left out: {nodes}; all of {written(shown.node_limit)} or less, and edges of {written(shown.edge_limit)}")
    return f'legend [shape=plaintext, style="", fontsize=12, label={_label(lines, chr(92) + "l")}];'


def _node(number: int, node: Node, total: int, heading: Heading) -> str:
    own, through = (_share(amount, total) for amount in (node.flat, node.cumulative))
    figures = f"{size(node.flat, counts=heading.counts)} ({percent(node.flat, total)})" if node.flat else "0"
    if node.flat != node.cumulative:
        figures += f" of {size(node.cumulative, counts=heading.counts)} ({percent(node.cumulative, total)})"
    dashed = ', style="filled,dashed"' if node.frame.inlined else ""
    fill = _between(_WHITE, _RED if node.flat >= 0 else _GREEN, own)
    ink = _between(_INK_GREY, _INK_RED if node.cumulative >= 0 else _INK_GREEN, through)
    return (
        f"N{number} [label={_label([*_titles(node.frame), figures], chr(92) + 'n')}, "
        f'fontsize={_SMALLEST + _GROWTH * math.sqrt(own):.1f}, fillcolor="{fill}", color="{ink}"{dashed}, '
        f"tooltip={quoted(_told(node.frame))}];"
    )


def _titles(frame: Frame) -> list[str]:
    """The function, broken behind a :: where it is long, and the file without its directory."""
    name, at = function(frame), place(frame)
    return [*_broken(name), *([fitted(at.rsplit("/", 1)[-1], _NAME_COLUMNS)] if at else [])]


def _broken(name: str) -> list[str]:
    """A name on at most three lines; what does not fit gives way to an ellipsis."""
    lines = [""]
    for part in re.split(r"(?<=::)", name):
        if lines[-1] and len(lines[-1]) + len(part) > _NAME_COLUMNS:
            lines.append("")
        lines[-1] += part
    if len(lines) > 3:
        lines = [lines[0], "…", lines[-1]]
    return [fitted(line, _NAME_COLUMNS) for line in lines]


def _told(frame: Frame) -> str:
    """All that is known of a node's place, for whoever points at it."""
    parts = [frame.signature or function(frame), place(frame), frame.module if frame.file else ""]
    return "  ".join(part for part in parts if part)


def _edge(edge: Edge, numbers: dict[int, int], graph: CallGraph, heading: Heading) -> str:
    share = _share(edge.amount, graph.chosen)
    ink = _between(_INK_GREY, _INK_RED if edge.amount >= 0 else _INK_GREEN, share)
    caller, callee = (function(graph.nodes[at].frame) for at in (edge.caller, edge.callee))
    told = f"{caller} -> {callee}: {size(edge.amount, counts=heading.counts)}"
    return (
        f"N{numbers[edge.caller]} -> N{numbers[edge.callee]} "
        f'[label="  {size(edge.amount, counts=heading.counts)}", penwidth={1 + (_WIDEST - 1) * share:.2f}, '
        f'weight={1 + int(100 * share)}, color="{ink}"{", style=dashed" if edge.indirect else ""}, '
        f"tooltip={quoted(told)}, labeltooltip={quoted(told)}];"
    )


def _share(amount: int, total: int) -> float:
    """The part of the total, 0 to 1; a difference may hold more than its total."""
    return min(1.0, abs(amount / total)) if total else float(amount != 0)


def _between(light: tuple[int, int, int], deep: tuple[int, int, int], share: float) -> str:
    """A colour between two, as #rrggbb; by the square root, so that small shares can be told apart."""
    part = math.sqrt(share)
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in zip(light, deep, strict=True))
