"""`leakrun report`: pprof's call graph of real runs, and gperftools' own pprof beside it."""

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import SOURCE
from tests.leakrun_command import COMMAND, leakrun

SUBJECT = Path(__file__).with_name("pprof_subject.cc")
PPROF = shutil.which("google-pprof") or shutil.which("pprof")
NUMBER = r"-?[0-9.]+"
PART = rf"{NUMBER}%"
ROW = re.compile(rf" *({NUMBER}) +({PART}) +({PART}) +({NUMBER}) +({PART}) (.*)")

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
needs_pprof = pytest.mark.skipif(PPROF is None, reason="google-pprof is not installed")


def report(*words: object, code: int = 0, **environment: str) -> str:
    ran = leakrun("report", *words, **environment)
    assert ran.returncode == code, ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stdout if code == 0 else ran.stderr


def rows(text: str) -> list[tuple[str, ...]]:
    """flat, its part, the running sum, cumulative, its part, name: of each line that has them."""
    return [found.groups() for found in map(ROW.fullmatch, text.splitlines()) if found]


def amounts(text: str) -> dict[str, tuple[str, str]]:
    return {name.split()[0]: (flat, cumulative) for flat, _, _, cumulative, _, name in rows(text)}


# ---- beside gperftools' pprof


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A program, and what tcmalloc dumped of it at two moments."""
    place = tmp_path_factory.mktemp("pprof")
    program = place / "subject"
    subprocess.run(["g++", "-g", "-O0", "-o", program, SUBJECT, "-ltcmalloc"], check=True, timeout=120)
    subprocess.run([program, place / "dump"], check=True, timeout=60, capture_output=True)
    first, second = sorted(place.glob("dump.*.heap"))
    return program, first, second


def as_ours(name: str) -> str:
    """google-pprof's name for a function as ours: it tells two of one name apart by their addresses, we by their signatures."""
    name = re.sub(r"@[0-9a-f]+(?= |$)", "", name)
    name = re.sub(r" \?\?:[0?]$", "", name)
    return re.sub(r"^(__libc_start_main)_impl\b", r"\1", name)


def told(text: str) -> list[tuple[str, ...]]:
    """Its rows, in an order that names don't decide, without libc's own: its files are called by other names."""
    found = [(*figures, re.sub(r" \[.*", "", as_ours(name))) for *figures, name in rows(text) if "libc_start" not in name]
    return sorted((*row[:2], *row[3:]) for row in found)


@needs_pprof
@pytest.mark.parametrize(
    ("sample", "by", "side"),
    [
        ("inuse_space", "--functions", "alone"),
        ("inuse_space", "--functions", "base"),
        ("inuse_space", "--lines", "alone"),
        ("inuse_space", "--lines", "backwards"),
        ("inuse_objects", "--functions", "backwards"),
        ("inuse_objects", "--lines", "base"),
        ("alloc_space", "--functions", "alone"),
        ("alloc_objects", "--lines", "base"),
    ],
)
def test_the_figures_are_gperftools_pprofs(sample: str, by: str, side: str, dumps: tuple[Path, Path, Path]) -> None:
    program, first, second = dumps
    what, base = (second, first) if side != "backwards" else (first, second)
    more = [] if side == "alone" else ["--base", base]
    words = [str(PPROF), "--text", f"--{sample}", by, *more, program, what]
    theirs = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout
    ours = report(what, "-f", "text", "--sample", sample, by, *more)
    assert told(ours) == told(theirs)
    assert len(rows(ours)) == len(rows(theirs)) > 15
    assert ours.splitlines()[0] == theirs.splitlines()[0]  # the total
    assert [row[0] for row in rows(ours)] == [row[0] for row in rows(theirs)]  # in the same order


@needs_pprof
@pytest.mark.parametrize(
    ("option", "pattern"),
    [
        ("--focus", "deep"),
        ("--focus", r"pprof_subject\.cc:2"),
        ("--focus", "nowhere_at_all"),
        ("--ignore", "app::Cache"),
        ("--ignore", "^even$"),
    ],
)
def test_focus_and_ignore_are_gperftools_pprofs(option: str, pattern: str, dumps: tuple[Path, Path, Path]) -> None:
    program, _, second = dumps
    words = [str(PPROF), "--text", f"{option}={pattern}", program, second]
    theirs = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout
    if not rows(theirs):
        assert "leave nothing" in report(second, "-f", "text", option, pattern, code=2)
        return
    assert told(report(second, "-f", "text", option, pattern)) == told(theirs)


def test_bytes_are_exact_where_they_are_wanted(dumps: tuple[Path, Path, Path]) -> None:
    found = rows(report(dumps[2], "-f", "text", "--show-bytes"))
    assert [(row[0], row[3]) for row in found if row[5] == "deep"] == [("0", str(78 * 50000))]
    stores = {row[5]: row[0] for row in found if row[5].startswith("store")}
    assert stores == {"store [store(int)]": "300000", "store [store(double)]": "400000"}


# ---- of every backend


HELD = {"massif-old": 20000 * 40, "heapprofile-old": 20000 * 40, "memcheck-old": 20000 * 5}


@pytest.mark.parametrize(("run", "held"), HELD.items())
def test_every_tools_recording_has_a_graph(run: str, held: int, runs_dir: Path) -> None:
    found = amounts(report(run, "-f", "text", "--runs-dir", runs_dir, "--show-bytes"))
    assert found["growing_list"] == (str(held), str(held))
    assert int(found["main"][1]) >= held
    assert not {"malloc", "calloc", "realloc"} & set(found)


def test_a_base_of_the_same_run_leaves_what_grew(runs_dir: Path) -> None:
    words = ("-f", "text", "--runs-dir", runs_dir, "--show-bytes")
    whole, early, grown = (
        amounts(report(*what, *words))["growing_list"][0]
        for what in (["heapprofile-old"], ["heapprofile-old@1"], ["heapprofile-old", "--base", "heapprofile-old@1"])
    )
    assert int(grown) == int(whole) - int(early) > 0


def test_a_base_of_another_build_is_matched_by_names(runs_dir: Path) -> None:
    words = ("-f", "text", "--runs-dir", runs_dir, "--show-bytes")
    text = report("heapprofile-new", "--base", "heapprofile-old", *words)
    sizes = {name: [int(amount) for amount in found] for name, found in amounts(text).items()}
    new, old = (amounts(report(run, *words)) for run in ("heapprofile-new", "heapprofile-old"))
    for name in {*new, *old} - {"_start"}:
        due = [int(new.get(name, "00")[at]) - int(old.get(name, "00")[at]) for at in (0, 1)]
        assert sizes.get(name, [0, 0]) == due, name
    assert "-" in "".join(row[0] for row in rows(report("memcheck-old", "--base", "memcheck-new", *words)))


def test_lines_stand_behind_functions(runs_dir: Path) -> None:
    text = report("massif-old", "-f", "text", "--lines", "--runs-dir", runs_dir)
    assert any(re.fullmatch(rf"growing_list \S*{SOURCE.name}:\d+", row[5]) for row in rows(text))


# ---- drawings


@needs_dot
@pytest.mark.parametrize("run", HELD)
def test_a_drawing_names_the_function_its_place_and_both_figures(run: str, runs_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "graph.svg"
    assert report(run, "-f", "svg", "-o", file, "--runs-dir", runs_dir) == ""
    svg = file.read_text()
    assert svg.startswith("<?xml") and svg.rstrip().endswith("</svg>")
    assert "growing_list" in svg and f"{SOURCE.name}:" in svg
    assert re.search(r">[\d.]+ KiB \([\d.]+%\)<", svg) and re.search(r">0 of [\d.]+ \w+ \([\d.]+%\)<", svg)


@needs_dot
def test_pdf_is_pdf_and_goes_to_a_pipe(runs_dir: Path) -> None:
    words = [*COMMAND, "report", "massif-old", "-f", "pdf", "--runs-dir", str(runs_dir)]
    ran = subprocess.run(words, capture_output=True, timeout=60, check=True)
    assert ran.stdout.startswith(b"%PDF-")


@needs_dot
def test_dot_draws_what_is_written_for_it(runs_dir: Path) -> None:
    text = report("massif-old", "-f", "dot", "--runs-dir", runs_dir)
    assert text == report("massif-old", "-f", "dot", "--runs-dir", runs_dir)
    drawn = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True, timeout=60, check=True)
    assert drawn.stderr == "" and "growing_list" in drawn.stdout


def test_node_limits_are_kept(dumps: tuple[Path, Path, Path]) -> None:
    _, _, second = dumps

    def nodes(*more: object) -> int:
        return len(re.findall(r"^N\d+ \[", report(second, "-f", "dot", *more), re.MULTILINE))

    assert nodes("--nodecount", 5) == 5
    assert nodes("--nodefraction", 0) > nodes() > nodes("--nodefraction", 0.2) > 0
    assert len(rows(report(second, "-f", "text", "--nodecount", 5))) == 5
    few = report(second, "-f", "dot", "--edgefraction", 0.9)
    assert few.count("->") < report(second, "-f", "dot").count("->")


# ---- mistakes


def test_without_graphviz_it_says_how_to_install_it(runs_dir: Path, tmp_path: Path) -> None:
    words = ("massif-old", "--runs-dir", runs_dir)
    said = report(*words, "-f", "svg", code=3, PATH=str(tmp_path))
    assert "apt-get install graphviz" in said and len(said.splitlines()) == 2
    assert "growing_list" in report(*words, "-f", "dot", PATH=str(tmp_path))
    assert "growing_list" in report(*words, "-f", "text", PATH=str(tmp_path))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["massif-old", "-f", "png"], "'html', 'svg', 'pdf', 'dot', 'text'"),
        (["massif-old", "heapprofile-old", "-f", "svg"], "a graph is of one run"),
        (["massif-old", "nothing-there", "-f", "html"], "nothing-there"),
        (["massif-old", "-f", "html", "--nodecount", "5"], "are not for -f html"),
        (["massif-old@9999", "-f", "html"], "there is no snapshot 9999"),
        (["massif-old:1", "-f", "html"], "has no process 1"),
        (["massif-old", "-f", "html", "--base", "massif-old@9999"], "there is no snapshot 9999"),
        (["massif-old"], "--format"),
        (["nothing-there", "-f", "text"], "nothing-there"),
        (["massif-old", "-f", "text", "--base", "nothing-there"], "nothing-there"),
        (["massif-old@9999", "-f", "text"], "there is no snapshot 9999"),
        (["massif-old", "-f", "text", "--sample", "alloc_space"], "does not count alloc_space"),
        (["massif-old", "-f", "text", "--sample", "inuse_objects"], "it has inuse_space"),
        (["massif-old", "-f", "text", "--base", "memcheck-old"], "can't be compared"),
        (["massif-old", "-f", "text", "--focus", "("], "--focus is no regular expression"),
        (["massif-old", "-f", "text", "--ignore", "growing_list|main|start"], "leave nothing"),
        (["massif-old", "-f", "text", "--nodecount", "0"], "nodecount"),
        (["massif-old", "-f", "text", "--nodefraction", "2"], "nodefraction"),
        (["massif-old", "-f", "text", "--nodefraction", "nan"], "nodefraction"),
        (["massif-old", "-f", "dot", "-o", "/nowhere/at/all"], "/nowhere/at/all"),
    ],
)
def test_a_mistake_is_told_clearly(words: list[str], said: str, runs_dir: Path) -> None:
    assert said in report(*words, "--runs-dir", runs_dir, code=2)


def test_a_snapshot_of_totals_only_is_refused(runs_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "massif.out.1"
    head = "desc: --massif-out-file=x\ncmd: ./x\ntime_unit: i\n"
    figures = "time=0\nmem_heap_B=10\nmem_heap_extra_B=0\nmem_stacks_B=0\nheap_tree=empty\n"
    file.write_text(head + "#-----------\nsnapshot=0\n#-----------\n" + figures)
    assert "totals only" in report(file, "-f", "text", code=2)
    assert "totals only" in report("massif-old", "--base", file, "-f", "text", "--runs-dir", runs_dir, code=2)


def test_a_terminal_gets_no_pdf(runs_dir: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        words = [sys.executable, "-m", "runner", "report", "massif-old", "-f", "pdf", "--runs-dir", str(runs_dir)]
        ran = subprocess.run(words, stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    finally:
        os.close(ours)
        os.close(theirs)
    assert ran.returncode == 2 and "-o FILE" in ran.stderr
