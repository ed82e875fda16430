"""An object and what it is extended by grow in step: who makes the object stands first."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runner.analysis import Scope, conclude
from runner.analysis.ties import heads_first
from runner.model import LossKind
from tests.analysis.recordings import GROWTH, LOSSES, MAIN, MALLOC, code, growing, losing
from tests.leakrun_command import answer, leakrun

# Each request has a pool of its own, which is never given back; its second block comes when the first is full.
POOL = """
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define APART __attribute__((noinline))
struct pool { struct pool *next; size_t used; char room[4080]; };
static struct pool *kept[1000];
APART struct pool *pool_create(void) {
    struct pool *made = malloc(sizeof *made);
    made->next = 0; made->used = 0;
    return made;
}
APART void *pool_extend(struct pool *pool, size_t size) {
    struct pool *more = malloc(sizeof *more);
    more->next = 0; more->used = size;
    pool->next = more;
    return more->room;
}
APART void *pool_alloc(struct pool *pool, size_t size) {
    if (pool->used + size > sizeof pool->room) return pool_extend(pool, size);
    pool->used += size;
    return pool->room + pool->used - size;
}
APART void read_headers(struct pool *pool) {
    memset(pool_alloc(pool, 3000), 1, 3000);
    memset(pool_alloc(pool, 2000), 1, 2000);
}
APART struct pool *request(void) {
    struct pool *pool = pool_create();
    read_headers(pool);
    return pool;
}
int main(void) {
    for (int number = 0; number < 400; number++) { kept[number] = request(); usleep(10000); }
    return 0;
}
"""
TIMES = np.linspace(0, 30, 31)
UP = 10_000 * np.arange(31.0)
REQUEST = code("request", 50)
MAKE = (MALLOC, code("make", 7), REQUEST, MAIN)
EXTEND = (MALLOC, code("extend", 9), code("get", 20), code("read", 30), REQUEST, MAIN)
IN_STEP = "it grows in step with make server.c:7: perhaps a part of what is made there"


@pytest.mark.parametrize("profile", ["heapprofile", "massif"])
def test_a_pool_stands_before_its_second_block(profile: str, tmp_path: Path) -> None:
    (tmp_path / "p.c").write_text(POOL)
    subprocess.run(["gcc", "-g", "-O1", "-o", tmp_path / "p", tmp_path / "p.c"], check=True, timeout=60)
    leakrun("-q", "-p", profile, "--every", "300ms", "-o", tmp_path / "run", tmp_path / "p")
    found = answer(tmp_path / "run")["findings"]
    assert [each["function"] for each in found] == ["pool_create", "pool_extend"]
    assert any("in step with pool_create" in text for text in found[1]["evidence"])


def found_of(series):
    return conclude([growing(series, TIMES)], Scope(GROWTH)).findings


def lost_of(*losses):
    return conclude([losing(*losses)], Scope(LOSSES)).findings


def test_of_a_tie_the_nearer_to_the_common_caller_is_first_whatever_was_recorded_first() -> None:
    for series in ({MAKE: UP, EXTEND: UP + 5000}, {EXTEND: UP, MAKE: UP}, {EXTEND: 1.05 * UP, MAKE: UP}):
        first, second = found_of(series)
        assert (first.function, second.function) == ("make", "extend")
        assert (first.rank, second.rank) == (1, 2)
        assert second.evidence[-1] == IN_STEP and not any("in step" in text for text in first.evidence)


def test_of_several_extensions_the_object_is_before_all() -> None:
    deeper = (MALLOC, code("more", 11), code("extend", 8), *EXTEND[2:])
    assert [each.function for each in found_of({deeper: UP, EXTEND: UP, MAKE: UP})] == ["make", "extend", "more"]


def test_what_is_no_tie_is_ranked_by_bytes() -> None:
    assert [each.function for each in found_of({EXTEND: 1.5 * UP, MAKE: UP})] == ["extend", "make"]
    uneven = np.cumsum(1000 * (1 + 18 * (np.arange(31) % 10 < 5)))
    uneven = uneven * UP[-1] / (uneven[-1] - uneven[0])
    (first, second) = found_of({EXTEND: uneven + 50, MAKE: UP})
    assert not any("in step" in text for each in (first, second) for text in each.evidence)


def test_what_a_constructor_allocates_is_after_the_object_however_large_it_is() -> None:
    text = (MALLOC, code("string::string", 3), code("Parser::Parser", 6), *MAKE[1:])
    first, second, third = found_of({text: 3 * UP, EXTEND: 2 * UP, MAKE: UP})
    assert [each.function for each in (first, second, third)] == ["make", "string::string", "extend"]
    assert second.evidence[-1] == IN_STEP and "in step" not in third.evidence[-1]
    (reason,) = conclude([growing({text: 3 * UP, MAKE: UP}, TIMES)], Scope(GROWTH)).reasons
    assert reason.endswith("at 2 sites, first to be asked is make server.c:7")
    apart = found_of({text: 3 * UP[-1] * np.sqrt(np.arange(31) / 30), MAKE: UP})
    assert apart[0].function == "string::string"


def test_of_lost_blocks_the_object_is_before_what_its_constructor_allocates_as_often() -> None:
    text, make = (MALLOC, code("Parser::Parser", 6), *MAKE[1:]), (LossKind.DEFINITE, 3200, 100, MAKE)
    assert [each.function for each in lost_of(make, (LossKind.DEFINITE, 5000, 100, text))] == ["make", "Parser::Parser"]
    assert [each.function for each in lost_of(make, (LossKind.DEFINITE, 5000, 60, text))] == ["Parser::Parser", "make"]


def test_what_main_alone_calls_is_not_said_to_belong_together() -> None:
    other = (MALLOC, code("log", 60), code("serve", 70), MAIN)
    assert not any("in step" in text for each in found_of({MAKE: UP, other: UP, EXTEND: 3 * UP}) for text in each.evidence)


def test_twice_as_many_lost_sites_take_twice_the_work() -> None:
    def calls(sites: int) -> int:
        stacks = [(MALLOC, code(f"f{n}", n), *[code(f"g{n}", n)] * (n % 3), code("serve", 70), MAIN) for n in range(sites)]
        found, counted = lost_of(*((LossKind.DEFINITE, 100 + n, 3, stack) for n, stack in enumerate(stacks))), 0

        def count(*_: object) -> None:
            nonlocal counted
            counted += 1

        sys.setprofile(count)
        try:
            heads_first(found)
        finally:
            sys.setprofile(None)
        return counted

    assert calls(200) < 3 * calls(100)
