"""A recording's snapshots as a page holds them: which stacks, which moments, and what changed from one to the next.

A page is read on a phone, so what it holds is bounded: where stacks times snapshots are too many, it has fewer snapshots and the
largest stacks, the rest as one. What was left out is said in a sentence. Needs numpy.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from runner.analysis.arrays import np
from runner.analysis.trend import Floats
from runner.formats.writers.sheet import UNLISTED
from runner.model import Column, Frame, Metric, Recording, Snapshot

METRICS = (Metric.LIVE_BYTES, Metric.LIVE_BLOCKS, Metric.ALLOCATED_BYTES, Metric.ALLOCATED_BLOCKS)
CELLS = 600_000  # amounts of one metric: 7 MB where all of them change from one snapshot to the next
FEWEST_MOMENTS = 24
MOST_STACKS = 200_000
_FRAME_CELLS = 3_000_000  # frames of all the stacks that are kept


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a recording a page holds.

    numbers   of the snapshots, from 0
    stacks    their ids, in the order in which the page has them
    said      what was left out, a sentence each
    """

    numbers: list[int]
    stacks: list[int]
    said: list[str]


def stacked(recording: Recording) -> list[int]:
    """The numbers of the snapshots that have stacks."""
    return [number for number, each in enumerate(recording.snapshots) if Metric.LIVE_BYTES in each.columns]


def keep(recording: Recording) -> Kept:
    """The snapshots and stacks that a page holds: all, unless they are too many."""
    there = stacked(recording)
    cells = sum(len(recording.snapshots[number].columns[Metric.LIVE_BYTES]) for number in there)
    numbers, said = there, []
    if cells > CELLS and len(there) > FEWEST_MOMENTS:
        numbers = _spread(recording, there, max(FEWEST_MOMENTS, len(there) * CELLS // cells))
        said.append(f"{len(numbers)} of its {len(there)} snapshots have their stacks here")
    most = np.zeros(len(recording.table.stacks))
    for number in numbers:
        np.maximum(most, dense(recording.snapshots[number], Metric.LIVE_BYTES, len(most)), out=most)
        if Metric.ALLOCATED_BYTES in recording.snapshots[number].columns:
            allocated = dense(recording.snapshots[number], Metric.ALLOCATED_BYTES, len(most))
            np.maximum(most, np.minimum(allocated, 1), out=most)  # what was freed again comes last
    held = np.flatnonzero(most)
    order = held[np.argsort(-most[held], kind="stable")]
    room = _room(recording, order, min(MOST_STACKS, max(1000, CELLS // max(1, len(numbers)))))
    if len(order) > room:
        said.append(f"its {room:,} largest of {len(order):,} stacks are here, the others as one")
    return Kept(numbers, sorted(order[:room].tolist()), said)


def _room(recording: Recording, order: Iterable[int], most: int) -> int:
    """How many stacks of this order there is room for: deep ones take more."""
    lengths = np.cumsum([len(recording.table.stacks[stack]) for stack in islice(order, most)], dtype=np.int64)
    return int(np.searchsorted(lengths, _FRAME_CELLS, side="right"))


def _spread(recording: Recording, there: Sequence[int], count: int) -> list[int]:
    """So many of them, evenly; the first, the last and the peak always."""
    chosen = {there[round(place)] for place in np.linspace(0, len(there) - 1, count)}
    return sorted(chosen | {number for number in there if recording.snapshots[number].peak})


def dense(snapshot: Snapshot, metric: Metric, stacks: int) -> Floats:
    """Amounts by stack id; exact up to 2**53."""
    column: Column | None = snapshot.columns.get(metric)
    row = np.zeros(stacks)
    if column is not None and len(column):
        ids = np.frombuffer(column.stack_ids, dtype=np.dtype(f"u{column.stack_ids.itemsize}"))
        row[ids.astype(np.int64)] = np.frombuffer(column.amounts, dtype=np.int64)
    return row


def metrics_of(recording: Recording, numbers: Sequence[int]) -> list[Metric]:
    """What every one of these snapshots counts by stack."""
    return [each for each in METRICS if all(each in recording.snapshots[number].columns for number in numbers)]


def left_out(recording: Recording, kept: Kept) -> Frame:
    """Stands for the stacks that a page has no room for."""
    held = set(kept.stacks)
    return Frame(signature=f"({len(recording.table.stacks) - len(held):,} smaller stacks, left out of this page)")


def changes(
    recording: Recording, kept: Kept, metrics: Sequence[Metric], place: Callable[[int], int], extra: Callable[[Frame], int]
) -> list[dict[str, Any]]:
    """By snapshot and metric, the places whose amount is another than in the one before, and by how much.

    `place` gives a stack's number in the page, `extra` that of a frame that stands for all that no stack of the page holds.
    Places are written as differences too.
    """
    stacks = len(recording.table.stacks)
    places = np.array([place(stack) for stack in kept.stacks], dtype=np.int64)
    rest, unlisted = left_out(recording, kept), UNLISTED
    before: dict[Metric, dict[int, int]] = {metric: {} for metric in metrics}
    written = []
    for number in kept.numbers:
        snapshot = recording.snapshots[number]
        entry: dict[str, Any] = {}
        for metric in metrics:
            row = dense(snapshot, metric, stacks)
            own = row[kept.stacks]
            now = _summed(places, own)
            below, beyond = int(row.sum() - own.sum()), int(snapshot.totals.get(metric, 0) - row.sum())
            for frame, amount in ((rest, below), (unlisted, beyond)):
                if amount > 0:
                    now[extra(frame)] = amount
            entry[metric.value] = _difference(before[metric], now)
            before[metric] = now
        written.append(entry)
    return written


def _summed(places: Any, amounts: Floats) -> dict[int, int]:
    """Amounts by place; two stacks may differ by addresses only and be one."""
    if not len(places):
        return {}
    sums = np.bincount(places, weights=amounts)
    held = np.flatnonzero(sums)
    return dict(zip(held.tolist(), sums[held].astype(np.int64).tolist(), strict=True))


def _difference(before: dict[int, int], now: dict[int, int]) -> list[list[int]]:
    moved = sorted(place for place in {**before, **now} if before.get(place, 0) != now.get(place, 0))
    steps = [place - earlier for earlier, place in zip([0, *moved], moved, strict=False)]
    return [steps, [now.get(place, 0) - before.get(place, 0) for place in moved]]
