"""The table of a call graph: pprof's columns and units."""

from io import StringIO

from runner.analysis.callgraph import Choice, Counted, Limits, call_graph
from runner.model import Frame, StackTable
from runner.reports import graph_text
from runner.reports.graph_labels import Heading

MB = 1 << 20


def table_of(*stacks: tuple[list[Frame], int], **more: object) -> list[str]:
    table = StackTable()
    graph = call_graph([Counted(table, [(table.intern(frames), amount) for frames, amount in stacks])], Choice())
    options = {"lines": False, "limits": None, "in_bytes": False, "heading": Heading("x", "inuse_space"), **more}
    stream = StringIO()
    graph_text.render(graph, stream, **options)  # type: ignore[arg-type]
    return stream.getvalue().splitlines()


F, G, MAIN = Frame("f", "/src/f.c", 3), Frame("g", "/src/g.c", 4), Frame("main", "/src/main.c", 5)


def test_megabytes_have_one_decimal_and_the_largest_flat_is_first() -> None:
    assert table_of(([G, MAIN], MB), ([F, MAIN], 3 * MB)) == [
        "Total: 4.0 MB",
        "    flat  flat%   sum%      cum   cum% function",
        "     3.0  75.0%  75.0%      3.0  75.0% f",
        "     1.0  25.0% 100.0%      1.0  25.0% g",
        "     0.0   0.0% 100.0%      4.0 100.0% main",
    ]


def test_what_does_not_reach_a_megabyte_is_in_bytes() -> None:
    lines = table_of(([F, MAIN], MB - 1))
    assert lines[0] == f"Total: {MB - 1} B" and lines[2].split()[0] == str(MB - 1)
    assert table_of(([F, MAIN], MB))[0] == "Total: 1.0 MB"
    assert table_of(([F, MAIN], MB), in_bytes=True)[0] == f"Total: {MB} B"


def test_a_small_difference_of_large_parts_is_in_megabytes() -> None:
    lines = table_of(([F, MAIN], 5 * MB), ([G, MAIN], -5 * MB))
    assert lines[0] == "Total: 0.0 MB"
    assert [line.split() for line in lines[2:]] == [["5.0", "-", "-", "5.0", "-", "f"], ["-5.0", "-", "-", "-5.0", "-", "g"]]


def test_objects_are_counted() -> None:
    heading = Heading("x", "inuse_objects", counts=True, base="run@0", focus="f")
    lines = table_of(([F, MAIN], 3 * MB), heading=heading)
    assert lines[:4] == [
        f"Total: {3 * MB} objects",
        "Base: run@0 is subtracted",
        "Focus: f",
        f"Chosen: {3 * MB} objects of {3 * MB} (100.0%)",
    ]


def test_lines_are_named_with_their_whole_path() -> None:
    assert table_of(([F, MAIN], 9), lines=True)[2].endswith(" f /src/f.c:3")


def test_equal_names_are_told_apart_by_what_differs() -> None:
    same = [Frame("init", "/src/a.c", 1), Frame("init", "/src/b.c", 1)]
    names = [line.split("% ")[-1] for line in table_of(([same[0]], 2), ([same[1]], 1))[2:]]
    assert names == ["init [/src/a.c]", "init [/src/b.c]"]
    overloads = [Frame("put(int)", "/src/a.c", 1), Frame("put(long)", "/src/a.c", 1)]
    names = [line.split("% ")[-1] for line in table_of(([overloads[0]], 2), ([overloads[1]], 1))[2:]]
    assert names == ["put [put(int)]", "put [put(long)]"]


def test_what_is_left_out_is_said() -> None:
    lines = table_of(([F, MAIN], 9), ([G, MAIN], 1), limits=Limits(nodes=2))
    assert len(lines) == 5 and lines[-1] == "1 smaller node is left out"


def test_names_cannot_write_to_the_terminal() -> None:
    assert table_of(([Frame("f\x1b[31m\nx", "a.c", 1)], 9))[2].endswith("f\\x1b[31m\\x0ax")
