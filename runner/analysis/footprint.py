"""What a process holds beside what lives in it: what the allocator keeps, or what lies in pieces. For notes. Needs numpy."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from runner.analysis.arrays import np
from runner.analysis.judgement import Shape
from runner.analysis.timeline import before_exit
from runner.analysis.trend import Floats, judge, spread, window_of
from runner.analysis.wording import size_text
from runner.model import FindingKind, Metric, Note, Recording, TimeUnit

_RISING = (Shape.GROWING, Shape.UNDECIDED)
_FEWEST = 8  # snapshots, and samples
_WORTH = 4 << 20  # bytes: less is the allocator's usual stock
_FELL = 0.5  # of the peak: what lives at most, in the last quarter of the time
_LAST = 0.75  # of the time
_STAYS = 0.5  # of what was freed: so much is still resident


class Sampled(Protocol):
    """A process over time: seconds since the run's start; resident bytes, None where they could not be had."""

    times: list[float]
    rss: list[int | None]


def footprint_notes(recordings: Iterable[Recording], resident: Mapping[int, Sampled]) -> Iterator[Note]:
    """For each process whose live heap and resident memory are both known over time, what of it is held and does not live."""
    for recording in recordings:
        sampled = resident.get(recording.pid) if recording.pid is not None else None
        if sampled is None or recording.time_unit is not TimeUnit.SECONDS or recording.growth_kind is not FindingKind.GROWING:
            continue
        times, live = _live(recording)
        points = [(time, size) for time, size in zip(sampled.times, sampled.rss, strict=True) if size is not None]
        if spread(times, _FEWEST) and len(points) >= _FEWEST:
            held = np.interp(times, *np.array(points, dtype=float).T)
            who = "" if len(resident) == 1 else f"process {recording.pid}: "
            yield from (
                Note(kind, who + text) for kind, text in (_retained(times, live, held), _pieces(times, live, held)) if text
            )


def _live(recording: Recording) -> tuple[Floats, Floats]:
    known = [(each.time, each.totals[Metric.LIVE_BYTES]) for each in recording.snapshots if Metric.LIVE_BYTES in each.totals]
    times, live = (np.array([point[axis] for point in known], dtype=float) for axis in (0, 1))
    keep = before_exit(times, live)
    return times[:keep], live[:keep]


def _retained(times: Floats, live: Floats, held: Floats) -> tuple[str, str]:
    """Much was freed for good, and most of it is resident still."""
    late = times >= times[0] + _LAST * (times[-1] - times[0])
    peak, left = live.max(), live[late].max()
    kept = held[late].min() - left
    if left > _FELL * peak or peak - left < _WORTH or kept < _STAYS * (peak - left):
        return "retained", ""
    return "retained", (
        f"live memory fell from {size_text(peak)} to {size_text(left)}, and {size_text(held[-1])} are still resident: "
        "freed, and kept by the allocator to be used again (malloc_trim() gives it back)"
    )


def _pieces(times: Floats, live: Floats, held: Floats) -> tuple[str, str]:
    """Resident memory grows, and what lives grows by less than half of that."""
    late = window_of(times)
    rise, grown = held[late][-1] - held[late][0], live[late].max() - live[late][0]
    trend = judge(times, held[None, :]).get(0)
    if trend is None or trend.shape not in _RISING or rise < max(_WORTH, 2 * grown):
        return "fragmentation", ""
    return "fragmentation", (
        f"resident memory rose from {size_text(held[0])} to {size_text(held[-1])} while no more than {size_text(live.max())} "
        "lived: fragmentation, or mappings and stacks, which this tool does not see"
    )
