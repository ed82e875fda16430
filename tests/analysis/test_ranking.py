"""All sites ranked by growth: the same order and figures as the findings, and what stands below them."""

import math

import numpy as np

from runner.analysis import Scope, conclude
from runner.analysis.judgement import Shape
from runner.analysis.ranking import rank
from runner.model import Frame, Recording
from tests.analysis.recordings import GROWTH, MAIN, MALLOC, code, growing

TIMES = [0.1 * n for n in range(41)]


def at(signature: str, line: int) -> tuple[Frame, ...]:
    return MALLOC, code(signature, line), MAIN


SERIES = {
    at("leak", 1): [2_000.0 * n for n in range(41)],
    at("leak_more", 2): [5_000.0 * n for n in range(41)],
    at("cache", 3): [min(n, 10) * 90_000.0 for n in range(41)],
    at("table", 4): [700_000.0] * 41,
    at("drains", 5): [900_000.0 - 20_000 * n for n in range(41)],
    at("breathes", 6): [200_000 + 150_000 * math.sin(n * 1.7) for n in range(41)],
    at("unused", 7): [0.0] * 41,
}


def recording(pid: int = 1) -> Recording:
    return growing(SERIES, TIMES, pid=pid)


def test_growth_decides_not_size_and_every_site_that_held_memory_is_there() -> None:
    ranked = [(each.site.function, each.shape) for each in rank([recording()]).sites if each.site]
    assert ranked == [
        ("leak_more", Shape.GROWING),
        ("leak", Shape.GROWING),
        ("cache", Shape.PLATEAU),
        ("table", Shape.STEADY),
        ("breathes", Shape.STEADY),
        ("drains", Shape.FALLING),
    ]


def test_figures_are_those_of_the_findings() -> None:
    findings = conclude([recording()], Scope(GROWTH)).findings
    grows = [each for each in rank([recording()]).sites if each.shape is Shape.GROWING]
    assert [(each.rise, each.slope, each.share) for each in grows] == [(f.bytes, f.bytes_per_second, f.share) for f in findings]
    assert [each.site.function for each in grows if each.site] == [finding.function for finding in findings]


def test_first_last_and_slope_follow_from_the_series() -> None:
    (leak,) = [each for each in rank([recording()]).sites if each.site and each.site.function == "leak"]
    assert (leak.first, leak.last, leak.rise) == (0, 80_000, 80_000)
    assert math.isclose(leak.slope, 20_000)
    assert leak.series()[-1] == (4.0, 80_000)


def test_processes_in_which_a_site_does_the_same_are_one_line() -> None:
    ranking = rank([recording(1), recording(2)])
    (leak,) = [each for each in ranking.sites if each.site and each.site.function == "leak"]
    assert (leak.pids, leak.rise, leak.last) == ([1, 2], 160_000, 160_000)
    assert [watched.recording.pid for watched in ranking.processes] == [1, 2]


def test_a_buffer_that_its_users_extend_in_turn_is_ranked_where_it_is_extended() -> None:
    extend, by_other = code("buffer_grow", 15), (19, 20, 30)
    series = {
        (extend, code("accept", 41), MAIN): [0.0 if n in by_other else 4096.0 * n for n in range(41)],
        (extend, code("refuse", 37), MAIN): [4096.0 * n if n in by_other else 0.0 for n in range(41)],
        (extend, code("print", 51), MAIN): [4096.0 * (n % 2) for n in range(41)],
    }
    (found,) = conclude([growing(series, TIMES)], Scope(GROWTH)).findings
    first = rank([growing(series, TIMES)]).sites[0]
    assert first.site is not None
    assert (first.site.function, first.site.line, first.shape) == ("buffer_grow", 15, Shape.GROWING)
    assert (first.rise, first.slope) == (found.bytes, found.bytes_per_second)


def test_what_grows_by_chance_alone_is_ranked_as_the_findings_have_it() -> None:
    steps = np.random.default_rng(1).choice([-30_000, 30_000], (60, len(TIMES)))
    queues = {at(f"queue{n}", n): row for n, row in enumerate(1_000_000.0 + np.cumsum(steps, axis=1))}
    found = {each.function for each in conclude([growing(queues, TIMES)], Scope(GROWTH)).findings}
    assert {
        each.site.function for each in rank([growing(queues, TIMES)]).sites if each.site and each.shape is Shape.GROWING
    } == found


def test_two_snapshots_are_a_difference_and_one_is_a_list() -> None:
    stacks = {at("small", 1): [10.0, 5_000.0], at("large", 2): [90_000.0, 90_100.0]}
    two = rank([growing(stacks, [0.0, 5.0])])
    assert [(each.site.function, each.rise, each.shape) for each in two.sites if each.site] == [
        ("small", 4_990, Shape.UNDECIDED),
        ("large", 100, Shape.UNDECIDED),
    ]
    assert "2 snapshots" in (two.processes[0].unjudged or "")
    one = rank([growing({stack: row[:1] for stack, row in stacks.items()}, [0.0])])
    assert [(each.site.function, each.first, each.last) for each in one.sites if each.site] == [
        ("large", None, 90_000),
        ("small", None, 10),
    ]
    assert "1 snapshot " in (one.processes[0].unjudged or "")


def test_nothing_is_ranked_where_nothing_was_recorded() -> None:
    assert rank([]).sites == []
    empty = rank([Recording("massif")])
    assert (empty.sites, empty.processes[0].snapshots) == ([], 0)
    assert empty.processes[0].unjudged


def test_the_warm_up_is_left_out() -> None:
    series = {at("start", 1): [0.0] * 5 + [500_000.0] * 36}
    assert rank([growing(series, TIMES)]).sites[0].rise == 500_000
    assert rank([growing(series, TIMES)], warmup=1.0).sites[0].rise == 0
