"""DHAT's JSON: what each place allocated in all, had at the peak and at the end, how long it lived, how it was accessed.

valgrind's dhat/dh_main.c writes it (dhatFileVersion 2; a comment there explains each key), and so does Rust's dhat crate:

    {"dhatFileVersion":2, "mode":"heap", "bklt":true, "bkacc":true, "tu":"instrs", "tuth":500, "cmd":.., "pid":.., "te":..
    ,"tg":.., "pps":[{"tb":16,"tbk":1, "tl":9, "mb":16,"mbk":1, "gb":16,"gbk":1, "eb":0,"ebk":0, "rb":4,"wb":16, "fs":[1,2]}, ...]
    ,"ftbl":["[root]", "0x48417B4: malloc (in /usr/libexec/..)", ...]}

Bytes and blocks: t in total, m at that place's own most, g at the peak of all (the time tg), e at the end (te); tl is the sum
of the blocks' lifetimes, in the unit `tu`, and one under `tuth` counts as short; rb, wb are bytes read and written; fs are
numbers of frames in ftbl, leaf first. In version 1, of valgrind 3.15's first days (dhat/dh_test.js has such files), some keys
have other names, and times are in instructions. The file is read piece by piece: memory is bounded by what is kept, not by it.
"""

import codecs
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from runner.errors import ErrorKind, LeakrunError
from runner.formats._valgrind import CHUNK_BYTES, LARGEST, add_flaw, parse_frame, with_inlined_marked
from runner.model import Amount, Column, Frame, HeapSummary, Metric, Recording, Remark, Snapshot, TimeUnit

FORMAT = "DHAT JSON"

_HEAD = re.compile(rb'\s*\{\s*"dhatFileVersion"\s*:')
_VERSIONS = (1, 2)
_ESCAPED = "leakrun-dhat"
_OF_VERSION_1 = {"aps": "pps", "mi": "tg", "ei": "te", "fb": "eb", "fbk": "ebk", "tli": "tl"}
_UNITS = {"instrs": (TimeUnit.INSTRUCTIONS, 1.0), "µs": (TimeUnit.SECONDS, 1e-6)}
_COUNTS = ("tb", "tbk", "gb", "gbk", "eb", "ebk")
# What each snapshot shows: when, what, and the place's figure for it, by its position in _COUNTS.
_SHOWN = (
    ("peak", Metric.LIVE_BYTES, 2),
    ("peak", Metric.LIVE_BLOCKS, 3),
    ("end", Metric.LIVE_BYTES, 4),
    ("end", Metric.LIVE_BLOCKS, 5),
    ("end", Metric.ALLOCATED_BYTES, 0),
    ("end", Metric.ALLOCATED_BLOCKS, 1),
)
_SPACE = re.compile(r"[ \t\r\n]*")
_WITH_COLUMN = re.compile(r"(.+):([0-9]{1,9})")  # file.rs:12, where the column has been taken for the line
_LONGEST_VALUE = 4 << 20  # of text: a command line has 128 KiB at most, a place a few
_WORTH_A_REMARK = 0.01  # of all bytes allocated
_GROWTH_UNSEEN = "dhat shows the peak and the end, and nothing between: run massif or heapprofile to see what grows"


class _DamageError(ValueError):
    """The text is not as DHAT writes it, or ends too soon; the message is a clause about the file."""


def sniff(head: bytes) -> bool:
    """Whether `head` is the start of a DHAT file."""
    return _HEAD.match(head) is not None


def read(stream: BinaryIO, name: str) -> Recording:
    """One recording with two snapshots: the peak, and the end, which also has all that was ever allocated.

    Raises LeakrunError(USAGE) for DHAT's modes copy and ad-hoc, which do not count memory.
    """
    return _Reader(_Json(stream), name).recording()


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """What is no UTF-8 becomes \\xff, visibly: DHAT escapes nothing above 0x7f, and a single backslash would be no JSON."""
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"\\\\x{byte:02x}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_ESCAPED, _escaped)


class _Json:
    """JSON from a stream, one value after another."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")(_ESCAPED).decode
        self._parse = json.JSONDecoder().raw_decode
        self._text = ""
        self._at = 0

    def peek(self) -> str:
        """The next character that is no white space; empty at the end of the stream."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]  # it matches the empty text too
            if self._at < len(self._text) or not self._more(CHUNK_BYTES):
                return self._text[self._at : self._at + 1]

    def take(self, expected: str) -> None:
        """Step over this character. Raises _DamageError where another stands there."""
        found = self.peek()
        if found != expected:
            raise _DamageError(f"it is damaged: {found!r} stands where {expected!r} is due" if found else "it is cut")
        self._at += 1

    def value(self) -> Any:
        """The next value, whole. Raises _DamageError."""
        self.peek()
        size = CHUNK_BYTES
        while True:
            try:
                value, end = self._parse(self._text, self._at)
            except RecursionError:
                raise _DamageError("it is damaged: it nests too deep") from None
            except ValueError:
                value, end = None, None
            if end is None or end == len(self._text):  # a number at the end may go on
                if len(self._text) - self._at <= _LONGEST_VALUE and self._more(size):
                    size *= 2  # each try starts at the value's beginning
                    continue
                if end is None:
                    raise _DamageError("it is cut or damaged")
            self._at = end
            return value

    def _more(self, size: int) -> bool:
        chunk = self._stream.read(size)
        if chunk:
            self._text = self._text[self._at :] + self._decode(chunk)
            self._at = 0
        return bool(chunk)

    def entries(self) -> Iterator[str]:
        """The keys of the object that comes next; the caller takes the value of each before it asks for another."""
        yield from map(str, self._parts("{}", self._key))

    def elements(self) -> Iterator[Any]:
        """The values of the array that comes next."""
        yield from self._parts("[]", self.value)

    def _key(self) -> Any:
        key = self.value()
        self.take(":")
        return key

    def _parts(self, brackets: str, part: Callable[[], Any]) -> Iterator[Any]:
        self.take(brackets[0])
        if self.peek() != brackets[1]:
            yield part()
            while self.peek() == ",":
                self.take(",")
                yield part()
        self.take(brackets[1])


class _Place(NamedTuple):
    """One of DHAT's program points: what it says of one stack, in bytes, blocks and its own unit of time."""

    frames: tuple[int, ...]
    counts: tuple[int, ...]  # in the order of _COUNTS
    lifetimes: int | None
    accessed: tuple[int, int] | None  # bytes read, bytes written


class _Reader:
    def __init__(self, json_text: _Json, name: str) -> None:
        self._json = json_text
        self._name = name
        self._recording = Recording("dhat", growth_unseen=_GROWTH_UNSEEN)
        self._head: dict[str, Any] = {}
        self._places: list[_Place] = []
        self._frames: list[Frame] = []

    def recording(self) -> Recording:
        recording = self._recording
        try:
            self._read()
        except _DamageError as damage:
            add_flaw(recording, f"{self._name}: {damage}")
        self._judge_head()
        self._fill()
        recording.table = with_inlined_marked(recording.table)
        return recording

    def _read(self) -> None:
        for written in self._json.entries():
            key = _OF_VERSION_1.get(written, written)
            if key == "pps":
                self._places += map(_place, self._json.elements())
            elif key == "ftbl":
                self._frames += map(self._frame, self._json.elements())
            else:
                self._head[key] = self._json.value()
        if self._json.peek():
            raise _DamageError("it is damaged: something stands behind its end")

    def _frame(self, text: Any) -> Frame:
        if not isinstance(text, str):
            raise _DamageError("it is damaged: a frame is no text")
        frame = parse_frame(text) or Frame(text)
        with_column = _WITH_COLUMN.fullmatch(frame.file or "") if self._head.get("mode") == "rust-heap" else None
        return frame._replace(file=with_column[1], line=int(with_column[2])) if with_column else frame

    def _judge_head(self) -> None:
        """Take the facts from the keys that stand for themselves, and say what is wrong with them."""
        head, recording = self._head, self._recording
        mode = head.get("mode")
        if head.get("bklt") is False and isinstance(mode, str):
            raise LeakrunError(
                ErrorKind.USAGE,
                f"{self._name}: DHAT ran in its mode {mode[:40]!r}, which does not say what memory is in use",
                "run it with --mode=heap, which is its default",
            )
        if head.get("dhatFileVersion") not in _VERSIONS:
            add_flaw(
                recording, f"{self._name}: it is of DHAT's file version {head.get('dhatFileVersion')!r}, and 1 and 2 are known"
            )
        command = head.get("cmd")
        recording.command = command.split() if isinstance(command, str) else []
        recording.pid = _count(head.get("pid"))
        recording.limits.append("DHAT shows two moments, the peak and the end: it writes nothing while the program runs")

    def _fill(self) -> None:
        recording = self._recording
        unit, factor = _UNITS.get(str(self._head.get("tu", "instrs")), (TimeUnit.SNAPSHOTS, 1.0))
        recording.time_unit = unit
        peak, end = _count(self._head.get("tg")), _count(self._head.get("te"))
        if peak is None or end is None or peak > end:
            add_flaw(recording, f"{self._name}: its times of the peak and of the end are missing or damaged")
            peak, end = 0, 1
        sums = _sums(self._places)
        stack_ids = self._stack_ids()
        at_peak = Snapshot(peak * factor, {}, label="t-gmax", peak=True)
        at_end = Snapshot(end * factor, {}, label="t-end")
        for snapshot, metric, column in _SHOWN:
            amounts: dict[int, int] = defaultdict(int)
            for stack_id, place in zip(stack_ids, self._places, strict=True):
                amounts[stack_id] += place.counts[column]
            chosen = at_end if snapshot == "end" else at_peak
            chosen.totals[metric] = sums[column]
            held = {stack_id: min(amount, LARGEST) for stack_id, amount in amounts.items() if amount}
            chosen.columns[metric] = Column(held, held.values())
        if self._places:
            recording.snapshots = [at_peak, at_end]
        if recording.complete:
            recording.heap_summary = HeapSummary(Amount(sums[4], sums[5]), allocations=sums[1], allocated_bytes=sums[0])
        self._remark(stack_ids, sums[0])

    def _stack_ids(self) -> list[int]:
        """The stack of each place; a frame that the table of frames lacks, as it may be cut, has no name."""
        table = self._recording.table
        frame_ids = dict(enumerate(map(table.frame_id, self._frames)))
        wanted = {number for place in self._places for number in place.frames} - frame_ids.keys()
        frame_ids.update(dict.fromkeys(wanted, table.frame_id(Frame())) if wanted else {})
        return [table.stack_id(tuple(map(frame_ids.__getitem__, place.frames))) for place in self._places]

    def _remark(self, stack_ids: list[int], total: int) -> None:
        """Say which places had memory that nobody needed, or only briefly."""
        short, unit = _count(self._head.get("tuth")), self._head.get("tu")
        for stack_id, place in zip(stack_ids, self._places, strict=True):
            size, blocks = place.counts[0], place.counts[1]
            if size < _WORTH_A_REMARK * total:
                continue
            said = []
            if place.accessed == (0, 0):
                said.append(("never-used", "allocated in all, and neither written nor read"))
            elif place.accessed is not None and place.accessed[0] == 0:
                said.append(("never-read", "allocated in all, and written but never read"))
            if place.lifetimes is not None and short is not None and blocks and place.lifetimes < short * blocks:
                said.append(("short-lived", f"allocated in all, in blocks that lived for fewer than {short} {unit} on average"))
            self._recording.remarks += [Remark(kind, text, stack_id, size) for kind, text in said]


def _place(value: Any) -> _Place:
    if not isinstance(value, dict):
        raise _DamageError("it is damaged: a place is no group of figures")
    value = {_OF_VERSION_1.get(key, key): figure for key, figure in value.items()}
    counts = [_count(value.get(key)) for key in _COUNTS]
    frames = value.get("fs")
    if None in counts or not isinstance(frames, list) or not set(map(type, frames)) <= {int}:
        raise _DamageError("it is damaged: a place lacks a figure or its stack")
    read, written = _count(value.get("rb")), _count(value.get("wb"))
    accessed = (read, written) if read is not None and written is not None else None
    return _Place(tuple(frames), tuple(count or 0 for count in counts), _count(value.get("tl")), accessed)


def _count(value: Any) -> int | None:
    """A figure that a column can hold; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST else None


def _sums(places: list[_Place]) -> list[int]:
    return [min(sum(place.counts[column] for place in places), LARGEST) for column in range(len(_COUNTS))]
