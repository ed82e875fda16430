"""Which rows of a (sites x snapshots) matrix grow, which have levelled off, which can't be told. Needs numpy.

The question is not "is the end higher than the start" (a filled cache, a warm-up and a saw-tooth are that too) but
"would it go on". So only the last two thirds of the run count, by time, and a row grows when it passes one of:

trend     Sen's slope (Sen 1968, the median of the slopes of all pairs) shows a rise of at least FLOOR and of 3 MAD of the
          residuals; Kendall's tau is 0.5 or more and significant (Mann 1945); most of the way that the row went was
          upwards; it rose in several steps, none of which is most of it; the second half rose at least half as much as the
          first, and not more slowly by more than chance; and it still rises at the end.
troughs   the same of a saw-tooth's minima: in each of five or more bins of time the lowest value is above the one before.
jumps     no more than three or more jumps: regular ones, of which the next is not overdue, or a vector's that doubles, each
          after about twice the time of the one before, the last of them not long ago. Seen over the whole run.
"""

from runner.analysis.arrays import NDArray, np
from runner.analysis.judgement import Shape, Trend

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FLOOR = 4096.0  # bytes: less is not called growth
FEWEST_POINTS = 5  # in the last two thirds
_START = 1 / 3  # of the time: start-up, left out
_POINTS = 40  # at most; more snapshots are averaged into so many bins of time
_TAU = 0.5
_SIGNIFICANT = 1.95  # standard deviations; with 5 points: each above the one before
_MANY_POINTS = 10  # fewer are judged more strictly
_MADS = 3.0
_STRAIGHT = 0.6  # of the way up and down, what is left as rise
_LARGEST_STEP = 0.6  # of the rise
_SECOND_HALF = 0.5
_QUARTERS = (0.1, 0.37, 0.63, 0.9)  # of the window: between these the pace is measured, three times
_SLOWER = 0.85  # each pace, in units of the one before: a busy machine slows a program down once, a filling cache ever more
_SLOW = 0.65  # the last pace, in units of the first
_LATE = 0.5  # of the window: from there on few points must show so much of the rise,
_LATE_RISE = 0.2  # that it may go on
_HALVES = 0.6  # the second half's rise, in units of the first's: less is slow in any case
_STRETCH = 0.27  # of the window: from one of these places to the next
_PAUSE = 0.15  # of the window: a rest this long at the end is no levelling off; nor is one as long as earlier ones
_APART = 0.25  # of the usual distance: of few snapshots one that follows closer tells nothing of its own
_UNSEEN = 0.25  # of the time between two snapshots, at most
_SOON = 1.5  # the end of the run, in units of the time of a doubling's last jump: later it may as well have settled
_BOTH = 1.6  # of a vector: while it is copied the one of half its size is there too, however long that takes
_JUMPS = ("steps", "doubling")
_OVERDUE = 2.3  # so long after it the next jump would have come
_FEWEST_FOR_STEPS = 12  # points
_REGULAR = 1.25  # the longest distance of regular jumps, in units of the shortest
_ROWS_AT_ONCE = 2048  # bounds memory: 780 pairs of each row


def window_of(times: Floats) -> Flags:
    """Which times count: the last two thirds of the span."""
    return np.asarray(times >= times[0] + _START * (times[-1] - times[0]))


def spread(times: Floats, fewest: int, until: float | None = None) -> bool:
    """Whether `fewest` snapshots or more stand so in time that growth can be judged: no long stretch of it is unseen.

    `until`: when the run ended, if that was later than the last.
    """
    if len(times) < fewest or times[-1] <= times[0]:
        return False
    times = times[apart_of(times)]
    window = times[window_of(times)]
    start, end = times[0] + _START * (times[-1] - times[0]), max(times[-1], until or 0.0)
    unseen = np.diff(window, prepend=start, append=end).max()
    return len(np.unique(window)) >= FEWEST_POINTS and float(unseen) <= _UNSEEN * float(end - times[0])


def judge(times: Floats, rows: Floats) -> dict[int, Trend]:
    """By row, what is said of it; rows that are flat, fall or only fluctuate are left out.

    `times` is not decreasing, `rows` has one column for each. Fewer than FEWEST_POINTS in the window: nothing is said.
    """
    if len(times) == 0 or times[-1] <= times[0] or not len(rows):
        return {}
    apart = apart_of(times)
    times, rows = times[apart], rows[:, apart]
    window = window_of(times)
    if len(np.unique(times[window])) < FEWEST_POINTS:
        return {}
    found: dict[int, Trend] = {}
    moving = np.flatnonzero(rows.max(axis=1) - rows.min(axis=1) >= FLOOR)
    for start in range(0, len(moving), _ROWS_AT_ONCE):
        chosen = moving[start : start + _ROWS_AT_ONCE]
        found |= _judge_some(times, rows[chosen], window, chosen.tolist())
    return found


def apart_of(times: Floats) -> Flags:
    """Which of few snapshots stand at a distance from the one before: between two that are close there was no time to grow."""
    late = times[window_of(times)]
    gaps = np.diff(times, prepend=-np.inf)
    if not 2 <= len(late) <= _MANY_POINTS:
        return np.ones(len(times), dtype=bool)
    return np.asarray(gaps >= _APART * np.median(np.diff(late)))


def _judge_some(times: Floats, rows: Floats, window: Flags, numbers: list[int]) -> dict[int, Trend]:
    late_times, late_rows = times[window], rows[:, window]
    means = _Rows(*_binned(late_times, late_rows, _POINTS, np.add), late_times[-1] - late_times[0])
    by_trend, trending = means.grow()
    if len(late_times) < _MANY_POINTS:
        by_trend &= _Rows(times, rows, times[-1] - times[0]).tau >= _TAU
    bins = min(10, len(late_times) // 6)
    by_troughs = np.zeros(len(rows), dtype=bool)
    lows = means
    if bins >= 5:
        lows = _Rows(*_binned(late_times, late_rows, bins, np.minimum), means.span)
        by_troughs = ~by_trend & lows.climb(late_rows, bins) & ~means.fell_at_end()
    plateau, still = _levels(times, rows)
    if len(late_times) < _MANY_POINTS:
        may_rise = means.may_rise()
        trending, still, plateau = trending | may_rise, still | may_rise, plateau & ~may_rise
    slowing = means.slow_down()
    found: dict[int, Trend] = {}
    for row, number in enumerate(numbers):
        if by_trend[row]:
            found[number] = means.describe(row, Shape.GROWING, "trend", times, rows)
        elif by_troughs[row]:
            found[number] = lows.describe(row, Shape.GROWING, "troughs", times, rows)
        elif by_jumps := jumps_on(times, rows[row]):
            how, shape = by_jumps
            found[number] = means.describe(row, shape, how, times, rows)
        elif trending[row] and still[row]:
            found[number] = means.describe(row, Shape.UNDECIDED, "slowing" if slowing[row] else "trend", times, rows)
        elif plateau[row]:
            found[number] = means.describe(row, Shape.PLATEAU, "trend", times, rows)
    return found


class _Rows:
    """Some rows over the window, at most _POINTS columns, and the figures that the tests need."""

    def __init__(self, times: Floats, rows: Floats, span: float) -> None:
        self.times, self.rows, self.span = times, rows, float(span)
        first, second = np.triu_indices(len(times), 1)
        rises = rows[:, second] - rows[:, first]
        gaps = times[second] - times[first]
        apart = gaps > 0  # Sen's slope is over pairs of different times
        self.slope: Floats = np.median(rises[:, apart] / gaps[apart], axis=1) if apart.any() else np.zeros(len(rows))
        self.rise = self.slope * self.span
        signs = np.sign(rises)
        untied = np.abs(signs).sum(axis=1)
        score = signs.sum(axis=1)
        pairs = len(first)
        self.tau = score / np.sqrt(np.maximum(untied, 1) * pairs)
        n = len(times)
        self.significance = (score - 1) / np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
        residuals = rows - self.slope[:, None] * times
        residuals -= np.median(residuals, axis=1)[:, None]
        self.mad: Floats = np.median(np.abs(residuals), axis=1)
        self.steps = np.diff(rows, axis=1)

    def grow(self) -> tuple[Flags, Flags]:
        """Which rows grow by the test of the trend; which have a trend at all."""
        trending = (
            (self.rise >= FLOOR) & (self.rise >= _MADS * self.mad) & (self.tau >= _TAU) & (self.significance >= _SIGNIFICANT)
        )
        trending &= self._straight() & self._rises_more_than_once()
        return trending & self._even() & self._second_half() & self._goes_on() & ~self.slow_down(), trending

    def may_rise(self) -> Flags:
        """Of few points: it went up and was highest at the end, though two that are equal, or a pause, hide the trend."""
        start, end = self.rows[:, 0], self.rows[:, -1]
        late = end - self.rows[:, np.searchsorted(self.times, self.times[0] + _LATE * self.span)]
        net = np.maximum(end - start, FLOOR)
        return np.asarray((end - start >= FLOOR) & self._straight() & self._rises_more_than_once() & (late >= _LATE_RISE * net))

    def _straight(self) -> Flags:
        """Most of the way was upwards, in ten bins of time."""
        _, coarse = _binned(self.times, self.rows, 10, np.add)
        net = coarse[:, -1] - coarse[:, 0]
        way = np.abs(np.diff(coarse, axis=1)).sum(axis=1)
        return np.asarray(net >= _STRAIGHT * np.maximum(way, 1))

    def _rises_more_than_once(self) -> Flags:
        _, lows = _binned(self.times, self.rows, 10, np.minimum)
        return np.asarray((np.diff(lows, axis=1) > 0).sum(axis=1) >= 2)

    def _even(self) -> Flags:
        """It rose in three steps or more, none of which is most of it."""
        _, lows = _binned(self.times, self.rows, 10, np.minimum)
        steps = np.diff(lows, axis=1)
        net = lows[:, -1] - lows[:, 0]
        return np.asarray(((steps > 0).sum(axis=1) >= 3) & (steps.max(axis=1) <= _LARGEST_STEP * net))

    def _second_half(self) -> Flags:
        start, middle, end = self._levels()
        return np.asarray((end - middle >= _SECOND_HALF * (middle - start)) & (end > middle))

    def slow_down(self) -> Flags:
        """Which rows rise ever more slowly, as a cache does that meets fewer and fewer new keys, by more than chance explains.

        The steps' own spread (von Neumann 1941, from their successive differences, so that a slow change of pace counts
        nothing) says by how much two stretches may differ.
        """
        levels, moments = zip(*(self._around(place) for place in _QUARTERS), strict=True)
        if len(set(moments)) < len(moments):
            return np.zeros(len(self.rows), dtype=bool)  # too few points to tell one pace from the next
        first, second, third = ((b - a) / (u - t) for a, b, t, u in zip(levels, levels[1:], moments, moments[1:], strict=False))
        pace = self.steps / np.diff(self.times)
        chance = np.sqrt((np.diff(pace, axis=1) ** 2).mean(axis=1) / (_STRETCH * len(self.times)))
        certain = 2.0 if len(self.times) >= _MANY_POINTS else 3.0  # of few steps the spread itself is uncertain
        ever_slower = (second < _SLOWER * first) & (third < _SLOWER * second) & (third < _SLOW * first)
        early, late = self._halves()
        ever_slower |= late < _HALVES * early
        return np.asarray(ever_slower & (first - third >= certain * chance))

    def _halves(self) -> tuple[Floats, Floats]:
        """The pace of each half: what was gained over the time that it took, as few points seldom stand evenly."""
        (start, begun), (middle, between), (end, ended) = (self._around(place) for place in (0.1, 0.5, 0.9))
        return (middle - start) / max(between - begun, 1e-12), (end - middle) / max(ended - between, 1e-12)

    def _around(self, where: float) -> tuple[Floats, float]:
        """The mean level, and the mean time, of the points around a place (0 to 1) in the window."""
        away = np.abs((self.times - self.times[0]) / (self.times[-1] - self.times[0]) - where)
        near = away <= max(0.1, float(away.min()))
        return self.rows[:, near].mean(axis=1), float(self.times[near].mean())

    def _levels(self) -> tuple[Floats, Floats, Floats]:
        """The means of a fifth of the time at the start, in the middle and at the end."""
        place = (self.times - self.times[0]) / (self.times[-1] - self.times[0])
        middle = np.abs(place - 0.5)
        return (
            self.rows[:, place <= 0.2].mean(axis=1),
            self.rows[:, middle <= max(0.1, middle.min())].mean(axis=1),
            self.rows[:, place >= 0.8].mean(axis=1),
        )

    def _goes_on(self) -> Flags:
        """It has not rested at the end for longer than it did between its rises."""
        highest = np.maximum.accumulate(self.rows, axis=1)
        record = np.diff(highest, axis=1) > 0.01 * np.maximum(self.rise, 1)[:, None]
        moments = np.where(record, self.times[1:], self.times[0])
        last = np.maximum.accumulate(moments, axis=1)
        gaps = np.where(
            record, self.times[1:] - np.concatenate([np.full((len(last), 1), self.times[0]), last[:, :-1]], axis=1), 0
        )
        rest = self.times[-1] - last[:, -1]
        if len(self.times) < _MANY_POINTS:  # too few to know its pauses: the last two steps must rise like the others
            return np.asarray(self.steps[:, -2:].sum(axis=1) >= 0.5 * self.slope * (self.times[-1] - self.times[-3]))
        return np.asarray(rest <= np.maximum(1.5 * gaps.max(axis=1), _PAUSE * self.span))

    def fell_at_end(self) -> Flags:
        """The last fifth lies below the middle."""
        _, middle, end = self._levels()
        return np.asarray(end < middle)

    def climb(self, late_rows: Floats, bins: int) -> Flags:
        """Which rows' minima all rise, by more than the chance of where a snapshot meets a tooth explains."""
        net = self.rows[:, -1] - self.rows[:, 0]
        height = np.percentile(late_rows, 95, axis=1) - np.percentile(late_rows, 5, axis=1)
        chance = 3 * height * bins / late_rows.shape[1]
        falls = np.maximum(-np.diff(late_rows, axis=1), 0).sum(axis=1)
        risen = (
            (falls >= net)
            & (self.steps > 0).all(axis=1)
            & (net >= FLOOR)
            & (net >= chance)
            & (self.steps.max(axis=1) <= _LARGEST_STEP * net)
        )
        return np.asarray(risen & self._second_half())

    def describe(self, row: int, shape: Shape, by: str, times: Floats, rows: Floats) -> Trend:
        """The figures of one row; `times` and `rows` are those of the whole run."""
        steps = self.steps[row]
        return Trend(
            shape=shape,
            slope=float(self.slope[row]) if by not in _JUMPS else float((rows[row, -1] - rows[row, 0]) / (times[-1] - times[0])),
            first=float(rows[row, 0]),
            last=float(rows[row, -1]),
            rises=int((steps > 0).sum()),
            steps=len(steps),
            span=float(times[-1] - times[0]),
            confidence=self._confidence(row, by),
            by=by,
        )

    def _confidence(self, row: int, by: str) -> float:
        """0.6, and up to 0.12 each for: a tau of 0.9, 20 points, a rise of 12 MAD.

        0.15 less by the troughs alone, and where it slows; 0.25 by jumps, of which the last may have been the last.
        """
        clear = min(1.0, max(0.0, float(self.tau[row] - _TAU) / 0.4))
        many = min(1.0, len(self.times) / 20)
        quiet = min(1.0, float(self.rise[row]) / max(1.0, 12 * float(self.mad[row])))
        early, late = self._halves()
        doubtful = by != "trend" or late[row] < _SLOWER * early[row]
        less = 0.25 if by in _JUMPS else 0.15 if doubtful else 0.0
        return round(0.6 + 0.12 * (clear + many + max(0.0, quiet)) - less, 2)


def _binned(times: Floats, rows: Floats, bins: int, ufunc: np.ufunc) -> tuple[Floats, Floats]:
    """Times and rows in at most `bins` bins of equal time, empty ones left out: means for np.add, lowest for np.minimum.

    Equal times always fall into one bin, so that all times of the answer differ.
    """
    edges = np.linspace(times[0], times[-1], bins + 1)[1:-1]
    number = np.searchsorted(edges, times, side="right")
    if len(times) <= bins:
        number = np.unique(times, return_inverse=True)[1]
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    counts = np.diff(starts, append=len(times))
    reduced = ufunc.reduceat(rows, starts, axis=1)
    return np.add.reduceat(times, starts) / counts, reduced / counts if ufunc is np.add else reduced


def _levels(times: Floats, rows: Floats) -> tuple[Flags, Flags]:
    """Which rows rose and have levelled off; which still rose in the last fifth of the time."""
    place = (times - times[0]) / (times[-1] - times[0])
    end = rows[:, place >= 0.9].mean(axis=1)
    before = rows[:, (place >= 0.6) & (place < 0.85)]
    late = rows[:, -1:].mean(axis=1) if before.shape[1] == 0 else before.mean(axis=1)
    grown = end - rows[:, 0]
    plateau = (grown >= 0.25 * np.maximum(end, 1)) & (grown >= FLOOR) & (np.abs(end - late) <= 0.1 * grown)
    still = (end - late >= np.maximum(FLOOR, 0.05 * np.abs(grown))) & (end >= 0.95 * rows.max(axis=1))
    return plateau, still


def jumps_on(times: Floats, row: Floats) -> tuple[str, Shape] | None:
    """How a row rises that rises only in jumps: "steps" (regular) or "doubling" (each after longer); None where it does not.

    Three jumps or more over the whole run, below which it never falls again. Regular ones grow while the next is not overdue. A
    doubling one that has been filled since its last jump looks like one that has settled: only soon after a jump can it be told.
    """
    smooth = without_spikes(row)
    changes = np.diff(smooth)
    if smooth[-1] - smooth[0] < FLOOR:
        return None
    if (changes >= -0.02 * smooth.max()).all() and _steps_regularly(times, smooth, changes):
        return "steps", Shape.GROWING
    stays = np.minimum.accumulate(smooth[::-1])[::-1]
    if (smooth > _BOTH * np.maximum(stays, FLOOR)).any():
        return None
    times, row = _whole_rises(times, stays)
    changes = np.diff(row)
    jumps = np.flatnonzero((changes >= 0.4 * np.maximum(row[:-1], 1)) & (row[:-1] >= FLOOR / 4)) + 1
    if not 3 <= len(jumps) <= len(row) / 3 or changes[jumps - 1].sum() < max(FLOOR, 0.98 * (row[-1] - row[jumps[0] - 1])):
        return None
    moments = times[jumps] - times[0]
    factors = moments[-2:] / np.maximum(moments[-3:-1], 1e-12)
    waited = (times[-1] - times[0]) / moments[-1]
    if waited > _OVERDUE or (factors < 1.3).any() or (factors > 3.2).any():
        return None
    return "doubling", Shape.GROWING if waited <= _SOON else Shape.UNDECIDED


def _whole_rises(times: Floats, row: Floats) -> tuple[Floats, Floats]:
    """The same without the snapshots in the midst of a rise: several vectors that double one after the other are one jump."""
    soon = (times[-1] - times[0]) / _POINTS
    before = row[np.searchsorted(times, times - soon)]
    after = row[np.searchsorted(times, times + soon, side="right") - 1]
    midst = (before < row) & (row < after)
    return times[~midst], row[~midst]


def without_spikes(rows: Floats) -> Floats:
    """A block that is copied to a larger one is there twice for a moment: no value stays above both its neighbours."""
    smooth = rows.copy()
    smooth[..., 1:-1] = np.minimum(rows[..., 1:-1], np.maximum(rows[..., :-2], rows[..., 2:]))
    return smooth


def _steps_regularly(times: Floats, row: Floats, changes: Floats) -> bool:
    """Three jumps or more make up the rise, at distances that are equal as far as the snapshots' own distances let one see."""
    jumps = np.flatnonzero(changes >= 0.25 * changes.max()) + 1
    sizes = changes[jumps - 1]
    if not 3 <= len(jumps) <= len(row) / 2 or sizes.sum() < 0.9 * (row[-1] - row[0]) or sizes.max() > 3 * sizes.min():
        return False
    blur = np.diff(times)[jumps - 1]  # a jump was at some time between its snapshot and the one before
    gaps = np.diff(times[jumps])
    shortest, longest = (gaps + blur[:-1]).min(), (gaps - blur[1:]).max()
    lead = times[jumps[0]] - times[0] - blur[0]
    rest = times[-1] - times[jumps[-1]]
    usual = float(np.median(gaps))
    if (
        usual < 1.5 * np.median(blur) or blur.max() > usual or len(row) < _FEWEST_FOR_STEPS
    ):  # rises in most steps are the trend's to judge
        return False
    return bool(longest <= _REGULAR * shortest and lead <= _REGULAR * usual and rest <= 1.2 * usual)
