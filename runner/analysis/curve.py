"""One figure of a process over time, as a person wants it drawn: what the tool counts, and which snapshots say more."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runner.model import Metric, Recording, TimeUnit

# What a recording is drawn by: the first of these that its snapshots tell.
_DRAWN = {
    Metric.LIVE_BYTES: "live heap",
    Metric.MAPPED_BYTES: "mapped memory",
    Metric.STACK_BYTES: "stack",
    Metric.PSS_BYTES: "pss",
    Metric.RSS_BYTES: "rss",
}


@dataclass(frozen=True, slots=True)
class Point:
    """time in the curve's unit, size in bytes. detailed: the snapshot has stacks. peak: the tool marked it so."""

    time: float
    size: int
    detailed: bool = False
    peak: bool = False


@dataclass(frozen=True, slots=True)
class Curve:
    """The points of one process in the order of time, and the words for what they are.

    end   when the process ended, in the unit; at least the last point's time
    noun  what one point is
    """

    what: str
    tool: str
    pid: int | None
    unit: TimeUnit
    points: Sequence[Point]
    end: float
    noun: str = "snapshot"


def curves(recordings: Sequence[Recording]) -> Iterator[Curve]:
    """A curve for each recording that has at least two snapshots, at different times, of anything that can be drawn."""
    for recording in recordings:
        metric = next((each for each in _DRAWN if any(each in snapshot.totals for snapshot in recording.snapshots)), None)
        if metric is None:
            continue
        points = [
            Point(each.time, each.totals[metric], detailed=any(map(len, each.columns.values())), peak=each.peak)
            for each in recording.snapshots
            if metric in each.totals
        ]
        if len(points) < 2 or points[-1].time <= points[0].time:
            continue
        what = "mapped memory" if recording.growth_kind.value == "mapping-growth" else _DRAWN[metric]
        end = max(recording.end or 0.0, points[-1].time)
        yield Curve(what, recording.tool, recording.pid, recording.time_unit, points, end)
