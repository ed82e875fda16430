"""The neutral model that every native format becomes: frames, interned stacks, snapshots over time.

Shaped like pprof's profile: a table of frames, a table of stacks (leaf first) interned once per recording,
and per snapshot the values by stack id. There is never one object per stack and snapshot.
Bytes are bytes, times are in the recording's own unit (see TimeUnit), addresses are what the tool printed.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from runner.kinds import DoubtKind as DoubtKind
from runner.kinds import FindingKind as FindingKind
from runner.kinds import LossKind as LossKind
from runner.kinds import Metric as Metric
from runner.kinds import Verdict as Verdict


class TimeUnit(StrEnum):
    """The unit of Snapshot.time. Rates are in bytes per one of these."""

    SECONDS = "s"
    INSTRUCTIONS = "instruction"
    BYTES = "byte allocated"
    EVENTS = "event"  # allocations and frees, counted
    SNAPSHOTS = "snapshot"  # only the order is known


class Frame(NamedTuple):
    """One frame of a stack. A frame that has only an address and a module is named later by `symbols`.

    signature  the demangled name as the tool or the debug info gives it, parameters included
    file       the path that the debug info gives; None where there is none (then line is None too)
    module     path of the ELF object that the code is in
    address    as the tool printed it; where signature is None it is a return address, and once `symbols` has found in which
               module that is, it counts within that module's file
    """

    signature: str | None = None
    file: str | None = None
    line: int | None = None
    module: str | None = None
    address: int | None = None
    inlined: bool = False


# Stands as a frame for what a tool has summed up as too small to list, so that sums stay exact and the rest stays visible.
BELOW_THRESHOLD = Frame(signature="(below the tool's threshold)")


class StackTable:
    """Frames and stacks, each kept once. A stack is a tuple of frame ids, leaf first."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.stacks: list[tuple[int, ...]] = []
        self._frame_ids: dict[Frame, int] = {}
        self._stack_ids: dict[tuple[int, ...], int] = {}

    def frame_id(self, frame: Frame) -> int:
        """The id of `frame`, which is new or the one given before to an equal frame."""
        known = self._frame_ids.setdefault(frame, len(self.frames))
        if known == len(self.frames):
            self.frames.append(frame)
        return known

    def stack_id(self, frame_ids: tuple[int, ...]) -> int:
        """The id of the stack of these frame ids, leaf first."""
        known = self._stack_ids.setdefault(frame_ids, len(self.stacks))
        if known == len(self.stacks):
            self.stacks.append(frame_ids)
        return known

    def intern(self, frames: Iterable[Frame]) -> int:
        """The id of the stack of these frames, leaf first."""
        return self.stack_id(tuple(self.frame_id(frame) for frame in frames))

    def merged_into(self, other: "StackTable") -> list[int]:
        """For each stack its id in `other`, which has them all then."""
        frame_ids = [other.frame_id(frame) for frame in self.frames]
        return [other.stack_id(tuple(frame_ids[i] for i in stack)) for stack in self.stacks]

    def frames_of(self, stack_id: int) -> list[Frame]:
        """The frames of a stack, leaf first."""
        return [self.frames[i] for i in self.stacks[stack_id]]


class Column:
    """Amounts by stack id for one metric of one snapshot: two parallel arrays. A stack id stands at most once."""

    __slots__ = ("amounts", "stack_ids")

    def __init__(self, stack_ids: Iterable[int] = (), amounts: Iterable[int] = ()) -> None:
        self.stack_ids = array("I", stack_ids)
        self.amounts = array("q", amounts)

    def append(self, stack_id: int, amount: int) -> None:
        """Add the amount of one more stack."""
        self.stack_ids.append(stack_id)
        self.amounts.append(amount)

    def items(self) -> Iterable[tuple[int, int]]:
        """(stack id, amount) pairs."""
        return zip(self.stack_ids, self.amounts, strict=True)

    def __len__(self) -> int:
        return len(self.stack_ids)


@dataclass(slots=True)
class Snapshot:
    """One moment of one process.

    time     since the process's start, in the recording's time unit
    totals   may exceed the sum over the stacks (thresholds, sampling, a cut file): the difference is said, not hidden
    columns  amounts per stack; empty where the tool gave totals only
    """

    time: float
    totals: dict[Metric, int]
    columns: dict[Metric, Column] = field(default_factory=dict)
    label: str = ""  # the native file or the tool's own number for it
    peak: bool = False


@dataclass(slots=True)
class Loss:
    """One leak record. `bytes` includes `indirect_bytes`, what the block alone keeps from being lost directly."""

    kind: LossKind
    bytes: int
    blocks: int
    stack_id: int
    indirect_bytes: int = 0
    suppression: str = ""


@dataclass(slots=True)
class Defect:
    """One error of use that memcheck reported, with the stack where it happened."""

    kind: str  # as the tool's XML names it: InvalidRead, UninitCondition, MismatchedFree ...
    message: str
    stack_id: int | None
    count: int = 1
    auxiliary: list[tuple[str, int | None]] = field(default_factory=list)  # "Address 0x.. is ..", and the stack it speaks of


@dataclass(slots=True)
class Amount:
    """Bytes and the blocks that they are in."""

    bytes: int
    blocks: int


@dataclass(slots=True)
class HeapSummary:
    """memcheck's HEAP SUMMARY; None where the tool does not say."""

    in_use_at_exit: Amount | None = None
    allocations: int | None = None
    frees: int | None = None
    allocated_bytes: int | None = None


@dataclass(slots=True)
class Remark:
    """What a tool says of a stack that is neither live, lost nor misused: blocks that were never read, lived briefly ...

    kind   as in Note.kind
    text   what it is, to stand behind the bytes: "written, and never read"
    """

    kind: str
    text: str
    stack_id: int
    bytes: int


class StackSample(NamedTuple):
    """The call stack of one thread at one moment, `time` seconds into the run, and how much of its stack was in use then."""

    thread: str  # what the tool calls it
    time: float
    bytes: int
    stack_id: int


class Mapping(NamedTuple):
    """One executable mapping of a process: where which part of which file was.

    deleted   the file was removed or replaced while it was mapped: what is at `path` now is another one
    """

    start: int
    end: int
    offset: int
    path: str
    build_id: str = ""
    deleted: bool = False


@dataclass(slots=True)
class Recording:
    """What the outputs of one process say.

    complete   the reader reached the end that the tool writes; where False, `flaws` says what is missing
    flaws      why the evidence is not whole; each makes a verdict of "clean" impossible
    distorted  the flaws make bytes and stacks wrong, and not just incomplete
    limits     what bounds what could be seen (thresholds, sampling, truncation by design): shown as notes
    stack_samples   who was on the stack at some moments: whose it is that grows
    on_change     the tool takes a snapshot when something changes: a stretch without one was quiet, not unseen
    replayed      the tool wrote every event, and the snapshots are a replay of them: no more can be asked for
    end           when the process ended, in the time unit; None where that is not known
    growth_kind   what growth of the stacks' live bytes means: GROWING, or MAPPING_GROWTH where whole pages are counted
    growth_unseen   why the tool can't tell growth however long it runs, and what can; empty where it can
    module_relative   an address without a name counts from the lowest byte at which its frame's module was mapped
    exported_names   a signature beside an address is only what its module exports there: the debug information knows better
    """

    tool: str
    pid: int | None = None
    parent_pid: int | None = None
    command: list[str] = field(default_factory=list)
    tool_version: str | None = None
    time_unit: TimeUnit = TimeUnit.SNAPSHOTS
    table: StackTable = field(default_factory=StackTable)
    snapshots: list[Snapshot] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    defects: list[Defect] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    mappings: list[Mapping] = field(default_factory=list)
    stack_samples: list[StackSample] = field(default_factory=list)
    heap_summary: HeapSummary | None = None
    leak_summary: dict[LossKind, Amount] | None = None
    complete: bool = True
    flaws: list[str] = field(default_factory=list)
    distorted: bool = False
    limits: list[str] = field(default_factory=list)
    on_change: bool = False
    replayed: bool = False
    end: float | None = None
    growth_kind: FindingKind = FindingKind.GROWING
    growth_unseen: str = ""
    module_relative: bool = False
    exported_names: bool = False


def check_valid(recording: Recording) -> None:
    """Raise ValueError, naming the place, unless `recording` keeps the model's promises. Runs on all that a parser makes."""
    table = recording.table
    frame_count, stack_count = len(table.frames), len(table.stacks)
    for number, stack in enumerate(table.stacks):
        if any(not 0 <= frame_id < frame_count for frame_id in stack):
            raise ValueError(f"stack {number} names a frame that is not there")
    for frame in table.frames:
        if frame.line is not None and (frame.file is None or frame.line < 0):
            raise ValueError(f"frame {frame} has a line without a file, or a negative one")
    last = float("-inf")
    for number, snapshot in enumerate(recording.snapshots):
        if snapshot.time < last:
            raise ValueError(f"snapshot {number} is earlier than the one before it")
        last = snapshot.time
        for metric, column in snapshot.columns.items():
            _check_column(column, stack_count, f"snapshot {number}, {metric}")
    for record in recording.losses:
        possible = 0 <= record.stack_id < stack_count and 0 <= record.indirect_bytes <= record.bytes and record.blocks >= 0
        if not possible:
            raise ValueError(f"loss {record} is not possible")
    placed: list[Remark | StackSample] = [*recording.remarks, *recording.stack_samples]
    for said in placed:
        if not 0 <= said.stack_id < stack_count or said.bytes < 0:
            raise ValueError(f"{said} is not possible")
    for defect in recording.defects:
        for stack_id in (defect.stack_id, *(stack for _, stack in defect.auxiliary)):
            if stack_id is not None and not 0 <= stack_id < stack_count:
                raise ValueError(f"defect {defect.kind} names stack {stack_id}, which is not there")


def _check_column(column: Column, stack_count: int, place: str) -> None:
    if len(column.stack_ids) != len(column.amounts):
        raise ValueError(f"{place}: as many stack ids as amounts are needed")
    if not column.stack_ids:
        return
    if max(column.stack_ids) >= stack_count:
        raise ValueError(f"{place}: stack {max(column.stack_ids)} is not there")
    if min(column.amounts) < 0:
        raise ValueError(f"{place}: an amount is negative")
    if len(set(column.stack_ids)) != len(column.stack_ids):
        raise ValueError(f"{place}: a stack stands twice")


# ---- The answer: what is said of a run. Field names are those of the JSON answer (leakrun.answer/1).


@dataclass(slots=True)
class AnswerFrame:
    """A frame as the answer shows it: `function` is demangled without parameters, `signature` with them."""

    function: str | None
    signature: str | None
    file: str | None
    line: int | None
    module: str | None
    address: str | None  # hexadecimal, with 0x
    inlined: bool


@dataclass(slots=True)
class Rate:
    """How fast a site grows, in the tool's own unit."""

    value: float
    unit: str  # "bytes/s", "bytes/instruction", "bytes/byte allocated", "bytes/snapshot"


@dataclass(slots=True)
class Finding:
    """One thing that a person should go and fix. docs/answer.schema.json says what each field is."""

    rank: int
    kind: FindingKind
    function: str | None
    signature: str | None
    file: str | None
    line: int | None
    module: str | None
    bytes: int
    blocks: int | None
    bytes_per_second: float | None
    rate: Rate | None
    share: float
    confidence: float
    evidence: list[str]
    pids: list[int]
    stack: list[AnswerFrame]
    series: list[tuple[float, int]] = field(default_factory=list)  # (time, bytes), for a sparkline
    indirect_bytes: int = 0  # of a lost one: of its bytes those that only its blocks point to


@dataclass(slots=True)
class Note:
    """Something worth knowing that is nobody's fault.

    kind is plateau, retained, fragmentation, reachable-at-exit, possibly-lost, indirectly-lost, live, never-read, never-used,
    short-lived, disputed or limit.
    The site and its bytes are given where the note speaks of one.
    """

    kind: str
    text: str
    function: str | None = None
    file: str | None = None
    line: int | None = None
    bytes: int | None = None


@dataclass(slots=True)
class AnswerError:
    """A defect as the answer shows it, at the blamed frame."""

    kind: str
    message: str
    function: str | None
    file: str | None
    line: int | None
    count: int
    stack: list[AnswerFrame]
    auxiliary: list[tuple[str, list[AnswerFrame]]] = field(default_factory=list)


class Doubt(NamedTuple):
    """Why "clean" can't be said: one sentence, what it bears on, and the site where it speaks of one."""

    text: str
    kind: DoubtKind = DoubtKind.RUN
    function: str | None = None
    file: str | None = None
    line: int | None = None


@dataclass(slots=True)
class Answer:
    """What leakrun concludes. `run` holds the run's own facts and is filled by the pipeline.

    doubts   why "clean" could not be said of this run, whatever was found in it
    """

    verdict: Verdict
    reasons: list[str]
    findings: list[Finding] = field(default_factory=list)
    errors: list[AnswerError] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    heap_summary: HeapSummary | None = None
    leak_summary: dict[LossKind, Amount] | None = None
    run: dict[str, object] = field(default_factory=dict)
    doubts: list[Doubt] = field(default_factory=list)
