"""pprof's call graph: who called whom to allocate what, of one moment, or of one moment less another.

Flat is what a function (or a line) allocated itself; cumulative is what it and all that it called allocated, each stack counted
once, however often it stands in it. What is left out, and the order in which nodes and edges are, follow gperftools' pprof
(google-pprof): see its documentation at https://gperftools.github.io/gperftools/heapprofile.html.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath
from typing import NamedTuple

from runner.model import Frame, StackTable
from runner.names import without_parameters

# The entry points of allocators, which pprof leaves out of heap profiles: they are under every stack and say nothing.
_ALLOCATORS = re.compile(
    r"""_? (?: (?:tc_)? (?: malloc | calloc | realloc | memalign | posix_memalign | p?valloc | c?free )
             | tc_ (?:new|delete) (?:array)? (?:_nothrow)?
             | operator\ new (?:\[\])? | __builtin_ (?:vec_)? (?:new|delete)
             | malloc_zone_ (?:malloc|calloc|valloc|realloc|memalign|free)
             | (?:.*::)? do_malloc (?:_or_cpp_alloc)? | DoSampledAllocation )
      | .*TCMalloc.* | tcmalloc::.*""",
    re.VERBOSE | re.DOTALL,
)
# What a tool itself puts under the program's stacks, whatever its functions are called.
_ALLOCATOR_OBJECTS = re.compile(r"(?:libjemalloc|vgpreload_|libheaptrack)[^/]*")
_ANGLES = re.compile(r"operator(?:<=>|<<=?|>>=?|->\*?|<=?|>=?)|[<>]")
NODES, NODE_FRACTION, EDGE_FRACTION = 80, 0.005, 0.001  # pprof's defaults
_MAX_DEGREE = 8  # pprof's --maxdegree: so many edges into a node, and out of it


class Counted(NamedTuple):
    """Stacks of one table, and what is counted of each: bytes or blocks; below 0 where it is subtracted."""

    table: StackTable
    amounts: Iterable[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Choice:
    """What of the stacks is counted, and what makes two frames one node.

    lines     a node for each line; else one for each function
    moved     the stacks come from two builds or machines: files and modules are matched by their names without directories
    focus     only stacks with a frame that it is found in: in the name, or in file:line
    ignore    no stack with such a frame
    """

    lines: bool = False
    moved: bool = False
    focus: re.Pattern[str] | None = None
    ignore: re.Pattern[str] | None = None


@dataclass(slots=True)
class Node:
    """A function or a line. `frame.line` is None where a function's frames are at several lines."""

    frame: Frame
    flat: int = 0
    cumulative: int = 0


@dataclass(slots=True)
class CallGraph:
    """All nodes, in the order in which they were met.

    total   of all stacks, before focus and ignore
    chosen  of those that are left
    paths   stacks as places in `nodes`, leaf first, with what is counted of each
    """

    total: int = 0
    chosen: int = 0
    nodes: list[Node] = field(default_factory=list)
    paths: dict[tuple[int, ...], int] = field(default_factory=dict)


class Edge(NamedTuple):
    """A call between two nodes by their places. `indirect`: only through functions that are left out."""

    caller: int
    callee: int
    amount: int
    indirect: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """What is large enough to be drawn; fractions are of what was chosen."""

    nodes: int = NODES
    node_fraction: float = NODE_FRACTION
    edge_fraction: float = EDGE_FRACTION


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is drawn: nodes by their places, the largest cumulative first, and edges, the largest first.

    node_limit, edge_limit   what is this small or smaller was left out
    dropped                  how many nodes were
    """

    nodes: Sequence[int]
    edges: Sequence[Edge]
    node_limit: int
    edge_limit: int
    dropped: int


def call_graph(sides: Iterable[Counted], choice: Choice) -> CallGraph:
    """The graph of all stacks of all sides together."""
    graph = CallGraph()
    keys: dict[tuple[object, ...], int] = {}
    for side in sides:
        frames = side.table.frames
        places = [_place(frame, choice, keys, graph.nodes) for frame in frames]
        kept = _selector(frames, choice)
        for stack_id, amount in side.amounts:
            graph.total += amount
            stack = kept(side.table.stacks[stack_id])
            if stack is not None:
                path = tuple([places[frame_id] for frame_id in stack]) or (_place(Frame(), choice, keys, graph.nodes),)
                graph.paths[path] = graph.paths.get(path, 0) + amount
    _add_up(graph)
    return graph


def _add_up(graph: CallGraph) -> None:
    flat, cumulative = [0] * len(graph.nodes), [0] * len(graph.nodes)
    for path, amount in graph.paths.items():
        flat[path[0]] += amount
        for place in set(path):
            cumulative[place] += amount
    for node, own, whole in zip(graph.nodes, flat, cumulative, strict=True):
        node.flat, node.cumulative = own, whole
    graph.chosen = sum(flat)


def _place(frame: Frame, choice: Choice, keys: dict[tuple[object, ...], int], nodes: list[Node]) -> int:
    """The place of the frame's node, which is new or one that was met before."""
    place = keys.setdefault(_key(frame, choice), len(nodes))
    if place == len(nodes):
        nodes.append(Node(frame))
    elif nodes[place].frame.line != frame.line:
        nodes[place].frame = nodes[place].frame._replace(line=None)
    return place


def _key(frame: Frame, choice: Choice) -> tuple[object, ...]:
    """What two frames of one node share. As in pprof, inlined code is apart from the same function where it was called."""
    file, module = frame.file, frame.module
    if choice.moved:
        file = PurePosixPath(file).name if file else None
        module = PurePosixPath(module).name if module and not file else None
    name = function_name(frame)
    if name is None and not file:
        return (frame.address, module)
    line = frame.line if choice.lines or name is None else None
    return (name if name is not None and _is_merged(frame) else frame.signature, file, module, line, frame.inlined)


def function_name(frame: Frame) -> str | None:
    """What pprof calls the function: as in names.without_parameters(), and members of class templates without any arguments.

    So all instances of a class template have their members in common; instances of a function template stand apart.
    """
    if not frame.signature or frame.signature == "???":
        return None
    name = without_parameters(frame.signature)
    bare = _without_template_arguments(name)
    return name if name.startswith(bare) else bare


def _is_merged(frame: Frame) -> bool:
    """Whether the name that pprof uses leaves out which instance of a class template it is of."""
    return "<" in (frame.signature or "") and function_name(frame) != without_parameters(frame.signature or "")


@lru_cache(maxsize=65536)
def _without_template_arguments(name: str) -> str:
    """The name without what stands in angle brackets; whole where these don't match."""
    kept, at, depth = [], 0, 0
    for found in _ANGLES.finditer(name):
        if found[0] == "<":
            if depth == 0:
                kept.append(name[at : found.start()])
            depth += 1
        elif found[0] == ">":
            depth -= 1
            at = found.end()
            if depth < 0:
                return name
    return "".join(kept) + name[at:] if depth == 0 else name


def _selector(frames: Sequence[Frame], choice: Choice) -> Callable[[tuple[int, ...]], tuple[int, ...] | None]:
    """What of a stack is counted: without allocators; None where it is out of focus."""
    allocators = {place for place, frame in enumerate(frames) if _is_allocator(frame)}
    focused, ignored = (_found(pattern, frames) if pattern else None for pattern in (choice.focus, choice.ignore))

    def kept(stack: tuple[int, ...]) -> tuple[int, ...] | None:
        if not allocators.isdisjoint(stack):
            stack = _without(stack, allocators, frames)
        if (focused is not None and focused.isdisjoint(stack)) or (ignored is not None and not ignored.isdisjoint(stack)):
            return None
        return stack

    return kept


def _is_allocator(frame: Frame) -> bool:
    if frame.module and _ALLOCATOR_OBJECTS.fullmatch(frame.module.rsplit("/", 1)[-1]):
        return True
    return bool(frame.signature and not frame.inlined and _ALLOCATORS.fullmatch(without_parameters(frame.signature)))


def _without(stack: tuple[int, ...], allocators: set[int], frames: Sequence[Frame]) -> tuple[int, ...]:
    """The stack without allocators and what was inlined into them; whole where nothing else is in it."""
    rest, inside = [], False
    for place in reversed(stack):  # what is inlined stands before the function that it was inlined into
        inside = place in allocators or (inside and frames[place].inlined)
        if not inside:
            rest.append(place)
    return tuple(reversed(rest)) or stack


def _found(pattern: re.Pattern[str], frames: Sequence[Frame]) -> set[int]:
    return {place for place, frame in enumerate(frames) if any(map(pattern.search, _searched(frame)))}


def _searched(frame: Frame) -> Iterator[str]:
    """What a pattern is looked for in."""
    yield function_name(frame) or ""
    yield frame.signature or ""
    if frame.file:
        yield frame.file if frame.line is None else f"{frame.file}:{frame.line}"
    elif not frame.signature:
        yield f"{frame.module or ''}+{frame.address or 0:#x}"


def drawn(graph: CallGraph, limits: Limits) -> Drawn:
    """The nodes and edges that are large enough, chosen as pprof does.

    Beside it, callers of functions that are left out are tied to what these called, so that nothing hangs in the air.
    """
    node_limit, edge_limit = (int(part * abs(graph.chosen)) for part in (limits.node_fraction, limits.edge_fraction))
    large = [place for place, node in enumerate(graph.nodes) if abs(node.cumulative) > node_limit]
    large.sort(key=lambda place: -abs(graph.nodes[place].cumulative))
    nodes = large[: limits.nodes]
    edges = _thinned(_edges(graph, nodes), edge_limit)
    held = sum(1 for node in graph.nodes if node.flat or node.cumulative)
    return Drawn(nodes, edges, node_limit, edge_limit, held - len(nodes))


def _edges(graph: CallGraph, nodes: Sequence[int]) -> list[Edge]:
    """All calls between these nodes, each stack counted once for each call."""
    shown = bytearray(len(graph.nodes))
    for place in nodes:
        shown[place] = 1
    amounts: dict[tuple[int, int], int] = {}
    direct: set[tuple[int, int]] = set()
    for path, amount in graph.paths.items():
        rest = list(filter(shown.__getitem__, path))
        pairs = set(zip(rest[1:], rest, strict=False))
        if len(rest) == len(path):
            direct |= pairs
        else:
            called = set(zip(path[1:], path, strict=False))
            direct |= pairs & called
            pairs = {pair for pair in pairs if pair[0] != pair[1] or pair in called}
        for pair in pairs:
            amounts[pair] = amounts.get(pair, 0) + amount
    return [Edge(*pair, amount, pair not in direct) for pair, amount in amounts.items() if amount]


def _thinned(edges: list[Edge], limit: int) -> list[Edge]:
    """The largest edges, not too many at a node; the first into each node always, so that it can be reached."""
    into: dict[int, int] = {}
    out: dict[int, int] = {}
    kept = []
    for edge in sorted(edges, key=lambda edge: -abs(edge.amount)):
        first = edge.callee not in into
        room = out.get(edge.caller, 0) < _MAX_DEGREE and into.get(edge.callee, 0) < _MAX_DEGREE
        if first or (abs(edge.amount) > limit and room):
            kept.append(edge)
            out[edge.caller] = out.get(edge.caller, 0) + 1
            into[edge.callee] = into.get(edge.callee, 0) + 1
    return kept
