"""The drawing of a call graph: names that hold anything are drawn as they are, by the real graphviz."""

import html
import json
import re
import shutil
import subprocess
from io import StringIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.analysis.callgraph import Choice, Counted, Limits, call_graph, drawn
from runner.model import Frame, StackTable
from runner.reports import graph_dot
from runner.reports.graph_labels import Heading

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")


def dot_of(*stacks: tuple[list[Frame], int], heading: Heading = Heading("run@3", "inuse_space")) -> str:  # noqa: B008
    table = StackTable()
    graph = call_graph([Counted(table, [(table.intern(frames), amount) for frames, amount in stacks])], Choice())
    stream = StringIO()
    graph_dot.render(graph, drawn(graph, Limits()), stream, heading)
    return stream.getvalue()


def parsed(text: str) -> dict[str, dict[str, Any]]:
    """Nodes and edges as graphviz understands them, by their names; an edge is caller->callee."""
    ran = subprocess.run(["dot", "-Tdot_json"], input=text.encode(), capture_output=True, timeout=60, check=True)
    assert ran.stderr == b""
    said = json.loads(ran.stdout.decode())
    nodes = {each["_gvid"]: each for each in said["objects"]}
    edges = {f"{nodes[each['tail']]['name']}->{nodes[each['head']]['name']}": each for each in said.get("edges", [])}
    return {**{each["name"]: each for each in nodes.values()}, **edges}


def texts(svg: str) -> list[str]:
    return [html.unescape(text).replace("\xa0", " ") for text in re.findall(r"<text [^>]*>(.*?)</text>", svg)]


HOSTILE = [
    'quote"; } digraph { evil [label="',
    "back\\slash\\n\\N\\l",
    "end\\",
    "ampersand &amp; &lt; &#65; int&&",
    "<b>html</b>",
    "tab\tnew\nline\x1b[31m\u202e",
    "ünïcode 漢字",
    "{record|<port>}",
    "--></svg><script>alert(1)</script>",
    "%s %n",
]


@needs_dot
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_drawn_as_text(name: str) -> None:
    frame = Frame(f"_{name}", f"/src/{name}/{name.replace('/', '')}.c", 7, f"/lib/{name}")
    text = dot_of(([frame, Frame("main")], 10), heading=Heading(name, "inuse_space", base=name, focus=name))
    assert set(parsed(text)) == {"legend", "N1", "N2", "N2->N1"}
    svg = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, text=True, timeout=60, check=True).stdout
    shown = "".join(texts(svg))
    for word in re.findall(r"[\w|\\;]{4,}|&\S+", name):
        assert word in shown
    assert "<script" not in svg and not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", svg)


@needs_dot
@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=[]), max_size=30), min_size=3, max_size=6, unique=True))
def test_any_text_makes_a_graph_that_graphviz_reads(names: list[str]) -> None:
    frames = [Frame(f"f{at}{name}", name or None, 1 if name else None) for at, name in enumerate(names)]
    found = parsed(dot_of((frames, 10), heading=Heading(names[0], "inuse_space", ignore=names[1])))
    assert sum(bool(re.fullmatch(r"N\d+", name)) for name in found) == len(frames)


@needs_dot
def test_size_follows_flat_and_width_follows_the_call() -> None:
    found = parsed(
        dot_of(
            ([Frame("big", "a.c", 1), Frame("main", "m.c", 2)], 900),
            ([Frame("small", "a.c", 5), Frame("main", "m.c", 3)], 100),
        )
    )
    by_name = {each["label"].split("\\n")[0]: each for name, each in found.items() if re.fullmatch(r"N\d+", name)}
    sizes = [float(by_name[name]["fontsize"]) for name in ("big", "small", "main")]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 3
    edges = {each["label"].strip(): float(each["penwidth"]) for name, each in found.items() if "->" in name}
    assert edges["900 B"] > edges["100 B"]
    assert by_name["big"]["label"] == "big\\na.c:1\\n900 B (90.0%)\\n"
    assert by_name["main"]["label"] == "main\\nm.c\\n0 of 1000 B (100.0%)\\n"


def test_less_than_in_the_base_is_green_and_negative() -> None:
    text = dot_of(([Frame("gone"), Frame("main")], -300), ([Frame("new"), Frame("main")], 100))
    gone, new = (re.search(rf'label="{name}\\n(.*?)\\n".*?fillcolor="#(..)(..)', text) for name in ("gone", "new"))
    assert gone and gone[1] == "-300 B (-150.0%)" and gone[3] > gone[2]
    assert new and new[1] == "100 B (50.0%)" and new[2] > new[3]
    assert re.search(r'label="  -300 B"', text)


def test_calls_over_what_is_left_out_and_inlined_code_are_dashed() -> None:
    table = StackTable()
    stack = [Frame("leaf", "a.c", 1, inlined=True), Frame("between"), Frame("main")]
    graph = call_graph([Counted(table, [(table.intern(stack), 9), (table.intern([Frame("main")]), 100)])], Choice())
    stream = StringIO()
    graph_dot.render(graph, drawn(graph, Limits(nodes=2)), stream, Heading("x", "inuse_space"))
    text = stream.getvalue()
    assert "between" not in text and "left out: 1 node;" in text
    assert re.search(r"N1 -> N2 .*style=dashed", text) and 'style="filled,dashed"' in text


def test_long_names_are_broken_and_cut_and_kept_whole_in_the_tooltip() -> None:
    name = "::".join(f"namespace_number_{at}" for at in range(12)) + "::" + "x" * 100
    text = dot_of(([Frame(f"{name}(int)", "a.c", 1)], 9))
    label = re.search(r'N1 \[label="(.*?)"', text)
    assert label and "…" in label[1] and all(len(line) <= 48 for line in label[1].split("\\n"))
    assert f'tooltip="{name}(int)' in text


def test_blocks_are_counted_without_a_unit() -> None:
    text = dot_of(([Frame("f", "a.c", 1)], 1234), heading=Heading("x", "inuse_objects", counts=True))
    assert "1,234 (100.0%)" in text and " B" not in text


def test_a_graph_without_nodes_is_a_legend() -> None:
    assert "legend" in dot_of() and "N1" not in dot_of()
