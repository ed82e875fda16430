"""When: the intervals of snapshots and samples. Pure figures in seconds, nothing that waits."""

from dataclasses import dataclass

_DENSE_STEPS = (8, 4, 2)  # an adaptive series starts at every/8, then every/4, every/2
_SNAPSHOTS_PER_DENSE_STEP = 8
_SNAPSHOTS_PER_STEP = 60
_FIRST_CHECKPOINT = 5.0  # seconds
_LONG = 3600.0  # seconds: from then on samples are seldom


def snapshot_interval(every: float, adaptive: bool, taken: int) -> float:
    """Seconds from snapshot number `taken` (0 is the start) to the next.

    An adaptive series is dense at first, for programs that end soon; after that it doubles its interval after each
    60 snapshots, so that a day's run leaves some hundreds.
    """
    if not adaptive:
        return every
    step, rest = taken // _SNAPSHOTS_PER_DENSE_STEP, taken - _SNAPSHOTS_PER_DENSE_STEP * len(_DENSE_STEPS)
    if step < len(_DENSE_STEPS):
        return every / _DENSE_STEPS[step]
    return every * float(2 ** min(rest // _SNAPSHOTS_PER_STEP, 30))


def checkpoint_interval(every: float, taken: int) -> float:
    """The same where each file holds all that the older ones held: at most half of what was there is lost, `every` at most."""
    return min(every, _FIRST_CHECKPOINT * 2.0 ** min(taken, 30))


def sample_interval(elapsed: float, wanted: float | None = None) -> float:
    """Seconds to the next sample: fine at the start, each second later, each 5 s after an hour.

    With `wanted` seconds at most during that hour, and then ten times that.
    """
    usual = 5.0 if elapsed >= _LONG else min(max(elapsed / 40, 0.05), 1.0)
    return usual if wanted is None else min(usual, wanted if elapsed < _LONG else 10 * wanted)


def look_interval(elapsed: float, sample_every: float | None = None) -> float:
    """Seconds to the next look for new children: 1 ms while the program has hardly begun, 0.25 s soon after.

    Samples are taken at a look: it is no longer away than the next of them.
    """
    usual = min(max(elapsed / 20, 0.001), 0.25 if elapsed < 600 else 0.5)
    return usual if sample_every is None else min(usual, sample_interval(elapsed, sample_every))


@dataclass(slots=True)
class Pace:
    """A thing that is done again and again, and may cost at most `share` of one core.

    due  when it is next to be done, on the caller's clock
    """

    share: float
    credit: float = 0.02  # seconds of processor time that the start may cost more
    due: float = 0.0
    _spent: float = 0.0
    _began: float | None = None

    def done(self, now: float, cost: float, interval: float) -> None:
        """It was done just now, and cost that much processor time: wait `interval`, or longer where it gets too dear."""
        self._began = now if self._began is None else self._began
        self._spent += cost
        over = self._spent - self.credit - self.share * (now - self._began)
        self.due = now + max(interval, over / self.share)
