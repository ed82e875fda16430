"""All sites that hold memory, ranked by growth over the snapshots: what `findings` says of a few, for each. Needs numpy."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from runner.analysis.arrays import np
from runner.analysis.blame import Blamer
from runner.analysis.growth import Series, blamers_of, grown, risen, sites_of, stack_growth, thinned, why_unjudged
from runner.analysis.judgement import Growing, Shape, Trend
from runner.analysis.sites import Site
from runner.analysis.timeline import Timeline, heaviest_stacks, timeline
from runner.analysis.trend import FLOOR, Floats
from runner.model import FindingKind, Frame, Recording

_ORDER = {
    shape: place for place, shape in enumerate((Shape.GROWING, Shape.UNDECIDED, Shape.PLATEAU, Shape.STEADY, Shape.FALLING))
}
_RISING = (Shape.GROWING, Shape.UNDECIDED)
_END = 0.2  # of the time, at either end
_MOVED = 0.25  # of a site's most: so much between the first and the last fifth is no mere coming and going


@dataclass(slots=True)
class Ranked:
    """One site and what it does over the snapshots, in one process or in several that do the same; figures are sums then.

    slope   bytes per unit of time: of a site that grows over the last two thirds, else over the whole
    rise    bytes from the first snapshot to the last (after a burst: what the slope makes of it); below 0 where it fell
    part    bytes that it adds to all growth
    share   its part (0 to 1) of all growth, where it grows or may
    first   bytes at the first snapshot; None where there is only one
    """

    recording: Recording
    kind: FindingKind
    site: Site | None
    frame: Frame | None
    stack_id: int | None
    shape: Shape
    slope: float
    rise: int
    part: float
    first: int | None
    last: int
    times: Floats
    row: Floats
    pids: list[int] = field(default_factory=list)
    share: float = 0.0

    def series(self) -> Series:
        """(time, bytes) over the run, thinned out."""
        return thinned(self.times, self.row)


@dataclass(slots=True)
class Watched:
    """One process: how far its snapshots reach, and why growth can't be judged from them (None where it can)."""

    recording: Recording
    snapshots: int
    span: float
    unjudged: str | None


@dataclass(slots=True)
class Ranking:
    """All sites, those that grow first and by most."""

    processes: list[Watched] = field(default_factory=list)
    sites: list[Ranked] = field(default_factory=list)


def rank(recordings: Sequence[Recording], wrappers: Sequence[str] = (), warmup: float = 0.0) -> Ranking:
    """Every site of every recording that held memory at any snapshot. `warmup` in seconds is left out.

    Where growth can't be judged each site is undecided, and its rise is the difference of the last snapshot and the first.
    """
    lines = [timeline(recording, warmup) for recording in recordings]
    ranking = Ranking()
    found: list[Ranked] = []
    for recording, line, blamer in zip(recordings, lines, blamers_of(recordings, lines, wrappers), strict=True):
        reason = why_unjudged(recording, line)
        ranking.processes.append(Watched(recording, line.taken, line.span, reason))
        found += [_whole_stack(growing) for growing in stack_growth(recording)]
        if line.snapshots:
            found += _sites(recording, line, blamer, judged=reason is None)
    ranking.sites = _folded(found)
    whole = sum(each.part for each in ranking.sites)
    for each in ranking.sites:
        each.share = round(each.part / whole, 4) if whole > 0 and each.shape in _RISING else 0.0
    ranking.sites.sort(key=lambda each: (_ORDER[each.shape], -each.rise, -each.last))
    return ranking


def _sites(recording: Recording, line: Timeline, blamer: Blamer, *, judged: bool) -> list[Ranked]:
    judgement = sites_of(recording, line, blamer, judged=judged)
    line, rows, trends = judgement.line, judgement.rows, judgement.trends
    shapes = _shapes(trends, line.times, rows, judged=judged)
    parts = risen(line.times, rows) if judged else np.maximum(rows[:, -1] - rows[:, 0], 0)
    stacks = _stacks(line, judgement.site_of_stack)
    found = []
    for number in np.flatnonzero(rows.max(axis=1) > 0).tolist():
        row, trend, shape = rows[number], trends.get(number), shapes[number]
        difference = float(row[-1] - row[0])
        rise, slope, part = round(difference), difference / line.span if line.span else 0.0, float(parts[number])
        if trend is not None and shape is Shape.GROWING:
            rise, slope = grown(trend), trend.slope
            part = rise
        found.append(
            Ranked(
                recording=recording,
                kind=recording.growth_kind,
                site=judgement.sites[number],
                frame=judgement.blamer.frame(stacks[number]),
                stack_id=stacks[number],
                shape=shape,
                slope=slope,
                rise=rise,
                part=part,
                first=int(row[0]) if line.taken > 1 else None,
                last=int(row[-1]),
                times=line.times,
                row=row,
                pids=_pids(recording),
            )
        )
    return found


def _stacks(line: Timeline, site_of_stack: Sequence[int]) -> dict[int, int]:
    """By site, the stack that holds most of it at the last snapshot; one of its stacks where it is gone by then."""
    found = {site: stack_id for stack_id, site in enumerate(site_of_stack)}
    return found | heaviest_stacks(line.snapshots[-1], site_of_stack)


def _shapes(trends: dict[int, Trend], times: Floats, rows: Floats, *, judged: bool) -> list[Shape]:
    """By row; those that judge() left out are told apart by the means of the first and the last fifth of the time."""
    if not judged:
        return [Shape.UNDECIDED] * len(rows)
    place = (times - times[0]) / (times[-1] - times[0])
    moved = rows[:, place >= 1 - _END].mean(axis=1) - rows[:, place <= _END].mean(axis=1)
    still = np.abs(moved) < np.maximum(FLOOR, _MOVED * rows.max(axis=1))
    shapes = [
        Shape.STEADY if is_still else Shape.UNDECIDED if by > 0 else Shape.FALLING
        for is_still, by in zip(still.tolist(), moved.tolist(), strict=True)
    ]
    for number, trend in trends.items():
        shapes[number] = trend.shape
    return shapes


def _pids(recording: Recording) -> list[int]:
    return [] if recording.pid is None else [recording.pid]


def _whole_stack(growing: Growing) -> Ranked:
    trend = growing.trend
    times, sizes = (np.array(column, dtype=float) for column in zip(*growing.series, strict=True))
    return Ranked(
        recording=growing.recording,
        kind=growing.kind,
        site=growing.site,
        frame=growing.frame,
        stack_id=growing.stack_id,
        shape=trend.shape,
        slope=trend.slope,
        rise=growing.bytes,
        part=growing.bytes,
        first=round(trend.first),
        last=round(trend.last),
        times=times,
        row=sizes,
        pids=_pids(growing.recording),
    )


def _folded(found: Sequence[Ranked]) -> list[Ranked]:
    """Processes in which a site does the same become one: figures are sums; stack and series are those of the one with most."""
    groups: dict[tuple[FindingKind, Site | None, Shape], list[Ranked]] = defaultdict(list)
    for each in found:
        groups[each.kind, each.site, each.shape].append(each)
    return [group[0] if len(group) == 1 else _together(group) for group in groups.values()]


def _together(group: Sequence[Ranked]) -> Ranked:
    most = max(group, key=lambda each: (each.rise, each.last))
    firsts = [each.first for each in group if each.first is not None]
    return replace(
        most,
        slope=sum(each.slope for each in group if each.recording.time_unit is most.recording.time_unit),
        rise=sum(each.rise for each in group),
        part=sum(each.part for each in group),
        first=sum(firsts) if firsts else None,
        last=sum(each.last for each in group),
        pids=sorted({pid for each in group for pid in each.pids}),
    )
