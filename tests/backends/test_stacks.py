"""Whose the stack is that grows: deep recursion of every kind, under massif-stacks and pmap, with the real tools."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from runner.backends import pmap
from runner.formats import smaps
from runner.kinds import Metric
from runner.profile import shipped_names
from tests.compiling import compiled
from tests.leakrun_command import answer, leakrun

needs_valgrind = pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
pytestmark = pytest.mark.timeout(300)

HEAD = """
#define _GNU_SOURCE
#include <pthread.h>
#include <string.h>
#include <time.h>
static void nap(int ms) { struct timespec t = {ms / 1000, ms % 1000 * 1000000L}; nanosleep(&t, 0); }
"""
# Each goes deeper by a level every 8 ms; the calls at which it may be blamed are marked.
ITSELF = """
static int descend(int left) {
    char room[4000]; memset(room, left, sizeof room); nap(8);
    return left ? descend(left - 1) + room[7] : 1;  // <- here
}
"""
IN_TURNS = """
static int expression(int left);
static int factor(int left) {
    char room[3000]; memset(room, left, sizeof room); nap(8);
    return left ? expression(left - 1) + room[7] : 1;  // <- here
}
static int term(int left) { char room[500]; memset(room, left, sizeof room); return factor(left) + room[7]; }  // <- here
static int expression(int left) { char room[500]; memset(room, left, sizeof room); return term(left) + room[7]; }  // <- here
"""
MAIN = "int main(void) { return %s(350) == -1; }\n"
THREAD = """
static void *work(void *unused) { return descend(350) == -1 ? unused : 0; }
int main(void) {
    pthread_t thread;
    return pthread_create(&thread, 0, work, 0) || pthread_join(thread, 0);
}
"""
PLUGIN = """
#include <dlfcn.h>
#include <stdlib.h>
int main(int count, char **words) {
    int (*walk)(int) = (int (*)(int))dlsym(dlopen(words[count - 1], RTLD_NOW), "walk");
    return walk(350) == -1;
}
"""
# No recursion: a buffer on the stack, a larger one for each message; the last is larger than 2 MB.
LARGE = """
#include <alloca.h>
__attribute__((noinline)) static int receive(int number) {
    char *room = alloca((size_t)number * 10000); memset(room, number, (size_t)number * 10000);
    struct timespec pause = {0, 16000000L}; nanosleep(&pause, 0);
    return room[7];
}
int main(void) { int sum = 0; for (int number = 1; number <= 300; number++) sum += receive(number); return sum == -1; }
"""
BOUNDED = """
static int descend(int left) { volatile char room[500]; room[7] = left; return left ? descend(left - 1) + room[7] : 1; }
int main(void) {
    unsigned seed = 1;
    for (int round = 0; round < 700; round++) {
        seed = seed * 1103515245u + 12345;
        descend(200 + (seed >> 16) % 1500);
        nap(3);
    }
    return 0;
}
"""


LEFT_BEHIND = """
static void *job(void *unused) { char room[3000]; memset(room, 1, sizeof room); return room[7] ? unused : 0; }
int main(void) {
    for (int number = 0; number < 300; number++) {
        pthread_t thread;
        if (pthread_create(&thread, 0, job, 0)) return 1;
        nap(10);
    }
    return 0;
}
"""
THREAD_THAT_WAITS = "pthread_t waits; pthread_create(&waits, 0, (void *(*)(void *))pause, 0); "
HEAP_ONLY = """
#include <stdlib.h>
#include <unistd.h>
int main(void) {
    for (int number = 0; number < 200; number++) { memset(malloc(50000), 1, 50000); nap(10); }
    return 0;
}
"""
WORKERS = """
static void *use(void *kilobytes) {
    pthread_setname_np(pthread_self(), (long)kilobytes > 200 ? "deep" : "shallow");
    char room[(long)kilobytes << 10];
    memset(room, 1, sizeof room);
    nap(2500);
    return room[7] ? 0 : kilobytes;
}
int main(void) {
    pthread_t one, two;
    pthread_create(&one, 0, use, (void *)100);
    pthread_create(&two, 0, use, (void *)400);
    pthread_join(one, 0);
    return pthread_join(two, 0);
}
"""


def marked(file: Path) -> set[int]:
    return {number for number, line in enumerate(file.read_text().splitlines(), 1) if line.endswith("// <- here")}


def stack_finding(run: Path, kind: str = "stack-growth") -> dict[str, Any]:
    said = answer(run)
    assert said["verdict"] == "growing", said["reasons"]
    first: dict[str, Any] = said["findings"][0]
    assert first["kind"] == kind
    return first


@needs_valgrind
@pytest.mark.parametrize(
    ("source", "functions"),
    [
        pytest.param(ITSELF + MAIN % "descend", {"descend"}, id="itself"),
        pytest.param(IN_TURNS + MAIN % "expression", {"expression", "term", "factor"}, id="in-turns"),
        pytest.param(ITSELF + THREAD, {"descend"}, id="in-a-thread"),
    ],
)
def test_massif_stacks_names_the_recursing_function(source: str, functions: set[str], tmp_path: Path) -> None:
    app = compiled(tmp_path, HEAD + source)
    assert leakrun("-q", "-p", "massif-stacks", "-o", tmp_path / "run", app).returncode == 0
    found = stack_finding(tmp_path / "run")
    assert found["function"] in functions and found["line"] in marked(tmp_path / "app.c")
    assert found["file"] == str(tmp_path / "app.c")
    assert sum(frame["function"] in functions for frame in found["stack"]) > 20
    assert found["bytes"] > 500_000 and "innermost frames" in found["evidence"][0]


@pytest.mark.parametrize("profile", [pytest.param("massif-stacks", marks=needs_valgrind), "pmap"])
def test_a_large_frame_without_recursion_is_named(profile: str, tmp_path: Path) -> None:
    app = compiled(tmp_path, HEAD + LARGE)
    assert leakrun("-q", "-p", profile, "-o", tmp_path / "run", app).returncode == 0
    found = stack_finding(tmp_path / "run")
    assert found["function"] == "receive" and found["bytes"] > 2_200_000
    assert any("one (receive, main) holds a large array or alloca()" in text for text in found["evidence"])


@pytest.mark.parametrize(
    ("tool", "source", "functions"),
    [
        pytest.param("eu-stack", ITSELF + MAIN % "descend", {"descend"}, id="itself"),
        pytest.param("eu-stack", IN_TURNS + MAIN % "expression", {"expression", "term", "factor"}, id="in-turns"),
        pytest.param("eu-stack", ITSELF + THREAD, {"descend"}, id="in-a-thread"),
        pytest.param("gdb", ITSELF + THREAD.replace("350", "700"), {"descend"}, id="by-gdb"),
    ],
)
def test_pmap_names_the_recursing_function(
    tool: str, source: str, functions: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    app = compiled(tmp_path, HEAD + source)
    if tool == "gdb":
        monkeypatch.setenv("PATH", only_gdb(tmp_path / "bin"))
    assert leakrun("-q", "-p", "pmap", "--every", "200ms", "-o", tmp_path / "run", app).returncode == 0
    found = stack_finding(tmp_path / "run")
    assert found["function"] in functions and found["line"] in marked(tmp_path / "app.c"), found["evidence"]
    assert any("was stopped" in note["text"] for note in answer(tmp_path / "run")["notes"])


def only_gdb(directory: Path) -> str:
    """A PATH on which there is gdb and no eu-stack."""
    directory.mkdir()
    for name in ("gdb", "llvm-symbolizer"):
        found = shutil.which(name)
        if found:
            (directory / name).symlink_to(found)
    return str(directory)


def test_pmap_tells_threads_that_are_left_behind_from_one_deep_stack(tmp_path: Path) -> None:
    app = compiled(tmp_path, HEAD + LEFT_BEHIND)
    assert leakrun("-q", "-p", "pmap", "--every", "200ms", "-o", tmp_path / "run", app).returncode == 0
    found = stack_finding(tmp_path / "run", "mapping-growth")  # pthread_create maps each of them
    assert found["function"] == "[stacks of threads]"
    assert "more stacks than at the start" in found["evidence"][0]
    assert any("pthread_create" in note["text"] for note in answer(tmp_path / "run")["notes"])


def test_pmap_stops_no_thread_whose_stack_does_not_grow(tmp_path: Path) -> None:
    app = compiled(tmp_path, HEAD + HEAP_ONLY)
    assert leakrun("-q", "-p", "pmap", "-o", tmp_path / "run", app).returncode == 0
    assert list((tmp_path / "run" / "raw").glob("stack.*.json")) == []
    app = compiled(tmp_path, HEAD + HEAP_ONLY.replace("for (", THREAD_THAT_WAITS + "for (", 1), name="threads")
    assert leakrun("-q", "-p", "pmap", "-o", tmp_path / "more", app).returncode == 0
    samples = [json.loads(path.read_bytes()) for path in (tmp_path / "more" / "raw").glob("stack.*.json")]
    assert samples and not any("addresses" in each for each in samples)


def test_a_stack_has_the_name_of_its_thread(tmp_path: Path) -> None:
    app = compiled(tmp_path, HEAD + WORKERS)
    assert leakrun("-q", "-p", "pmap", "--every", "200ms", "-o", tmp_path / "run", app).returncode == 0
    files = sorted((tmp_path / "run" / "raw").glob("smaps.*"))
    recording = smaps.read_series((path, None) for path in files)
    column = recording.snapshots[-1].columns[Metric.STACK_BYTES]
    held = {recording.table.frames_of(stack_id)[0].signature: amount for stack_id, amount in column.items()}
    assert smaps.MAIN_STACK in held
    named = {re.sub(r"\d+", "N", name or ""): amount for name, amount in held.items()}
    assert 100 << 10 <= named["[stack of shallow, thread N]"] < 300 << 10 <= named["[stack of deep, thread N]"] < 600 << 10


def test_memory_is_sampled_ten_times_a_second(tmp_path: Path) -> None:
    assert leakrun("-q", "-p", "pmap", "-o", tmp_path / "run", "sleep", "8").returncode == 0
    rows = (tmp_path / "run" / "samples.csv").read_text().splitlines()[1:]
    times = [float(row.split(",")[0]) for row in rows]
    assert sum(time > 5 for time in times) > 15  # it takes 30; a busy machine fewer, and a sample each 0.2 s would be 15


@needs_valgrind
def test_a_plugins_recursion_is_named(tmp_path: Path) -> None:
    plugin = compiled(
        tmp_path, HEAD + ITSELF.replace("static int descend", "int walk").replace("descend", "walk"), "-shared", "-fPIC"
    )
    app = compiled(tmp_path, PLUGIN, name="main")
    assert leakrun("-q", "-p", "massif-stacks", "-o", tmp_path / "run", app, plugin).returncode == 0
    found = stack_finding(tmp_path / "run")
    assert (found["function"], found["file"]) == ("walk", str(tmp_path / "app.c"))


@needs_valgrind
def test_a_recursion_that_goes_deep_and_comes_back_is_clean(tmp_path: Path) -> None:
    app = compiled(tmp_path, HEAD + BOUNDED)
    assert leakrun("-q", "-p", "massif-stacks", "-o", tmp_path / "run", app).returncode == 0
    said = answer(tmp_path / "run")
    assert said["findings"] == [] and said["verdict"] in ("clean", "inconclusive")


def test_each_profile_that_pmap_speaks_of_is_there() -> None:
    said = " ".join([*pmap.NEXT.values(), pmap.STACKS, pmap.THREADS])
    named = set(re.findall(r"\b(?:massif|heapprofile|bpf|malloc|memcheck|heaptrack)(?:-\w+)?\b", said)) - {"malloc"}
    assert named >= {"heapprofile-mmap", "massif-pages", "massif-stacks"} and named <= set(shipped_names())
