"""jemalloc's heap profile, the text that it dumps with prof:true.

    heap_v2/524288                                   one sample for about each so many bytes; 1: every allocation
      t*: 101: 149120 [2011: 228504]                 of all threads: live blocks: live bytes [allocated blocks: bytes]
      t0: 101: 149120 [2011: 228504]                 of one thread
    @ 0x7f0d24ca2630 0x7f0d24ca2d21 0x55953b699192   a stack, return addresses, leaf first: jemalloc's own come first
      t*: 50: 51200 [0: 0]
      t0: 50: 51200 [0: 0]

    MAPPED_LIBRARIES:
    55953b699000-55953b69a000 r-xp 00001000 fe:00 2277503   /path/of/program

Written by jemalloc's src/prof_data.c (5.x; heap_v2 since 4.0); figures for allocated memory only with prof_accum:true. Samples
are scaled as its jeprof does. Files are called PREFIX.PID.SEQ.KIND[N].heap, where KIND is f (final), i (interval), m (by mallctl)
or u (peak).
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from runner.formats._heap_dumps import METRICS, Dump, Series, read_dumps, split_maps
from runner.model import Metric, Recording, TimeUnit

FORMAT = "jemalloc heap profile"
NAME = re.compile(r"(.*)\.(\d+)\.(\d+)\.[a-z]\d*\.heap$", re.DOTALL)  # prefix, pid, number

_COUNTS = rb"[ \t]+t\*:[ \t]*(\d{1,15}):[ \t]*(\d{1,15})[ \t]*\[[ \t]*(\d{1,15}):[ \t]*(\d{1,15})\][ \t]*$"
# A part of the total: blocks of which jemalloc keeps no stack, a few of a busy program; where stacks are cut off it is more.
UNLISTED = 0.001
_FIRST = re.compile(rb"(heap_v2/\d{1,20})[ \t\r]*$", re.MULTILINE)
_HEADER = re.compile(rb"(heap_v2/\d{1,20})[ \t\r]*\n" + _COUNTS, re.MULTILINE)
_STACK = re.compile(rb"^@([^\n]*)\n" + _COUNTS, re.MULTILINE)
_SAID = re.compile(rb"\s*(?:<jemalloc>: [^\n]*\n\s*)*")  # where its messages go into the same file: prof_leak, stats_print
_STACK_START = re.compile(rb"^@", re.MULTILINE)


def sniff(head: bytes) -> bool:
    """Whether `head` is the start of such a dump."""
    return head.startswith(b"heap_v2/", _begin(head))


def _begin(text: bytes) -> int:
    said = _SAID.match(text)
    return said.end() if said else 0


def read(stream: BinaryIO, name: str) -> Recording:
    """What one dump says: one snapshot."""
    series = _Jemalloc(TimeUnit.SNAPSHOTS)
    series.add(stream.read(), name, 0.0)
    return series.finish()


def read_series(files: Iterable[tuple[Path, float | None]]) -> Recording:
    """What the dumps of one process say, with the seconds since its start when each was written; None where that is not known."""
    return read_dumps(files, _Jemalloc)


def series_of(name: str) -> tuple[str, int] | None:
    """Of a file's name: what it shares with the other dumps of its process, and its number among them; None for no series."""
    named = NAME.fullmatch(name)
    return (f"{named[1]}.{named[2]}", int(named[3])) if named else None


def _take_apart(data: bytes) -> Dump:
    body, mappings, flaws = split_maps(data)
    body = body[_begin(body) :]
    first, header = _FIRST.match(body), _HEADER.match(body)
    dump = Dump(tuple(map(int, header.groups()[1:])) if header else None, first[1].decode("ascii") if first else "")
    if not header:
        dump.flaws.append("its first lines, which have the rate and the totals, are cut or damaged")
    dump.flaws += flaws
    dump.mappings = mappings
    rows = _STACK.findall(body)
    dump.fill([(*counts, tail) for tail, *counts in rows])
    dump.damaged = len(_STACK_START.findall(body)) - len(rows)
    return dump


class _Jemalloc(Series):
    """Dumps of jemalloc."""

    def __init__(self, unit: TimeUnit) -> None:
        super().__init__("jemalloc", "jemalloc", _take_apart, unit)
        self._exact = False
        self._unlisted = 0  # bytes, of one dump

    def metrics(self, dump: Dump) -> Iterable[Metric]:
        """Without prof_accum:true jemalloc does not know what was allocated in all, and writes 0."""
        return METRICS if dump.header is None or dump.header[2] else METRICS[:2]

    def compare(self, dump: Dump, name: str, size: int) -> None:
        """The totals are those of the stacks."""
        self._exact |= dump.kind == "heap_v2/1"
        missing = dump.header[1] - dump.sums()[1] if dump.header and not dump.flaws else 0
        self._unlisted = max(self._unlisted, missing)
        if dump.header and missing > dump.header[1] * UNLISTED:
            self.recording.flaws.append(
                f"{name}: its stacks list {dump.sums()[1]} of the {dump.header[1]} bytes that its first lines say"
            )

    def finish(self) -> Recording:
        """The recording, with what bounds its figures."""
        if self._unlisted > 0:
            self.recording.limits.append(
                f"jemalloc counts up to {self._unlisted} bytes more in all than at the stacks that it lists"
            )
        if self._exact:
            self.recording.limits.append("jemalloc counts a block as large as its size class, a little more than was asked for")
        return super().finish()
