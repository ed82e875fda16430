"""What one moment of a process holds, stack by stack: what every writer is given."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from runner.model import Column, Frame, LossKind, Mapping, Metric, Recording, Snapshot, StackTable, TimeUnit
from runner.names import without_parameters

# In the order in which pprof lists them: the last is what is shown first.
LISTED = (
    Metric.ALLOCATED_BLOCKS,
    Metric.ALLOCATED_BYTES,
    Metric.LEAKED_BLOCKS,
    Metric.LEAKED_BYTES,
    Metric.LIVE_BLOCKS,
    Metric.LIVE_BYTES,
)
BYTES = frozenset({Metric.ALLOCATED_BYTES, Metric.LEAKED_BYTES, Metric.LIVE_BYTES})
# Stands as a frame for what the totals hold and no stack does: a file that was cut, a tool that lists the largest only.
UNLISTED = Frame(signature="(not listed by the tool)")


class Row(NamedTuple):
    """The amounts of one stack, in the order of Sheet.metrics. `kind` is a loss's, and empty for what lives."""

    stack_id: int
    amounts: tuple[int, ...]
    kind: str = ""


@dataclass(slots=True)
class Sheet:
    """One moment. A metric that is not in `metrics` was not measured; `rows` of all zeros are left out.

    name       what it is, for a title: the run's id and the snapshot's number
    time       seconds since the process's start; None where the tool does not count in seconds
    taken_at   seconds since the epoch; None where that is not known
    limits     what bounds what could be seen
    """

    name: str
    table: StackTable
    metrics: tuple[Metric, ...]
    rows: list[Row]
    command: Sequence[str] = ()
    pid: int | None = None
    time: float | None = None
    taken_at: float | None = None
    mappings: Sequence[Mapping] = ()
    limits: Sequence[str] = field(default_factory=list)

    def frames(self, row: Row) -> list[Frame]:
        """The frames of a row, leaf first; never none."""
        return self.table.frames_of(row.stack_id) or [Frame()]

    def column(self, metric: Metric) -> Iterator[tuple[Row, int]]:
        """Rows that hold anything of `metric`, with their amounts."""
        place = self.metrics.index(metric)
        return ((row, row.amounts[place]) for row in self.rows if row.amounts[place])

    @property
    def main_metric(self) -> Metric:
        """What a format that has room for one metric shows."""
        return self.metrics[-1]


def sheet_of_snapshot(name: str, recording: Recording, number: int) -> Sheet:
    """The snapshot of that number. It must have stacks, or hold nothing."""
    snapshot = recording.snapshots[number]
    table = _copy(recording.table)
    metrics = tuple(metric for metric in LISTED if metric in snapshot.columns or snapshot.totals.get(metric) == 0)
    by_stack: dict[int, list[int]] = {}
    for place, metric in enumerate(metrics):
        for stack_id, amount in _whole(snapshot, metric, table):
            by_stack.setdefault(stack_id, [0] * len(metrics))[place] += amount
    return Sheet(
        name=name,
        table=table,
        metrics=metrics,
        rows=[Row(stack_id, tuple(amounts)) for stack_id, amounts in by_stack.items() if any(amounts)],
        command=recording.command,
        pid=recording.pid,
        mappings=recording.mappings,
        limits=recording.limits,
    )


def _whole(snapshot: Snapshot, metric: Metric, table: StackTable) -> Iterator[tuple[int, int]]:
    """The amounts by stack, and as one more stack what only the totals hold."""
    column = snapshot.columns.get(metric, Column())
    yield from column.items()
    rest = snapshot.totals.get(metric, 0) - sum(column.amounts)
    if rest > 0:
        yield table.intern([UNLISTED]), rest


def sheet_of_losses(name: str, recordings: Sequence[Recording]) -> Sheet:
    """What was in use when the processes ended, each record under its kind: lost, or still reachable."""
    table = StackTable()
    rows = []
    for recording in recordings:
        has_indirect = any(loss.kind is LossKind.INDIRECT for loss in recording.losses)
        for loss in recording.losses:
            # What a block alone keeps from being lost has records of its own, where the tool was asked for them.
            size = loss.bytes - loss.indirect_bytes if has_indirect else loss.bytes
            stack_id = table.intern(recording.table.frames_of(loss.stack_id))
            rows.append(Row(stack_id, (loss.blocks, size), loss.kind.value))
    main = recordings[0]
    limits = list(dict.fromkeys(limit for recording in recordings for limit in recording.limits))
    mappings = [mapping for recording in recordings for mapping in recording.mappings]
    return Sheet(name, table, (Metric.LIVE_BLOCKS, Metric.LIVE_BYTES), rows, main.command, main.pid, None, None, mappings, limits)


def recording_of(sheet: Sheet) -> Recording:
    """A recording with the sheet as its one snapshot, for a writer of timelines. A loss's kind is the outermost frame."""
    recording = Recording("leakrun", pid=sheet.pid, command=list(sheet.command), time_unit=TimeUnit.SECONDS)
    columns: dict[Metric, dict[int, int]] = {metric: {} for metric in sheet.metrics}
    for row in sheet.rows:
        kind = [Frame(signature=row.kind)] if row.kind else []
        stack_id = recording.table.intern([*sheet.frames(row), *kind])
        for metric, amount in zip(sheet.metrics, row.amounts, strict=True):
            columns[metric][stack_id] = columns[metric].get(stack_id, 0) + amount
    totals = {metric: sum(amounts.values()) for metric, amounts in columns.items()}
    made = {metric: Column(amounts.keys(), amounts.values()) for metric, amounts in columns.items()}
    recording.snapshots.append(Snapshot(sheet.time or 0.0, totals, made))
    return recording


def _copy(table: StackTable) -> StackTable:
    """The same stacks under the same ids, with room for one more."""
    copy = StackTable()
    for frame in table.frames:
        copy.frame_id(frame)
    for stack in table.stacks:
        copy.stack_id(stack)
    return copy


def visible(text: str) -> str:
    """`text` as one line of printable text: anything else as \\xNN, \\uNNNN; bytes that are no text as their \\xNN."""
    return text if text.isprintable() else "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8 (surrogateescape)
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@lru_cache(maxsize=65536)
def frame_name(frame: Frame) -> str:
    """The function without its parameters; else where the code is."""
    if frame.signature:
        return visible(without_parameters(frame.signature))
    module = visible(frame.module.rsplit("/", 1)[-1]) if frame.module else ""
    address = f"{frame.address:#x}" if frame.address is not None else ""
    return "+".join(part for part in (module, address) if part) or "???"


def outermost_first(sheet: Sheet, row: Row) -> Iterable[str]:
    """The names of a row from the outermost caller to the leaf; a loss's kind stands above them all."""
    kind = [row.kind] if row.kind else []
    return [*kind, *(frame_name(frame) for frame in reversed(sheet.frames(row)))]
