"""Processes come to be in many ways; under each tool each that leaks is found, and what the tool can't see is never clean."""

import shutil
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.leakrun_command import answer, leakrun

pytestmark = pytest.mark.timeout(600)

SOURCE = """
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static void nap(int ms) { struct timespec t = {ms / 1000, ms % 1000 * 1000000L}; nanosleep(&t, NULL); }
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static void *keep[100000];
static int kept;
__attribute__((noinline)) static void leaks(void) { keep[kept++] = malloc(3000); }
static void work(double seconds) { double end = now() + seconds; while (now() < end) { leaks(); nap(5); } }
static void exec_work(char **argv) { execl(argv[0], argv[0], "work", argv[2], NULL); _exit(9); }
int main(int argc, char **argv) {
    const char *how = argv[1];
    double seconds = atof(argv[2]);
    (void)argc;
    if (!strcmp(how, "fork")) { if (fork() == 0) { work(seconds); return 0; } wait(NULL); }
    else if (!strcmp(how, "exec")) { if (fork() == 0) exec_work(argv); wait(NULL); }
    else if (!strcmp(how, "reexec")) { nap(300); exec_work(argv); }
    else if (!strcmp(how, "setsid")) { if (fork() == 0) { setsid(); work(seconds); exit(0); } wait(NULL); }
    else if (!strcmp(how, "double")) {
        if (fork() == 0) { setsid(); if (fork() == 0) { work(seconds); exit(0); } _exit(0); }
        wait(NULL);
    }
    else if (!strcmp(how, "chdir")) { if (chdir("/")) return 9; work(seconds); }
    else if (!strcmp(how, "work")) work(seconds);
    else return 8;
    return 0;
}
"""

TOOLS = ("heapprofile", "massif")
DIRECT = ("fork", "exec", "reexec", "setsid", "double", "chdir")
SECONDS = {"heapprofile": "3.2", "massif": "5"}  # massif takes a second to start each program


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("children")
    (directory / "leak.c").write_text(SOURCE)
    subprocess.run(["gcc", "-g", "-o", directory / "leak", directory / "leak.c"], check=True)
    subprocess.run(["gcc", "-g", "-static", "-o", directory / "fixed", directory / "leak.c"], check=True)
    script = directory / "script"
    script.write_text(f'#!/bin/sh\n{directory}/leak work "$1"\nexit 0\n')
    script.chmod(0o755)
    return directory


def command(how: str, tool: str, place: Path) -> list[str]:
    seconds = SECONDS[tool]
    if how == "shell":
        return ["sh", "-c", f"{place}/leak work {seconds}; true"]
    if how == "script":
        return [f"{place}/script", seconds]
    return [f"{place}/leak", how, seconds]


CASES = [(how, tool) for tool in TOOLS for how in (*DIRECT, "shell", "script")]


@pytest.fixture(scope="module")
def answers(place: Path) -> dict[tuple[str, str], dict[str, Any]]:
    def measure(case: tuple[str, str]) -> dict[str, Any]:
        how, tool = case
        run = place / f"{tool}-{how}"
        assert leakrun("-p", tool, "-o", run, *command(how, tool, place)).returncode == 0
        return answer(run)

    with ThreadPoolExecutor(3) as pool:  # they sleep most of the time
        return dict(zip(CASES, pool.map(measure, CASES), strict=True))


@pytest.mark.parametrize(("how", "tool"), CASES)
def test_the_process_that_leaks_is_found(how: str, tool: str, answers: dict[tuple[str, str], dict[str, Any]]) -> None:
    said = answers[how, tool]
    assert said["run"]["complete"]
    # So short a run may be too short to be sure of the growth; the site must be named in any case, and one process's alone.
    named = [each["function"] for each in [*said["findings"], *said["notes"]] if each.get("bytes")]
    assert "leaks" in named and said["verdict"] != "clean", said["reasons"]
    commands = [each["command"] for each in said["run"]["processes"]]
    if how in ("exec", "reexec", "shell", "script"):
        assert sum(words[1:2] == ["work"] for words in commands) == 1
    for finding in said["findings"]:
        assert len(finding["pids"]) == 1


@pytest.mark.parametrize("tool", ["heapprofile", "massif", "memcheck"])
@pytest.mark.parametrize("words", ["{place}/fixed work 2.5; true", "exec {place}/fixed work 2.5"], ids=["child", "exec"])
def test_a_static_program_behind_a_shell_is_never_clean(words: str, tool: str, place: Path, tmp_path: Path) -> None:
    ran = leakrun("-p", tool, "-o", tmp_path / "run", "sh", "-c", words.format(place=place))
    said = answer(tmp_path / "run")
    assert said["verdict"] == "inconclusive" and ran.returncode in (0, 3)
    assert any("fixed" in reason or "static" in reason for reason in said["reasons"]), said["reasons"]


@pytest.mark.parametrize("tool", ["heapprofile", "massif", "memcheck"])
def test_a_setuid_program_is_refused(tool: str, place: Path, tmp_path: Path) -> None:
    program = tmp_path / "risen"
    shutil.copy(place / "leak", program)
    program.chmod(0o4755)
    ran = leakrun("-p", tool, "-o", tmp_path / "run", program, "work", "1")
    assert ran.returncode == 3 and "setuid" in ran.stderr
    assert not (tmp_path / "run").exists()


def test_a_library_in_a_path_with_a_space_is_refused(place: Path, tmp_path: Path) -> None:
    library = tmp_path / "a place" / "libtcmalloc.so.4"
    library.parent.mkdir()
    real = next(iter(sorted(Path("/usr/lib").glob("*/libtcmalloc.so.4"))))
    library.symlink_to(real)
    ran = leakrun("-p", "heapprofile", "--set", f"library={library}", "-o", tmp_path / "run", place / "leak", "work", "1")
    assert ran.returncode == 3 and "space" in ran.stderr
    assert not (tmp_path / "run").exists()


def test_a_32_bit_program_is_refused_under_a_64_bit_library(place: Path, tmp_path: Path) -> None:
    program = tmp_path / "small"
    built = subprocess.run(["gcc", "-m32", "-o", program, place / "leak.c"], capture_output=True, check=False)
    if built.returncode:
        pytest.skip("gcc can't build for 32 bits here (gcc-multilib is not installed)")
    ran = leakrun("-p", "heapprofile", "-o", tmp_path / "run", program, "work", "1")
    assert ran.returncode == 3 and "32-bit" in ran.stderr


def test_a_program_that_cleans_its_environment_is_not_measured(place: Path, tmp_path: Path) -> None:
    ran = leakrun("-p", "heapprofile", "-o", tmp_path / "run", "env", "-u", "LD_PRELOAD", place / "leak", "work", "2")
    assert ran.returncode == 3
    assert answer(tmp_path / "run")["verdict"] == "inconclusive"


def test_no_snapshots_are_taken_of_children_that_do_not_matter(place: Path, tmp_path: Path) -> None:
    shutil.copy(place / "leak", tmp_path / "other")
    words = ("sh", "-c", f"{tmp_path}/other work 2 & {place}/leak work 2; wait")
    assert leakrun("-p", "heapprofile", "--children", "leak", "-o", tmp_path / "run", *words).returncode == 0
    said = answer(tmp_path / "run")
    assert [Path(each["command"][0]).name for each in said["run"]["processes"]] == ["sh", "leak"]
    counts = Counter(path.name.split(".")[1] for path in (tmp_path / "run" / "raw").glob("kept.*.heap"))
    fewest, *others = sorted(counts.values())
    assert fewest == 1 and len(others) == 2 and min(others) >= 8  # the other's is what it wrote at its exit


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_two_programs_that_bash_runs_at_once_have_recordings_of_their_own(place: Path, tmp_path: Path) -> None:
    words = f"{place}/leak work 4 & {place}/leak work 4 & wait"
    assert leakrun("-p", "heapprofile", "--every", "300ms", "-o", tmp_path / "run", "bash", "-c", words).returncode == 0
    said = answer(tmp_path / "run")
    workers = {each["pid"] for each in said["run"]["processes"] if each["command"][1:2] == ["work"]}
    assert said["verdict"] == "growing" and said["findings"][0]["function"] == "leaks", said["reasons"]
    assert len(workers) == 2 and set(said["findings"][0]["pids"]) == workers


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_two_programs_that_bash_runs_at_once_are_both_checked(place: Path, tmp_path: Path) -> None:
    words = f"{place}/leak fork 0.5 & {place}/leak fork 0.5 & wait"
    assert leakrun("-p", "heapcheck", "-o", tmp_path / "run", "bash", "-c", words).returncode == 0
    said = answer(tmp_path / "run")
    forking = {each["pid"] for each in said["run"]["processes"] if each["command"][1:2] == ["fork"]}
    written = {int(path.name.split(".")[1].rpartition("_")[2]) for path in (tmp_path / "run" / "raw").glob("exit.*.heap")}
    assert len(forking) == 2 and forking <= written
