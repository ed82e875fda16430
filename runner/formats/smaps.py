"""/proc/PID/smaps, saved: what each mapping of a process holds in memory (proc(5)). One file is one snapshot, or, where it was
appended to again and again, several. smaps_rollup, which has the sums over all mappings, is read too.

Mappings are grouped by kind, and each group stands as one frame: [heap], the arenas of malloc, each library's data, each name of
[anon:NAME], shared memory, files, and all other anonymous memory. A group's live bytes are those that only the process keeps
in being: resident anonymous pages, pages of shared mappings, and what is swapped out; pages of files that the kernel may drop
are in the snapshot's rss alone. A part of a file that is mapped more than once is a group of its own: its addresses, beyond the
first time, for which nobody has a use. Stacks are counted apart, as Metric.STACK_BYTES, each a frame of its own.

Behind the mappings may stand what `tail -n +1 /proc/PID/task/*/comm /proc/PID/task/*/syscall` prints: with it each stack has the
name of the thread whose stack pointer is in it. Of a thread that runs the kernel does not show it; an earlier file may have it.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from runner.formats._compressed import opened_at
from runner.formats._in_order import in_order
from runner.model import Column, FindingKind, Frame, Metric, Recording, Snapshot, TimeUnit

FORMAT = "a saved /proc/PID/smaps"

MAIN_STACK, NAMELESS_STACK = "[stack]", "[stack of a thread]"
HEAP, ARENAS, ANONYMOUS, SHARED = "[heap]", "[malloc arenas]", "[anonymous mappings]", "[shared memory]"
ROLLUP, ALL = "[rollup]", "[all mappings]"
AGAIN = "mapped again: file"
_HEAD = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])([sp]) ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+ \d+) *(.*)")
_FIELD = re.compile(rb"(Size|Rss|Pss|Anonymous|Swap|VmFlags|Locked): *(?:(\d+) kB)?")
_SERIES = re.compile(r"(.*?)[._-](\d+)(\.(?:txt|smaps))?$")
_ARENA = 64 << 20  # bytes: a malloc arena of glibc lies in a reserve of that size and alignment
_LARGEST_GUARD = 1 << 20  # bytes: what lies below a thread's stack; the reserve behind an arena is larger
_SMALLEST_STACK = 16 << 10  # bytes of address space: PTHREAD_STACK_MIN
_DELETED = " (deleted)"
_PART = re.compile(rb"==> /proc/\d+/task/(\d{1,10})/(comm|syscall) <==\n")
_POINTER = re.compile(rb"-?\d+ .*0x([0-9a-f]{1,16}) 0x[0-9a-f]+\n?")  # of syscall: number, arguments, sp, pc
_LIMITS = [
    "pages that were mapped and never touched are not counted, nor are pages of files that the kernel can drop; a file that is "
    "mapped again and again counts by its addresses",
    "this is what the kernel sees: which kind of memory grows, not which code asked for it",
]
_SUMS = "smaps_rollup has sums only: save smaps to see which kind of memory it is"


@dataclass(slots=True)
class _Mapping:
    start: int
    end: int
    writable: bool
    executable: bool
    shared: bool
    path: str
    offset: int = 0  # in the file
    inode: bytes = b""  # and the device
    kilobytes: dict[bytes, int] = field(default_factory=dict)
    whole: bool = False  # the line that ends it was there
    inaccessible: bool = False

    def bytes_of(self, name: bytes) -> int:
        return self.kilobytes.get(name, 0) * 1024

    def held(self) -> int:
        """Bytes that only this process, or those that share a mapping that can be written, keep in being."""
        return self.bytes_of(b"Rss" if self.shared and self.writable else b"Anonymous") + self.bytes_of(b"Swap")


def sniff(head: bytes) -> bool:
    """A mapping's line, and its Rss some lines below it; before them may stand when it was saved."""
    return (
        re.search(rb"^" + _HEAD.pattern, head, re.MULTILINE) is not None
        and re.search(rb"^Rss: +\d+ kB$", head, re.MULTILINE) is not None
    )


def series_of(name: str) -> tuple[str, int] | None:
    """smaps.4711.0003 is number 3 of smaps.4711."""
    named = _SERIES.fullmatch(name)
    return (named[1] + (named[3] or ""), int(named[2])) if named else None


def read(stream: BinaryIO, name: str) -> Recording:
    """One file: what each group holds at that moment."""
    recording = _recording(TimeUnit.SNAPSHOTS)
    _add(recording, stream, name, 0.0, {})
    return recording


def read_series(files: Iterable[tuple[Path, float | None]]) -> Recording:
    """Files of one process in the order of time; times in seconds since the start, None where they are not known."""
    unit, found = in_order(files)
    recording = _recording(unit)
    owners: dict[int, str] = {}
    for time, path in found:
        with opened_at(path) as stream:
            _add(recording, stream, path.name, time, owners)
    return recording


def _recording(unit: TimeUnit) -> Recording:
    return Recording("pmap", time_unit=unit, growth_kind=FindingKind.MAPPING_GROWTH, limits=list(_LIMITS))


def _add(recording: Recording, stream: BinaryIO, name: str, time: float, owners: dict[int, str]) -> None:
    """One more file. One that is cut keeps the mappings that are whole, as a flaw.

    `owners` are the threads by the end of their stack, as far as they are known; those of this file are entered.
    """
    threads = _Threads()
    mappings = list(_mappings(threads.behind(stream)))
    if not mappings:
        _flaw(recording, f"{name} holds no mappings")
        return
    if not mappings[-1].whole and (len(mappings) == 1 or mappings[0].whole):
        _flaw(recording, f"{name} is cut: its last mapping is not whole")
        mappings.pop()
    moments = list(_moments(mappings)) or [[]]
    own = [moment for moment in moments if _begin(moment) == _begin(moments[0])]
    if len(own) < len(moments):
        _flaw(recording, f"{name} holds other processes too, which are left out: save each in a file of its own")
    for number, moment in enumerate(own):
        at = time if recording.time_unit is TimeUnit.SECONDS else float(len(recording.snapshots))
        _add_moment(recording, moment, at, name if len(own) == 1 else f"{name} {number}", threads, owners)


def _moments(mappings: Iterable[_Mapping]) -> Iterator[list[_Mapping]]:
    """The mappings of each moment: the kernel lists them by their addresses, so that one below the last begins anew."""
    moment: list[_Mapping] = []
    for mapping in mappings:
        if moment and mapping.start <= moment[-1].start:
            yield moment
            moment = []
        moment.append(mapping)
    if moment:
        yield moment


def _begin(moment: list[_Mapping]) -> tuple[int, str]:
    """Where the program is, which is the same at each moment of a process."""
    return (moment[0].start, moment[0].path) if moment else (0, "")


def _add_moment(
    recording: Recording, mappings: list[_Mapping], time: float, label: str, threads: "_Threads", owners: dict[int, str]
) -> None:
    live: dict[str, int] = defaultdict(int)
    stacks: list[_Mapping] = []
    for group, mapping in _grouped(mappings):
        if group is None:
            stacks.append(mapping)
        else:
            live[group] += mapping.held()
    live |= _mapped_again(mappings)
    kept = {group: amount for group, amount in live.items() if amount}
    ids = [recording.table.intern([Frame(signature=group)]) for group in kept]
    owners.update(threads.owners(stacks))
    columns = {Metric.LIVE_BYTES: Column(ids, kept.values()), Metric.STACK_BYTES: _column_of_stacks(recording, stacks, owners)}
    totals = {
        Metric.LIVE_BYTES: sum(kept.values()),
        Metric.STACK_BYTES: sum(stack.held() for stack in stacks),
        Metric.RSS_BYTES: sum(mapping.bytes_of(b"Rss") for mapping in mappings),
        Metric.PSS_BYTES: sum(mapping.bytes_of(b"Pss") for mapping in mappings),
        Metric.MAPPED_BYTES: sum(mapping.bytes_of(b"Size") for mapping in mappings),
    }
    if any(mapping.path == ROLLUP for mapping in mappings):
        for unsaid in (Metric.STACK_BYTES, Metric.MAPPED_BYTES):
            del totals[unsaid]
        del columns[Metric.STACK_BYTES]
        if _SUMS not in recording.limits:
            recording.limits.append(_SUMS)
    recording.snapshots.append(Snapshot(time, totals, columns, label=label))


def _column_of_stacks(recording: Recording, stacks: Iterable[_Mapping], owners: dict[int, str]) -> Column:
    """What each stack holds: the main thread's, those of threads by name, and others, which the end's address tells apart."""
    held: dict[int, int] = defaultdict(int)
    for stack in stacks:
        owner = MAIN_STACK if stack.path == MAIN_STACK else owners.get(stack.end, "")
        frame = Frame(signature=owner) if owner else Frame(signature=NAMELESS_STACK, address=stack.end)
        held[recording.table.intern([frame])] += stack.held()
    return Column(held.keys(), held.values())


class _Threads:
    """What stands behind the mappings of a file."""

    def __init__(self) -> None:
        self._pointers: dict[int, int] = {}
        self._names: dict[int, str] = {}

    def behind(self, stream: BinaryIO) -> Iterator[bytes]:
        """The lines up to where the threads begin; these are taken when the lines are used up."""
        thread, what = 0, b""
        for line in stream:
            if part := _PART.fullmatch(line):
                thread, what = int(part[1]), part[2]
            elif what == b"comm":
                self._names.setdefault(thread, line.rstrip(b"\n").decode("utf-8", "backslashreplace"))
            elif what == b"syscall":
                if pointer := _POINTER.fullmatch(line):
                    self._pointers[thread] = int(pointer[1], 16)
            else:
                yield line

    def owners(self, stacks: Iterable[_Mapping]) -> dict[int, str]:
        """By the end of a stack, the thread whose pointer is in it."""
        by_pointer = sorted((pointer, thread) for thread, pointer in self._pointers.items())
        found = {}
        for stack in stacks:
            at = bisect_left(by_pointer, (stack.start, 0))
            if at < len(by_pointer) and by_pointer[at][0] < stack.end:
                thread = by_pointer[at][1]
                found[stack.end] = stack_of(thread, self._names.get(thread, ""))
        return found


def stack_of(thread: int, name: str) -> str:
    """What the stack of a thread that is not the main one is called here."""
    return f"[stack of {name}, thread {thread}]" if name else f"[stack of thread {thread}]"


def _flaw(recording: Recording, text: str) -> None:
    recording.complete = False
    recording.flaws.append(text)


def _mappings(stream: Iterable[bytes]) -> Iterator[_Mapping]:
    current: _Mapping | None = None
    for line in stream:
        amount = _FIELD.match(line)
        if amount is not None:
            if current is not None and line.endswith(b"\n"):
                last = b"Locked" if current.path == ROLLUP else b"VmFlags"
                current.whole = current.whole or amount[1] == last
                current.kilobytes[amount[1]] = int(amount[2] or 0)
            continue
        head = _HEAD.match(line)
        if head is None:
            continue
        if current is not None:
            yield current
        path = head[9].decode("utf-8", "surrogateescape").strip().replace("\\012", "\n")
        current = _Mapping(int(head[1], 16), int(head[2], 16), head[4] == b"w", head[5] == b"x", head[6] == b"s", path)
        current.offset, current.inode = int(head[7], 16), head[8]
        current.inaccessible = head[3] + head[4] + head[5] == b"---"
    if current is not None:
        yield current


def _mapped_again(mappings: list[_Mapping]) -> dict[str, int]:
    """By file, how many bytes of addresses map what another mapping has mapped already; code and shared memory are left out.

    A library's own segments overlap by a page. What all mappings of shared memory hold is counted as resident.
    """
    by_file: dict[bytes, list[_Mapping]] = defaultdict(list)
    for segments in _images(mappings):
        if not any(each.executable or (each.shared and each.writable) for each in segments):
            by_file[segments[0].inode] += segments
    again: dict[str, int] = defaultdict(int)
    for parts in by_file.values():
        seen = 0  # in the file, up to where
        for mapping in sorted(parts, key=lambda each: each.offset):
            end = mapping.offset + mapping.end - mapping.start
            again[f"{AGAIN} {mapping.path.removesuffix(_DELETED)}"] += max(0, min(seen, end) - mapping.offset)
            seen = max(seen, end)
    return again


def _images(mappings: list[_Mapping]) -> Iterator[list[_Mapping]]:
    """The mappings of files; those that lie one behind the other, in memory as in the file, together: a library's segments."""
    together: list[_Mapping] = []
    for mapping in mappings:
        before = together[-1] if together else None
        follows = before and (before.inode, before.end) == (mapping.inode, mapping.start) and before.offset < mapping.offset
        if together and not follows:
            yield together
            together = []
        if mapping.path.startswith("/"):
            together.append(mapping)
    if together:
        yield together


def _grouped(mappings: list[_Mapping]) -> Iterator[tuple[str | None, _Mapping]]:
    """Each mapping with its group; None for a stack."""
    code = {mapping.path for mapping in mappings if mapping.executable and mapping.path.startswith("/")}
    file, before = "", None
    for number, mapping in enumerate(mappings):
        after = mappings[number + 1] if number + 1 < len(mappings) else None
        adjacent = before is not None and before.end == mapping.start
        if mapping.path.startswith("/"):
            file = mapping.path
        elif not adjacent or mapping.path:
            file = ""
        if file in code and not mapping.shared:
            yield f"{_name(file)} data", mapping  # its .bss is an anonymous mapping right behind it
        elif mapping.path:
            yield _named(mapping), mapping
        elif _is_arena(mapping, after):
            yield ARENAS, mapping
        elif _is_stack(mapping, before if adjacent else None):
            yield None, mapping
        else:
            yield SHARED if mapping.shared else ANONYMOUS, mapping
        before = mapping


def _name(path: str) -> str:
    return path.removesuffix(_DELETED).rpartition("/")[2]


def _named(mapping: _Mapping) -> str | None:
    path = mapping.path
    if path == ROLLUP:
        return ALL
    if path == MAIN_STACK or path.startswith(("[stack:", "[anon: glibc: pthread stack")):
        return None
    if path.startswith("[anon: glibc: malloc arena"):
        return ARENAS
    if path.startswith("[anon: glibc: malloc"):
        return ANONYMOUS
    if path.startswith("["):
        return path
    shared = path.startswith(("/dev/shm/", "/memfd:", "/SYSV", "/dev/zero", "/dev/udmabuf", "/i915"))
    return f"{SHARED} {_name(path)}" if shared else f"file {path.removesuffix(_DELETED)}"


def _is_arena(mapping: _Mapping, after: _Mapping | None) -> bool:
    """A malloc arena begins at a multiple of its size, and the rest of its reserve lies behind it, untouched."""
    if not mapping.writable or mapping.start % _ARENA or mapping.shared:
        return False
    if mapping.end - mapping.start == _ARENA:
        return True
    return after is not None and after.start == mapping.end and after.inaccessible and after.end % _ARENA == 0


def _is_stack(mapping: _Mapping, below: _Mapping | None) -> bool:
    """A thread's stack has a guard below it: a small mapping that nobody may touch."""
    if below is None or not below.inaccessible or below.path or not mapping.writable or mapping.shared:
        return False
    return below.end - below.start <= _LARGEST_GUARD and mapping.end - mapping.start >= _SMALLEST_STACK
