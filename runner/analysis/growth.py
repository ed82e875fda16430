"""Sites that grow over the snapshots of a recording, those that have levelled off, and what merely lives. Needs numpy."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from runner.analysis.blame import Blamer, Turnover, blame
from runner.analysis.chance import may_be_chance, may_be_replaced, may_be_teeth, may_wander
from runner.analysis.frames import Role
from runner.analysis.judgement import Growing, Growth, Shape, Standing, Trend, describe
from runner.analysis.losses import loss_turnover
from runner.analysis.recursion import THREADS, owner_of
from runner.analysis.sites import fold
from runner.analysis.timeline import (
    Timeline,
    before_exit,
    before_frees,
    busy_snapshots,
    heaviest_stacks,
    live_total,
    matrix,
    timeline,
    turnover,
    unjudged,
)
from runner.analysis.trend import FLOOR, Floats, judge, spread, window_of
from runner.analysis.wording import longer
from runner.model import FindingKind, Metric, Recording, Snapshot, TimeUnit

FEWEST_SNAPSHOTS = 8
SHORTEST_SECONDS = 1.0
_IDLE = 0.5  # of the time: a program that is at rest from before then has settled
_REST = 0.1  # of the time at least: a rest at the end that says nothing of what grew before it
_DOUBTFUL = 0.15  # of the confidence, where a saw-tooth or chance might look the same
_HANDED = 2  # times: there and back; who leaks faster than another overtakes it once
_SERIES_POINTS = 120
_LARGEST = 5  # sites that are named where growth can't be judged
_LISTED = 500  # growing sites of one recording that become findings; more help nobody

Series = list[tuple[float, int]]


def judge_all(recordings: Sequence[Recording], wrappers: Sequence[str], warmup: float) -> tuple[list[Blamer], list[Growth]]:
    """The blame of every recording, and the growth of each that has snapshots; `warmup` in seconds is left out."""
    lines = [timeline(recording, warmup) for recording in recordings]
    blamers = blamers_of(recordings, lines, wrappers)
    judged = zip(recordings, lines, blamers, strict=True)
    return blamers, [growth_of(recording, line, blamer) for recording, line, blamer in judged if recording.snapshots]


def blamers_of(recordings: Sequence[Recording], lines: Sequence[Timeline], wrappers: Sequence[str]) -> list[Blamer]:
    """The blame of every recording; `lines` are their timelines, in the same order."""
    return blame(recordings, [_fates(*each) for each in zip(recordings, lines, strict=True)], wrappers)


def _fates(recording: Recording, line: Timeline) -> Turnover | None:
    """What became of each stack's blocks: as the leak records say, and what only snapshots saw was freed before the end."""
    at_the_end, seen = loss_turnover(recording), turnover(recording, line)
    if at_the_end is None or seen is None:
        return at_the_end or seen
    had = [listed or before for listed, before in zip(at_the_end.had, seen.had, strict=True)]
    return Turnover(at_the_end.kept, had)


def why_unjudged(recording: Recording, line: Timeline) -> str | None:
    """Why growth can't be judged from the snapshots of `line`, and what to do; None where it can."""
    reason = unjudged(recording, line, FEWEST_SNAPSHOTS, SHORTEST_SECONDS)
    if reason is not None and _held_still(recording, line):
        return None
    if reason is None and not spread(np.append(line.times, max(line.until, line.times[-1])), FEWEST_SNAPSHOTS):
        reason = f"the snapshots stand close together and leave much of the run unseen: {longer(recording)}"
    return reason


def _held_still(recording: Recording, line: Timeline) -> bool:
    """Where the tool would have seen a change, few snapshots and no rise after the start-up mean that nothing grew."""
    if recording.growth_unseen or not recording.on_change or not spread(line.times, FEWEST_SNAPSHOTS):
        return False
    if recording.time_unit is TimeUnit.SECONDS and line.span < SHORTEST_SECONDS:
        return False
    totals = np.array([live_total(snapshot) for snapshot in line.snapshots], dtype=float)[window_of(line.times)]
    return bool(totals.max() - totals[0] < FLOOR)


def growth_of(recording: Recording, line: Timeline, blamer: Blamer) -> Growth:
    """Judge every site of `recording` over the snapshots of `line`."""
    growth = Growth(recording, why_unjudged(recording, line), line.span, line.taken)
    growth.growing += stack_growth(recording)
    if line.snapshots:
        _Judge(recording, line, blamer, growth).fill()
    return growth


class _Judge:
    """The sites of one recording over its snapshots, and what is said of them."""

    def __init__(self, recording: Recording, line: Timeline, blamer: Blamer, growth: Growth) -> None:
        self._recording, self._line, self._blamer, self._growth = recording, line, blamer, growth
        self._site_of_stack, self._roles = fold(recording, blamer)
        self._sites = list(self._roles)
        self._listed = 0  # growing sites

    def fill(self) -> None:
        """Enter into the growth what the snapshots say."""
        fullest = max(self._line.snapshots, key=live_total)
        self._growth.total = live_total(fullest)
        self._growth.largest = self._largest(fullest)
        if self._growth.unjudged is not None:
            return
        rows = self._judge_sites()
        self._growth.total_grows = _total_grows(self._line)
        if self._growth.total_grows and not self._listed and _changes_hands(self._line.times, rows):
            self._judge_by_allocators()

    def _judge_sites(self) -> Floats:
        """Say of each site what it does; sites x snapshots, in bytes."""
        rows = self._without_exit(matrix(self._line, self._site_of_stack, len(self._sites)))
        trends = self._judged(rows)
        self._list_growing(rows, trends)
        mine = [number for number in trends if self._roles[self._sites[number]] is not Role.MACHINERY]
        self._growth.plateaus = self._standing(trends, mine, Shape.PLATEAU)
        self._growth.undecided = self._standing(trends, mine, Shape.UNDECIDED)
        return rows

    def _judge_by_allocators(self) -> None:
        """Judge again by who allocates, not for whom: a buffer that its users extend in turn is now one's, now another's."""
        alone = replace(self._growth, growing=[])
        again = _Judge(self._recording, self._line, self._blamer.by_allocators(), alone)
        again._judge_sites()
        if again._listed:
            self._growth.growing += alone.growing
            self._growth.unlisted, self._growth.risen_elsewhere = alone.unlisted, alone.risen_elsewhere
            self._growth.plateaus, self._growth.undecided = alone.plateaus, alone.undecided

    def _without_exit(self, rows: Floats) -> Floats:
        """Leave out the snapshots at the end in which globals are destroyed, from the timeline too."""
        line = self._line
        keep = before_frees(line.times, rows)
        if keep < len(line.times) and spread(line.times[:keep], FEWEST_SNAPSHOTS):
            self._line = Timeline(line.snapshots[:keep], line.times[:keep], line.taken, line.until)
        return rows[:, : len(self._line.times)]

    def _judged(self, rows: Floats) -> dict[int, Trend]:
        """What is said of each row. Where all came to rest late in the run, what grew until then may only want for load."""
        line = self._line
        trends = judge(line.times, rows)
        busy = busy_snapshots(line)
        place = (line.times[busy - 1] - line.times[0]) / line.span
        if _IDLE <= place <= 1 - _REST and spread(line.times[:busy], FEWEST_SNAPSHOTS):
            for number, trend in judge(line.times[:busy], rows[:, :busy]).items():
                if trend.shape is Shape.GROWING and (number not in trends or trends[number].shape is not Shape.GROWING):
                    trends[number] = replace(trend, shape=Shape.UNDECIDED, span=line.span, by="rest")
        return self._less_sure(rows, trends)

    def _less_sure(self, rows: Floats, trends: dict[int, Trend]) -> dict[int, Trend]:
        """What may be a saw-tooth that the snapshots met at one place after another; where frees are counted, chance too."""
        times = self._line.times
        growing = [number for number, trend in trends.items() if trend.shape is Shape.GROWING]
        if not growing:
            return trends
        allocated, blocks, made = map(self._counted, (Metric.ALLOCATED_BYTES, Metric.LIVE_BLOCKS, Metric.ALLOCATED_BLOCKS))
        for number in growing:
            shape = may_be_teeth(times, rows[number], None if allocated is None else allocated[number])
            if allocated is None:
                shape = may_wander(times, rows[number]) or shape
            if blocks is not None and made is not None and shape is not Shape.UNDECIDED:
                counted = (times, rows[number], blocks[number], made[number])
                shape = may_be_replaced(*counted) or may_be_chance(*counted) or shape
            if shape is not None:
                trends[number] = replace(trends[number], shape=shape, confidence=trends[number].confidence - _DOUBTFUL)
        return trends

    def _counted(self, metric: Metric) -> Floats | None:
        """Sites x snapshots; None where the tool does not count it."""
        if any(metric not in snapshot.columns for snapshot in self._line.snapshots):
            return None
        return matrix(self._line, self._site_of_stack, len(self._sites), metric)

    def _largest(self, snapshot: Snapshot) -> list[Standing]:
        alone = Timeline([snapshot], self._line.times[-1:], 1, self._line.until)
        held = matrix(alone, self._site_of_stack, len(self._sites))[:, 0]
        system = np.array([role in (Role.MACHINERY, Role.NAMELESS) for role in self._roles.values()], dtype=bool)
        order = np.lexsort((-held, system))[:_LARGEST]  # what people can change first
        return [Standing(self._sites[number], int(held[number])) for number in order if held[number] > 0]

    def _standing(self, trends: dict[int, Trend], numbers: Sequence[int], shape: Shape) -> list[Standing]:
        found = [Standing(self._sites[n], round(trends[n].last), trends[n]) for n in numbers if trends[n].shape is shape]
        return sorted(found, key=lambda standing: -standing.bytes)

    def _list_growing(self, rows: Floats, trends: dict[int, Trend]) -> None:
        growing = [number for number, trend in trends.items() if trend.shape is Shape.GROWING]
        growing.sort(key=lambda number: -grown(trends[number]))
        listed = growing[:_LISTED]
        self._listed = len(listed)
        self._growth.unlisted = len(growing) - len(listed)
        self._growth.risen_elsewhere = float(risen(self._line.times, np.delete(rows, listed, axis=0)).sum())
        stacks = heaviest_stacks(self._line.snapshots[-1], self._site_of_stack)
        blocks = self._blocks()
        for number in listed:
            series = thinned(self._line.times, rows[number])
            self._growth.growing.append(self._growing(number, trends[number], stacks.get(number), blocks.get(number), series))

    def _growing(self, number: int, trend: Trend, stack_id: int | None, blocks: int | None, series: Series) -> Growing:
        return Growing(
            recording=self._recording,
            kind=self._recording.growth_kind,
            site=self._sites[number],
            stack_id=stack_id,
            frame=None if stack_id is None else self._blamer.frame(stack_id),
            trend=trend,
            bytes=grown(trend),
            blocks=blocks,
            series=series,
            evidence=describe(trend, self._recording.time_unit),
            confidence=trend.confidence * _trust(self._blamer, stack_id),
        )

    def _blocks(self) -> dict[int, int]:
        """By site, how many more blocks it has at the end than at the start; nothing where blocks aren't counted."""
        ends = Timeline([self._line.snapshots[0], self._line.snapshots[-1]], self._line.times[[0, -1]], 2, self._line.until)
        if any(Metric.LIVE_BLOCKS not in snapshot.columns for snapshot in ends.snapshots):
            return {}
        rows = matrix(ends, self._site_of_stack, len(self._sites), Metric.LIVE_BLOCKS)
        return dict(enumerate(np.maximum(rows[:, 1] - rows[:, 0], 0).astype(int).tolist()))


def grown(trend: Trend) -> int:
    """Bytes over the whole run: last less first where the slope bears that out, else (after a burst) what the slope makes."""
    by_slope = trend.slope * trend.span
    difference = trend.last - trend.first
    return round(difference if difference <= 2 * by_slope else by_slope)


def _trust(blamer: Blamer, stack_id: int | None) -> float:
    """Less where the blamed frame is not the project's own."""
    if stack_id is None:
        return 0.8
    return {Role.PROJECT: 1.0, Role.LIBRARY: 0.85}.get(blamer.role(stack_id), 0.7)


def risen(times: Floats, rows: Floats) -> Floats:
    """By row, the bytes by which it rose in the window; 0 where it did not."""
    if not len(rows):
        return np.zeros(0)
    late = rows[:, window_of(times)]
    part = max(1, late.shape[1] // 5)
    return np.asarray(np.maximum(late[:, -part:].mean(axis=1) - late[:, :part].mean(axis=1), 0))


def thinned(times: Floats, row: Floats) -> Series:
    """A row as (time, bytes), at most 120 of them, the last one included."""
    every = max(1, -(-len(times) // _SERIES_POINTS))
    first = (len(times) - 1) % every  # so that the last one is there
    return list(zip(times[first::every].tolist(), row[first::every].astype(int).tolist(), strict=True))


def _totals(recording: Recording, metric: Metric) -> tuple[Floats, Floats]:
    points = [(snapshot.time, snapshot.totals[metric]) for snapshot in recording.snapshots if metric in snapshot.totals]
    times = np.array([time for time, _ in points], dtype=float)
    values = np.array([value for _, value in points], dtype=float)
    keep = before_exit(times, values)
    return times[:keep], values[:keep]


def stack_growth(recording: Recording) -> list[Growing]:
    """The growth of the stack as a whole, and whose it is as far as that was seen."""
    times, values = _totals(recording, Metric.STACK_BYTES)
    if not values.any() or not spread(times, FEWEST_SNAPSHOTS):
        return []
    if recording.time_unit is TimeUnit.SECONDS and times[-1] - times[0] < SHORTEST_SECONDS:
        return []
    trend = judge(times, values[None, :]).get(0)
    if trend is None or trend.shape is not Shape.GROWING:
        return []
    owner = owner_of(recording, trend.last)
    left_behind = owner.site is not None and owner.site.function == THREADS  # each a mapping of its own, made by pthread_create
    return [
        Growing(
            recording=recording,
            kind=FindingKind.MAPPING_GROWTH if left_behind else FindingKind.STACK_GROWTH,
            site=owner.site,
            stack_id=owner.stack_id,
            frame=owner.frame,
            trend=trend,
            bytes=grown(trend),
            blocks=None,
            series=thinned(times, values),
            evidence=f"the stack {describe(trend, recording.time_unit)}; {owner.evidence}",
            confidence=trend.confidence * owner.sure,
        )
    ]


def _total_grows(line: Timeline) -> bool:
    """Whether live bytes as a whole grow by the same test, by a hundredth of what lives or more."""
    totals = np.array([snapshot.totals.get(Metric.LIVE_BYTES, 0) for snapshot in line.snapshots], dtype=float)
    trend = judge(line.times, totals[None, :]).get(0)
    return trend is not None and trend.shape is Shape.GROWING and grown(trend) >= 0.01 * trend.last


def _changes_hands(times: Floats, rows: Floats) -> bool:
    """Whether the site that holds most is another for a while, in the window, and then no longer: one block, of two owners."""
    most = rows[:, window_of(times)].argmax(axis=0)
    return int(np.count_nonzero(np.diff(most))) >= _HANDED
