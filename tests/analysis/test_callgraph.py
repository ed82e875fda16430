"""pprof's call graph: what counts as flat, as cumulative, and what is drawn."""

import re
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.callgraph import Choice, Counted, Limits, call_graph, drawn, function_name
from runner.model import Frame, StackTable


def counted(*stacks: tuple[str, int], table: StackTable | None = None) -> Counted:
    """Stacks as "leaf caller main", each function in a file of its own."""
    table = table or StackTable()
    rows = [(table.intern(Frame(name, f"/src/{name}.c", 1, "/app") for name in text.split()), amount) for text, amount in stacks]
    return Counted(table, rows)


def figures(sides: Sequence[Counted], choice: Choice = Choice()) -> dict[str, tuple[int, int]]:  # noqa: B008  # it is frozen
    graph = call_graph(sides, choice)
    return {node.frame.signature or "": (node.flat, node.cumulative) for node in graph.nodes if node.flat or node.cumulative}


def calls(sides: Sequence[Counted], limits: Limits) -> dict[tuple[str, str], tuple[int, bool]]:
    graph = call_graph(sides, Choice())
    named = [node.frame.signature or "" for node in graph.nodes]
    edges = drawn(graph, limits).edges
    return {(named[edge.caller], named[edge.callee]): (edge.amount, edge.indirect) for edge in edges}


def test_a_function_counts_once_in_each_stack() -> None:
    found = figures([counted(("f f g f main", 10), ("g f main", 1))])
    assert found == {"f": (10, 11), "g": (1, 11), "main": (0, 11)}


def test_a_call_counts_once_in_each_stack() -> None:
    found = calls([counted(("f f g f g f main", 10))], Limits())
    assert found == {("f", "f"): (10, False), ("f", "g"): (10, False), ("g", "f"): (10, False), ("main", "f"): (10, False)}


def test_what_is_less_than_in_the_base_is_negative() -> None:
    table = StackTable()
    now, base = counted(("f main", 5), table=table), counted(("f main", 2), ("g main", 7), table=table)
    less = Counted(base.table, [(stack, -amount) for stack, amount in base.amounts])
    assert figures([now, less]) == {"f": (3, 3), "g": (-7, -7), "main": (0, -4)}


def test_two_builds_match_by_the_names_of_their_files() -> None:
    old, new = StackTable(), StackTable()
    before = old.intern([Frame("f", "/old/f.c", 3, "/old/app"), Frame("main", None, None, "/old/app")])
    after = new.intern([Frame("f", "/new/f.c", 9, "/new/app"), Frame("main", None, None, "/new/app")])
    sides = [Counted(new, [(after, 9)]), Counted(old, [(before, -9)])]
    assert figures(sides, Choice(moved=True)) == {}
    assert len(call_graph(sides, Choice()).nodes) == 4


def test_lines_are_nodes_of_their_own_where_that_is_wanted() -> None:
    table = StackTable()
    rows = [(table.intern([Frame("f", "f.c", line), Frame("main", "m.c", 1)]), line) for line in (3, 4, 3)]
    by_line = call_graph([Counted(table, rows)], Choice(lines=True))
    assert [(node.frame.line, node.flat) for node in by_line.nodes] == [(3, 6), (1, 0), (4, 4)]
    by_function = call_graph([Counted(table, rows)], Choice())
    assert [(node.frame.line, node.flat) for node in by_function.nodes] == [(None, 10), (1, 0)]


@pytest.mark.parametrize(
    "allocator",
    [
        "malloc",
        "operator new(unsigned long)",
        "operator new[](unsigned long)",
        "tc_malloc",
        "_realloc",
        "tcmalloc::allocate(int)",
        "(anonymous namespace)::do_malloc(unsigned long)",
        "tc_newarray_nothrow",
        "posix_memalign",
        "(anonymous)::TCMalloc_x()",
    ],
)
def test_allocators_are_left_out_wherever_they_stand(allocator: str) -> None:
    table = StackTable()
    inlined = Frame("fast_path", "t.cc", 1, inlined=True)
    stack = [inlined, Frame(allocator), Frame("f"), inlined, Frame(allocator), Frame("main")]
    graph = call_graph([Counted(table, [(table.intern(stack), 4)])], Choice())
    assert {node.frame.signature: (node.flat, node.cumulative) for node in graph.nodes if node.cumulative} == {
        "f": (4, 4),
        "main": (0, 4),
    }


@pytest.mark.parametrize("name", ["my_malloc", "xmalloc", "mallocator::get()", "operator new_style", "pool::malloc(int)"])
def test_a_programs_own_functions_stay(name: str) -> None:
    table = StackTable()
    graph = call_graph([Counted(table, [(table.intern([Frame(name), Frame("main")]), 4)])], Choice())
    assert graph.nodes[0].flat == 4


@pytest.mark.parametrize("module", ["/usr/libexec/valgrind/vgpreload_memcheck-amd64-linux.so", "/lib/libjemalloc.so.2"])
def test_a_tools_own_frames_are_left_out(module: str) -> None:
    table = StackTable()
    stack = table.intern([Frame("aligned_alloc", module=module), Frame("f", module="/app")])
    assert figures([Counted(table, [(stack, 3)])]) == {"f": (3, 3)}


def test_a_stack_of_nothing_but_allocators_is_not_lost() -> None:
    assert figures([counted(("malloc", 3))]) == {"malloc": (3, 3)}


def test_a_stack_without_frames_is_not_lost() -> None:
    table = StackTable()
    graph = call_graph([Counted(table, [(table.intern([]), 3)])], Choice())
    assert (graph.chosen, [node.frame for node in graph.nodes]) == (3, [Frame()])


def test_inlined_code_is_apart_from_the_function_itself() -> None:
    table = StackTable()
    rows = [(table.intern([Frame("f", "f.c", 1, inlined=inlined), Frame("main")]), 2) for inlined in (True, False)]
    assert Counter(node.frame.signature for node in call_graph([Counted(table, rows)], Choice()).nodes)["f"] == 2


def test_functions_of_one_name_in_two_files_are_two() -> None:
    table = StackTable()
    rows = [(table.intern([Frame("init", file, 1), Frame("main")]), 2) for file in ("/src/a.c", "/src/b.c")]
    assert [node.flat for node in call_graph([Counted(table, rows)], Choice()).nodes] == [2, 0, 2]


@pytest.mark.parametrize(
    ("signature", "name"),
    [
        ("std::vector<int, std::allocator<int> >::push_back(int&&)", "std::vector::push_back"),
        ("void fill<int>(std::vector<int>&, int)", "fill<int>"),
        ("a<b<1>>::c<d>::operator<<(int)", "a::c::operator<<"),
        ("a<b>::operator->() const", "a::operator->"),
        ("a<b>::operator<=>(int)", "a::operator<=>"),
        ("broken>name<", "broken>name<"),
        ("malloc", "malloc"),
        ("???", None),
    ],
)
def test_members_of_class_templates_are_called_without_arguments(signature: str, name: str | None) -> None:
    assert function_name(Frame(signature)) == name


def test_members_of_all_instances_of_a_class_template_are_one_node() -> None:
    table = StackTable()
    rows = [(table.intern([Frame(f"box<{kind}>::put({kind})", "box.h", 4)]), 1) for kind in ("int", "long")]
    rows += [(table.intern([Frame(f"void put<{kind}>({kind})", "box.h", 9)]), 1) for kind in ("int", "long")]
    assert [node.flat for node in call_graph([Counted(table, rows)], Choice()).nodes] == [2, 1, 1]


def test_bare_addresses_are_nodes_of_their_own() -> None:
    table = StackTable()
    rows = [(table.intern([Frame(address=at, module="/lib/x.so"), Frame("main")]), 1) for at in (16, 32, 16)]
    assert [node.flat for node in call_graph([Counted(table, rows)], Choice()).nodes] == [2, 0, 1]


def test_focus_and_ignore_look_at_names_and_places() -> None:
    side = counted(("f main", 1), ("g main", 2), ("g f main", 4))
    assert figures([side], Choice(focus=re.compile("f"))) == {"f": (1, 5), "main": (0, 5), "g": (4, 4)}
    assert figures([side], Choice(focus=re.compile(r"/g\.c:1$"), ignore=re.compile("^f$"))) == {"g": (2, 2), "main": (0, 2)}
    graph = call_graph([side], Choice(focus=re.compile("nothing")))
    assert (graph.total, graph.chosen, graph.paths) == (7, 0, {})


def test_the_largest_are_drawn_and_tied_over_what_is_left_out() -> None:
    side = counted(("leaf small main", 900), ("leaf tiny main", 100), ("dust main", 5))
    graph = call_graph([side], Choice())
    shown = drawn(graph, Limits(nodes=2))
    assert [graph.nodes[place].frame.signature for place in shown.nodes] == ["main", "leaf"]
    assert [(edge.amount, edge.indirect) for edge in shown.edges] == [(1000, True)]
    assert shown.dropped == 3
    assert len(drawn(graph, Limits(node_fraction=0.005)).nodes) == 4  # dust is not more than 5 of 1005
    assert calls([side], Limits(node_fraction=0))[("main", "dust")] == (5, False)


def test_small_edges_are_left_out_unless_they_alone_lead_to_a_node() -> None:
    side = counted(("f a main", 1000), ("f b main", 1), ("b main", 50))
    assert ("b", "f") not in calls([side], Limits(edge_fraction=0.1))
    assert ("b", "f") in calls([side], Limits(edge_fraction=0))
    assert ("main", "b") in calls([side], Limits(edge_fraction=0.5))


stacks = st.lists(st.tuples(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8), st.integers(-9, 99)), max_size=12)


@given(stacks, st.integers(1, 8))
def test_what_is_drawn_adds_up(drafts: list[tuple[list[str], int]], count: int) -> None:
    graph = call_graph([counted(*((" ".join(names), amount) for names, amount in drafts))], Choice())
    assert graph.total == graph.chosen == sum(node.flat for node in graph.nodes) == sum(amount for _, amount in drafts)
    for node in graph.nodes:
        inside = [(names, amount) for names, amount in drafts if node.frame.signature in names]
        assert node.cumulative == sum(amount for _, amount in inside)
        assert node.flat == sum(amount for names, amount in inside if names[0] == node.frame.signature)
    shown = drawn(graph, Limits(nodes=count, node_fraction=0, edge_fraction=0))
    names = [graph.nodes[place].frame.signature or "" for place in shown.nodes]
    assert len(names) <= count and all(graph.nodes[place].cumulative for place in shown.nodes)
    assert {place for edge in shown.edges for place in (edge.caller, edge.callee)} <= set(shown.nodes)
    for edge in shown.edges:
        pair = [graph.nodes[place].frame.signature or "" for place in (edge.callee, edge.caller)]
        assert edge.amount == sum(amount for stack, amount in drafts if has_pair([n for n in stack if n in names], pair, stack))


def has_pair(rest: list[str], pair: list[str], stack: list[str]) -> bool:
    """Whether one calls the other, with only functions between them that are not drawn; itself only directly."""
    source = stack if pair[0] == pair[1] else rest
    return any(source[at : at + 2] == pair for at in range(len(source)))
