"""`leakrun export`: real runs in other people's formats."""

import csv
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from runner.cli import main
from runner.formats import read_file
from runner.model import Metric
from tests.cli.conftest import SOURCE
from tests.formats.pprof_decoder import decode
from tests.leakrun_command import leakrun

FORMATS = ["pprof", "folded", "speedscope", "massif", "callgrind", "csv", "json"]
# What the program holds at its end after 40 turns (5 under memcheck), by function; see leaky.c.
HELD = {"growing_list": 20000 * 40, "steady_table": 500000, "lose": 700 * 40}
LOST = {"growing_list": 20000 * 5, "steady_table": 500000, "lose": 700 * 5}


def export(runs_dir: Path, run: str, format_: str, tmp_path: Path) -> Path:
    """The file that it writes; in this process, as a test needs many."""
    file = tmp_path / f"out.{format_}"
    assert main(["export", run, "-f", format_, "-o", str(file), "--runs-dir", str(runs_dir)]) == 0
    return file


def line_of(function: str) -> int:
    text = SOURCE.read_text().splitlines()
    start = next(n for n, line in enumerate(text) if f" {function}(" in line and "static" in line)
    return next(n for n in range(start, len(text)) if "malloc" in text[n]) + 1


@pytest.mark.parametrize(("run", "held"), [("heapprofile-old", HELD), ("memcheck-old", LOST)])
def test_pprof_names_the_lines(run: str, held: dict[str, int], runs_dir: Path, tmp_path: Path) -> None:
    said = decode(export(runs_dir, run, "pprof", tmp_path).read_bytes())
    assert said["types"][-2:] == [("inuse_objects", "count"), ("inuse_space", "bytes")]
    found = {}
    for frames, values, _ in said["samples"]:
        name, file, line = next((each for each in frames if each[0] in held), ("", "", 0))
        if name:
            assert (Path(file).name, line) == (SOURCE.name, line_of(name))
            found[name] = values[-1]
    assert found == held
    assert said["time_nanos"] > 1_600_000_000 * 10**9


@pytest.mark.parametrize("run", ["massif-old", "heapprofile-old", "memcheck-old"])
def test_every_format_holds_the_same_bytes(run: str, runs_dir: Path, tmp_path: Path) -> None:
    held = LOST if run.startswith("memcheck") else HELD
    whole = sum(held.values())
    folded = export(runs_dir, run, "folded", tmp_path).read_text().splitlines()
    by_function = dict.fromkeys(held, 0)
    for line in folded:
        stack, _, amount = line.rpartition(" ")
        name = next((each for each in held if each in stack.split(";")), None)
        if name:
            by_function[name] += int(amount)
    assert by_function == held
    total = sum(int(line.rpartition(" ")[2]) for line in folded)
    assert total >= whole
    speedscope = json.loads(export(runs_dir, run, "speedscope", tmp_path).read_text())
    assert speedscope["profiles"][0]["endValue"] == total and speedscope["profiles"][0]["unit"] == "bytes"
    with export(runs_dir, run, "csv", tmp_path).open(newline="") as stream:
        assert sum(int(row["live_bytes"]) for row in csv.DictReader(stream)) == total
    document = json.loads(export(runs_dir, run, "json", tmp_path).read_text())
    assert document["schema"] == "leakrun.answer/1"
    assert sum(each["live_bytes"] for each in document["moment"]["stacks"]) == total
    recording = read_file(export(runs_dir, run, "massif", tmp_path))
    assert sum(recording.snapshots[-1].columns[Metric.LIVE_BYTES].amounts) == total
    callgrind = export(runs_dir, run, "callgrind", tmp_path).read_text()
    assert f"\ntotals: {total}" in callgrind


@pytest.mark.skipif(shutil.which("ms_print") is None, reason="valgrind is not installed")
def test_valgrinds_own_tools_open_what_is_theirs(runs_dir: Path, tmp_path: Path) -> None:
    printed = subprocess.run(
        ["ms_print", export(runs_dir, "heapprofile-old", "massif", tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f"leaky.c:{line_of('growing_list')})" in printed.stdout and "(800,000B)" in printed.stdout
    annotated = subprocess.run(
        ["callgrind_annotate", export(runs_dir, "heapprofile-old", "callgrind", tmp_path)],
        capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert "800,000 (" in annotated.stdout and "leaky.c:growing_list" in annotated.stdout


@pytest.mark.skipif(shutil.which("go") is None, reason="Go, whose pprof would read it, is not installed")
def test_gos_pprof_opens_it(runs_dir: Path, tmp_path: Path) -> None:
    file = export(runs_dir, "heapprofile-old", "pprof", tmp_path)
    top = subprocess.run(["go", "tool", "pprof", "-top", "-unit=B", file], capture_output=True, text=True, timeout=60, check=True)
    assert "growing_list" in top.stdout and "800000B" in top.stdout


def test_a_numbered_snapshot_is_that_one(runs_dir: Path, tmp_path: Path) -> None:
    def grown(reference: str) -> int:
        lines = export(runs_dir, reference, "folded", tmp_path).read_text().splitlines()
        return sum(int(line.rpartition(" ")[2]) for line in lines if "growing_list" in line)

    assert grown("heapprofile-old@1") < grown("heapprofile-old@3") < grown("heapprofile-old@-1") == HELD["growing_list"]
    one = read_file(export(runs_dir, "heapprofile-old@3", "massif", tmp_path))
    assert len(one.snapshots) == 1
    assert len(read_file(export(runs_dir, "heapprofile-old", "massif", tmp_path)).snapshots) > 3


@pytest.mark.parametrize("format_", FORMATS)
def test_a_snapshot_that_holds_nothing_is_written_empty(runs_dir: Path, tmp_path: Path, format_: str) -> None:
    massif = Path(__file__).parent.parent / "golden" / "massif" / "c" / "massif.out"
    export(runs_dir, f"{massif}@0", format_, tmp_path)
    drawn = leakrun("report", f"{massif}@0", "-f", "text")
    assert drawn.returncode == 0 and drawn.stdout.startswith("Total: 0 B")


FORKS = """
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void *kept[30];
int main(void) {
    if (fork() == 0) { for (int i = 0; i < 30; i++) kept[i] = malloc(3000); return 0; }
    wait(NULL);
    for (int i = 0; i < 10; i++) kept[i] = malloc(1000);
    return 0;
}
"""


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_massif_of_several_processes_is_the_timeline_of_one(tmp_path: Path) -> None:
    (tmp_path / "forks.c").write_text(FORKS)
    subprocess.run(["gcc", "-g", "-o", tmp_path / "forks", tmp_path / "forks.c"], check=True, timeout=60)
    assert leakrun("-q", "-p", "massif", "-o", tmp_path / "forked", tmp_path / "forks").returncode == 0
    main_pid, child = sorted(int(path.name.split(".")[1]) for path in (tmp_path / "forked" / "raw").glob("massif.*.out"))
    for run, most in (("forked", 10 * 1000), (f"forked:{main_pid}", 10 * 1000), (f"forked:{child}", 30 * 3000)):
        recording = read_file(export(tmp_path, run, "massif", tmp_path))
        assert len(recording.snapshots) > 3
        assert max(snapshot.totals[Metric.LIVE_BYTES] for snapshot in recording.snapshots) == most
    folded = export(tmp_path, "forked", "folded", tmp_path).read_text().splitlines()
    assert sum(int(line.rpartition(" ")[2]) for line in folded) == 10 * 1000 + 30 * 3000
    names = [
        json.loads(export(tmp_path, run, "speedscope", tmp_path).read_text())["name"] for run in ("forked", f"forked:{child}")
    ]
    assert names[0] == "forked" and names[1].startswith("forked@")  # no one snapshot is both processes


def test_a_bare_file_is_enough(runs_dir: Path, tmp_path: Path) -> None:
    heap = sorted((runs_dir / "heapprofile-old" / "raw").glob("*.heap"))[-1]
    assert "growing_list 800000" in export(runs_dir, str(heap), "folded", tmp_path).read_text()


def test_it_goes_to_stdout_without_a_file(runs_dir: Path) -> None:
    ran = leakrun("export", "massif-old", "-f", "folded", "--runs-dir", runs_dir)
    assert ran.returncode == 0 and "main;growing_list " in ran.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["massif-old", "-f", "svg"], "svg"),
        (["massif-old"], "--format"),
        (["nothing-there", "-f", "csv"], "nothing-there"),
        (["massif-old@9999", "-f", "csv"], "there is no snapshot 9999"),
        (["massif-old", "-f", "csv", "-o", "/nowhere/at/all"], "/nowhere/at/all"),
        (["massif-old", "-f", "csv", "-o", "/"], "can't be written"),
    ],
)
def test_a_mistake_is_told_clearly(words: list[str], said: str, runs_dir: Path) -> None:
    ran = leakrun("export", *words, "--runs-dir", runs_dir)
    assert ran.returncode == 2 and said in ran.stderr and "Traceback" not in ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize("run", ["massif-old", "heapprofile-old", "memcheck-old"])
def test_json_follows_the_published_schema(run: str, runs_dir: Path, tmp_path: Path) -> None:
    from tests.test_answer_schema import complaints

    document = json.loads(export(runs_dir, run, "json", tmp_path).read_text())
    assert complaints(document) == [] and document["moment"]["stacks"]
    assert complaints(json.loads((runs_dir / run / "answer.json").read_text())) == []
