"""massif's output: the file at exit, vgdb's detailed_snapshot and all_snapshots, and an xtree written with a name in .ms.

The format is what ms_print reads (valgrind's massif/ms_main.c and coregrind/m_xtree.c write it): a head of `desc:`, `cmd:`
and `time_unit:`, then sections set apart by `#-----------`: one with `snapshot=N`, one with its time, its sizes in bytes
and its tree. A row of a tree is `n<children>: <bytes> <frame>`, indented by depth. Below the root the first level is
where memory was allocated and the deepest is `main`, so a path read downwards is a stack, leaf first. A node's bytes are
the sum of its children's, so only rows without children carry bytes here; where massif met a malformed stack (it warns of it
in its log) a node may have more than its children, and what it has more is its own.
"""

import re
import sys
from collections.abc import Iterator
from typing import BinaryIO

from runner.formats._valgrind import CHUNK_BYTES, LONGEST_ROW, add_flaw, amount_of, parse_frame, text_of, with_inlined_marked
from runner.model import BELOW_THRESHOLD, Column, FindingKind, Metric, Recording, Snapshot, TimeUnit

FORMAT = "massif.out"

LOADED = "what the loader maps (dlopen) is left out: massif does not see all of it unmapped"
UNEVEN = "massif met malformed stacks: what a place has more than its callers together is counted at the place, without a caller"
NO_ALLOCATION = "massif saw no allocation: is the program static, or does it bring an allocator of its own?"
_SEPARATOR = b"#-----------"
_SEPARATOR_ROW = _SEPARATOR + b"\n"
_HEAD = re.compile(rb"(desc: .*\n)+cmd: .*\ntime_unit: (i|ms|B)$", re.MULTILINE)
_UNITS = {"i": TimeUnit.INSTRUCTIONS, "ms": TimeUnit.SECONDS, "B": TimeUnit.BYTES}
_MILLISECONDS = 1000
_SIZES = (("mem_heap_B", Metric.LIVE_BYTES), ("mem_heap_extra_B", Metric.HEAP_EXTRA_BYTES), ("mem_stacks_B", Metric.STACK_BYTES))
# An xtree has one "snapshot" for each kind of amount, named in the root of its tree.
_XTREE_METRICS = {
    "curB": Metric.LIVE_BYTES,
    "curBk": Metric.LIVE_BLOCKS,
    "totB": Metric.ALLOCATED_BYTES,
    "totBk": Metric.ALLOCATED_BLOCKS,
}
_XTREE_ROOT = re.compile(r"(\w+) : [\w ]+")
# One expression for all rows of a block: the trees are nearly all of a file, and so this is the reader's speed.
# A row that is none matches too, without groups.
_TREE_ROW = re.compile(rb"( *+)n(?:0: ([0-9]++)|[0-9]++: [0-9]++) (.++)\n|.*\n")  # indent, bytes of a leaf, frame
_ANY_ROW = re.compile(rb"( *+)n([0-9]++): ([0-9]{1,18}+) (.++)\n")  # indent, children, bytes, frame
_ROOT_ROW = re.compile(rb"n([0-9]+): ([0-9]{1,18}) (.+)")
_BELOW = re.compile(rb"in [0-9]+ places?, (all )?below massif's threshold.*")
_DEFAULT_THRESHOLD = 1.0
_DEFAULT_DEPTH = 30
_DEEPEST = 4096  # massif's own --depth goes to 200, before inlined frames
_MOST_DIGITS = 18
_LOADER = re.compile(r"_dl_map_(?:object|segment)|_dl_load_shared|map_doit$")
_DEFAULT_NAME = re.compile(r"massif\.out\.([0-9]{1,9})")


class _DamageError(ValueError):
    """A snapshot is not as massif writes it; the message says what is wrong with it."""


def sniff(head: bytes) -> bool:
    """True for massif's output; also for one that was cut within its first three lines."""
    return _HEAD.match(head) is not None or (len(head) < 4096 and head.startswith(b"desc: ") and b"\ncmd: " in head)


def read(stream: BinaryIO, name: str) -> Recording:
    """One recording with every snapshot. Times are seconds, instructions or bytes allocated, as `time_unit:` says."""
    reader = _Reader(stream, name)
    recording = reader.recording()
    if reader.is_uneven:
        stream.seek(0)
        recording = _CarefulReader(stream, name).recording()
    return recording


class _Source:
    """A stream, taken row by row where it is sparse and in blocks of rows where it is dense."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._data = b""
        self._at = 0

    @property
    def unfinished(self) -> bool:
        """At the end of the stream: something stands behind the last row end."""
        return self._at < len(self._data)

    def row(self) -> bytes | None:
        """The next row without its end; None where there is no whole one."""
        while (end := self._data.find(b"\n", self._at)) < 0:
            if not self._more():
                return None
        row = self._data[self._at : end]
        self._at = end + 1
        return row

    def rows_to_separator(self) -> Iterator[tuple[bytes, int, int]]:
        """Whole rows with their ends, up to the next separator, which is taken too, or the stream's end.

        They come as (data, start, end), since a copy of each block would be felt.
        """
        while (end := self._data.find(_SEPARATOR_ROW, self._at)) < 0:
            start, whole = self._at, self._data.rfind(b"\n", self._at) + 1
            if whole:
                self._at = whole
                yield self._data, start, whole
            if not self._more():
                return
        start, self._at = self._at, end + len(_SEPARATOR_ROW)
        yield self._data, start, end

    def _more(self) -> bool:
        chunk = self._stream.read(CHUNK_BYTES)
        rest = self._data[self._at :]
        self._data = rest[:LONGEST_ROW] + chunk  # no tool writes a longer row: memory is bounded on any file
        self._at = 0
        return bool(chunk)


class _Reader:
    _most_uneven = 1  # trees that don't add up; with one more the file is the careful reader's

    def __init__(self, stream: BinaryIO, name: str) -> None:
        default_name = _DEFAULT_NAME.fullmatch(name)
        self._source = _Source(stream)
        self._recording = Recording("massif", pid=int(default_name[1]) if default_name else None, on_change=True)
        self._frame_ids: dict[bytes, int] = {}
        self._stack_ids: dict[tuple[int, ...], int] = {}
        self._loaders: dict[int, bool] = {}
        self._path = [0] * _DEEPEST
        self._depth = _DEFAULT_DEPTH
        self._xtree = False
        self._heap = True
        self._uneven = 0  # trees that don't add up

    @property
    def is_uneven(self) -> bool:
        """Once all was read: trees don't add up, and not just the last one of a file that is cut."""
        return self._uneven > self._source.unfinished

    def recording(self) -> Recording:
        recording, source = self._recording, self._source
        self._read_head()
        while self._uneven <= self._most_uneven and (row := source.row()) is not None:
            if row == _SEPARATOR:
                continue
            try:
                self._read_snapshot(row)
            except _DamageError as damage:
                add_flaw(recording, f"snapshot {len(recording.snapshots)}: {damage}")
                for _ in source.rows_to_separator():
                    pass
        if source.unfinished:
            add_flaw(recording, "the file is cut: its last line has no end")
        self._judge()
        recording.table = with_inlined_marked(recording.table)
        return recording

    def _read_head(self) -> None:
        values: dict[str, str] = {}
        while (row := self._source.row()) not in (None, _SEPARATOR):
            key, _, value = text_of(row or b"").partition(": ")
            values[key] = f"{values[key]} {value}" if key in values else value
        self._recording.command = values.get("cmd", "").split()
        unit = values.get("time_unit", "")
        if unit in _UNITS:
            self._recording.time_unit = _UNITS[unit]
        else:
            add_flaw(self._recording, "the head does not give the unit of time")
        self._note_options(values.get("desc", ""))

    def _note_options(self, described: str) -> None:
        options = dict(word.removeprefix("--").partition("=")[::2] for word in described.split() if word.startswith("--"))
        self._xtree = described.startswith("xtree")
        self._heap = options.get("heap") != "no"
        self._depth = amount_of(options.get("depth")) or _DEFAULT_DEPTH
        if options.get("pages-as-heap") == "yes":
            self._recording.growth_kind = FindingKind.MAPPING_GROWTH
        threshold = _percentage(options.get("threshold"))
        if threshold > 0 and not self._xtree:
            self._recording.limits.append(
                f"massif sums up places with less than {threshold:g} % of a snapshot's bytes (--threshold): they have no names"
            )

    def _read_snapshot(self, row: bytes) -> None:
        number = _value(row, "snapshot")
        if self._source.row() != _SEPARATOR:
            raise _DamageError("no separator follows its number")
        time = self._amount("time")
        totals = {metric: self._amount(key) for key, metric in _SIZES}
        tree = _value(self._source.row(), "heap_tree")
        snapshot = Snapshot(time, totals, label=f"snapshot {number}", peak=tree == "peak")
        if self._recording.time_unit is TimeUnit.SECONDS:
            snapshot.time = time / _MILLISECONDS
        if self._recording.snapshots and snapshot.time < self._recording.snapshots[-1].time:
            raise _DamageError("its time is before that of the one before it")
        if tree == "empty":
            self._recording.snapshots.append(snapshot)
        elif tree in ("detailed", "peak"):
            self._read_tree(snapshot)
        else:
            raise _DamageError("its kind is unknown")

    def _read_tree(self, snapshot: Snapshot) -> None:
        """Takes the tree that follows. A damaged one is kept only where there is no other, since its sums are too small."""
        recording = self._recording
        root = _ROOT_ROW.fullmatch(self._source.row() or b"")
        blocks = self._source.rows_to_separator()
        amounts: dict[int, int] = {}
        try:
            self._read_rows(root, blocks, amounts)
        except _DamageError as damage:
            add_flaw(recording, f"{snapshot.label}: {damage}")
            for _ in blocks:
                pass
            if not amounts or any(earlier.columns for earlier in recording.snapshots):
                recording.snapshots.append(snapshot)
                return
        metric = _metric_of(root)
        if metric is not None:
            if self._recording.growth_kind is FindingKind.MAPPING_GROWTH:
                self._leave_out_loaded(snapshot, amounts)
            self._append(snapshot, metric, Column(amounts.keys(), amounts.values()))

    def _leave_out_loaded(self, snapshot: Snapshot, amounts: dict[int, int]) -> None:
        """Take what the loader mapped out of the amounts and the total: it maps a library piece by piece over itself."""
        loaders = [each for each in amounts if self._is_loaders(each)]
        for stack_id in loaders:
            snapshot.totals[Metric.LIVE_BYTES] -= amounts.pop(stack_id)
        if loaders and LOADED not in self._recording.limits:
            self._recording.limits.append(LOADED)

    def _is_loaders(self, stack_id: int) -> bool:
        known = self._loaders.get(stack_id)
        if known is None:
            frames = self._recording.table.frames_of(stack_id)
            known = self._loaders[stack_id] = any(_LOADER.match(frame.signature or "") for frame in frames)
        return known

    def _read_rows(self, root: re.Match[bytes] | None, blocks: Iterator[tuple[bytes, int, int]], amounts: dict[int, int]) -> None:
        if root is None:
            raise _DamageError("its tree has no root")
        expected = int(root[2])
        for block in blocks:
            try:
                self._add_rows(block, amounts)
            except IndexError as error:
                raise _DamageError("its tree is too deep") from error
        self._end_rows(amounts)
        if root[1] == b"0" and expected:  # the root is all that there is
            amounts[self._recording.table.intern([BELOW_THRESHOLD])] = expected
        found = sum(amounts.values())
        if found != expected:
            self._uneven += 1
            raise _DamageError(f"its tree adds up to {found} of {expected} bytes: the file is cut or damaged")

    def _end_rows(self, amounts: dict[int, int]) -> None:
        """All rows of the tree were added."""

    def _add_rows(self, block: tuple[bytes, int, int], amounts: dict[int, int]) -> None:
        """Adds what the leaves of these rows hold to `amounts`, by stack id. The reader's speed is this function's."""
        known, stack_ids, path = self._frame_ids.get, self._stack_ids, self._path
        for indent, size, described in _TREE_ROW.findall(*block):
            frame_id = known(described)
            if frame_id is None:
                frame_id = self._new_frame(described)
            path[len(indent)] = frame_id
            if size and size != b"0":
                if len(size) > _MOST_DIGITS:
                    raise _DamageError("a row holds more bytes than there can be")
                stack = tuple(path[1 : len(indent) + 1])
                stack_id = stack_ids.get(stack)
                if stack_id is None:
                    stack_id = stack_ids[stack] = self._recording.table.stack_id(stack)
                amounts[stack_id] = amounts.get(stack_id, 0) + int(size)

    def _add(self, depth: int, held: int, amounts: dict[int, int]) -> None:
        """Adds what the node at `depth` of the path holds."""
        stack = tuple(self._path[1 : depth + 1])
        stack_id = self._stack_ids.get(stack)
        if stack_id is None:
            stack_id = self._stack_ids[stack] = self._recording.table.stack_id(stack)
        amounts[stack_id] = amounts.get(stack_id, 0) + held

    def _new_frame(self, described: bytes) -> int:
        if not described:
            raise _DamageError("a row of its tree is not one")
        frame = BELOW_THRESHOLD if _BELOW.fullmatch(described) else parse_frame(text_of(described))
        if frame is None:
            raise _DamageError("a row of its tree has no frame")
        return self._frame_ids.setdefault(described, self._recording.table.frame_id(frame))

    def _append(self, snapshot: Snapshot, metric: Metric, column: Column) -> None:
        """Appends the snapshot; one of an xtree that speaks of the same moment is merged into the one before."""
        snapshots = self._recording.snapshots
        if self._xtree:
            snapshot.totals = {metric: snapshot.totals[Metric.LIVE_BYTES]}
        snapshot.columns[metric] = column
        if self._xtree and snapshots and snapshots[-1].time == snapshot.time and metric not in snapshots[-1].columns:
            snapshots[-1].totals |= snapshot.totals
            snapshots[-1].columns |= snapshot.columns
        else:
            snapshots.append(snapshot)

    def _amount(self, key: str) -> int:
        amount = amount_of(_value(self._source.row(), key))
        if amount is None:
            raise _DamageError(f"{key} is not a number")
        return amount

    def _judge(self) -> None:
        """Says what the whole file leaves open. A size that massif was not asked for is written as 0: it is left out."""
        recording = self._recording
        if not recording.snapshots:
            add_flaw(recording, "the file holds no snapshot")
        elif not self._heap:
            recording.limits.append("massif was told not to look at the heap (--heap=no)")
            self._drop(Metric.LIVE_BYTES)
            self._drop(Metric.HEAP_EXTRA_BYTES)
        elif not any(snapshot.totals.get(Metric.LIVE_BYTES) for snapshot in recording.snapshots):
            recording.flaws.append(NO_ALLOCATION)
        if not any(snapshot.totals.get(Metric.STACK_BYTES) for snapshot in recording.snapshots):
            self._drop(Metric.STACK_BYTES)
        if any(len(stack) >= self._depth for stack in recording.table.stacks):
            recording.limits.append(f"stacks are cut at {self._depth} calls (--depth)")

    def _drop(self, metric: Metric) -> None:
        for snapshot in self._recording.snapshots:
            snapshot.totals.pop(metric, None)
            snapshot.columns.pop(metric, None)


class _CarefulReader(_Reader):
    """Looks at every node of the trees, where the other looks at the leaves: what it has more than its children is its own."""

    _most_uneven = sys.maxsize

    def __init__(self, stream: BinaryIO, name: str) -> None:
        super().__init__(stream, name)
        self._open = 0  # nodes from below the root to the last row that have children; of each, by depth:
        self._awaited = [0] * _DEEPEST  # children that are to come
        self._left = [0] * _DEEPEST  # bytes that its children so far have not

    def _add_rows(self, block: tuple[bytes, int, int], amounts: dict[int, int]) -> None:
        path, awaited, left = self._path, self._awaited, self._left
        open_, self._open = self._open, 0  # which it stays where a row is damaged
        for indent, children, size, described in _ANY_ROW.findall(*block):
            frame_id = self._frame_ids.get(described)
            depth = min(len(indent) or 1, open_ + 1)
            if depth <= open_:
                self._close(depth, open_, amounts)
            path[depth] = self._new_frame(described) if frame_id is None else frame_id
            held = int(size)
            awaited[depth - 1] -= 1
            left[depth - 1] -= held
            if children == b"0":
                open_ = depth - 1
                if held:
                    self._add(depth, held, amounts)
            else:
                open_ = depth
                awaited[depth], left[depth] = int(children), held
        self._open = open_

    def _close(self, depth: int, deepest: int, amounts: dict[int, int]) -> None:
        """The nodes from `depth` to `deepest` have all their children; where they lack some the file is damaged there."""
        for closed in range(depth, deepest + 1):
            if self._left[closed] > 0 and self._awaited[closed] == 0:
                self._add(closed, self._left[closed], amounts)
                if UNEVEN not in self._recording.limits:
                    self._recording.limits.append(UNEVEN)

    def _end_rows(self, amounts: dict[int, int]) -> None:
        self._close(1, self._open, amounts)
        self._open = 0


def _value(row: bytes | None, key: str) -> str:
    """The value of a `key=value` row."""
    if row is None:
        raise _DamageError("the file ends in it")
    found, equals, value = text_of(row).partition("=")
    if found != key or not equals:
        raise _DamageError(f"{key}= is missing")
    return value


def _metric_of(root: re.Match[bytes] | None) -> Metric | None:
    """What a tree's amounts are: live bytes, or what an xtree names; None for what the model has no word for."""
    named = _XTREE_ROOT.fullmatch(text_of(root[3])) if root is not None else None
    return _XTREE_METRICS.get(named[1]) if named is not None else Metric.LIVE_BYTES


def _percentage(text: str | None) -> float:
    try:
        return float(text) if text is not None else _DEFAULT_THRESHOLD
    except ValueError:
        return _DEFAULT_THRESHOLD
