"""massif's output, as ms_print and massif-visualizer read it; see runner/formats/massif.py for the format.

The other writers are given one moment; this one is given the recording too, since massif's file is a timeline.
"""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from runner.formats.writers.sheet import UNLISTED, visible
from runner.model import BELOW_THRESHOLD, FindingKind, Frame, Metric, Recording, Snapshot, TimeUnit

FORMAT = "massif.out"

_SEPARATOR = "#-----------"
_ROOT = "(heap allocation functions) malloc/new/new[], --alloc-fns, etc."
_ROOT_OF_PAGES = "(page allocation syscalls) mmap/mremap/brk, --alloc-fns, etc."
_UNITS = {TimeUnit.INSTRUCTIONS: "i", TimeUnit.SECONDS: "ms", TimeUnit.BYTES: "B"}
_MILLISECONDS = 1000


class _Node:
    """One frame of the tree; `size` is what it holds in all, `own` what ends at it."""

    __slots__ = ("children", "own", "size")

    def __init__(self) -> None:
        self.size = 0
        self.own = 0
        self.children: dict[int, _Node] = {}


def write(recording: Recording, stream: BinaryIO, snapshots: Sequence[Snapshot] | None = None) -> None:
    """All snapshots, or those given, with live bytes by stack where there are any.

    massif knows three units of time: where the recording's is another (events, the mere order), times stand as instructions.
    """
    stream.write(("\n".join(_head(recording)) + "\n").encode())
    described = [_described(frame) for frame in recording.table.frames]
    for number, snapshot in enumerate(recording.snapshots if snapshots is None else snapshots):
        for line in _snapshot(recording, number, snapshot, described):
            stream.write(line.encode() + b"\n")


def _head(recording: Recording) -> Iterator[str]:
    words = [] if _is_summed_up(recording) else ["--threshold=0"]
    depth = max(map(len, recording.table.stacks), default=0)
    words.append(f"--depth={depth + 1}")  # nothing is cut here
    if recording.growth_kind is FindingKind.MAPPING_GROWTH:
        words.append("--pages-as-heap=yes")
    yield f"desc: {' '.join(words)}"
    yield f"cmd: {visible(' '.join(recording.command)) or '(unknown)'}"
    yield f"time_unit: {_UNITS.get(recording.time_unit, 'i')}"


def _is_summed_up(recording: Recording) -> bool:
    return BELOW_THRESHOLD in recording.table.frames


def _snapshot(recording: Recording, number: int, snapshot: Snapshot, described: Sequence[str]) -> Iterator[str]:
    seconds = recording.time_unit is TimeUnit.SECONDS
    yield from (_SEPARATOR, f"snapshot={number}", _SEPARATOR)
    yield f"time={round(snapshot.time * _MILLISECONDS) if seconds else round(snapshot.time)}"
    column = snapshot.columns.get(Metric.LIVE_BYTES)
    listed = sum(column.amounts) if column is not None else 0
    whole = max(listed, snapshot.totals.get(Metric.LIVE_BYTES, 0))
    yield f"mem_heap_B={whole}"
    yield f"mem_heap_extra_B={snapshot.totals.get(Metric.HEAP_EXTRA_BYTES, 0)}"
    yield f"mem_stacks_B={snapshot.totals.get(Metric.STACK_BYTES, 0)}"
    if column is None:
        yield "heap_tree=empty"
        return
    yield "heap_tree=peak" if snapshot.peak else "heap_tree=detailed"
    root = _tree(recording, snapshot)
    branches = len(_rows(root)) + (whole > listed)
    title = _ROOT_OF_PAGES if recording.growth_kind is FindingKind.MAPPING_GROWTH else _ROOT
    yield f"n{branches}: {whole} {title}"
    yield from _branches(root, described)
    if whole > listed:
        yield f" n0: {whole - listed} {_described(UNLISTED)}"


def _tree(recording: Recording, snapshot: Snapshot) -> _Node:
    root = _Node()
    for stack_id, amount in snapshot.columns[Metric.LIVE_BYTES].items():
        node = root
        for frame_id in recording.table.stacks[stack_id]:
            node = node.children.setdefault(frame_id, _Node())
            node.size += amount
        node.own += amount
    return root


def _rows(node: _Node) -> list[tuple[int, _Node, bool]]:
    """(frame, child, whether bytes end there) for each row below `node`, the largest first.

    Only a row without children holds bytes of its own: where a stack ends in the middle of a longer one, it has a row apart.
    """
    rows = []
    for frame_id, child in node.children.items():
        if child.children:
            rows.append((child.size - child.own, frame_id, child, False))
        if child.own or not child.children:
            rows.append((child.own, frame_id, child, True))
    rows.sort(key=lambda row: -row[0])
    return [(frame_id, child, ends) for _, frame_id, child, ends in rows]


def _branches(root: _Node, described: Sequence[str]) -> Iterator[str]:
    """The rows below the root, without recursion: a stack may be as deep as its tool allows."""
    waiting = [(1, *row) for row in reversed(_rows(root))]
    while waiting:
        depth, frame_id, node, ends = waiting.pop()
        rows = [] if ends else _rows(node)
        yield f"{' ' * depth}n{len(rows)}: {node.own if ends else node.size - node.own} {described[frame_id]}"
        waiting += [(depth + 1, *row) for row in reversed(rows)]


def _described(frame: Frame) -> str:
    """A frame as valgrind's describe_IP() writes it."""
    if frame == BELOW_THRESHOLD:
        return "in 1 place, below massif's threshold (1.00%)"
    name = visible(frame.signature or "???")
    if frame.file is not None:
        place = f" ({visible(frame.file)}:{frame.line or 0})"
    else:
        place = f" (in {visible(frame.module)})" if frame.module is not None else ""
    return f"0x{frame.address or 0:X}: {name}{place}"
