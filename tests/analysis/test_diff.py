"""What one moment has and another has not: how sites are matched, and that nothing gets lost in the sums."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.diff import Change, Difference, Side, Way, compare
from runner.model import Column, Frame, LossKind, Metric, Recording, Snapshot, TimeUnit
from tests.analysis.recordings import MAIN, MALLOC, code, growing, losing

Stack = tuple[Frame, ...]


def at(signature: str, line: int = 1, file: str = "/home/me/app/server.c") -> Stack:
    return MALLOC, code(signature, line, file), MAIN


def holding(amounts: Mapping[Stack, int], *, blocks: Mapping[Stack, int] | None = None, total: int | None = None) -> Recording:
    """One snapshot of live bytes by stack."""
    made = growing({stack: [size] for stack, size in amounts.items()}, [1.0])
    (snapshot,) = made.snapshots
    if total is not None:
        snapshot.totals[Metric.LIVE_BYTES] = total
    if blocks is not None:
        snapshot.columns[Metric.LIVE_BLOCKS] = Column((made.table.intern(stack) for stack in blocks), blocks.values())
        snapshot.totals[Metric.LIVE_BLOCKS] = sum(blocks.values())
    return made


def diff_of(before: Recording, after: Recording) -> Difference:
    return compare(Side([before], 0), Side([after], 0))


def ways(found: Difference) -> dict[str, tuple[Way, int]]:
    return {change.place().split()[0]: (change.way, change.bytes) for change in found.changes}


def test_each_way_a_site_can_change() -> None:
    before = holding({at("gone"): 10, at("shrunk"): 20, at("same"): 30, at("grown"): 40})
    after = holding({at("new"): 50, at("shrunk"): 19, at("same"): 30, at("grown"): 42})
    found = diff_of(before, after)
    assert ways(found) == {
        "new": (Way.NEW, 50),
        "grown": (Way.GROWN, 2),
        "same": (Way.SAME, 0),
        "shrunk": (Way.SHRUNK, -1),
        "gone": (Way.GONE, -10),
    }
    assert [change.bytes for change in found.changes] == [50, 2, 0, -1, -10]
    assert (found.before.bytes, found.after.bytes) == (100, 141)


def test_lines_and_addresses_do_not_tell_sites_apart_and_files_do() -> None:
    before = holding({at("put", 10): 100, at("put", 14): 1, at("get", 3, "/src/a.c"): 5})
    after = holding({at("put", 77): 103, at("get", 3, "/src/b.c"): 5})
    assert [(change.way, change.bytes) for change in diff_of(before, after).changes] == [
        (Way.NEW, 5),
        (Way.GROWN, 2),
        (Way.GONE, -5),
    ]
    nameless = [Frame(None, None, None, "/opt/a/libx.so.1", address) for address in (0x10, 0x20)]
    moved = Frame(None, None, None, "/opt/b/libx.so.1", 0x999)
    (change,) = diff_of(holding({(nameless[0],): 1, (nameless[1],): 2}), holding({(moved,): 7})).changes
    assert (change.way, change.bytes) == (Way.GROWN, 4)


def test_a_checkout_elsewhere_is_the_same_file() -> None:
    before = holding({at("put", 1, "/build/old/src/cache.c"): 10, at("get", 1, "/build/old/src/cache.c"): 1})
    after = holding({at("put", 1, "/build/new/src/cache.c"): 30, at("get", 1, "/build/new/src/cache.c"): 1})
    assert ways(diff_of(before, after)) == {"put": (Way.GROWN, 20), "get": (Way.SAME, 0)}


def test_two_files_of_one_name_are_not_taken_for_each_other() -> None:
    before = holding({at("init", 1, "/old/a/init.c"): 1, at("init", 1, "/old/b/init.c"): 10})
    after = holding({at("init", 1, "/new/a/init.c"): 1, at("init", 1, "/new/b/init.c"): 10})
    assert sorted(change.way.value for change in diff_of(before, after).changes) == ["gone", "gone", "new", "new"]


def test_what_the_tool_did_not_list_is_a_change_of_its_own() -> None:
    found = diff_of(holding({at("put"): 10}, total=100), holding({at("put"): 10}, total=160))
    (rest, put) = found.changes
    assert (rest.key.listed, rest.bytes, rest.place()) == (False, 60, "(not listed by the tool)")
    assert (put.bytes, found.before.bytes, found.after.bytes) == (0, 100, 160)
    assert found.count(Way.GROWN) == 0  # no site


def test_a_snapshot_without_stacks_makes_no_site_new() -> None:
    totals = Recording("massif", time_unit=TimeUnit.SECONDS, snapshots=[Snapshot(0.0, {Metric.LIVE_BYTES: 70})])
    found = diff_of(totals, holding({at("put"): 100}))
    assert [(change.key.listed, change.bytes) for change in found.changes] == [(False, 30)]
    assert found.notes
    empty = Recording("massif", time_unit=TimeUnit.SECONDS, snapshots=[Snapshot(0.0, {Metric.LIVE_BYTES: 0})])
    assert ways(diff_of(empty, holding({at("put"): 100}))) == {"put": (Way.NEW, 100)}


def test_blocks_are_compared_where_both_count_them() -> None:
    def one(size: int, count: int) -> Recording:
        return holding({at("put"): size}, blocks={at("put"): count})

    (change,) = diff_of(one(100, 1), one(100, 4)).changes
    assert (change.way, change.bytes, change.blocks) == (Way.GROWN, 0, 3)
    found = diff_of(holding({at("put"): 100}), one(100, 4))
    assert (found.before.blocks, found.after.blocks, found.changes[0].blocks) == (None, 4, None)


def test_a_wrapper_is_told_for_both_sides_together() -> None:
    def had(frees: bool) -> Recording:
        stacks = {
            (MALLOC, code("fetch", 5), code("handle", 20), MAIN): 500.0,
            (MALLOC, code("fetch", 5), code("reload", 30), MAIN): 0.0 if frees else 500.0,
        }
        allocated = dict.fromkeys(stacks, 1000.0)
        return growing({stack: [live] for stack, live in stacks.items()}, [1.0], allocated=allocated)

    alone = compare(Side([had(frees=True)], 0), Side([had(frees=True)], 0))
    assert ways(alone) == {"handle": (Way.SAME, 0)}
    assert ways(compare(Side([had(frees=True)], 0), Side([had(frees=False)], 0))) == {"fetch": (Way.GROWN, 500)}


def test_losses_are_compared_kind_by_kind_and_indirect_bytes_count_once() -> None:
    stack = at("lose")
    before = losing((LossKind.DEFINITE, 10, 1, stack), (LossKind.REACHABLE, 5, 1, stack))
    after = losing((LossKind.DEFINITE, 90, 2, stack), (LossKind.INDIRECT, 80, 1, at("child")))
    found = compare(Side([before]), Side([after]))
    assert [(change.key.kind, change.way, change.bytes, change.blocks) for change in found.changes] == [
        (LossKind.DEFINITE, Way.GROWN, 80, 1),
        (LossKind.REACHABLE, Way.GONE, -5, -1),
    ]


SITES = st.tuples(
    st.sampled_from(["put", "get", "operator new(unsigned long)", "main", "xmalloc"]),
    st.integers(1, 3),
    st.sampled_from(["/a/x.c", "/b/x.c", "/a/y.c"]),
)
SIDES = st.tuples(st.dictionaries(SITES, st.integers(0, 10_000), max_size=12), st.integers(0, 500))


@given(SIDES, SIDES)
def test_the_changes_add_up_to_the_totals(before: tuple[dict, int], after: tuple[dict, int]) -> None:
    def made(side: tuple[dict, int]) -> Recording:
        sites, rest = side
        return holding({at(*site): size for site, size in sites.items()}, total=sum(sites.values()) + rest)

    found = diff_of(made(before), made(after))
    assert found.before.bytes == sum(before[0].values()) + before[1]
    assert found.after.bytes == sum(after[0].values()) + after[1]
    assert sum(change.bytes for change in found.changes) == found.after.bytes - found.before.bytes
    assert all(_possible(change) for change in found.changes)
    assert len({change.key for change in found.changes}) == len(found.changes)


def _possible(change: Change) -> bool:
    return (change.before is not None or change.way is Way.NEW) and (change.after is not None or change.way is Way.GONE)
