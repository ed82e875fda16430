"""Sites that grow over the snapshots of a recording, those that have levelled off, and what merely lives. Needs numpy."""

from collections.abc import Sequence
from dataclasses import replace

from runner.analysis.arrays import np
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
    if reason is None and not spread(line.times, FEWEST_SNAPSHOTS, line.until):
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
        _fill(growth, sites_of(recording, line, blamer, judged=growth.unjudged is None))
    return growth


def sites_of(recording: Recording, line: Timeline, blamer: Blamer, *, judged: bool) -> "Sites":
    """Every site of `recording` over the snapshots of `line`; what is said of them only where it can be `judged`.

    Where none grows while the whole does, and now one site has most of it and now another, it is judged by who allocates, not
    for whom: a buffer that its users extend in turn.
    """
    sites = Sites(recording, line, blamer, judged=judged)
    if not judged or sites.growing or not sites.total_grows() or not _changes_hands(sites.line.times, sites.rows):
        return sites
    by_allocators = Sites(recording, sites.line, blamer.by_allocators(), judged=judged)
    return by_allocators if by_allocators.growing else sites


def _fill(growth: Growth, sites: "Sites") -> None:
    """Enter what is said of the sites."""
    fullest = max(sites.line.snapshots, key=live_total)
    growth.total = live_total(fullest)
    last = next(each for each in reversed(growth.recording.snapshots) if Metric.LIVE_BYTES in each.columns)
    if live_total(last) < growth.total:
        growth.left, growth.at_exit = live_total(last), _is_exit(growth.recording, last)
    growth.largest = sites.largest(fullest, None if growth.left is None else last)
    if growth.unjudged is not None:
        return
    listed = sites.growing[:_LISTED]
    growth.growing += sites.described(listed)
    growth.unlisted = len(sites.growing) - len(listed)
    growth.risen_elsewhere = float(risen(sites.line.times, np.delete(sites.rows, listed, axis=0)).sum())
    growth.plateaus, growth.undecided = sites.standing(Shape.PLATEAU), sites.standing(Shape.UNDECIDED)
    growth.total_grows = sites.total_grows()


def _is_exit(recording: Recording, snapshot: Snapshot) -> bool:
    """Whether it shows what the tool itself says was in use at exit."""
    summary = recording.heap_summary
    in_use = summary.in_use_at_exit if summary is not None else None
    return snapshot is recording.snapshots[-1] and in_use is not None and in_use.bytes == live_total(snapshot)


class Sites:
    """The sites of one recording over its snapshots.

    line     its timeline, without the exit where it is judged
    blamer   who is blamed
    sites    by number
    rows     sites x snapshots, in bytes
    trends   what is said of each row, by its number
    growing  the numbers of those that grow, by most first
    """

    def __init__(self, recording: Recording, line: Timeline, blamer: Blamer, *, judged: bool) -> None:
        self._recording, self.line, self.blamer = recording, line, blamer
        self.site_of_stack, self._roles = fold(recording, blamer)
        self.sites = list(self._roles)
        self.rows = matrix(line, self.site_of_stack, len(self.sites))
        self.trends: dict[int, Trend] = {}
        if judged:
            self._leave_out_exit()
            self.trends = self._judged()
        growing = [number for number, trend in self.trends.items() if trend.shape is Shape.GROWING]
        self.growing = sorted(growing, key=lambda number: -grown(self.trends[number]))

    def total_grows(self) -> bool:
        """Whether live bytes as a whole grow by the same test, by a hundredth of what lives or more."""
        totals = np.array([snapshot.totals.get(Metric.LIVE_BYTES, 0) for snapshot in self.line.snapshots], dtype=float)
        trend = judge(self.line.times, totals[None, :]).get(0)
        return trend is not None and trend.shape is Shape.GROWING and grown(trend) >= 0.01 * trend.last

    def largest(self, fullest: Snapshot, last: Snapshot | None) -> list[Standing]:
        """The sites that hold most in a snapshot, those first that people can change; then those that do in the last one."""
        held = self._held(fullest)
        if last is None:
            return [Standing(self.sites[number], int(held[number])) for number in self._most(held)]
        left = self._held(last)
        numbers = dict.fromkeys([*self._most(held), *self._most(left)])
        return [Standing(self.sites[number], int(held[number]), left=int(left[number])) for number in numbers]

    def _held(self, snapshot: Snapshot) -> Floats:
        """By site, its bytes in a snapshot."""
        alone = Timeline([snapshot], self.line.times[-1:], 1, self.line.until)
        return matrix(alone, self.site_of_stack, len(self.sites))[:, 0]

    def _most(self, held: Floats) -> list[int]:
        """The numbers of the sites that hold most."""
        system = np.array([role in (Role.MACHINERY, Role.NAMELESS) for role in self._roles.values()], dtype=bool)
        return [int(number) for number in np.lexsort((-held, system))[:_LARGEST] if held[number] > 0]

    def standing(self, shape: Shape) -> list[Standing]:
        """The sites of a shape that people can change, those that hold most first."""
        found = [
            Standing(self.sites[number], round(trend.last), trend)
            for number, trend in self.trends.items()
            if trend.shape is shape and self._roles[self.sites[number]] is not Role.MACHINERY
        ]
        return sorted(found, key=lambda standing: -standing.bytes)

    def described(self, numbers: Sequence[int]) -> list[Growing]:
        """What is said of sites that grow."""
        stacks = heaviest_stacks(self.line.snapshots[-1], self.site_of_stack)
        blocks = self._blocks()
        return [self._growing(number, stacks.get(number), blocks.get(number)) for number in numbers]

    def _growing(self, number: int, stack_id: int | None, blocks: int | None) -> Growing:
        trend = self.trends[number]
        return Growing(
            recording=self._recording,
            kind=self._recording.growth_kind,
            site=self.sites[number],
            stack_id=stack_id,
            frame=None if stack_id is None else self.blamer.frame(stack_id),
            trend=trend,
            bytes=grown(trend),
            blocks=blocks,
            series=thinned(self.line.times, self.rows[number]),
            evidence=describe(trend, self._recording.time_unit),
            confidence=trend.confidence * _trust(self.blamer, stack_id),
        )

    def _blocks(self) -> dict[int, int]:
        """By site, how many more blocks it has at the end than at the start; nothing where blocks aren't counted."""
        ends = Timeline([self.line.snapshots[0], self.line.snapshots[-1]], self.line.times[[0, -1]], 2, self.line.until)
        if any(Metric.LIVE_BLOCKS not in snapshot.columns for snapshot in ends.snapshots):
            return {}
        rows = matrix(ends, self.site_of_stack, len(self.sites), Metric.LIVE_BLOCKS)
        return dict(enumerate(np.maximum(rows[:, 1] - rows[:, 0], 0).astype(int).tolist()))

    def _leave_out_exit(self) -> None:
        """Leave out the snapshots at the end in which globals are destroyed, from the timeline too."""
        line = self.line
        keep = before_frees(line.times, self.rows)
        if keep < len(line.times) and spread(line.times[:keep], FEWEST_SNAPSHOTS):
            self.line = Timeline(line.snapshots[:keep], line.times[:keep], line.taken, line.until)
            self.rows = self.rows[:, :keep]

    def _judged(self) -> dict[int, Trend]:
        """What is said of each row. Where all came to rest late in the run, what grew until then may only want for load."""
        line, rows = self.line, self.rows
        trends = judge(line.times, rows)
        busy = busy_snapshots(line)
        place = (line.times[busy - 1] - line.times[0]) / line.span
        if _IDLE <= place <= 1 - _REST and spread(line.times[:busy], FEWEST_SNAPSHOTS):
            for number, trend in judge(line.times[:busy], rows[:, :busy]).items():
                if trend.shape is Shape.GROWING and (number not in trends or trends[number].shape is not Shape.GROWING):
                    trends[number] = replace(trend, shape=Shape.UNDECIDED, span=line.span, by="rest")
        return self._less_sure(trends)

    def _less_sure(self, trends: dict[int, Trend]) -> dict[int, Trend]:
        """What may be a saw-tooth that the snapshots met at one place after another; where frees are counted, chance too."""
        times, rows = self.line.times, self.rows
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
        if any(metric not in snapshot.columns for snapshot in self.line.snapshots):
            return None
        return matrix(self.line, self.site_of_stack, len(self.sites), metric)


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


def _changes_hands(times: Floats, rows: Floats) -> bool:
    """Whether the site that holds most is another for a while, in the window, and then no longer: one block, of two owners."""
    most = rows[:, window_of(times)].argmax(axis=0)
    return int(np.count_nonzero(np.diff(most))) >= _HANDED
