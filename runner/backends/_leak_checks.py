"""memcheck's leak checks while the program runs -> snapshots of its recording."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from runner.formats import memcheck_text
from runner.model import Column, LossKind, Metric, Recording, Snapshot, StackTable, TimeUnit

_NO_BLOCKS = b"All heap blocks were freed"  # said in place of records and summary
LOST = (LossKind.DEFINITE, LossKind.INDIRECT)


def add_snapshots(recording: Recording, checks: Iterable[tuple[float, Path]]) -> None:
    """Give `recording` a snapshot for each leak check, (seconds, file), of its process.

    A check lists only the records that changed since the one before: the others stand as they were.
    """
    recording.time_unit = TimeUnit.SECONDS
    standing: dict[LossKind, dict[int, tuple[int, int]]] = {kind: {} for kind in LossKind}
    for seconds, path in checks:
        try:
            with path.open("rb") as stream:
                check = memcheck_text.read(stream, path.name)
        except OSError as error:
            recording.flaws.append(f"the leak check {path.name} can't be read: {error.strerror}")
            continue
        if _NO_BLOCKS in path.read_bytes():
            standing = {kind: {} for kind in LossKind}
        moved = _moved(check.table, recording.table)
        changed: dict[tuple[LossKind, int], list[int]] = defaultdict(lambda: [0, 0])
        for loss in check.losses:
            amounts = changed[loss.kind, moved[loss.stack_id]]
            amounts[0] += loss.bytes - loss.indirect_bytes
            amounts[1] += loss.blocks
        for (kind, stack_id), (size, blocks) in changed.items():
            standing[kind][stack_id] = (size, blocks)
        recording.snapshots.append(_snapshot(seconds, path.name, standing))


def _moved(source: StackTable, destination: StackTable) -> list[int]:
    """For each stack of `source`, its id in `destination`."""
    frame_ids = [destination.frame_id(frame) for frame in source.frames]
    return [destination.stack_id(tuple(frame_ids[i] for i in stack)) for stack in source.stacks]


def _snapshot(seconds: float, label: str, standing: dict[LossKind, dict[int, tuple[int, int]]]) -> Snapshot:
    live: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    leaked: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for kind, by_stack in standing.items():
        for stack_id, (size, blocks) in by_stack.items():
            for sums in (live, leaked) if kind in LOST else (live,):
                sums[stack_id][0] += size
                sums[stack_id][1] += blocks
    snapshot = Snapshot(seconds, {}, label=label)
    for metrics, sums in (
        ((Metric.LIVE_BYTES, Metric.LIVE_BLOCKS), live),
        ((Metric.LEAKED_BYTES, Metric.LEAKED_BLOCKS), leaked),
    ):
        for place, metric in enumerate(metrics):
            snapshot.columns[metric] = Column(sums.keys(), (amounts[place] for amounts in sums.values()))
            snapshot.totals[metric] = sum(amounts[place] for amounts in sums.values())
    return snapshot
