"""Several processes of one run as one: what each of them held when it was last seen, added up by stack."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from runner.model import Column, Metric, Recording, Snapshot, StackTable

_Last = tuple[Recording, Snapshot]


def last_seen(recordings: Sequence[Recording]) -> list[Recording]:
    """Those that held anything, by stack, in the last of their snapshots that has stacks."""
    return [recording for recording, _ in _last_of(recordings)]


def together(recordings: Sequence[Recording]) -> Recording:
    """One recording with one snapshot, the sum of each one's last that has stacks; of metrics those that all have.

    The snapshot's time is the latest of theirs. What a child has from its parent by fork is counted for both.
    """
    lasts = _last_of(recordings)
    table = StackTable()
    moved = [recording.table.merged_into(table) for recording, _ in lasts]
    metrics = set.intersection(*(set(snapshot.columns) for _, snapshot in lasts))
    totals = set.intersection(*(set(snapshot.totals) for _, snapshot in lasts))
    merged = Snapshot(
        max(snapshot.time for _, snapshot in lasts),
        {metric: sum(snapshot.totals[metric] for _, snapshot in lasts) for metric in sorted(totals)},
        {metric: _sum(metric, lasts, moved) for metric in sorted(metrics)},
        label=f"{len(lasts)} processes, each as it was last seen",
    )
    return replace(
        recordings[0],
        pid=None,
        parent_pid=None,
        table=table,
        snapshots=[merged],
        losses=[],
        defects=[],
        remarks=[],
        stack_samples=[],
        mappings=[mapping for recording, _ in lasts for mapping in recording.mappings],
        complete=all(recording.complete for recording in recordings),
        flaws=list(dict.fromkeys(flaw for recording in recordings for flaw in recording.flaws)),
        limits=list(dict.fromkeys(limit for recording in recordings for limit in recording.limits)),
    )


def _last_of(recordings: Sequence[Recording]) -> list[_Last]:
    found = []
    for recording in recordings:
        stacked = (snapshot for snapshot in reversed(recording.snapshots) if Metric.LIVE_BYTES in snapshot.columns)
        last = next(stacked, None)
        if last is not None and any(last.columns[Metric.LIVE_BYTES].amounts):
            found.append((recording, last))
    return found


def _sum(metric: Metric, lasts: Sequence[_Last], moved: Sequence[list[int]]) -> Column:
    sums: Counter[int] = Counter()
    for (_, snapshot), ids in zip(lasts, moved, strict=True):
        for stack_id, amount in snapshot.columns[metric].items():
            sums[ids[stack_id]] += amount
    return Column(sums.keys(), sums.values())
