"""Processes that share what their parent set up: each one's recording is its own, under the real heap profiler."""

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.leakrun_command import answer, leakrun

pytestmark = pytest.mark.timeout(300)

HEAD = """
#include <signal.h>
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
"""

BOTH = """
__attribute__((noinline)) static void parent_leaks(void) { keep[kept++] = malloc(3000); }
__attribute__((noinline)) static void child_leaks(void) { keep[kept++] = malloc(5000); }
int main(void) {
    double end = now() + 3.3;
    if (fork() == 0) { while (now() < end) { child_leaks(); nap(5); } return 0; }
    while (now() < end) { parent_leaks(); nap(5); }
    while (wait(NULL) > 0) {}
    return 0;
}
"""

WORKERS = """
__attribute__((noinline)) static void calm(void) { free(malloc(1000)); }
__attribute__((noinline)) static void leaks(void) { keep[kept++] = malloc(4000); }
int main(int argc, char **argv) {
    double end = now() + atof(argv[2]);
    (void)argc;
    for (int i = 0; i < atoi(argv[1]); i++)
        if (fork() == 0) { while (now() < end) { if (i == 2) leaks(); else calm(); nap(10); } return 0; }
    while (wait(NULL) > 0) {}
    return 0;
}
"""

REQUESTS = """
__attribute__((noinline)) static void spawn(int ends_by_exit) {
    keep[kept++] = malloc(1000);
    if (fork() == 0) {
        keep[kept++] = malloc(50000);
        nap(1);
        if (ends_by_exit) exit(0);  // and the profiler writes, under its parent's name
        _exit(0);
    }
    wait(NULL);
}
int main(int argc, char **argv) {
    (void)argv;
    for (double end = now() + 4; now() < end;) { spawn(argc > 1); nap(20); }
    return 0;
}
"""

PREFORK = """
static volatile sig_atomic_t leave;
static void stop(int signum) { (void)signum; leave = 1; }
__attribute__((noinline)) static void serve(void) { keep[kept++] = malloc(2000); }
int main(void) {
    pid_t workers[4];
    signal(SIGTERM, stop);
    for (int i = 0; i < 4; i++)
        if ((workers[i] = fork()) == 0) { while (!leave) { serve(); nap(5); } exit(0); }
    while (!leave) pause();
    for (int i = 0; i < 4; i++) kill(workers[i], SIGTERM);
    while (wait(NULL) > 0) {}
    return 0;
}
"""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    directory = tmp_path_factory.mktemp("forks")

    def build(name: str, source: str) -> Path:
        program = directory / name
        if not program.exists():
            (directory / f"{name}.c").write_text(HEAD + source)
            subprocess.run(["gcc", "-g", "-o", program, directory / f"{name}.c"], check=True)
        return program

    return build


def snapshots_by_pid(run: Path) -> Counter[str]:
    return Counter(path.name.split(".")[1] for path in (run / "raw").glob("kept.*.heap"))


def heads(run: Path, pid: str) -> list[int]:
    """The bytes allocated so far by the headers of a process's dumps, in their order."""
    files = sorted((run / "raw").glob(f"kept.{pid}.*.heap"))
    return [int(path.read_text().split("[")[1].split("]")[0].split(":")[1]) for path in files]


def measured(tmp_path: Path, *words: object) -> tuple[Path, dict[str, Any]]:
    run = tmp_path / "run"
    ran = leakrun("-p", "heapprofile", "-o", run, *words)
    assert ran.returncode == 0, ran.stderr
    return run, answer(run)


def test_parent_and_child_leak_at_different_sites(tmp_path: Path, built: Callable[[str, str], Path]) -> None:
    run, said = measured(tmp_path, built("both", BOTH))
    assert said["verdict"] == "growing"
    found = {each["function"]: each for each in said["findings"]}
    assert set(found) == {"parent_leaks", "child_leaks"}
    assert found["parent_leaks"]["pids"] != found["child_leaks"]["pids"]
    assert 0.8 < found["child_leaks"]["bytes"] / found["parent_leaks"]["bytes"] / (5 / 3) < 1.25
    for pid in snapshots_by_pid(run):
        if pid != "unclaimed":
            assert heads(run, pid) == sorted(heads(run, pid))  # another's dump among them would go down again


def test_one_of_four_forked_workers_leaks(tmp_path: Path, built: Callable[[str, str], Path]) -> None:
    run, said = measured(tmp_path, built("workers", WORKERS), 4, 3.3)
    assert [(each["function"], len(each["pids"])) for each in said["findings"]] == [("leaks", 1)]
    assert len(said["run"]["processes"]) == 5
    assert min(count for pid, count in snapshots_by_pid(run).items() if pid != "unclaimed") >= 8


def test_each_of_64_forks_at_once_is_recorded(tmp_path: Path, built: Callable[[str, str], Path]) -> None:
    run, said = measured(tmp_path, "--every", "2s", built("workers", WORKERS), 64, 8)
    by_pid = snapshots_by_pid(run)
    assert len(said["run"]["processes"]) == 65
    assert {str(each["pid"]) for each in said["run"]["processes"]} == set(by_pid) - {"unclaimed"}
    assert said["findings"] == [] or {each["function"] for each in said["findings"]} == {"leaks"}


def test_the_workers_of_a_prefork_server_are_snapped_before_the_stop(tmp_path: Path, built: Callable[[str, str], Path]) -> None:
    run, said = measured(tmp_path, "--for", "3.5s", built("prefork", PREFORK))
    assert said["run"]["exit"]["stopped_by"] == "for"
    assert [each["function"] for each in said["findings"]] == ["serve"]
    assert len(said["findings"][0]["pids"]) == 4
    assert len(said["run"]["processes"]) == 5
    assert min(count for pid, count in snapshots_by_pid(run).items() if pid != "unclaimed") >= 8


@pytest.mark.parametrize("exits", [(), ("exit",)], ids=["_exit", "exit"])
def test_what_the_parent_was_asked_for_is_told_from_what_its_brief_children_write(
    exits: tuple[str, ...], tmp_path: Path, built: Callable[[str, str], Path]
) -> None:
    run, said = measured(tmp_path, "--every", "300ms", built("requests", REQUESTS), *exits)
    parent = str(said["run"]["processes"][0]["pid"])
    assert said["verdict"] != "clean" and {each["function"] for each in said["findings"]} <= {"spawn"}, said["reasons"]
    assert snapshots_by_pid(run)[parent] >= 6
    assert heads(run, parent) == sorted(heads(run, parent))  # a child's dump has 50,000 bytes more
    if not exits:
        assert set(snapshots_by_pid(run)) <= {parent, "unclaimed"}
