"""glibc's log of malloc, mtrace(3): a line for each allocation and each free, with the caller's address.

    = Start
    @ ./app:(grow+1b)[0x11c4] + 0x55c59d5804a0 0x64          allocated: where, address, bytes
    @ /lib/libc.so.6:[0x9e9aa] - 0x55c59d5804a0              freed
    @ ./app:(main+52)[0x1253] < 0x55c59d5804a0               given to realloc, and on the next line
    @ ./app:(main+52)[0x1253] > 0x55c59d5804a0 0x1388        what realloc made of it
    @ ./app:[0x1253] ! 0x55c59d5804a0 0x1388                 a realloc that failed

Written by glibc's malloc/mtrace-impl.c and read by its script mtrace(1). `where` is an object, a symbol where the object exports
one, and the return address, counted from where the object is mapped. Lines that begin with "=" hold no event; leakrun's own
shim uses them to say whose log it is ("= leakrun pid 4711"). There is one frame for a block, and no time: snapshots are the
replay of the events, taken as the log goes on. Memory is bounded by the blocks that live at a time, not by the log.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import PurePath
from typing import BinaryIO

from runner.model import Column, Frame, Metric, Recording, Snapshot, TimeUnit

FORMAT = "mtrace log"

SNAPSHOTS = 100
FEWEST_MARKS = 8  # with fewer the time is not known well enough
CUT = "its last line is cut"
_METRICS = (Metric.LIVE_BYTES, Metric.LIVE_BLOCKS, Metric.ALLOCATED_BYTES, Metric.ALLOCATED_BLOCKS)
_START = b"= Start\n"
_OURS = b"= leakrun "
_CHUNK = 1 << 18
_LONGEST_ROW = 1 << 16
_LARGEST = 2**63 - 1  # what a column can hold
_TAKES, _GIVES = (b"+", b">"), (b"-", b"<")
_SIGNS = frozenset((*_TAKES, *_GIVES, b"!"))
_SIZE = re.compile(rb"0x[0-9a-f]{1,12}|0")
_ROW = re.compile(rb"(?:@ (.+) )?([-+<>!]) (0x[0-9a-f]{1,16}|\(nil\))(?: (\S+))?", re.DOTALL)
_WHERE = re.compile(rb"(?:(.*):)?(?:\([^()]*\))?\[(0x[0-9a-f]{1,16})\]", re.DOTALL)
_MOST_KINDS = 1 << 16  # of blocks, by place and size, whose description is shared
_RARE, _FEW = 0.01, 20  # of all events, and at all: fewer that don't fit are not spoken of
_ONE_FRAME = (
    "mtrace keeps one frame of each allocation, malloc's direct caller: behind a wrapper, a C++ container or a function of libc "
    "the site is that, and not who called it"
)

Mark = tuple[float, int]  # seconds since the process began, bytes of the log by then


def sniff(head: bytes) -> bool:
    """Whether `head` is the start of such a log."""
    return head.startswith((_START, _OURS))


def read(stream: BinaryIO, name: str) -> Recording:
    """What a log says: up to 100 snapshots, spread evenly over it. Time is counted in events."""
    size = _size_of(stream)
    cuts = [size * number // SNAPSHOTS for number in range(1, SNAPSHOTS + 1)]
    recording = _Replay(stream, name).recording([(None, cut) for cut in cuts])
    recording.limits.append(
        "the log has no times: growth is judged over events, and a program that only starts up may seem to grow"
    )
    return recording


def read_timed(stream: BinaryIO, name: str, marks: Sequence[Mark], ended: float) -> Recording:
    """The same with time in seconds, for a log whose size is known at some moments, the `marks`, in their order.

    Between two marks events are taken to be spread evenly. `ended` is when the process ended.
    """
    known = _rising([(0.0, 0), *marks, (ended, _size_of(stream))])
    moments = [ended * number / SNAPSHOTS for number in range(1, SNAPSHOTS + 1)]
    recording = _Replay(stream, name).recording([(moment, _size_at(known, moment)) for moment in moments])
    if len(known) < FEWEST_MARKS:
        recording.growth_unseen = (
            f"the log has no times, and its size was seen at {len(known)} moments only: run it longer, or with --every 500ms"
        )
    return recording


def _size_of(stream: BinaryIO) -> int:
    size = stream.seek(0, 2)
    stream.seek(0)
    return size


def _rising(marks: Sequence[Mark]) -> list[Mark]:
    """The marks without those at which time or size went back, as it does where a file took another's place."""
    kept: list[Mark] = []
    for time, size in marks:
        if not kept or (time > kept[-1][0] and size >= kept[-1][1]):
            kept.append((time, size))
    return kept


def _size_at(marks: Sequence[Mark], moment: float) -> int:
    """The log's size at a moment, between the two marks that it lies between."""
    after = bisect_left([time for time, _ in marks], moment)
    if after >= len(marks):
        return marks[-1][1]
    (earlier, small), (later, large) = marks[max(after - 1, 0)], marks[after]
    return large if later <= earlier else small + round((large - small) * (moment - earlier) / (later - earlier))


class _Replay:
    """Goes through the log once, and knows what lives at each moment."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name
        self._recording = Recording("mtrace", module_relative=True)
        self._heading: dict[bytes, str] = {}
        self._rest = b""
        self._read = 0  # bytes
        self._events = 0
        self._live: dict[bytes, tuple[int, int]] = {}  # by address: stack id, bytes
        self._kinds: dict[tuple[bytes, bytes], tuple[int, int]] = {}
        self._stack_ids: dict[bytes, int] = {}
        self._amounts: list[list[int]] = []  # by stack id, in the order of _METRICS
        self._unknown = self._again = self._damaged = 0

    def recording(self, cuts: Sequence[tuple[float | None, int]]) -> Recording:
        """Replay up to each cut, a number of bytes, and take a snapshot there at its time; None for the number of events."""
        recording = self._recording
        timed = bool(cuts) and cuts[0][0] is not None
        recording.time_unit = TimeUnit.SECONDS if timed else TimeUnit.EVENTS
        for time, cut in cuts:
            self._replay_to(cut)
            moment = float(self._events) if time is None else time
            if timed or not recording.snapshots or moment > recording.snapshots[-1].time:
                recording.snapshots.append(self._snapshot(moment))
        self._tell_heading()
        self._tell_flaws()
        self._tell_limits()
        return recording

    def _replay_to(self, cut: int) -> None:
        while self._read < cut and (chunk := self._stream.read(min(_CHUNK, cut - self._read))):
            self._read += len(chunk)
            rows = (self._rest + chunk).split(b"\n")
            self._rest = rows.pop()[:_LONGEST_ROW]
            self._take(rows)

    def _take(self, rows: list[bytes]) -> None:
        """Replay whole rows. This is the reader's speed: what recurs is looked up, and hardly anything is taken apart twice."""
        live, kinds, amounts = self._live, self._kinds, self._amounts
        for row in rows:
            words = row.split(b" ")
            if len(words) == 5:
                _, where, sign, address, size = words
            elif len(words) == 4:
                (_, where, sign, address), size = words, b""
            else:
                sign = b""
            if sign not in _SIGNS or address[:2] != b"0x":
                if not row:
                    continue
                where, sign, address, size = self._unusual(row)
            if sign in _TAKES:
                kind = kinds.get((where, size)) or self._kind(where, size)
                if address in live:
                    self._again += 1
                    self._forget(address)
                live[address] = kind
                amount = amounts[kind[0]]
                amount[0] += kind[1]
                amount[1] += 1
                amount[2] += kind[1]
                amount[3] += 1
                self._events += 1
            elif sign in _GIVES:
                self._events += 1
                if address in live:
                    self._forget(address)
                else:
                    self._unknown += 1

    def _forget(self, address: bytes) -> None:
        stack_id, length = self._live.pop(address)
        row = self._amounts[stack_id]
        row[0] -= length
        row[1] -= 1

    def _unusual(self, row: bytes) -> tuple[bytes, bytes, bytes, bytes]:
        """Where, sign, address, size of a row with spaces in its object's path, or no place; no sign where it holds no event."""
        match = _ROW.fullmatch(row)
        if match and match[3] != b"(nil)":
            return match[1] or b"", match[2], match[3], match[4] or b""
        if row.startswith(_OURS):
            key, _, value = row[len(_OURS) :].partition(b" ")
            self._heading.setdefault(key, value.decode("utf-8", "surrogateescape"))
        elif not match and not row.startswith(b"= ") and (self._events or self._heading.get(b"began") != "fork"):
            self._damaged += 1  # in the log of a forked child the end of its parent's last line comes first, and is none
        return b"", b"", b"", b""

    def _kind(self, where: bytes, size: bytes) -> tuple[int, int]:
        """The stack and the bytes of a block, by its place and its size as they are written."""
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        stack_id = self._stack_ids.get(where)
        if stack_id is None:
            stack_id = self._stack_ids[where] = self._recording.table.intern([self._frame(where)])
            if stack_id == len(self._amounts):
                self._amounts.append([0] * len(_METRICS))
        if not _SIZE.fullmatch(size):
            self._damaged += 1
            return stack_id, 0
        kind = self._kinds[where, size] = (stack_id, int(size, 16))
        return kind

    def _frame(self, where: bytes) -> Frame:
        """The frame of `object:(symbol+offset)[address]`. The program goes there by the name that it was called by."""
        match = _WHERE.fullmatch(where)
        if match is None:
            return Frame()
        module = match[1].decode("utf-8", "surrogateescape") if match[1] else None
        if module and module == self._heading.get(b"program"):
            module = self._heading.get(b"path") or module
        return Frame(module=module, address=int(match[2], 16))

    def _snapshot(self, time: float) -> Snapshot:
        snapshot = Snapshot(time, {})
        for number, metric in enumerate(_METRICS):
            held = {stack_id: min(row[number], _LARGEST) for stack_id, row in enumerate(self._amounts) if row[number]}
            snapshot.columns[metric] = Column(held, held.values())
            snapshot.totals[metric] = min(sum(held.values()), _LARGEST)
        return snapshot

    def _tell_heading(self) -> None:
        """Whose log it is; where the heading does not say, the first object that is no library is the program."""
        recording, heading = self._recording, self._heading
        objects = (frame.module for frame in recording.table.frames if frame.module)
        program = heading.get(b"path") or next((each for each in objects if ".so" not in PurePath(each).name), None)
        recording.command = [program] if program else []
        recording.pid, recording.parent_pid = _pid(heading.get(b"pid")), _pid(heading.get(b"parent"))

    def _tell_flaws(self) -> None:
        flaws = self._recording.flaws
        if self._damaged:
            flaws.append(f"{self._name}: {self._damaged} of its lines can't be read")
        if self._rest:
            flaws.append(f"{self._name}: {CUT}")
        if not self._events and not flaws:
            flaws.append(f"{self._name}: it holds no event")
        self._recording.complete = not flaws

    def _tell_limits(self) -> None:
        limits = self._recording.limits
        limits.append(_ONE_FRAME)
        if self._unknown > max(_RARE * self._events, _FEW):
            since = "its parent forked it" if self._heading.get(b"began") == "fork" else "the trace began"
            limits.append(f"{self._unknown:,} frees are of blocks allocated before {since}, and could not be followed")
        if self._again:
            limits.append(f"{self._again:,} blocks were handed out again though no free of them was seen: taken as freed")


def _pid(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None
