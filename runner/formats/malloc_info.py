"""What glibc's malloc_info(3) writes: the heap as its malloc sees it. One file is one moment.

malloc/malloc.c, __malloc_info(): a <heap> for each arena with the free blocks by size, and behind them, for all arenas,

    <total type="fast" count="3" size="96"/>        free blocks kept for small requests
    <total type="rest" count="14" size="126317"/>   the other free blocks, the one at the top of each heap among them
    <total type="mmap" count="1" size="1052672"/>   large blocks in use that have a mapping of their own
    <system type="current" size="405504"/>          what the heaps have from the system

In use is what the heaps have less what is free. In <sizes> the free blocks stand by size but those at the top, so that these
are the rest: what lies at the top can be given back, what lies between blocks in use can't.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

from runner.formats._compressed import opened_at
from runner.formats._in_order import in_order
from runner.model import Column, Frame, Metric, Recording, Remark, Snapshot, TimeUnit

FORMAT = "glibc's malloc_info() XML"

IN_USE, LARGE, KEPT = "[heap in use]", "[large blocks in use]", "[heap, free]"
_HEAD = re.compile(rb"^\s*<malloc version=\"1\">", re.MULTILINE)
_DOCUMENT = re.compile(rb"<malloc version=\"1\">.*?</malloc>", re.DOTALL)
_MOST = 1 << 26  # bytes of a text that are looked through
_SERIES = re.compile(r"(.*?)[._-](\d+)(\.xml)?")
_WORTH_A_REMARK = 1 << 20  # bytes
_NOTABLE = 0.25  # of what the heaps have from the system
_LIMITS = [
    "blocks that each thread keeps for itself (tcache: up to 7 of a size) count as in use",
    "this is what malloc as a whole has: not which code asked for it",
]


@dataclass(frozen=True, slots=True)
class _Heap:
    """Bytes from the system, free, free at the top of a heap, and in blocks with a mapping of their own; and how many pieces the
    rest of the free ones are in.
    """

    system: int
    free: int
    top: int
    large: int
    pieces: int

    @property
    def in_use(self) -> int:
        return max(self.system - self.free, 0)


def sniff(head: bytes) -> bool:
    """The first line, which may stand behind others: a debugger's or a server's, which was asked for it."""
    return _HEAD.search(head) is not None


def series_of(name: str) -> tuple[str, int] | None:
    """malloc_info.4711.0003.xml is number 3 of malloc_info.4711.xml."""
    named = _SERIES.fullmatch(name)
    return (named[1] + (named[3] or ""), int(named[2])) if named else None


def read(stream: BinaryIO, name: str) -> Recording:
    """One file: the heap at that moment; or at several, one behind the other."""
    series = _Series(TimeUnit.SNAPSHOTS)
    for number, document in enumerate(_documents(stream)):
        series.add(document, name, float(number))
    return series.finish()


def read_series(files: Iterable[tuple[Path, float | None]]) -> Recording:
    """Files of one process in the order of time; times in seconds since the start, None where they are not known."""
    unit, found = in_order(files)
    series = _Series(unit)
    for time, path in found:
        with opened_at(path) as stream:
            series.add(_documents(stream)[-1], path.name, time)
    return series.finish()


def _documents(stream: BinaryIO) -> list[bytes]:
    """Those that are whole; where there is none, all of the text."""
    text = stream.read(_MOST)
    return _DOCUMENT.findall(text) or [text]


class _Series:
    def __init__(self, unit: TimeUnit) -> None:
        self.recording = Recording("malloc_info", time_unit=unit, limits=list(_LIMITS))
        self.heaps: list[_Heap] = []

    def add(self, document: bytes, name: str, time: float) -> None:
        """One more moment, later than those before. A file that is cut gives none."""
        try:
            heap = _heap(ElementTree.fromstring(document))
        except (ElementTree.ParseError, ValueError, LookupError):
            self._flaw(f"{name} is cut or damaged: it can't be read")
            return
        self.heaps.append(heap)
        amounts = {IN_USE: heap.in_use, LARGE: heap.large}
        ids = [self.recording.table.intern([Frame(signature=group)]) for group, amount in amounts.items() if amount]
        column = Column(ids, filter(None, amounts.values()))
        totals = {Metric.LIVE_BYTES: sum(amounts.values()), Metric.HEAP_EXTRA_BYTES: heap.free}
        self.recording.snapshots.append(Snapshot(time, totals, {Metric.LIVE_BYTES: column}, label=name))

    def finish(self) -> Recording:
        """The recording, with what is to be said of the memory that is free and kept."""
        if self.heaps and not any(heap.system or heap.large for heap in self.heaps):
            self._flaw("glibc's malloc has nothing here: the program has another allocator (jemalloc, tcmalloc, its own)")
        if self.heaps:
            self._remark(self.heaps[0], self.heaps[-1])
        return self.recording

    def _remark(self, first: _Heap, last: _Heap) -> None:
        between = last.free - last.top
        was = f"; at the start it was {first.free:,} bytes" if len(self.heaps) > 1 else ""
        of = f"of the {last.system:,} bytes that the heaps have from the system{was}"
        stack = self.recording.table.intern([Frame(signature=KEPT)])
        for kind, size, text in (
            (
                "fragmentation",
                between,
                f"in {last.pieces:,} pieces between blocks in use, which keep them from being given back, {of}",
            ),
            ("retained", last.top, f"at the top of the heaps, kept for later requests: no leak, {of}"),
        ):
            if size >= max(_WORTH_A_REMARK, _NOTABLE * last.system):
                self.recording.remarks.append(Remark(kind, text, stack, size))

    def _flaw(self, text: str) -> None:
        self.recording.complete = False
        self.recording.flaws.append(text)


def _heap(root: ElementTree.Element) -> _Heap:
    """Raises ValueError or LookupError for what glibc does not write."""
    totals = {each.attrib["type"]: (int(each.attrib["size"]), int(each.attrib["count"])) for each in root.findall("total")}
    (system,) = (int(each.attrib["size"]) for each in root.findall("system") if each.attrib["type"] == "current")
    sized = sum(int(each.attrib["total"]) for each in root.iterfind("heap/sizes/*"))
    fast, rest, large = totals["fast"], totals["rest"], totals.get("mmap", (0, 0))
    top = rest[0] + fast[0] - sized
    figures = (system, rest[0] + fast[0], max(top, 0), large[0], max(rest[1] + fast[1] - len(root.findall("heap")), 0))
    if min(figures) < 0 or max(figures) >= 1 << 60:
        raise ValueError("not possible")
    return _Heap(*figures)
