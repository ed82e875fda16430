"""What hangs on lost blocks, and what grows in containers that were lost only when the program ended."""

from runner.analysis.agreement import agree
from runner.model import Note, Verdict
from tests.hunt.witnesses import GROWING, LOST, finding, heapprofile, memcheck, sites


def test_what_hangs_on_lost_blocks_stands_under_them_however_it_grows() -> None:
    lost = finding(LOST, line=10, size=700_000)
    part = Note("indirectly-lost", "part of it", "put", "/src/cache.c", 17, 600_000)
    grown = heapprofile(finding(GROWING, line=17, size=800_000), finding(GROWING, line=40, size=10_000))
    agreed = agree([grown, memcheck(lost, notes=[part])])
    assert sites(agreed) == [("lost", "put", 10), ("growing", "put", 40)]
    used = Note("reachable-at-exit", "in use", "put", "/src/cache.c", 17, 900_000)
    assert len(agree([grown, memcheck(lost, notes=[part, used])]).answer.findings) == 3


def test_what_hangs_on_a_container_that_was_lost_once_at_the_end_is_no_part_of_it() -> None:
    table = finding(LOST, "table_new", 3, 700_000, blocks=1)
    part = Note("indirectly-lost", "part of it", "put", "/src/cache.c", 7, 600_000)
    grown = heapprofile(finding(GROWING, size=600_000))
    assert sites(agree([grown, memcheck(table, notes=[part])])) == [("growing", "put", 7), ("lost", "table_new", 3)]
    elsewhere = finding(LOST, "get", 50, 9000)
    assert sites(agree([grown, memcheck(table, elsewhere, notes=[part])]))[0] == ("growing", "put", 7)


STEADILY = [(float(n), 30_000 * n) for n in range(21)]
FIVE_TABLES = {"blocks": 5, "indirect_bytes": 600_000}


def test_what_grows_in_several_containers_that_were_lost_at_the_end_is_named_and_no_byte_counts_twice() -> None:
    tables = finding(LOST, "table_new", 3, 650_000, **FIVE_TABLES)
    part = Note("indirectly-lost", "part of it", "put", "/src/cache.c", 7, 600_000)
    agreed = agree([heapprofile(finding(GROWING, size=600_000, series=STEADILY)), memcheck(tables, notes=[part])])
    assert sites(agreed) == [("growing", "put", 7), ("lost", "table_new", 3)]
    assert [each.share for each in agreed.answer.findings] == [0.9231, 0.0769]
    assert agreed.answer.verdict is Verdict.LEAKING
    assert agreed.answer.reasons == [
        "live memory grows by 600 kB at put cache.c:7, and 1 more finding",
        "650 kB in 5 blocks are lost at table_new cache.c:3, 600 kB of it what they point to",
    ]


def test_what_grows_only_as_often_as_blocks_are_lost_hangs_on_them() -> None:
    lost = memcheck(
        finding(LOST, "reload", 3, 650_000, **FIVE_TABLES),
        notes=[Note("indirectly-lost", "part of it", "put", "/src/cache.c", 7, 600_000)],
    )
    at_each = [(float(n), 120_000 * (n // 4)) for n in range(21)]
    assert sites(agree([heapprofile(finding(GROWING, size=600_000, series=at_each)), lost])) == [("lost", "reload", 3)]


def test_what_hangs_on_lost_blocks_and_on_one_in_use_is_lost_again_and_again() -> None:
    part = Note("indirectly-lost", "part of it", "put", "/src/cache.c", 7, 600_000)
    used = Note("reachable-at-exit", "in use", "put", "/src/cache.c", 7, 100_000)
    lost = memcheck(finding(LOST, "batch_new", 3, 650_000, **FIVE_TABLES), notes=[part, used])
    assert sites(agree([heapprofile(finding(GROWING, size=600_000, series=STEADILY)), lost])) == [("lost", "batch_new", 3)]


def test_an_array_that_was_lost_once_weighs_what_it_grew_by_itself() -> None:
    array = finding(LOST, "push", 3, 700_000, blocks=1)
    grown = heapprofile(finding(GROWING, size=600_000), finding(GROWING, "push", 3, 20_000))
    agreed = agree([grown, memcheck(array)])
    assert sites(agreed) == [("growing", "put", 7), ("lost", "push", 3)]
