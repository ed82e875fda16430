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
from pathlib import Path
from typing import BinaryIO

from runner.mappings import MappingIndex, parse_maps
from runner.model import Column, Frame, Mapping, Metric, Recording, Snapshot, StackTable, TimeUnit

FORMAT = "gperftools heap profile (tcmalloc)"

_COUNTS = rb"\s*(\d{1,18}):\s*(\d{1,18})\s*\[\s*(\d{1,18}):\s*(\d{1,18})\]\s*@"
_HEADER = re.compile(rb"heap profile:" + _COUNTS + rb"\s*(\S*)\s*")
_STACK = re.compile(_COUNTS + rb"(.*)")
_ADDRESS = re.compile(rb"0x[0-9a-f]{1,16}", re.IGNORECASE)
_RATE = re.compile(r"heap(_v2)?/(\d{1,12})(?:\*(\d{1,6}))?$")
_MAPS = b"MAPPED_LIBRARIES:"
_LONGEST_TEXT = 1 << 20  # gperftools' own buffer, src/heap-profiler.cc
_METRICS = (Metric.LIVE_BLOCKS, Metric.LIVE_BYTES, Metric.ALLOCATED_BLOCKS, Metric.ALLOCATED_BYTES)  # in the order of the text

_Counts = tuple[int, int, int, int]


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
    """A dump's text taken apart: for each stack its counts and the text of its addresses."""

    header: _Counts | None
    kind: str
    counts: list[_Counts] = field(default_factory=list)
    tails: list[bytes] = field(default_factory=list)
    mappings: list[Mapping] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)
    damaged: int = 0  # lines


def _take_apart(data: bytes) -> _Dump:
    body, maps_word, maps = data.partition(_MAPS)
    first, *lines = body.lstrip().split(b"\n")
    header = _HEADER.fullmatch(first)
    dump = _Dump(_numbers(header) if header else None, header[5].decode("latin-1") if header else "")
    if not header:
        dump.flaws.append("its first line, which has the totals, is cut or damaged")
    if not maps_word:
        dump.flaws.append("it is cut: the list of mapped libraries is missing, by which addresses are named")
        del lines[-1:]  # empty, or cut, and then its last address may be half an address
    elif not maps.endswith(b"\n"):
        dump.flaws.append("it is cut within the list of mapped libraries")
    for line in lines:
        match = _STACK.fullmatch(line)
        if match:
            dump.counts.append(_numbers(match))
            dump.tails.append(match[5])
        elif line.strip() and not line.startswith(b"#"):  # Go's runtime adds comments
            dump.damaged += 1
    dump.mappings = parse_maps(maps)
    return dump


def _sums(counts: list[_Counts]) -> _Counts:
    return sum(c[0] for c in counts), sum(c[1] for c in counts), sum(c[2] for c in counts), sum(c[3] for c in counts)


def _numbers(match: re.Match[bytes]) -> _Counts:
    return int(match[1]), int(match[2]), int(match[3]), int(match[4])


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
        totals = map(max, dump.header or (0, 0, 0, 0), _sums(dump.counts))  # mappings are not in the header
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
        """The stacks of the dump's counts; counts whose addresses can't be read are taken out."""
        found = list(map(self._stack_id, dump.tails))
        readable = [stack_id for stack_id in found if stack_id is not None]
        if len(readable) < len(found):
            dump.counts = [counts for counts, stack_id in zip(dump.counts, found, strict=True) if stack_id is not None]
            dump.damaged += len(found) - len(readable)
        if dump.damaged:
            dump.flaws.append(f"{dump.damaged} of its lines can't be read")
        return readable

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
        sums = _sums(dump.counts)
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
        dump.counts = [(*scale(c[0], c[1], rate), *scale(c[2], c[3], rate)) for c in dump.counts]
        dump.header = _sums(dump.counts)


def _scale_v2(blocks: int, size: int, rate: int) -> tuple[int, int]:
    """A Poisson sample of mean `rate` bytes catches a block of n bytes with the probability 1 - exp(-n / rate)."""
    if not blocks or not size:
        return 0, 0
    factor = 1 / -math.expm1(-(size / blocks) / rate)
    return round(blocks * factor), round(size * factor)


def _scale_v1(blocks: int, size: int, rate: int) -> tuple[int, int]:
    """Blocks smaller than `rate` were caught with the probability n / rate."""
    if not blocks or not size:
        return 0, 0
    factor = max(rate / (size / blocks), 1.0)
    return round(blocks * factor), round(size * factor)


def _columns(stack_ids: list[int], counts: list[_Counts]) -> dict[Metric, Column]:
    """The columns of one snapshot; stacks that have none of a metric are left out of it."""
    if len(set(stack_ids)) < len(stack_ids):
        stack_ids, counts = _merged(stack_ids, counts)
    columns: dict[Metric, Column] = {}
    for index, metric in enumerate(_METRICS):
        kept = [(stack_id, each[index]) for stack_id, each in zip(stack_ids, counts, strict=True) if each[index]]
        columns[metric] = Column((pair[0] for pair in kept), (pair[1] for pair in kept))
    return columns


def _merged(stack_ids: list[int], counts: list[_Counts]) -> tuple[list[int], list[_Counts]]:
    """Each stack once: with HEAP_PROFILE_MMAP one may stand for blocks and for mappings."""
    sums: dict[int, _Counts] = {}
    for stack_id, (a, b, c, d) in zip(stack_ids, counts, strict=True):
        w, x, y, z = sums.get(stack_id, (0, 0, 0, 0))
        sums[stack_id] = (a + w, b + x, c + y, d + z)
    return list(sums), list(sums.values())
