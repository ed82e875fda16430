"""What the texts of gperftools and of jemalloc have in common: the dumps of one process become one recording.

A format takes a dump's text apart into a `Dump`. Here its stacks are interned, mappings are followed from dump to dump, and
samples are scaled. Frames are left as addresses with the path of the file that was mapped there; `symbols` names them.
"""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain, compress
from pathlib import Path

from runner.formats._compressed import flaw_of, opened_at
from runner.formats._in_order import in_order
from runner.mappings import MappingIndex, parse_maps
from runner.model import Column, Frame, Mapping, Metric, Recording, Snapshot, StackTable, TimeUnit

# In the order of the texts.
METRICS = (Metric.LIVE_BLOCKS, Metric.LIVE_BYTES, Metric.ALLOCATED_BLOCKS, Metric.ALLOCATED_BYTES)

_MAPS = re.compile(rb"^(?:MAPPED_LIBRARIES:|--- Memory map:)", re.MULTILINE)
_BUILD = re.compile(rb"^\s*build=(.*)$", re.MULTILINE)  # stands for $build in the paths, in what pprof's servers write
_ADDRESS = re.compile(rb"0x[0-9a-f]{1,16}", re.IGNORECASE)
_RATE = re.compile(r"heapz?(_v2)?/(\d{1,20})(?:\*(\d{1,6}))?$")
STACKLESS = (
    "some blocks have no stack: the allocator could not walk it; -fno-omit-frame-pointer, or libunwind in the allocator, help"
)
_LARGEST = 1 << 52  # of a scaled figure: what a damaged rate may do

Counts = tuple[int, ...]  # four, in the order of METRICS


@dataclass(slots=True)
class Dump:
    """A dump's text taken apart.

    header   the totals of the whole dump; None where they can't be read
    kind     heap_v2/RATE where the figures are samples, one for about each RATE bytes; heap/RATE, of Go and of an older tcmalloc,
             where they are for each RATE / 2
    counts   the same for the stacks, a row for each of METRICS
    tails    the text of each stack's addresses: 0x... 0x..., leaf first
    names    what the text itself says of addresses: of each the frames, innermost first
    damaged  lines that can't be read
    """

    header: Counts | None
    kind: str
    counts: list[list[int]] = field(default_factory=lambda: [[], [], [], []])
    tails: list[bytes] = field(default_factory=list)
    mappings: list[Mapping] = field(default_factory=list)
    names: dict[int, list[Frame]] = field(default_factory=dict)
    flaws: list[str] = field(default_factory=list)
    damaged: int = 0

    def fill(self, rows: list[tuple[bytes, ...]]) -> None:
        """Take over what the lines of stacks say: four numbers each, and the addresses."""
        if rows:
            *counts, tails = zip(*rows, strict=True)
            self.counts, self.tails = [list(map(int, row)) for row in counts], list(tails)

    def sums(self) -> Counts:
        """What the stacks sum up to."""
        return tuple(map(sum, self.counts))

    def keep(self, kept: list[bool]) -> None:
        """Drop the stacks that are not `kept`."""
        self.counts = [list(compress(row, kept)) for row in self.counts]
        self.tails = list(compress(self.tails, kept))


def split_maps(data: bytes) -> tuple[bytes, list[Mapping], list[str]]:
    """The text before the list of mapped libraries, that list, and what is wrong with it.

    Where there is no list the last line is left out: it is empty, or cut, and then its last address may be half an address.
    """
    found = _MAPS.search(data)
    if not found:
        cut = "it is cut: the list of mapped libraries is missing, by which addresses are named"
        return data[: data.rfind(b"\n") + 1], [], [cut]
    body, maps = data[: found.start()], data[found.end() :]
    if build := _BUILD.search(maps):
        maps = maps.replace(b"$build", build[1].rstrip())
    flaws = [] if maps.endswith(b"\n") else ["it is cut within the list of mapped libraries"]
    return body, parse_maps(maps), flaws


def read_dumps(files: Iterable[tuple[Path, float | None]], series_of: "Callable[[TimeUnit], Series]") -> Recording:
    """What the dumps of one process say, with the seconds since its start when each was written; None where that is not known.

    Then only the order counts, which is the one given. A dump that can't be read is a flaw of the recording.
    """
    unit, found = in_order(files)
    series = series_of(unit)
    for time, path in found:
        try:
            with opened_at(path) as stream:
                series.add(stream.read(), path.name, time)
                flaw = flaw_of(stream)
            series.recording.flaws += [f"{path.name}: {flaw}"] if flaw else []
        except OSError as error:
            series.recording.flaws.append(f"{path.name}: can't be read: {error.strerror}")
    return series.finish()


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


class Series:
    """Adds dumps to one recording. The same stack's text recurs in each dump and is taken apart once."""

    def __init__(self, tool: str, sampler: str, take_apart: Callable[[bytes], Dump], unit: TimeUnit) -> None:
        self.recording = Recording(tool=tool, time_unit=unit)
        self._sampler = sampler  # who took the samples, for a limit
        self._take_apart = take_apart
        self._mapped: list[Mapping] | None = None  # by the last dump
        self._stack_ids: dict[bytes, int] = {}  # valid as long as the mappings are the same
        self._frame_ids = _FrameIds(self.recording.table, MappingIndex(()))
        self._rates: set[str] = set()
        self._names: dict[int, list[Frame]] = {}

    def add(self, data: bytes, name: str, time: float) -> None:
        """One more dump, later than those before."""
        dump = self._take_apart(data)
        self._map(dump.mappings)
        if dump.names:
            self._names |= dump.names
            self._stack_ids.clear()
        stack_ids = self._ids_of(dump)
        self.compare(dump, name, len(data))
        self.recording.flaws += [f"{name}: {flaw}" for flaw in dump.flaws]
        self._scale(dump)
        metrics = self.metrics(dump)
        totals = map(max, dump.header or (0, 0, 0, 0), dump.sums())  # mappings are not in gperftools' header
        said = {metric: total for metric, total in zip(METRICS, totals, strict=True) if metric in metrics}
        snapshot = Snapshot(time, said, label=name)
        columns = _columns(stack_ids, dump.counts)
        snapshot.columns = {metric: column for metric, column in columns.items() if metric in metrics}
        self.recording.snapshots.append(snapshot)

    def metrics(self, dump: Dump) -> Iterable[Metric]:
        """What this dump says."""
        return METRICS

    def compare(self, dump: Dump, name: str, size: int) -> None:
        """Compare what the lines sum up to with what the header says; `size` is the text's length in bytes."""

    def finish(self) -> Recording:
        """The recording of all dumps."""
        recording = self.recording
        if not recording.snapshots and not recording.flaws:
            recording.flaws.append("there is no dump")
        recording.complete = not recording.flaws
        if any(recording.table.frames_of(number) == [Frame()] for number in range(len(recording.table.stacks))):
            recording.limits.append(STACKLESS)
        recording.limits += [f"sampled by {self._sampler} ({rate}): the figures are estimates" for rate in sorted(self._rates)]
        return recording

    def _map(self, mappings: list[Mapping]) -> None:
        """From here on addresses are in these mappings, or where these have none, in those of earlier dumps.

        A library that is unloaded leaves its blocks behind.
        """
        if mappings == self._mapped:
            return
        self._mapped = mappings
        earlier = self.recording.mappings
        new = set(mappings)
        earlier[:] = [mapping for mapping in earlier if mapping not in new] + mappings
        self._stack_ids, self._frame_ids = {}, _FrameIds(self.recording.table, MappingIndex(earlier))

    def _ids_of(self, dump: Dump) -> list[int]:
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
        known = self._stack_ids.get(tail)
        if known is None:
            try:
                frame_ids = tuple(map(self._frame_ids.__getitem__, tail.split()))
                if self._names:
                    frame_ids = tuple(chain.from_iterable(map(self._named, frame_ids)))
            except ValueError:
                return None
            table = self.recording.table
            known = self._stack_ids[tail] = table.stack_id(frame_ids or (table.frame_id(Frame()),))
        return known

    def _named(self, frame_id: int) -> list[int]:
        """The frames that the text names for an address, or for the call before it; else the address itself."""
        table = self.recording.table
        frame, address = table.frames[frame_id], table.frames[frame_id].address or 0
        named = self._names.get(address - 1) or self._names.get(address)
        if named is None:
            return [frame_id]
        last = len(named) - 1
        return [
            table.frame_id(each._replace(module=frame.module, address=address, inlined=number != last))
            for number, each in enumerate(named)
        ]

    def _scale(self, dump: Dump) -> None:
        sampled = _RATE.search(dump.kind)
        rate = int(sampled[2]) * int(sampled[3] or 1) // (1 if sampled[1] else 2) if sampled else 0
        if sampled is None or rate <= 1:
            return
        self._rates.add(dump.kind)
        for blocks, sizes in (dump.counts[:2], dump.counts[2:]):
            scaled = [_scaled(*each, rate) for each in zip(blocks, sizes, strict=True)]
            blocks[:], sizes[:] = [each[0] for each in scaled], [each[1] for each in scaled]
        dump.header = dump.sums()


def _scaled(blocks: int, size: int, rate: int) -> tuple[int, int]:
    """A Poisson sample of mean `rate` bytes catches a block of n bytes with the probability 1 - exp(-n / rate)."""
    if not blocks or not size:
        return 0, 0
    factor = 1 / -math.expm1(-(size / blocks) / rate)
    return round(min(blocks * factor, _LARGEST)), round(min(size * factor, _LARGEST))


def _columns(stack_ids: list[int], counts: list[list[int]]) -> dict[Metric, Column]:
    """The columns of one snapshot; stacks that have none of a metric are left out of it."""
    if len(set(stack_ids)) < len(stack_ids):
        stack_ids, counts = _merged(stack_ids, counts)
    return {metric: Column(compress(stack_ids, row), filter(None, row)) for metric, row in zip(METRICS, counts, strict=True)}


def _merged(stack_ids: list[int], counts: list[list[int]]) -> tuple[list[int], list[list[int]]]:
    """Each stack once: with HEAP_PROFILE_MMAP one may stand for blocks and for mappings."""
    places = {stack_id: place for place, stack_id in enumerate(dict.fromkeys(stack_ids))}
    merged = [[0] * len(places) for _ in counts]
    for row, sums in zip(counts, merged, strict=True):
        for stack_id, amount in zip(stack_ids, row, strict=True):
            sums[places[stack_id]] += amount
    return list(places), merged
