"""Which snapshots of a recording tell of growth, and the matrix of live bytes by site over them. Needs numpy."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from runner.analysis.arrays import NDArray, np
from runner.analysis.blame import Turnover
from runner.analysis.trend import Floats, without_spikes
from runner.analysis.wording import count_text, longer
from runner.model import Column, Metric, Recording, Snapshot, TimeUnit

_EXIT = 0.1  # of the time: frees at exit are looked for in so much of its end
_LAST = 0.05  # of the time, or the last snapshot: where single sites that fall tell of the exit
_HALF = 0.5
_WORTH = 4096  # bytes that a site must have had for its fall at exit to tell anything
_REST = 0.1  # of it at most is then left
_HELD = 40  # parts of the whole time: a snapshot that held for longer than one stands again
_SHUT_DOWN = 1 / 3  # of the tool's own start-up, before the first block: so long it may write after the program's last act
_START_UP = 1 / 3  # of the time: what happens in it tells little of what is freed later
_AT_REST = 0.01  # of the bytes allocated each second in the first half
_FINAL = 6  # snapshots at the end of which the least is what stays


@dataclass(slots=True)
class Timeline:
    """The detailed snapshots that count.

    snapshots   those with live bytes by stack, without the warm-up and without what was freed at exit; one that held for a
                long stretch in which the tool would have seen a change stands several times
    taken       how many different ones they are
    until       when the recording's last snapshot was taken
    """

    snapshots: list[Snapshot]
    times: Floats
    taken: int
    until: float

    @property
    def span(self) -> float:
        """From the first to the last of them, in the recording's unit of time."""
        return float(self.times[-1] - self.times[0]) if len(self.times) else 0.0


def timeline(recording: Recording, warmup: float) -> Timeline:
    """The snapshots of `recording` that have stacks; `warmup` is in seconds and applies to a time in seconds only."""
    start = warmup if recording.time_unit is TimeUnit.SECONDS else float("-inf")
    detailed = [(snapshot.time, snapshot) for snapshot in recording.snapshots if Metric.LIVE_BYTES in snapshot.columns]
    totals = np.array([live_total(snapshot) for _, snapshot in detailed], dtype=float)
    times = np.array([time for time, _ in detailed], dtype=float)
    kept = detailed[: before_exit(times, totals)]
    if recording.on_change:
        kept = _held(recording, _from_first_block(kept))
    warm = [(time, snapshot) for time, snapshot in kept if time >= start]
    taken = len({id(snapshot) for _, snapshot in warm})
    until = recording.snapshots[-1].time if recording.snapshots else 0.0
    return Timeline([snapshot for _, snapshot in warm], np.array([time for time, _ in warm], dtype=float), taken, until)


def _from_first_block(kept: list[tuple[float, Snapshot]]) -> list[tuple[float, Snapshot]]:
    """Without the time before the first block: the tool's own start-up, which can be long, is none of the program's."""
    first = next((number for number, (_, snapshot) in enumerate(kept) if live_total(snapshot)), 0)
    return kept[first:]


def _held(recording: Recording, kept: list[tuple[float, Snapshot]]) -> list[tuple[float, Snapshot]]:
    """The same with each snapshot repeated until the next change, or until the process ended."""
    if not kept:
        return kept
    following = {id(a): b.time for a, b in pairwise(recording.snapshots)}
    end = recording.snapshots[-1].time if recording.end is None else max(recording.end, recording.snapshots[-1].time)
    end = max(end - _SHUT_DOWN * (kept[0][0] - recording.snapshots[0].time), kept[-1][0])
    step = (end - kept[0][0]) / _HELD
    found = []
    for time, snapshot in kept:
        found.append((time, snapshot))
        until = following.get(id(snapshot), end)
        count = int((until - time) / step) if step > 0 else 0
        found += [(time + number * step, snapshot) for number in range(1, count + 1) if time + number * step < until]
    return found


def live_total(snapshot: Snapshot) -> int:
    """Live bytes of a snapshot that has stacks."""
    return snapshot.totals.get(Metric.LIVE_BYTES, 0) or sum(snapshot.columns[Metric.LIVE_BYTES].amounts)


def before_exit(times: Floats, totals: Floats) -> int:
    """How many snapshots are left without those at the end that show a program freeing all it had.

    They fall under half of what was there in the last part of the run; then those on the way down go too.
    """
    if len(times) < 3:
        return len(times)
    place = (times - times[0]) / max(times[-1] - times[0], 1e-12)
    first = max(1, min(int(np.searchsorted(place, 1 - _EXIT)), len(times) - 1))
    level = totals[max(0, first - 3) :].max()
    keep = len(times)
    while keep > first and totals[keep - 1] < _HALF * level:
        keep -= 1
    if keep == len(times):
        return keep
    while keep > first and totals[keep - 1] < totals[keep - 2]:
        keep -= 1
    return keep


def before_frees(times: Floats, rows: Floats) -> int:
    """How many snapshots are left without those at the end in which sites give back what they had only ever kept.

    At exit a C++ program destroys its globals, one site after the other; a total need not halve by that. A site counts that
    had never fallen before and then loses most of what it had.
    """
    if len(times) < 3 or not len(rows):
        return len(times)
    place = (times - times[0]) / max(times[-1] - times[0], 1e-12)
    falls = np.diff(without_spikes(rows), axis=1) < -0.02 * rows.max(axis=1, keepdims=True)
    earlier = np.cumsum(falls, axis=1) - falls > 0
    kept = (rows[:, :-1] >= _WORTH) & ~earlier & (rows[:, 1:] < _REST * rows[:, :-1])
    late = place[1:] >= 1 - _LAST
    late[-1] = True
    ends = np.flatnonzero(kept.any(axis=0) & late) + 1
    return int(ends[0]) if len(ends) else len(times)


def busy_snapshots(line: Timeline) -> int:
    """How many snapshots are left without those at the end in which the program was at rest.

    Nothing was allocated or freed since the one before, or hardly a hundredth of what it usually is: servers have timers.
    """
    keep = len(line.snapshots)
    if keep < 3:
        return keep
    live, allocated = (_counted(line, metric) for metric in (Metric.LIVE_BYTES, Metric.ALLOCATED_BYTES))
    moved = np.maximum(np.abs(np.diff(live)), np.diff(allocated)) / np.maximum(np.diff(line.times), 1e-9)
    rest = _AT_REST * float(np.median(np.diff(allocated)[: keep // 2] / np.maximum(np.diff(line.times)[: keep // 2], 1e-9)))
    while keep > 1 and moved[keep - 2] <= rest:
        keep -= 1
    return keep


def _counted(line: Timeline, metric: Metric) -> Floats:
    """The totals of the snapshots; 0 where the tool does not count it."""
    return np.array([snapshot.totals.get(metric, 0) for snapshot in line.snapshots], dtype=float)


def matrix(line: Timeline, site_of_stack: Sequence[int], sites: int, metric: Metric = Metric.LIVE_BYTES) -> Floats:
    """Amounts by site (rows) and snapshot (columns). Stacks of site -1 are left out."""
    place = np.asarray(site_of_stack, dtype=np.int64)
    rows = np.zeros((sites, len(line.snapshots)))
    for number, snapshot in enumerate(line.snapshots):
        ids, amounts = _arrays(snapshot.columns.get(metric))
        where = place[ids]
        seen = where >= 0
        rows[:, number] = np.bincount(where[seen], weights=amounts[seen], minlength=sites)
    return rows


def turnover(recording: Recording, line: Timeline) -> Turnover | None:
    """By stack, the bytes that were had since the start-up, the first third of the time, and how many more live at the end.

    Where the tool counts allocations, had is what it counts; else it is the sum of all rises between snapshots. What lives at
    the end is the least of the last few, since a buffer that comes and goes may be there by chance. So a queue that always
    holds some has given all back; a stack that was only used in the start-up is judged by that. None without snapshots.
    """
    if not line.snapshots:
        return None
    stacks = len(recording.table.stacks)
    settled = int(np.searchsorted(line.times, line.times[0] + _START_UP * line.span))
    final = len(line.snapshots) - min(_FINAL, 1 + len(line.snapshots) // 3)
    rises, before, kept = np.zeros(stacks), np.zeros(stacks), np.full(stacks, np.inf)
    rises_then, live_then = rises, before
    for number, snapshot in enumerate(line.snapshots):
        now = _dense(snapshot, Metric.LIVE_BYTES, stacks)
        rises = rises + np.maximum(now - before, 0)
        if number >= final:
            kept = np.minimum(kept, now)
        if number == settled:
            rises_then, live_then = rises, now
        before = now
    last, then = line.snapshots[-1], line.snapshots[min(settled, len(line.snapshots) - 1)]
    if Metric.ALLOCATED_BYTES in last.columns:
        rises, rises_then = (_dense(each, Metric.ALLOCATED_BYTES, stacks) for each in (last, then))
    later = rises - rises_then
    active = later > 0
    had = np.where(active, later, rises)
    stays = np.where(active, np.clip(kept - live_then, 0, later), kept)
    return Turnover(stays.tolist(), had.tolist())


def _dense(snapshot: Snapshot, metric: Metric, stacks: int) -> Floats:
    ids, amounts = _arrays(snapshot.columns.get(metric))
    row = np.zeros(stacks)
    row[ids] = amounts
    return row


def _arrays(column: Column | None) -> tuple[NDArray[np.int64], Floats]:
    if column is None or not len(column):
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    ids = np.frombuffer(column.stack_ids, dtype=np.dtype(f"u{column.stack_ids.itemsize}"))
    return ids.astype(np.int64), np.frombuffer(column.amounts, dtype=np.int64).astype(np.float64)


def heaviest_stacks(snapshot: Snapshot, site_of_stack: Sequence[int]) -> dict[int, int]:
    """By site, the stack that has most live bytes in this snapshot."""
    best: dict[int, tuple[int, int]] = {}
    for stack_id, amount in snapshot.columns[Metric.LIVE_BYTES].items():
        site = site_of_stack[stack_id]
        if site >= 0 and (site not in best or amount > best[site][0]):
            best[site] = (amount, stack_id)
    return {site: stack_id for site, (_, stack_id) in best.items()}


def unjudged(recording: Recording, line: Timeline, fewest: int, shortest: float) -> str | None:
    """Why growth can't be judged from these snapshots, and what to do; None where it can.

    `fewest` snapshots are needed, over `shortest` seconds where the time is in seconds.
    """
    if recording.growth_unseen:
        return recording.growth_unseen
    count = line.taken
    if count == 0:
        had_totals = bool(recording.snapshots)
        return "no snapshot with stacks" + (" after the warm-up" if had_totals else "") + f": {longer(recording)}"
    if recording.time_unit is TimeUnit.SECONDS and line.span < shortest and count > 1:
        return f"its snapshots cover {line.span:.1f} s, too short to tell a leak from a start-up: give it more to do"
    if count < fewest and recording.on_change:
        return f"only {count_text(count, 'snapshot')} of the {fewest} that are needed, as it allocates little: give it more to do"
    if count < fewest:
        return f"only {count_text(count, 'snapshot')} of the {fewest} that are needed: {longer(recording)}"
    return None
