import warnings

import numpy as np
import pytest

from runner.analysis.chance import may_be_chance, may_be_replaced, may_be_teeth, may_wander
from runner.analysis.judgement import Shape
from runner.analysis.trend import judge, spread
from tests.analysis.leak_shapes import CLEAN, LEAKS, moments

SERIES = 100


def shapes(make, count, seed):
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < SERIES:
        times = moments(rng, count)
        if not spread(times, 8):
            continue
        trend = judge(times, make(rng, times)[None, :].round())
        found.append(trend[0].shape if 0 in trend else None)
    return found


@pytest.mark.parametrize("count", [20, 60, 200])
@pytest.mark.parametrize("name", sorted(set(LEAKS) - {"with_teardown", "steps"}))
def test_leaks_are_seen(name, count):
    found = shapes(LEAKS[name], count, seed=count)
    least = {"saw_tooth_leak": 0.35, "noisy_linear": 0.75, "doubling": 0.5}.get(name, 0.95)
    assert found.count(Shape.GROWING) >= least * SERIES


@pytest.mark.parametrize("count", [20, 60, 200])
@pytest.mark.parametrize("name", sorted(CLEAN))
def test_what_does_not_leak_is_not_called_growing(name, count):
    found = shapes(CLEAN[name], count, seed=1000 + count)
    most = {
        "saw_tooth": 0.04,
        "slow_saw_tooth": 0.02,
        "wandering": 0.04,
        "late_cache": 0.03,
        "noise": 0.01,
        "logarithmic": 0.06,
    }.get(name, 0.0)
    assert found.count(Shape.GROWING) <= most * SERIES


def test_growth_by_rare_regular_steps_is_seen():
    rng = np.random.default_rng(1)
    times = np.linspace(0, 30, 60)
    assert judge(times, LEAKS["steps"](rng, times)[None, :])[0].shape is Shape.GROWING


def test_a_small_leak_is_seen_beside_a_large_constant():
    times = np.linspace(0, 30, 30)
    rows = np.array([np.full(30, 40e6), np.linspace(0, 12_288, 30)])
    found = judge(times, rows)
    assert list(found) == [1]
    assert found[1].slope == pytest.approx(12_288 / 30, rel=0.01)


def test_a_filled_cache_has_levelled_off():
    times = np.linspace(0, 30, 60)
    row = 1e6 * np.minimum(times / 12, 1)
    assert judge(times, row[None, :])[0].shape is Shape.PLATEAU


def test_less_than_a_page_is_no_growth():
    times = np.linspace(0, 30, 60)
    assert judge(times, np.linspace(0, 4000, 60)[None, :]) == {}


def test_rows_are_told_apart_however_many_there_are():
    times = np.linspace(0, 30, 30)
    rows = np.zeros((5000, 30))
    rows[::7] = np.linspace(0, 1e6, 30)
    assert sorted(judge(times, rows)) == list(range(0, 5000, 7))


@pytest.mark.parametrize("times", [[], [0.0], [3.0] * 12, [0.0] * 6 + [1.0] * 6])
def test_times_that_say_nothing_give_nothing(times):
    moments_ = np.array(times, dtype=float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not spread(moments_, 8)
        assert judge(moments_, np.arange(len(times), dtype=float)[None, :] * 1e6) == {}


def test_snapshots_bunched_in_the_start_are_not_spread():
    assert not spread(np.concatenate([np.linspace(0, 1, 30), [60.0]]), 8)
    assert spread(np.linspace(0, 60, 8), 8)
    assert not spread(np.concatenate([np.linspace(0, 10, 4), np.linspace(40, 60, 8)]), 8)
    assert not spread(np.linspace(0, 60, 30), 8, until=90.0)


def test_a_block_that_is_copied_while_it_doubles_still_doubles():
    times = np.linspace(0, 30, 61)
    row = 4096 * 2.0 ** np.floor(np.log2(np.maximum(times, 0.5) / 0.5))
    jumps = np.flatnonzero(np.diff(row)) + 1
    row[jumps] *= 1.5  # the old block and the new one, for a moment
    assert judge(times, row[None, :])[0].by == "doubling"


def test_vectors_that_double_one_soon_after_the_other_double_however_many_snapshots_meet_them():
    regular = np.arange(0.1, 3.8, 0.1)
    doubled = 2.15 / 2.0 ** np.arange(6)[::-1]
    amid = (doubled[:, None] + 0.002 * np.arange(4)).ravel()  # a tool that looks whenever something is allocated
    times = np.sort(np.concatenate([regular, amid]))
    four = 65_536 * 2.0 ** (times[:, None] >= doubled[:, None, None] + 0.002 * np.arange(4)).sum(axis=0)
    trend = judge(times, four.sum(axis=1)[None, :])[0]
    assert (trend.shape, trend.by) == (Shape.UNDECIDED, "doubling")


def test_a_table_that_is_filled_anew_for_long_while_it_doubles_still_doubles():
    times = np.linspace(0, 30, 61)
    row = 4096 * 2.0 ** np.floor(np.log2(np.maximum(times, 0.5) / 0.5))
    begun = 4096 * 2.0 ** np.floor(np.log2(np.maximum(times * 1.3, 0.5) / 0.5))  # the new table is there, and the old one still
    trend = judge(times, np.where(begun > row, row + begun, row)[None, :])[0]
    assert (trend.shape, trend.by) == (Shape.GROWING, "doubling")


@pytest.mark.parametrize("settled_at, shape", [(22, Shape.GROWING), (18, Shape.UNDECIDED), (14, Shape.UNDECIDED), (11, None)])
def test_a_doubling_long_ago_may_have_been_the_last(settled_at, shape):
    times = np.linspace(0, 30, 61)
    row = 4096 * 2.0 ** np.floor(np.log2(np.maximum(times, 0.01) / settled_at) + 6).clip(0, 6)
    trend = judge(times, row[None, :]).get(0)
    assert (trend.shape if trend and trend.shape is not Shape.PLATEAU else None) is shape


def test_bursts_are_seen_at_few_snapshots_that_grow_sparser():
    times = np.concatenate([np.arange(8) / 8, 1 + np.arange(8) / 4, 3 + np.arange(4) / 2])
    row = 100_000.0 * np.floor(times / 0.5)
    assert judge(times, row[None, :])[0].shape is Shape.GROWING


# heapprofile on a program that keeps 1008 bytes every 100 ms: the last dump is that of the exit.
CLOSE = {
    "8 ms": (
        [0.153, 0.277, 0.401, 0.525, 0.653, 0.777, 0.901, 1.029, 1.153, 1.401, 1.653, 1.901, 2.153, 2.401, 2.653, 2.661],
        [2, 3, 4, 5, 7, 8, 9, 10, 12, 14, 16, 19, 21, 24, 26, 26],
    ),
    "4 ms": (
        [0.266, 0.514, 0.762, 1.014, 1.262, 1.514, 1.762, 2.014, 2.266, 2.514, 2.518],
        [3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 30],
    ),
}


@pytest.mark.parametrize("times, blocks", CLOSE.values(), ids=CLOSE)
def test_a_dump_at_exit_that_follows_the_last_one_closely_is_no_rest(times, blocks):
    trend = judge(np.array(times), 1008.0 * np.array([blocks]))[0]
    assert (trend.shape, trend.last) == (Shape.GROWING, 1008 * blocks[-1])


TEETH = np.arange(9.0)
RISE = 20_000.0 * TEETH  # what each of nine snapshots meets, one step higher on the tooth than the one before


@pytest.mark.parametrize("freed, shape", [(160_000, Shape.UNDECIDED), (70_000, None)])
def test_few_snapshots_may_have_met_a_saw_tooth_one_step_higher_each(freed, shape):
    assert judge(TEETH, RISE[None, :])[0].shape is Shape.GROWING
    assert may_be_teeth(TEETH, RISE, RISE + freed * TEETH) is shape


def test_where_frees_are_not_counted_even_snapshots_are_less_sure_than_uneven_ones():
    assert may_be_teeth(TEETH, RISE, None) is Shape.GROWING
    uneven = TEETH + np.array([0, 0.3, -0.3] * 3)
    assert may_be_teeth(uneven, 20_000.0 * uneven, None) is None
    assert may_be_teeth(np.arange(60.0), 1e4 * np.arange(60.0), None) is None


def test_many_snapshots_seldom_meet_teeth_so():
    times = np.arange(60.0)
    assert may_be_teeth(times[:20], 1e4 * times[:20], 1e7 * times[:20]) is Shape.GROWING
    assert may_be_teeth(times, 1e4 * times, 1e7 * times) is None


def queue(rng, up, bound=10_000):
    """Blocks of 200 bytes in a queue whose length goes up and down by chance, at 30 snapshots: times, bytes, live, allocated."""
    came = rng.random(3_000) < up
    length = np.zeros(3_001)
    for number, more in enumerate(came):
        length[number + 1] = min(bound, max(0, length[number] + (1 if more else -1)))
    seen = np.arange(100, 3_001, 100)
    return seen / 100.0, 200.0 * length[seen], length[seen], np.append(0, np.cumsum(came))[seen].astype(float)


def grows_by_chance(up):
    """Of 300 queues that the trend alone calls growing, how many may be chance, and how many are."""
    rng = np.random.default_rng(7)
    found = []
    while len(found) < 300:
        times, row, live, allocated = queue(rng, up)
        trend = judge(times, row[None, :]).get(0)
        if trend is not None and trend.shape is Shape.GROWING:
            found.append(may_be_chance(times, row, live, allocated))
    return found


def test_a_queue_whose_length_wanders_is_told_from_one_that_grows():
    assert grows_by_chance(0.5).count(Shape.UNDECIDED) > 220
    assert grows_by_chance(0.6).count(Shape.UNDECIDED) < 10


def bytes_alone(make, count):
    """Of 200 series of one shape that the trend alone calls growing, the part that may be a walk."""
    rng = np.random.default_rng(5)
    found = []
    while len(found) < 200:
        times = moments(rng, count)
        row = make(rng, times)
        trend = judge(times, row[None, :]).get(0) if spread(times, 8) else None
        if trend is not None and trend.shape is Shape.GROWING:
            found.append(may_wander(times, row))
    return found.count(Shape.UNDECIDED) / len(found)


def walk(rng, times):
    """A queue's length, up or down by one each millisecond, never below none."""
    steps = np.where(rng.random(2_000) < 0.5, 1, -1)
    length = np.append(0, np.cumsum(steps))
    length -= np.minimum.accumulate(length)
    return 500.0 * length[((times - times[0]) / (times[-1] - times[0]) * 2_000).astype(int)]


def test_a_walk_is_told_from_a_leak_by_live_bytes_alone():
    assert bytes_alone(walk, 60) > 0.6
    for name in ("linear", "noisy_linear", "poisson", "saw_tooth_leak", "from_midrun"):
        assert bytes_alone(LEAKS[name], 60) < 0.02, name


def test_a_steady_leak_is_no_chance_however_much_comes_and_goes_beside_it():
    times = np.arange(30.0)
    assert may_be_chance(times, 1000.0 * times, 10.0 * times, 100_000.0 * times) is None


FULL = np.full(30, 2000.0)


def test_a_full_cache_whose_keys_get_longer_may_level_off():
    times, names = np.arange(30.0), 40 + 0.15 * np.arange(30.0)
    assert judge(times, (FULL * names)[None, :])[0].shape is Shape.GROWING, "as the trend alone has it"
    assert may_be_replaced(times, FULL * names, FULL, 500.0 * times) is Shape.UNDECIDED
    assert may_be_replaced(times, FULL * names, FULL - times, 500.0 * times) is Shape.UNDECIDED


@pytest.mark.parametrize(
    ("blocks", "size", "allocated"),
    [
        (FULL + 5 * np.arange(30.0), FULL / 50, 500.0),  # more blocks, of which each is as large as before
        (FULL, 40 + 0.1 * np.arange(30.0), 5.0),  # most are those of before: they were made larger
        (FULL, 40 + 1.0 * np.arange(30.0), 500.0),  # half as large again
        (FULL / 1000, 40_000 + 100.0 * np.arange(30.0), 500.0),  # two buffers that realloc makes larger
    ],
    ids=["more", "kept", "much larger", "few"],
)
def test_what_is_no_replacement_grows(blocks, size, allocated):
    times = np.arange(30.0)
    assert may_be_replaced(times, blocks * size, blocks, allocated * times) is None


def test_what_grows_by_larger_blocks_is_not_counted_in_blocks():
    times = np.arange(30.0)
    assert may_be_chance(times, 1000.0 * times**1.3, 0.0 * times + 5, 100.0 * times) is None


def test_a_cache_that_fills_ever_more_slowly_is_undecided():
    times = np.linspace(0, 30, 60)
    trend = judge(times, 1e6 * (1 - np.exp(-times[None, :] / 15)))[0]
    assert (trend.shape, trend.by) == (Shape.UNDECIDED, "slowing")


def test_a_busy_machine_that_slows_a_leak_down_once_does_not_hide_it():
    times = np.linspace(0, 30, 60)
    row = 50_000 * np.where(times < 20, times, 20 + 0.7 * (times - 20))
    assert judge(times, row[None, :])[0].shape is Shape.GROWING


@pytest.mark.parametrize("count", [8, 9, 10, 12])
@pytest.mark.parametrize("name", ["linear", "poisson", "from_midrun"])
def test_a_leak_is_not_passed_over_for_want_of_snapshots(name, count):
    found = shapes(LEAKS[name], count, seed=7 * count)
    assert found.count(Shape.GROWING) + found.count(Shape.UNDECIDED) >= 0.98 * SERIES


def test_of_few_snapshots_one_that_is_too_low_does_not_hide_a_rise():
    """Samples are estimates."""
    row = np.array([0, 60, 120, 180, 240, 230, 300, 360.0]) * 1000
    once = np.array([100, 100, 100, 100, 100, 160, 160, 160.0]) * 1000
    found = judge(np.arange(8.0), np.array([row, once]))
    assert [found[0].shape, found[1].shape] == [Shape.UNDECIDED, Shape.PLATEAU]


def test_snapshots_that_come_in_pairs_count_once_each():
    """Of dumps that were late, the next may follow at once: nine of them are five moments, three of which are late in the run."""
    assert spread(np.arange(9.0), 8)
    assert not spread(np.array([0, 0.05, 2, 2.05, 4, 4.05, 6, 6.05, 8]), 8)
