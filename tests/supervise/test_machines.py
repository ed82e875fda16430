"""The supervisor's decisions against a fake clock: no process, no file, no waiting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.plan import Proof, SendSignal, StopPlan, Trigger
from runner.supervise.attempt import Attempt, Move, Sighting
from runner.supervise.retention import stays
from runner.supervise.schedule import Pace, checkpoint_interval, look_interval, sample_interval, snapshot_interval
from runner.supervise.stop import Deed, Rung, StopSequence

NEVER = float("-inf")


def history(
    stop: StopSequence, until: float, *, snapping: float = 0, grown: float = NEVER, main: bool = True
) -> list[tuple[float, Deed]]:
    """What the machine does, with a tick each 0.1 s; snapshots are done at `snapping`, output grows until `grown`."""
    done = []
    for tick in range(int(until * 10) + 1):
        now = tick / 10
        deeds = stop.tick(now, snapping=now < snapping, grown_at=min(now, grown), main_alive=main)
        done += [(now, deed) for deed in deeds]
    return done


def test_the_ladder_of_a_stop_by_kill() -> None:
    stop = StopSequence(StopPlan(grace=2))
    assert stop.ask(0, "terminate", delivered=False, grown_at=NEVER) == [Deed.SNAPSHOT]
    assert history(stop, 20, snapping=1) == [(1.0, Deed.SIGNAL), (3.0, Deed.INTERRUPT), (5.0, Deed.SNAPSHOT), (5.0, Deed.TELL)]
    assert stop.by == "terminate"


def test_the_ladder_of_a_stop_by_the_terminal() -> None:
    stop = StopSequence(StopPlan(grace=2))
    assert stop.ask(0, "interrupt", delivered=True, grown_at=NEVER) == []
    assert history(stop, 3, snapping=2.5) == [(2.0, Deed.SNAPSHOT), (2.5, Deed.SIGNAL)]


def test_that_it_stays_is_said_again_and_ever_more_seldom_with_a_snapshot_each_time() -> None:
    stop = StopSequence(StopPlan(grace=2))
    stop.ask(0, "for", delivered=False, grown_at=NEVER)
    told = history(stop, 15000, grown=3)[2:]
    assert [deed for _, deed in told] == [Deed.SNAPSHOT, Deed.TELL] * 10
    assert [now for now, _ in told[::2]] == pytest.approx([7, 67, 187, 427, 907, 1867, 3787, 7387, 10987, 14587], abs=1)
    assert stop.ask(15000, "interrupt", delivered=True, grown_at=3) == [Deed.KILL]


def test_a_rung_whose_signal_is_ignored_is_left_at_once() -> None:
    stop = StopSequence(StopPlan(grace=2))
    stop.ask(0, "for", delivered=False, grown_at=NEVER)
    assert history(stop, 0) == [(0.0, Deed.SIGNAL)]
    assert stop.refused(0) == [Deed.INTERRUPT]
    assert history(stop, 20) == [(2.0, Deed.SNAPSHOT), (2.0, Deed.TELL)]


def test_where_the_plan_says_so_it_is_killed_after_last_snapshots() -> None:
    stop = StopSequence(StopPlan(grace=2, kill_after=5))
    stop.ask(0, "for", delivered=False, grown_at=NEVER)
    ladder = [(0.0, Deed.SIGNAL), (2.0, Deed.INTERRUPT), (4.0, Deed.TELL)]
    assert history(stop, 30) == [*ladder, (9.0, Deed.SNAPSHOT), (9.1, Deed.KILL)]
    stop = StopSequence(StopPlan(grace=2, kill_after=5))
    stop.ask(0, "for", delivered=False, grown_at=NEVER)
    assert history(stop, 30, grown=6)[2:] == [(10.0, Deed.TELL), (15.0, Deed.SNAPSHOT), (15.1, Deed.KILL)]


def test_growing_output_begins_the_grace_anew() -> None:
    stop = StopSequence(StopPlan(grace=2))
    stop.ask(0, "for", delivered=False, grown_at=NEVER)
    assert history(stop, 12.5, grown=10) == [(0.0, Deed.SIGNAL), (12.0, Deed.INTERRUPT)]


def test_one_request_that_comes_twice_is_one() -> None:
    stop = StopSequence(StopPlan(grace=2))
    stop.ask(0, "terminate", delivered=False, grown_at=NEVER)
    assert stop.ask(0.001, "terminate", delivered=False, grown_at=NEVER) == []
    assert stop.rung is Rung.SNAPSHOT


def test_the_second_request_does_not_wait_for_snapshots() -> None:
    stop = StopSequence(StopPlan(grace=2))
    stop.ask(0, "interrupt", delivered=False, grown_at=NEVER)
    assert stop.ask(1, "terminate", delivered=False, grown_at=NEVER) == [Deed.SIGNAL]
    assert stop.by == "interrupt"


def test_the_third_request_kills_only_what_is_quiet() -> None:
    stop = StopSequence(StopPlan(grace=100))
    for now in (0, 1):
        stop.ask(now, "interrupt", delivered=False, grown_at=NEVER)
    assert stop.ask(2, "interrupt", delivered=False, grown_at=NEVER) == [Deed.SPARE]  # signalled a second ago
    assert stop.ask(10, "interrupt", delivered=False, grown_at=9) == [Deed.SPARE]  # grew a second ago
    assert stop.ask(13, "interrupt", delivered=False, grown_at=9) == [Deed.KILL]


def test_what_outlives_the_main_process_has_the_ladder_and_is_killed_at_its_end() -> None:
    stop = StopSequence(StopPlan(grace=2))
    stop.ask(0, "terminate", delivered=False, grown_at=NEVER)
    stop.tick(0, snapping=False, grown_at=NEVER, main_alive=True)
    assert stop.main_ended(0) == []
    assert history(stop, 20, main=False) == [(1.0, Deed.SIGNAL), (3.0, Deed.INTERRUPT), (5.0, Deed.KILL)]


def test_the_end_of_the_main_process_alone_stops_nothing() -> None:
    stop = StopSequence(StopPlan())
    assert stop.main_ended(5) == [] and not stop.begun
    assert stop.end_rest(9) == [Deed.SNAPSHOT] and stop.by is None


requests = st.lists(st.tuples(st.floats(0, 30), st.booleans(), st.floats(0, 30)), max_size=8)


@given(requests, st.floats(0, 5))
def test_nothing_is_killed_within_three_seconds_of_growth_while_the_main_process_lives(
    asked: list[tuple[float, bool, float]], grace: float
) -> None:
    stop = StopSequence(StopPlan(grace=grace))
    for now, delivered, grown in sorted(asked):
        grown_at = min(grown, now)
        deeds = stop.ask(now, "interrupt", delivered=delivered, grown_at=grown_at)
        if Deed.KILL in deeds:
            assert now - grown_at >= 3
        assert Deed.KILL not in stop.tick(now, snapping=False, grown_at=grown_at, main_alive=True)


def attempt(**changes: object) -> Attempt:
    fields = {"proof": Proof("dump.*", settle=0.1), "patience": 1.0, "retries": 2} | changes
    one = Attempt(Trigger("dump", SendSignal(23), **fields))  # type: ignore[arg-type]
    one.acted(0.0)
    return one


def look(one: Attempt, now: float, seen: Sighting | None, *, acting: bool = False, alive: bool = True) -> Move:
    return one.see(now, seen, acting=acting, alive=alive)


WHOLE = Sighting("dump.1", 10, 1, True)


def test_a_file_counts_when_it_stands_still() -> None:
    one = attempt()
    assert look(one, 0.2, Sighting("dump.1", 5, 1, True)) is Move.WAIT
    assert look(one, 0.25, WHOLE) is Move.WAIT
    assert look(one, 0.34, WHOLE) is Move.WAIT
    assert look(one, 0.36, WHOLE) is Move.CONFIRMED


@pytest.mark.parametrize("seen", [None, Sighting("dump.1", 0, 1, True), Sighting("dump.1", 10, 1, False)])
def test_what_proves_nothing_is_tried_again_and_then_missed(seen: Sighting | None) -> None:
    one = attempt()
    moves = []
    for tick in range(1, 100):
        move = look(one, tick / 10, seen)
        moves.append(move)
        if move is Move.ACT:
            one.acted(tick / 10)
        if move is Move.MISSED:
            break
    assert moves.count(Move.ACT) == 2 and moves[-1] is Move.MISSED
    assert one.reason


def test_a_file_that_is_being_written_is_waited_for_beyond_the_patience() -> None:
    one = attempt()
    for tick in range(1, 100):
        assert look(one, tick / 10, Sighting("dump.1", tick, tick, False)) is Move.WAIT
    assert look(one, 10.0, WHOLE) is Move.WAIT
    assert look(one, 10.2, WHOLE) is Move.CONFIRMED


def test_nothing_counts_while_the_command_runs() -> None:
    one = attempt()
    assert look(one, 0.5, WHOLE, acting=True) is Move.WAIT
    assert look(one, 50.0, WHOLE, acting=True) is Move.WAIT
    assert look(one, 50.1, WHOLE) is Move.CONFIRMED


def test_a_process_that_ended_has_written_all_it_will() -> None:
    assert look(attempt(), 0.2, WHOLE, alive=False) is Move.CONFIRMED
    assert look(attempt(), 0.2, None, alive=False) is Move.VOID


def test_a_failed_action_is_tried_again_as_often_as_the_trigger_says() -> None:
    one = attempt(retries=1)
    assert one.failed("no") is Move.ACT
    one.acted(0.1)
    assert one.failed("still no") is Move.MISSED and one.reason == "still no"


@pytest.mark.parametrize(("every", "most"), [(1.0, 1000), (30.0, 500), (300.0, 400)])
def test_an_adaptive_series_has_some_hundreds_in_a_day_and_many_at_first(every: float, most: int) -> None:
    now, taken, times = 0.0, 0, []
    while now < 86400:
        now += snapshot_interval(every, True, taken)
        taken += 1
        times.append(now)
    assert 100 < taken < most
    assert sum(moment <= 4 * every for moment in times) >= 10
    assert snapshot_interval(every, False, 10**6) == every


def test_of_checkpoints_that_hold_all_before_them_half_of_the_run_is_lost_at_most() -> None:
    last = 0.0
    for taken in range(300):
        due = last + checkpoint_interval(300.0, taken)
        assert due <= max(5.0, 2 * last + 5.0) and due - last <= 300.0
        last = due
    assert last > 80_000


@given(st.integers(0, 10**6), st.floats(0.001, 3600))
def test_an_adaptive_interval_never_shrinks(taken: int, every: float) -> None:
    assert snapshot_interval(every, True, taken) <= snapshot_interval(every, True, taken + 1)


def test_what_log_keeps_is_dense_at_the_end_and_never_comes_back() -> None:
    there: set[int] = set()
    for last in range(2000):
        there = {number for number in {*there, last} if stays(number, last - number)}
        assert there == {number for number in range(last + 1) if stays(number, last - number)}
        assert {0, *range(max(0, last - 15), last + 1)} <= there
    assert len(there) <= 16 + 8 * 8


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_samples_and_looks_grow_sparser(one: float, other: float) -> None:
    early, late = sorted((one, other))
    assert 0 < sample_interval(early) <= sample_interval(late) <= 5
    assert 0 < look_interval(early) <= look_interval(late) <= 1


def test_a_dear_thing_is_done_so_seldom_that_it_keeps_its_share() -> None:
    pace, now, spent = Pace(share=0.001), 0.0, 0.0
    while now < 1000:
        spent += 0.01
        pace.done(now, 0.01, 0.1)
        now = pace.due
    assert spent <= 0.02 + 0.001 * 1000 + 0.02
