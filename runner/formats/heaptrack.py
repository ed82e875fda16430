"""heaptrack's record of every allocation and every free, as its library writes it and as heaptrack_interpret rewrites it.

A line each, all numbers hexadecimal; strings have their length before them from format 3 on (heaptrack 1.3):

    v 10400 3                  heaptrack's version, the format's
    x 6 /bin/a                 the executable; `X` its command line, `I` the size of a page, `A` attached to
    m -                        from here on other objects are mapped:
    m 6 /bin/a 5556e0ca9000 0 7d8 1000 2a9    path ("x" is the executable), base, and address and size of each segment
    t 7f822cd1fb9f 0           a node of the tree of stacks: address, and the node, from 1 up, of its caller; 0 is none
    + 11c00 4 555705495530     allocated: bytes, stack, address
    - 555705495530             freed
    c d                        so late is it now, in milliseconds
    R 3a1                      resident pages

heaptrack_interpret leaves out `x` and `m`, names the addresses and numbers the kinds of blocks:

    s 4 main                   a string; they count from 1
    i 55b2567131f4 1 14 15 6   an address: object, function, file, line; then function, file, line of what that is inlined into
    t 8 7                      address, caller
    a 64 9                     a kind of block, from 0 up: bytes, stack
    + 1                        one more of that kind;  - 1  one fewer

In format 0, from before heaptrack 1.0, there are no kinds: its + and - are those of the library.

Written by heaptrack's src/track/libheaptrack.cpp and src/interpret/heaptrack_interpret.cpp; its addresses lie within the call,
not behind it. Snapshots are the replay of the events, taken as the record goes on: memory is bounded by the blocks that live at a
time.
"""

import re
from collections.abc import Callable
from typing import BinaryIO

from runner.model import Column, Frame, Metric, Recording, Remark, Snapshot, TimeUnit

FORMAT = "heaptrack record"

MOST_SNAPSHOTS = 64  # of which, whenever there are so many, each second one goes: the rest are spread evenly over the time
CUT = "it is cut: the end that heaptrack writes is not there"
_METRICS = (Metric.LIVE_BYTES, Metric.LIVE_BLOCKS, Metric.ALLOCATED_BYTES, Metric.ALLOCATED_BLOCKS)
_STEP = 10  # milliseconds between two times in the record, at first between two snapshots
_WITH_LENGTHS = 3  # the first format with lengths before strings
_MARK = re.compile(rb"v [0-9a-f]{5,6}(?: ([0-9a-f]))?\n(?:#.*\n)*[xXIsm] ")
_RAW = re.compile(rb"^[xm] ", re.MULTILINE)
_PAGE = 4096
_CHUNK = 1 << 18
_LONGEST_LINE = 1 << 16
_DEEPEST = 4096  # frames of a stack
_LARGEST = 2**63 - 1  # what a column can hold
_MOST_KINDS = 1 << 16  # of blocks, by stack and size, whose description is shared
_RARE, _FEW = 0.01, 20  # of all events, and at all: fewer that don't fit are not spoken of
_TEMPORARY, _WORTH_A_REMARK = 0.5, 0.01  # the part of a stack's blocks that is temporary, and of all bytes allocated
_NO_MODULES = "the objects that were mapped are not in it: addresses have no names"


def sniff(head: bytes) -> bool:
    """Whether `head` is the start of such a record."""
    return _MARK.match(head) is not None


def is_raw(head: bytes) -> bool:
    """Whether the record that begins so is as the library wrote it, with addresses in the place of names."""
    return _RAW.search(head) is not None


def read(stream: BinaryIO, name: str) -> Recording:
    """What a record says, raw or interpreted: snapshots spread evenly over it, 64 at most, their time in seconds."""
    return _Replay(name).replay(stream)


class _DamagedError(ValueError):
    """A line that can't be."""


class _Modules:
    """What is mapped where: turns an address into a frame that counts from where its object begins."""

    def __init__(self) -> None:
        self._segments: list[tuple[int, int, int, str]] = []  # start, end, where its object begins, path

    def forget(self) -> None:
        self._segments.clear()

    def add(self, path: str, numbers: list[int]) -> None:
        base, segments = numbers[0], list(zip(numbers[1::2], numbers[2::2], strict=False))
        begin = (base + min((address for address, _ in segments), default=0)) // _PAGE * _PAGE
        self._segments += [(base + address, base + address + size, begin, path) for address, size in segments]

    def frame(self, address: int) -> Frame:
        for start, end, begin, path in self._segments:
            if start <= address < end:
                return Frame(module=path, address=address - begin)
        return Frame()


class _Replay:
    """Goes through the record once, and knows what lives at each moment."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._recording = Recording("heaptrack", time_unit=TimeUnit.SECONDS, module_relative=True, replayed=True)
        self._with_lengths = False
        self._interpreted = False
        self._attached = False
        self._program = ""
        self._page, self._rss = _PAGE, 0
        self._modules = _Modules()
        self._strings: list[str] = []
        self._addresses: list[tuple[int, ...]] = []  # by number: frame ids, innermost first
        self._raw_addresses: dict[int, tuple[int, ...]] = {}
        self._nodes: list[tuple[tuple[int, ...], int]] = []  # of the tree of stacks: frame ids, number of the caller
        self._stack_ids: dict[int, int] = {}  # by number of a node
        self._amounts: list[list[int]] = []  # by stack id, in the order of _METRICS, then temporary blocks and their bytes
        self._kinds: dict[tuple[bytes, bytes], tuple[int, int]] = {}  # raw: stack id and bytes, by how they are written
        self._numbered: list[tuple[int, int]] = []  # interpreted: the same, by number
        self._live: dict[bytes, tuple[int, int]] = {}  # raw: the same, by address
        self._events = self._unknown = self._again = self._damaged = 0
        self._last = b""  # what was allocated last
        self._now, self._next, self._step = 0, _STEP, _STEP  # milliseconds
        self._rest = b""
        self._last_lines: list[bytes] = []
        self._others: dict[bytes, Callable[[bytes], None]] = {
            b"v": self._version,
            b"x": self._executable,
            b"X": self._command,
            b"I": self._system,
            b"A": self._attach,
            b"m": self._module,
            b"s": self._string,
            b"i": self._address,
            b"t": self._node,
            b"a": self._kind_of_block,
            b"R": self._resident,
        }

    def replay(self, stream: BinaryIO) -> Recording:
        """Read the whole stream."""
        while chunk := stream.read(_CHUNK):
            lines = (self._rest + chunk).split(b"\n")
            self._rest = lines.pop()[:_LONGEST_LINE]
            self._take(lines)
            self._last_lines = [*self._last_lines, *lines[-2:]][-2:]
        return self._finish()

    def _take(self, lines: list[bytes]) -> None:
        """Replay whole lines. This is the reader's speed."""
        for line in lines:
            sign = line[:1]
            try:
                if sign == b"+":
                    self._allocated(line)
                elif sign == b"-":
                    self._freed(line[2:])
                elif sign == b"c":
                    self._pass_to(_number(line[2:]))
                elif sign in self._others:
                    self._others[sign](line[2:])
            except (ValueError, IndexError):
                self._damaged += 1

    def _allocated(self, line: bytes) -> None:
        words = line.split(b" ")
        if len(words) == 4:
            _, size, node, self._last = words
            kind = self._kinds.get((node, size)) or self._kind(node, size)
            if self._last in self._live:
                self._again += 1
                self._forget(self._live[self._last])
            self._live[self._last] = kind
        else:
            _, self._last = words
            kind = self._numbered[_number(self._last)]
        amount = self._amounts[kind[0]]
        amount[0] += kind[1]
        amount[1] += 1
        amount[2] += kind[1]
        amount[3] += 1
        self._events += 1

    def _freed(self, key: bytes) -> None:
        self._events += 1
        kind = self._numbered[_number(key)] if self._numbered else self._live.pop(key, None)
        if kind is None:
            self._unknown += 1
            return
        self._forget(kind)
        if key == self._last:
            amount = self._amounts[kind[0]]
            amount[4] += 1
            amount[5] += kind[1]
        self._last = b""

    def _forget(self, kind: tuple[int, int]) -> None:
        amount = self._amounts[kind[0]]
        if amount[1] <= 0 or amount[0] < kind[1]:
            raise _DamagedError("more was freed than allocated")
        amount[0] -= kind[1]
        amount[1] -= 1

    def _kind(self, node: bytes, size: bytes) -> tuple[int, int]:
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        kind = self._kinds[node, size] = (self._stack_id(_number(node)), _number(size))
        return kind

    def _stack_id(self, number: int) -> int:
        """The stack that ends in this node; 0 is a stack that is not known."""
        known = self._stack_ids.get(number)
        if known is not None:
            return known
        frame_ids: list[int] = []
        at = number
        while at and len(frame_ids) < _DEEPEST:
            own, caller = self._nodes[at - 1]
            frame_ids += own
            at = caller
        table = self._recording.table
        stack_id = self._stack_ids[number] = table.stack_id(tuple(frame_ids) or (table.frame_id(Frame()),))
        self._amounts += [[0] * (len(_METRICS) + 2) for _ in range(len(self._amounts), stack_id + 1)]
        return stack_id

    def _pass_to(self, time: int) -> None:
        """It is so late now; where a snapshot is due, it holds what lives now."""
        self._now = max(self._now, time)
        if self._now < self._next:
            return
        snapshots = self._recording.snapshots
        snapshots.append(self._snapshot())
        if len(snapshots) >= MOST_SNAPSHOTS:
            del snapshots[::2]
            self._step *= 2
        self._next = self._now // self._step * self._step + self._step

    def _snapshot(self) -> Snapshot:
        snapshot = Snapshot(self._now / 1000, {})
        for number, metric in enumerate(_METRICS):
            held = {stack_id: min(row[number], _LARGEST) for stack_id, row in enumerate(self._amounts) if row[number]}
            snapshot.columns[metric] = Column(held, held.values())
            snapshot.totals[metric] = min(sum(held.values()), _LARGEST)
        if self._rss:
            snapshot.totals[Metric.RSS_BYTES] = min(self._rss * self._page, _LARGEST)
        return snapshot

    # ---- the other lines

    def _version(self, text: bytes) -> None:
        numbers = [_number(word) for word in text.split()]
        version = numbers[0]
        self._recording.tool_version = f"{version >> 16}.{version >> 8 & 255}.{version & 255}"
        self._with_lengths = len(numbers) > 1 and numbers[1] >= _WITH_LENGTHS

    def _executable(self, text: bytes) -> None:
        self._program = self._text(text)[0]

    def _command(self, text: bytes) -> None:
        self._recording.command = text.decode("utf-8", "surrogateescape").split()

    def _system(self, text: bytes) -> None:
        self._page = _number(text.split()[0]) or _PAGE

    def _attach(self, text: bytes) -> None:
        self._attached = True

    def _module(self, text: bytes) -> None:
        if text.rstrip().endswith(b"-") and len(text.split()) <= 2:
            self._modules.forget()
            self._raw_addresses.clear()
            return
        path, numbers = self._text(text)
        words = [_number(word) for word in numbers.split()]
        if words:
            self._modules.add(self._program if path == "x" else path, words)

    def _text(self, text: bytes) -> tuple[str, bytes]:
        """A string, and what follows it on the line."""
        if not self._with_lengths:
            word, _, rest = text.partition(b" ")
            return word.decode("utf-8", "surrogateescape"), rest
        length, _, rest = text.partition(b" ")
        end = _number(length)
        return rest[:end].decode("utf-8", "surrogateescape"), rest[end:]

    def _string(self, text: bytes) -> None:
        self._interpreted = True
        self._strings.append(self._text(text)[0] if self._with_lengths else text.decode("utf-8", "surrogateescape"))

    def _address(self, text: bytes) -> None:
        words = [_number(word) for word in text.split()]
        module = self._string_at(words[1]) if len(words) > 1 else None
        calls = [words[at : at + 3] for at in range(2, len(words), 3)]
        frames = [self._named(module, words[0], call, inlined=number < len(calls)) for number, call in enumerate(calls, 1)] or [
            Frame(module=module)
        ]
        self._addresses.append(tuple(map(self._recording.table.frame_id, frames)))

    def _named(self, module: str | None, address: int, call: list[int], *, inlined: bool) -> Frame:
        function, file, line = [*call, 0, 0][:3]
        path = self._string_at(file)
        signature = self._string_at(function)
        return Frame(signature, path, (line or None) if path else None, module, address if signature else None, inlined)

    def _string_at(self, number: int) -> str | None:
        """The string of that number; 0 is none."""
        return self._strings[number - 1] or None if number else None

    def _node(self, text: bytes) -> None:
        address, caller = (_number(word) for word in text.split())
        if caller > len(self._nodes):
            raise _DamagedError("a caller that is not there")
        if self._interpreted:
            frame_ids = self._addresses[address - 1] if address else ()
        else:
            frame_ids = self._raw_addresses.get(address) or self._raw_address(address)
        self._nodes.append((frame_ids, caller))

    def _raw_address(self, address: int) -> tuple[int, ...]:
        known = self._raw_addresses[address] = (self._recording.table.frame_id(self._modules.frame(address)),)
        return known

    def _kind_of_block(self, text: bytes) -> None:
        self._interpreted = True
        size, node = (_number(word) for word in text.split())
        self._numbered.append((self._stack_id(node), size))

    def _resident(self, text: bytes) -> None:
        self._rss = _number(text)

    # ---- at the end

    def _finish(self) -> Recording:
        recording = self._recording
        if not recording.snapshots or self._now / 1000 > recording.snapshots[-1].time:
            recording.snapshots.append(self._snapshot())
        if self._program:
            recording.command[:1] = [self._program]
        self._tell_flaws()
        self._tell_limits()
        self._tell_temporary()
        return recording

    def _tell_flaws(self) -> None:
        flaws = self._recording.flaws
        if self._damaged:
            flaws.append(f"{self._name}: {self._damaged} of its lines can't be read")
        if self._rest or not self._has_end():
            flaws.append(f"{self._name}: {CUT}")
        if not self._events and not flaws:
            flaws.append(
                f"{self._name}: it holds no event: nothing was allocated, or by an allocator that heaptrack does not see"
            )
        self._recording.complete = not flaws

    def _has_end(self) -> bool:
        """heaptrack ends with the resident size, and heaptrack_interpret with two lines of its own."""
        ends = (b"# strings:", b"# ips:") if self._interpreted else (b"R ",)
        return any(line.startswith(ends) for line in self._last_lines[-len(ends) :])

    def _tell_limits(self) -> None:
        limits = self._recording.limits
        frames = self._recording.table.frames
        if not self._interpreted and frames and all(frame.module is None for frame in frames):
            limits.append(f"{self._name}: {_NO_MODULES}")
        if self._attached:
            limits.append("heaptrack was attached to it: what was allocated before, and what became of it, was not seen")
        elif self._unknown > max(_RARE * self._events, _FEW):
            limits.append(f"{self._unknown:,} frees are of blocks whose allocation was not seen, and could not be followed")
        if self._again > max(_RARE * self._events, _FEW):
            limits.append(f"{self._again:,} blocks were handed out again though no free of them was seen: taken as freed")

    def _tell_temporary(self) -> None:
        """Say which stacks allocate what is freed at once, before anything else is allocated."""
        total = sum(row[2] for row in self._amounts)
        for stack_id, row in enumerate(self._amounts):
            if row[4] >= _FEW and row[5] >= _WORTH_A_REMARK * total and row[4] >= _TEMPORARY * row[3]:
                text = f"allocated in all, in {row[4]:,} temporary blocks: each freed before the next was allocated"
                self._recording.remarks.append(Remark("short-lived", text, stack_id, min(row[5], _LARGEST)))


def _number(text: bytes) -> int:
    """A hexadecimal number that a column can hold. Raises _DamagedError."""
    if not 0 < len(text) <= 16:
        raise _DamagedError("no number")
    value = int(text, 16)
    if not 0 <= value < 2**64:
        raise _DamagedError("no number")
    return value
