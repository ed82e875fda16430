"""Rises that may be none: of a saw-tooth, of what comes and goes by chance, of blocks that larger ones replace. Needs numpy."""

from runner.analysis.arrays import np
from runner.analysis.judgement import Shape
from runner.analysis.trend import Flags, Floats, apart_of, window_of

_WHOLE_TOOTH = 0.8  # of the rise
_ALIASED = 20  # points at most: so many seldom stand in step with a saw-tooth
_SOON_ALIASED = 7  # so few may well
_EVEN = 0.1  # of the usual distance: what the distances of snapshots on a timer differ by
_CHANCE = 2.5  # standard deviations of a walk by chance: a rise of less is none; up to half as much more it is less sure
_DOWNWARDS = 0.2  # of the steps of a walk at least
_DRIFT = 3.0  # standard deviations of a walk by chance, as its steps tell them: less sure than counted blocks do
_REPLACED = 1.0  # times in the window that as many blocks came as there are: then hardly an old one is left
_LARGER = 1.1  # the mean block at the end, in units of that at the start: so much may be in their contents
_MANY_BLOCKS = 100  # fewer have no mean to speak of: one that is filled by realloc is a leak
_GONE = 0.1  # of the blocks that came, at least: where fewer go, it is no coming and going
_STEADY = 4.0  # standard errors: steps as even as that are no chance, however small their sum is beside what came and went
_FEW = 6  # steps of which twice as much is asked: what few steps differ by is known badly (Student's t)


def may_be_teeth(times: Floats, row: Floats, allocated: Floats | None) -> Shape | None:
    """What a rise is where it may be that of a saw-tooth, of which one snapshot after another met a higher place.

    Then as much as it rose was freed between any two snapshots. `allocated` is cumulative. UNDECIDED for few snapshots,
    GROWING (less surely) for some; None for many, which hardly meet teeth so, and where too little was freed. Where frees
    are not counted (None), it is less sure if the snapshots are even in time: a tooth's step has to fit to each of them.
    """
    window = window_of(times) & apart_of(times)
    if allocated is None:
        gaps = np.diff(times[window])
        return Shape.GROWING if window.sum() <= _ALIASED and gaps.std() <= _EVEN * gaps.mean() else None
    rises = np.diff(row[window])
    freed = np.diff(allocated[window]) - rises
    if window.sum() > _ALIASED or (freed < _WHOLE_TOOTH * (row[window].max() - row[window].min())).any():
        return None
    return Shape.UNDECIDED if window.sum() <= _SOON_ALIASED else Shape.GROWING


def may_wander(times: Floats, row: Floats) -> Shape | None:
    """UNDECIDED where the rise is that of a walk: steps up and down, which add up, and no more upwards than chance would do it.

    From live bytes alone, where frees are not counted. Noise beside a leak goes back and forth about a line, and so is as wide as
    its steps are; a walk strays from any line, the further the longer it is (the same look as of a unit-root test: Dickey and
    Fuller 1979). A saw-tooth has few steps down. None where it is none of that.
    """
    window = window_of(times)
    late, seen = times[window], row[window]
    steps, net = np.diff(seen), seen[-1] - seen[0]
    if np.count_nonzero(steps < 0) < _DOWNWARDS * np.count_nonzero(steps):
        return None
    usual = np.sqrt(((steps - net * np.diff(late) / (late[-1] - late[0])) ** 2).mean())
    strays = (seen - np.polyval(np.polyfit(late, seen, 1), late)).std()
    return Shape.UNDECIDED if strays >= usual > 0 and net < _DRIFT * usual * np.sqrt(len(steps)) else None


def may_be_chance(times: Floats, row: Floats, blocks: Floats, allocated: Floats) -> Shape | None:
    """What a rise is where blocks come and go, and so few more came than went that chance would do it: a queue's length.

    After n blocks that came or went by chance their number is off by the root of n. `blocks` live, `allocated` are cumulative;
    what grows by larger blocks (realloc) is not judged. UNDECIDED, GROWING (less surely), or None where it is no chance.
    """
    window = window_of(times)
    more = blocks[window][-1] - blocks[window][0]
    came = allocated[window][-1] - allocated[window][0]
    gone = came - more
    steps = np.diff(row[window])
    even = steps.mean() >= _STEADY * (1 + _FEW / len(steps)) * steps.std() / np.sqrt(len(steps))
    if came <= 0 or gone < _GONE * came or not _by_count(row, blocks, window) or even:
        return None
    deviations = more / np.sqrt(came + gone)
    if deviations >= 1.5 * _CHANCE:
        return None
    return Shape.UNDECIDED if deviations < _CHANCE else Shape.GROWING


def may_be_replaced(times: Floats, row: Floats, blocks: Floats, allocated: Floats) -> Shape | None:
    """UNDECIDED where the blocks are no more than before, others by now, and a little larger: a full cache whose keys get longer.

    `blocks` live, `allocated` are cumulative. None where more blocks make the rise, they stay, are few, or get much larger.
    """
    window = window_of(times)
    live, came = blocks[window], allocated[window][-1] - allocated[window][0]
    if live.min() < _MANY_BLOCKS or came < _REPLACED * live.max() or _by_count(row, blocks, window):
        return None
    mean = row[window] / live
    return Shape.UNDECIDED if mean[-1] < _LARGER * mean[0] else None


def _by_count(row: Floats, blocks: Floats, window: Flags) -> bool:
    """Half of the rise or more is that of blocks, not of their size."""
    size, live = row[window], blocks[window]
    return bool((live[-1] - live[0]) * size[-1] / max(live[-1], 1.0) >= (size[-1] - size[0]) / 2)
