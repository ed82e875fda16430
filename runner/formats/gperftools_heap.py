"""gperftools' heap profile, the text that tcmalloc's heap profiler dumps.

    heap profile:   1000:   112000 [  2011:   228504] @ heapprofile       live blocks: live bytes [allocated blocks: bytes]
      1000:   112000 [  1000:   112000] @ 0x564192b9f1a7 0x564192b9f256   the same for each stack, return addresses, leaf first

    MAPPED_LIBRARIES:
    564192b9f000-564192ba0000 r-xp 00001000 00:00 2172448     /path/of/program

Written by gperftools' src/heap-profile-table.cc; https://gperftools.github.io/gperftools/heapprofile.html. Where the header ends
in heap_v2/RATE or heap/RATE the figures are samples, one for about each RATE bytes, and are scaled here as pprof scales them.
Frames are left as addresses with the path of the file that was mapped there; `symbols` names them.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import BinaryIO

from runner.mappings import MappingIndex, parse_maps
from runner.model import Column, Frame, Mapping, Metric, Recording, Snapshot, StackTable, TimeUnit

FORMAT = "gperftools heap profile (tcmalloc)"

_COUNTS = rb"[ \t]*(\d{1,15}):[ \t]*(\d{1,15})[ \t]*\[[ \t]*(\d{1,15}):[ \t]*(\d{1,15})\][ \t]*@"
_HEADER = re.compile(rb"heap profile:" + _COUNTS + rb"\s*(\S*)\s*")
_STACK = re.compile(b"^" + _COUNTS + rb"(.*)$", re.MULTILINE)
_ADDRESS = re.compile(rb"0x[0-9a-f]{1,16}", re.IGNORECASE)
_RATE = re.compile(r"heap(_v2)?/(\d{1,12})(?:\*(\d{1,6}))?$")
_MAPS = b"MAPPED_LIBRARIES:"
_LONGEST_TEXT = 1 << 20  # gperftools' own buffer, src/heap-profiler.cc
_LARGEST = 1 << 52  # of a scaled figure: what a damaged rate may do
_METRICS = (Metric.LIVE_BLOCKS, Metric.LIVE_BYTES, Metric.ALLOCATED_BLOCKS, Metric.ALLOCATED_BYTES)  # in the order of the text

_Counts = tuple[int, ...]  # four, in the order of the text


def sniff(head: bytes) -> bool:
    """Whether `head` is the start of such a dump. jemalloc's own text (heap_v2/RATE in its first line) is not."""
    return head.lstrip().startswith(b"heap profile:")


def read(stream: BinaryIO, name: str) -> Recording:
    """What one dump says: one snapshot."""
    reader = _SeriesReader(TimeUnit.SNAPSHOTS)
    reader.add(stream.read(), name, 0.0)
    return reader.finish()


def read_series(files: Iterable[tuple[Path, float | None]]) -> Recording:
    """What the dumps of one process say, with the seconds since its start when each was written; None where that is not known.

    Then only the order counts, which is the one given. A dump that can't be read is a flaw of the recording.
    """
    files = list(files)
    known = [time for _, time in files if time is not None]
    timed = len(known) == len(files)
    reader = _SeriesReader(TimeUnit.SECONDS if timed else TimeUnit.SNAPSHOTS)
    ordered = sorted(zip(known, (path for path, _ in files), strict=True)) if timed else enumerate(path for path, _ in files)
    for time, path in ordered:
        try:
            reader.add(path.read_bytes(), path.name, float(time))
        except OSError as error:
            reader.recording.flaws.append(f"{path.name}: can't be read: {error.strerror}")
    return reader.finish()


@dataclass(slots=True)
class _Dump:
    """A dump's text taken apart.

    header   the totals of the first line, in the order of the text; None where it can't be read
    counts   the same for the stacks, a row for each column of the text
    tails    the text of each stack's addresses
    damaged  lines that can't be read
    """

    header: _Counts | None
    kind: str
    counts: list[list[int]] = field(default_factory=lambda: [[], [], [], []])
    tails: list[bytes] = field(default_factory=list)
    mappings: list[Mapping] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)
    damaged: int = 0

    def sums(self) -> _Counts:
        """What the stacks sum up to."""
        return tuple(map(sum, self.counts))

    def keep(self, kept: list[bool]) -> None:
        """Drop the stacks that are not `kept`."""
        self.counts = [list(compress(row, kept)) for row in self.counts]
        self.tails = list(compress(self.tails, kept))


def _take_apart(data: bytes) -> _Dump:
    body, maps_word, maps = data.partition(_MAPS)
    first, _, rest = body.lstrip().partition(b"\n")
    header = _HEADER.fullmatch(first)
    dump = _Dump(tuple(map(int, header.groups()[:4])) if header else None, header[5].decode("latin-1") if header else "")
    if not header:
        dump.flaws.append("its first line, which has the totals, is cut or damaged")
    if not maps_word:
        dump.flaws.append("it is cut: the list of mapped libraries is missing, by which addresses are named")
        rest = rest[: rest.rfind(b"\n") + 1]  # the last line is empty, or cut, and then its last address may be half an address
    elif not maps.endswith(b"\n"):
        dump.flaws.append("it is cut within the list of mapped libraries")
    rows = _STACK.findall(rest)
    if rows:
        *counts, tails = zip(*rows, strict=True)
        dump.counts, dump.tails = [list(map(int, row)) for row in counts], list(tails)
    dump.damaged = sum(map(_is_text, rest.split(b"\n"))) - len(rows)
    dump.mappings = parse_maps(maps)
    return dump


def _is_text(line: bytes) -> bool:
    return not line.isspace() and line[:1] not in (b"", b"#")  # Go's runtime adds comments


class _FrameIds(dict[bytes, int]):
    """Frame ids by the text of their addresses, found at the first look. Raises ValueError for what is no address."""

    def __init__(self, table: StackTable, index: MappingIndex) -> None:
        super().__init__()
        self.table = table
        self.index = index

    def __missing__(self, word: bytes) -> int:
        if not _ADDRESS.fullmatch(word):
            raise ValueError("not an address")
        address = int(word, 16)
        mapping = self.index.find(max(address - 1, 0))  # the call is in the mapping; the return address may be at its end
        found = self[word] = self.table.frame_id(Frame(address=address, module=mapping.path if mapping else None))
        return found


class _SeriesReader:
    """Adds dumps to one recording. The same stack's text recurs in each dump and is taken apart once."""

    def __init__(self, unit: TimeUnit) -> None:
        self.recording = Recording(tool="heapprofile", time_unit=unit)
        self.mapped: list[Mapping] | None = None  # by the last dump
        self.stack_ids: dict[bytes, int] = {}  # valid as long as the mappings are the same
        self.frame_ids = _FrameIds(self.recording.table, MappingIndex(()))
        self.rates: set[str] = set()
        self.with_mappings = False
        self.unlisted: list[tuple[float, str, int, int]] = []  # share, name, listed bytes, all bytes

    def add(self, data: bytes, name: str, time: float) -> None:
        dump = _take_apart(data)
        self._map(dump.mappings)
        stack_ids = self._stack_ids(dump)
        self._note_unlisted(dump, name, len(data))
        self.recording.flaws += [f"{name}: {flaw}" for flaw in dump.flaws]
        self._scale(dump)
        totals = map(max, dump.header or (0, 0, 0, 0), dump.sums())  # mappings are not in the header
        snapshot = Snapshot(time, dict(zip(_METRICS, totals, strict=True)), label=name)
        snapshot.columns = _columns(stack_ids, dump.counts)
        self.recording.snapshots.append(snapshot)

    def finish(self) -> Recording:
        recording = self.recording
        if not recording.snapshots and not recording.flaws:
            recording.flaws.append("there is no dump")
        recording.complete = not recording.flaws
        if self.unlisted:
            recording.limits.append(self._say_unlisted())
        if self.with_mappings:
            recording.limits.append("mappings are counted beside blocks, those that tcmalloc took for its heap among them")
        recording.limits += [f"sampled by tcmalloc ({rate}): the figures are estimates" for rate in sorted(self.rates)]
        return recording

    def _map(self, mappings: list[Mapping]) -> None:
        """From here on addresses are in these mappings, or where these have none, in those of earlier dumps.

        A library that is unloaded leaves its blocks behind.
        """
        if mappings == self.mapped:
            return
        self.mapped = mappings
        earlier = self.recording.mappings
        new = set(mappings)
        earlier[:] = [mapping for mapping in earlier if mapping not in new] + mappings
        self.stack_ids, self.frame_ids = {}, _FrameIds(self.recording.table, MappingIndex(earlier))

    def _stack_ids(self, dump: _Dump) -> list[int]:
        """The stacks of the dump; those whose addresses can't be read are dropped from it."""
        found = list(map(self._stack_id, dump.tails))
        if None in found:
            dump.damaged += found.count(None)
            dump.keep([stack_id is not None for stack_id in found])
        if dump.damaged:
            dump.flaws.append(f"{dump.damaged} of its lines can't be read")
        return [stack_id for stack_id in found if stack_id is not None]

    def _stack_id(self, tail: bytes) -> int | None:
        """The id of the stack whose addresses are written in `tail`; None where these can't be read."""
        known = self.stack_ids.get(tail)
        if known is None:
            try:
                frame_ids = tuple(map(self.frame_ids.__getitem__, tail.split()))
            except ValueError:
                return None
            table = self.recording.table
            known = self.stack_ids[tail] = table.stack_id(frame_ids or (table.frame_id(Frame()),))
        return known

    def _note_unlisted(self, dump: _Dump, name: str, size: int) -> None:
        """Compare what the lines sum up to with what the header says."""
        if dump.header is None:
            return
        sums = dump.sums()
        missing = [(1 - sums[i] / dump.header[i], name, sums[i], dump.header[i]) for i in (1, 3) if sums[i] < dump.header[i]]
        if size >= _LONGEST_TEXT - 4096:
            self.unlisted += missing
        elif missing and not dump.flaws:
            self.recording.flaws.append(
                f"{name}: its lines list {missing[0][2]} of the {missing[0][3]} bytes that its header says"
            )
        self.with_mappings |= sums[1] > dump.header[1]

    def _say_unlisted(self) -> str:
        share, name, listed, total = max(self.unlisted)
        dumps = len({each[1] for each in self.unlisted})
        return (
            f"tcmalloc cuts a dump's text at 1 MiB: {dumps} of {len(self.recording.snapshots)} lack their smallest stacks; "
            f"{name} lists {listed} of {total} bytes ({100 * share:.1f} % are missing)"
        )

    def _scale(self, dump: _Dump) -> None:
        sampled = _RATE.search(dump.kind)
        rate = int(sampled[2]) * int(sampled[3] or 1) if sampled else 0
        if sampled is None or rate <= 1:
            return
        self.rates.add(dump.kind)
        scale = _scale_v2 if sampled[1] else _scale_v1
        for blocks, sizes in (dump.counts[:2], dump.counts[2:]):
            scaled = [scale(*each, rate) for each in zip(blocks, sizes, strict=True)]
            blocks[:], sizes[:] = [each[0] for each in scaled], [each[1] for each in scaled]
        dump.header = dump.sums()


def _scale_v2(blocks: int, size: int, rate: int) -> tuple[int, int]:
    """A Poisson sample of mean `rate` bytes catches a block of n bytes with the probability 1 - exp(-n / rate)."""
    if not blocks or not size:
        return 0, 0
    factor = 1 / -math.expm1(-(size / blocks) / rate)
    return round(min(blocks * factor, _LARGEST)), round(min(size * factor, _LARGEST))


def _scale_v1(blocks: int, size: int, rate: int) -> tuple[int, int]:
    """Blocks smaller than `rate` were caught with the probability n / rate."""
    if not blocks or not size:
        return 0, 0
    factor = max(rate / (size / blocks), 1.0)
    return round(min(blocks * factor, _LARGEST)), round(min(size * factor, _LARGEST))


def _columns(stack_ids: list[int], counts: list[list[int]]) -> dict[Metric, Column]:
    """The columns of one snapshot; stacks that have none of a metric are left out of it."""
    if len(set(stack_ids)) < len(stack_ids):
        stack_ids, counts = _merged(stack_ids, counts)
    return {metric: Column(compress(stack_ids, row), filter(None, row)) for metric, row in zip(_METRICS, counts, strict=True)}


def _merged(stack_ids: list[int], counts: list[list[int]]) -> tuple[list[int], list[list[int]]]:
    """Each stack once: with HEAP_PROFILE_MMAP one may stand for blocks and for mappings."""
    places = {stack_id: place for place, stack_id in enumerate(dict.fromkeys(stack_ids))}
    merged = [[0] * len(places) for _ in counts]
    for row, sums in zip(counts, merged, strict=True):
        for stack_id, amount in zip(stack_ids, row, strict=True):
            sums[places[stack_id]] += amount
    return list(places), merged
