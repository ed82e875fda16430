"""DHAT driven by leakrun: real runs, children, bare files, and what is refused."""

import subprocess
from pathlib import Path

import pytest

from tests.leakrun_command import answer, leakrun

SOURCE = """
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static char *big[4];
__attribute__((noinline)) static void hold(int i) { big[i] = malloc(100000); memset(big[i], i, 100000); }   // line 7
__attribute__((noinline)) static void waste(void) { free(malloc(250000)); }                                  // line 8
int main(int argc, char **argv) {
    for (int i = 0; i < 4; i++) hold(i);
    for (int i = 0; i < 3; i++) free(big[i]);
    waste();
    if (argc > 1 && fork() == 0) exit(0);
    if (argc > 1) wait(0);
    return big[3][5] == 9;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dhat")
    (directory / "holder.c").write_text(SOURCE)
    subprocess.run(["gcc", "-g", "-O0", "-o", directory / "holder", directory / "holder.c"], check=True, timeout=60)
    return directory / "holder"


def test_a_run_says_what_lives_at_the_peak_and_what_was_wasted(program: Path, tmp_path: Path) -> None:
    ran = leakrun("-p", "dhat", "-o", tmp_path / "run", program)
    assert ran.returncode == 0, ran.stderr
    said = answer(tmp_path / "run")
    assert said["verdict"] == "inconclusive" and said["findings"] == []
    assert "massif or heapprofile" in said["reasons"][0]
    assert said["run"]["complete"] and said["run"]["tool_version"]
    notes = {(note["kind"], note.get("function")): note for note in said["notes"]}
    assert (notes["live", "hold"]["line"], notes["live", "hold"]["bytes"]) == (7, 400000)
    assert (notes["never-used", "waste"]["line"], notes["never-used", "waste"]["bytes"]) == (8, 250000)
    assert ("never-used", "hold") not in notes
    assert said["heap_summary"]["in_use_at_exit"] == {"bytes": 100000, "blocks": 1}
    assert said["heap_summary"]["allocated_bytes"] == 650000


def test_the_bare_file_says_the_same(program: Path, tmp_path: Path) -> None:
    assert leakrun("-p", "dhat", "-o", tmp_path / "run", program).returncode == 0
    (file,) = (tmp_path / "run" / "raw").glob("dhat.*.json")
    moved = tmp_path / "profile"
    moved.write_bytes(file.read_bytes())
    bare, run = answer(moved), answer(tmp_path / "run")
    assert [note for note in bare["notes"] if note["kind"] != "limit"] == [n for n in run["notes"] if n["kind"] != "limit"]


def test_each_process_has_its_own_file(program: Path, tmp_path: Path) -> None:
    assert leakrun("-p", "dhat", "-o", tmp_path / "run", program, "fork").returncode == 0
    said = answer(tmp_path / "run")
    assert len(said["run"]["processes"]) == 2
    assert any("a child that was forked counts" in note["text"] for note in said["notes"])


def test_snapshots_are_refused_with_the_way_out(program: Path, tmp_path: Path) -> None:
    ran = leakrun("-p", "dhat", "--every", "1s", "-o", tmp_path / "run", program)
    assert ran.returncode == 2
    assert "dhat takes no snapshots" in ran.stderr and "--profile massif" in ran.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_stopped_keeps_its_file(tmp_path: Path) -> None:
    ran = leakrun("-p", "dhat", "--for", "2s", "-o", tmp_path / "run", "sleep", "60")
    assert ran.returncode == 0, ran.stderr
    said = answer(tmp_path / "run")
    assert said["run"]["complete"] and said["run"]["exit"]["stopped_by"] == "for"
