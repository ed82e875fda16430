"""glibc's log of malloc, mtrace(3): a line for each allocation and each free, with the caller's address.

    = Start
    @ ./app:(grow+1b)[0x11c4] + 0x55c59d5804a0 0x64          allocated: where, address, bytes
    @ /lib/libc.so.6:[0x9e9aa] - 0x55c59d5804a0              freed
    @ ./app:(main+52)[0x1253] < 0x55c59d5804a0               given to realloc, and on the next line
    @ ./app:(main+52)[0x1253] > 0x55c59d5804a0 0x1388        what realloc made of it
    @ ./app:[0x1253] ! 0x55c59d5804a0 0x1388                 a realloc that failed

Written by glibc's malloc/mtrace-impl.c and read by its script mtrace(1). `where` is an object, a symbol where the object
exports one (mangled as it is there), and the return address, counted from where the object is mapped; an older glibc (2.28,
say) writes the address itself. Lines that begin with "=" hold no event; leakrun's own shim uses them to say whose log it is and
what time it is, in milliseconds ("= leakrun pid 4711", "= leakrun time 1280"). A log without them has no time: then events are
counted. Snapshots are the replay of the events, taken as the log goes on. Memory is bounded by the blocks that live at a time,
not by the log.
"""

import re
from pathlib import PurePath
from typing import BinaryIO

from runner.model import Column, Frame, Metric, Recording, Snapshot, TimeUnit

FORMAT = "mtrace log"

SNAPSHOTS = 100
CUT = "its last line is cut"
_METRICS = (Metric.LIVE_BYTES, Metric.LIVE_BLOCKS, Metric.ALLOCATED_BYTES, Metric.ALLOCATED_BLOCKS)
_START = b"= Start\n"
_OURS = b"= leakrun "
_CLOCK = re.compile(rb"^= leakrun clock ([0-9]{1,15})$", re.MULTILINE)
_TIME = re.compile(rb"^= leakrun time ([0-9]{1,12})$", re.MULTILINE)
_DIGITS = re.compile(rb"[0-9]{1,12}")
_HEADING = 1 << 14  # bytes: two paths of the longest
_CHUNK = 1 << 18
_LONGEST_ROW = 1 << 16
_LARGEST = 2**63 - 1  # what a column can hold
_TAKES, _GIVES = (b"+", b">"), (b"-", b"<")
_SIGNS = frozenset((*_TAKES, *_GIVES, b"!"))
_GIVEN_TO_REALLOC = re.compile(rb"(?:^| )< 0x[0-9a-f]+$")
_SIZE = re.compile(rb"0x[0-9a-f]{1,12}|0")
_ROW = re.compile(rb"(?:@ (.+) )?([-+<>!]) (0x[0-9a-f]{1,16}|\(nil\))(?: (\S+))?", re.DOTALL)
_WHERE = re.compile(rb"(?:(.*):)?(?:\(([^()]*)[+-][0-9a-fx]+\))?\[(0x[0-9a-f]{1,16})\]", re.DOTALL)
_LARGEST_OBJECT = 1 << 32  # bytes; what lies behind is no place in an object, but an address
_MOST_KINDS = 1 << 16  # of blocks, by place and size, whose description is shared
_RARE, _FEW = 0.01, 20  # of all events, and at all: fewer that don't fit are not spoken of
_SHORTEST = 0.001  # seconds: the unit of the log's times; a program may end in the same
_NO_TIME = "the log has no times: growth is judged over events, and a program that only starts up may seem to grow"
_MOVED = (
    "the log has addresses themselves, as an older glibc writes them: in what is moved when it is loaded they can't be named; "
    "link the program with -no-pie, or with -rdynamic"
)
_ONE_FRAME = (
    "mtrace keeps one frame of each allocation, malloc's direct caller: behind a wrapper, a C++ container or a function of libc "
    "the site is that, and not who called it"
)


def sniff(head: bytes) -> bool:
    """Whether `head` is the start of such a log."""
    return head.startswith((_START, _OURS))


def read(stream: BinaryIO, name: str, ended_at: float | None = None) -> Recording:
    """What a log says: up to 100 snapshots, spread evenly over it.

    Their time is in seconds where the log has times, else in events. `ended_at` is when the process ended, in seconds since
    1970, where that is known; else the last time in the log is its end.
    """
    clock = _CLOCK.search(stream.read(_HEADING))
    size = stream.seek(0, 2)
    seconds = 0.0
    if clock:
        seconds = max(_last_time(stream, size), (ended_at or 0.0) - int(clock[1]) / 1000, _SHORTEST)
    stream.seek(0)
    replay = _Replay(stream, name)
    return replay.over_time(seconds) if seconds else replay.over_events(size)


def _last_time(stream: BinaryIO, size: int) -> float:
    """The last time that the log has, in seconds: at its end, or in long stretches without an event nowhere near it."""
    back = _HEADING
    while True:
        stream.seek(max(size - back, 0))
        found = _TIME.findall(stream.read(back))
        if found or back >= size:
            return int(found[-1]) / 1000 if found else 0.0
        back *= 8


class _Replay:
    """Goes through the log once, and knows what lives at each moment."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name = stream, name
        self._recording = Recording("mtrace", module_relative=True, exported_names=True, replayed=True)
        self._heading: dict[bytes, str] = {}
        self._moments: list[float] = []  # of the snapshots to come, the last one first; seconds
        self._rest = b""
        self._read = 0  # bytes
        self._events = 0
        self._live: dict[bytes, tuple[int, int]] = {}  # by address: stack id, bytes
        self._kinds: dict[tuple[bytes, bytes], tuple[int, int]] = {}
        self._stack_ids: dict[bytes, int] = {}
        self._amounts: list[list[int]] = []  # by stack id, in the order of _METRICS
        self._unknown = self._again = self._damaged = 0
        self._moved = False

    def over_time(self, seconds: float) -> Recording:
        """Take snapshots at even intervals of time."""
        self._recording.time_unit = TimeUnit.SECONDS
        self._moments = [seconds * number / SNAPSHOTS for number in range(SNAPSHOTS, 0, -1)]
        self._replay_to(None)
        self._pass_to(float("inf"))
        return self._finish()

    def over_events(self, size: int) -> Recording:
        """Take snapshots at even intervals of the log, which has `size` bytes, and count the events for time."""
        recording = self._recording
        recording.time_unit = TimeUnit.EVENTS
        recording.limits.append(_NO_TIME)
        for number in range(1, SNAPSHOTS + 1):
            self._replay_to(size * number // SNAPSHOTS)
            if not recording.snapshots or self._events > recording.snapshots[-1].time:
                recording.snapshots.append(self._snapshot(self._events))
        return self._finish()

    def _pass_to(self, time: float) -> None:
        """It is so late now: the snapshots that were due before hold what lives now."""
        while self._moments and self._moments[-1] < time:
            self._recording.snapshots.append(self._snapshot(self._moments.pop()))

    def _replay_to(self, end: int | None) -> None:
        """Replay the log up to its byte `end`, or to its own end."""
        while end is None or self._read < end:
            chunk = self._stream.read(_CHUNK if end is None else min(_CHUNK, end - self._read))
            if not chunk:
                return
            self._read += len(chunk)
            rows = (self._rest + chunk).split(b"\n")
            self._rest = rows.pop()[:_LONGEST_ROW]
            if rows and _GIVEN_TO_REALLOC.search(rows[-1]):  # what realloc made of it is on the next line, and belongs to it
                self._rest = rows.pop() + b"\n" + self._rest
            self._take(rows)

    def _finish(self) -> Recording:
        self._tell_heading()
        self._tell_flaws()
        self._tell_limits()
        return self._recording

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
            self._take_ours(row[len(_OURS) :])
        elif not match and not row.startswith(b"= ") and (self._events or self._heading.get(b"began") != "fork"):
            self._damaged += 1  # in the log of a forked child the end of its parent's last line comes first, and is none
        return b"", b"", b"", b""

    def _take_ours(self, line: bytes) -> None:
        key, _, value = line.partition(b" ")
        if key == b"time":
            self._pass_to(int(value) / 1000 if _DIGITS.fullmatch(value) else 0.0)
        else:
            self._heading.setdefault(key, value.decode("utf-8", "surrogateescape"))

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
        """The frame of `object:(symbol+offset)[address]`.

        The program stands there as its argv[0], which it may have replaced since by a title: "nginx: worker process", or its
        own name with more behind it, "/usr/bin/redis-server *:6379".
        """
        match = _WHERE.fullmatch(where)
        if match is None:
            return Frame()
        module = None if match[1] is None else match[1].decode("utf-8", "surrogateescape")
        path = self._heading.get(b"path")
        if path and module is not None and self._is_program(module):
            module = path
        address = int(match[3], 16)
        symbol = match[2].decode("utf-8", "surrogateescape") if match[2] and match[2] != b"0x" else None
        if address < _LARGEST_OBJECT:
            return Frame(symbol, module=module or None, address=address)
        if symbol:
            return Frame(symbol, module=module or None)
        self._moved |= bool(module)
        return Frame(module=module or None, address=address)

    def _is_program(self, module: str) -> bool:
        name = self._heading.get(b"program") or ""
        return f"{module} ".startswith(f"{name} ") or not (module.startswith("/") or _is_library(module))

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
        program = heading.get(b"path") or next((each for each in objects if not _is_library(each)), None)
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
        if self._moved:
            limits.append(_MOVED)
        if self._unknown > max(_RARE * self._events, _FEW):
            since = "its parent forked it" if self._heading.get(b"began") == "fork" else "the trace began"
            limits.append(f"{self._unknown:,} frees are of blocks allocated before {since}, and could not be followed")
        if self._again:
            limits.append(f"{self._again:,} blocks were handed out again though no free of them was seen: taken as freed")


def _is_library(module: str) -> bool:
    return ".so" in PurePath(module).name


def _pid(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None
