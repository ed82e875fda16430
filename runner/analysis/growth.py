"""Sites that grow over the snapshots of a recording, those that have levelled off, and what merely lives. Needs numpy."""

from collections.abc import Sequence

import numpy as np

from runner.analysis.blame import Blamer, blame
from runner.analysis.frames import Role
from runner.analysis.judgement import Growing, Growth, Shape, Standing, Trend, describe
from runner.analysis.losses import loss_turnover
from runner.analysis.sites import Site, fold
from runner.analysis.timeline import Timeline, before_exit, heaviest_stacks, matrix, timeline, turnover, unjudged
from runner.analysis.trend import Floats, judge, spread, window_of
from runner.model import FindingKind, Metric, Recording, TimeUnit

FEWEST_SNAPSHOTS = 8
SHORTEST_SECONDS = 1.0
_SERIES_POINTS = 120


def judge_all(recordings: Sequence[Recording], wrappers: Sequence[str], warmup: float) -> tuple[list[Blamer], list[Growth]]:
    """The blame of every recording, and the growth of each that has snapshots; `warmup` in seconds is left out."""
    lines = [timeline(recording, warmup) for recording in recordings]
    turnovers = [loss_turnover(recording) or turnover(recording, line) for recording, line in zip(recordings, lines, strict=True)]
    blamers = blame(recordings, turnovers, wrappers)
    judged = zip(recordings, lines, blamers, strict=True)
    return blamers, [growth_of(recording, line, blamer) for recording, line, blamer in judged if recording.snapshots]


def growth_of(recording: Recording, line: Timeline, blamer: Blamer) -> Growth:
    """Judge every site of `recording` over the snapshots of `line`."""
    site_of_stack, roles = fold(recording, blamer)
    sites = list(roles)
    reason = unjudged(recording, line, FEWEST_SNAPSHOTS, SHORTEST_SECONDS)
    if reason is None and not spread(line.times, FEWEST_SNAPSHOTS):
        reason = "the snapshots stand close together and leave much of the run unseen: run it longer, or with --every 500ms"
    growth = Growth(recording, reason, line.span, len(line.snapshots), total=_total(line))
    growth.growing += _stack_growth(recording)
    if not line.snapshots:
        return growth
    if reason is not None:
        last = Timeline(line.snapshots[-1:], line.times[-1:])
        growth.largest = _largest(matrix(last, site_of_stack, len(sites)), sites)
        return growth
    rows = matrix(line, site_of_stack, len(sites))
    growth.largest = _largest(rows, sites)
    trends = judge(line.times, rows)
    growing = [number for number, trend in trends.items() if trend.shape is Shape.GROWING]
    growth.risen_elsewhere = _risen(line.times, np.delete(rows, growing, axis=0))
    stacks = heaviest_stacks(line.snapshots[-1], site_of_stack)
    blocks = _blocks(line, site_of_stack, len(sites), trends)
    for number, trend in trends.items():
        match trend.shape:
            case Shape.GROWING:
                grown = _grown(trend)
                stack_id = stacks.get(number)
                growth.growing.append(
                    Growing(
                        recording,
                        recording.growth_kind,
                        sites[number],
                        stack_id,
                        None if stack_id is None else blamer.frame(stack_id),
                        trend,
                        grown,
                        blocks.get(number),
                        _series(line.times, rows[number]),
                        describe(trend, recording.time_unit),
                        trend.confidence * _trust(blamer, stack_id),
                    )
                )
            case Shape.PLATEAU if roles[sites[number]] is not Role.MACHINERY:
                growth.plateaus.append(Standing(sites[number], round(trend.last), trend))
            case Shape.UNDECIDED:
                growth.undecided.append(Standing(sites[number], round(trend.last), trend))
    growth.plateaus.sort(key=lambda standing: -standing.bytes)
    growth.undecided.sort(key=lambda standing: -standing.bytes)
    growth.total_grows = _total_grows(line)
    return growth


def _grown(trend: Trend) -> int:
    """Bytes over the whole run: last less first where the slope bears that out, else (after a burst) what the slope makes."""
    by_slope = trend.slope * trend.span
    difference = trend.last - trend.first
    return round(difference if difference <= 2 * by_slope else by_slope)


def _trust(blamer: Blamer, stack_id: int | None) -> float:
    """Less where the blamed frame is not the project's own."""
    if stack_id is None:
        return 0.8
    return {Role.PROJECT: 1.0, Role.LIBRARY: 0.85}.get(blamer.role(stack_id), 0.7)


def _total(line: Timeline) -> int:
    return line.snapshots[-1].totals.get(Metric.LIVE_BYTES, 0) if line.snapshots else 0


def _risen(times: Floats, rows: Floats) -> float:
    """Bytes by which rows rose in the window, those that did."""
    if not len(rows):
        return 0.0
    late = rows[:, window_of(times)]
    part = max(1, late.shape[1] // 5)
    return float(np.maximum(late[:, -part:].mean(axis=1) - late[:, :part].mean(axis=1), 0).sum())


def _largest(rows: Floats, sites: Sequence[Site], count: int = 5) -> list[Standing]:
    last = rows[:, -1]
    order = np.argsort(-last, kind="stable")[:count]
    return [Standing(sites[number], int(last[number])) for number in order if last[number] > 0]


def _blocks(line: Timeline, site_of_stack: Sequence[int], sites: int, trends: dict[int, Trend]) -> dict[int, int]:
    """By growing site, how many more blocks it has at the end than at the start; nothing where blocks aren't counted."""
    ends = Timeline([line.snapshots[0], line.snapshots[-1]], line.times[[0, -1]])
    if any(Metric.LIVE_BLOCKS not in snapshot.columns for snapshot in ends.snapshots):
        return {}
    rows = matrix(ends, site_of_stack, sites, Metric.LIVE_BLOCKS)
    return {number: max(0, int(rows[number, 1] - rows[number, 0])) for number in trends}


def _series(times: Floats, row: Floats) -> list[tuple[float, int]]:
    chosen = np.unique(np.linspace(0, len(times) - 1, min(len(times), _SERIES_POINTS)).astype(int))
    return [(float(times[i]), int(row[i])) for i in chosen]


def _totals(recording: Recording, metric: Metric) -> tuple[Floats, Floats]:
    points = [(snapshot.time, snapshot.totals[metric]) for snapshot in recording.snapshots if metric in snapshot.totals]
    times = np.array([time for time, _ in points], dtype=float)
    values = np.array([value for _, value in points], dtype=float)
    keep = before_exit(times, values)
    return times[:keep], values[:keep]


def _stack_growth(recording: Recording) -> list[Growing]:
    """The growth of the stack as a whole: massif says how much, not whose."""
    times, values = _totals(recording, Metric.STACK_BYTES)
    if not values.any() or not spread(times, FEWEST_SNAPSHOTS):
        return []
    if recording.time_unit is TimeUnit.SECONDS and times[-1] - times[0] < SHORTEST_SECONDS:
        return []
    trend = judge(times, values[None, :]).get(0)
    if trend is None or trend.shape is not Shape.GROWING:
        return []
    evidence = f"the stack {describe(trend, recording.time_unit)}; the tool says how much, not whose"
    series = _series(times, values)
    return [
        Growing(
            recording,
            FindingKind.STACK_GROWTH,
            None,
            None,
            None,
            trend,
            _grown(trend),
            None,
            series,
            evidence,
            trend.confidence * 0.9,
        )
    ]


def _total_grows(line: Timeline) -> bool:
    """Whether live bytes as a whole grow by the same test, by a hundredth of what lives or more."""
    totals = np.array([snapshot.totals.get(Metric.LIVE_BYTES, 0) for snapshot in line.snapshots], dtype=float)
    trend = judge(line.times, totals[None, :]).get(0)
    return trend is not None and trend.shape is Shape.GROWING and _grown(trend) >= 0.01 * trend.last
