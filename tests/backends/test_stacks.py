"""Whose the stack is that grows: deep recursion of every kind, under massif-stacks and pmap, with the real tools."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.leakrun_command import answer, leakrun

needs_valgrind = pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
pytestmark = pytest.mark.timeout(300)

HEAD = """
#include <pthread.h>
#include <string.h>
#include <time.h>
static void nap(int ms) { struct timespec t = {0, ms * 1000000L}; nanosleep(&t, 0); }
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


def compiled(directory: Path, source: str, *flags: str, name: str = "app") -> Path:
    file = directory / f"{name}.c"
    file.write_text(source)
    subprocess.run(["gcc", "-g", "-O0", "-pthread", *flags, "-o", directory / name, file], check=True, timeout=60)
    return directory / name


def marked(file: Path) -> set[int]:
    return {number for number, line in enumerate(file.read_text().splitlines(), 1) if line.endswith("// <- here")}


def stack_finding(run: Path) -> dict[str, Any]:
    said = answer(run)
    assert said["verdict"] == "growing", said["reasons"]
    first: dict[str, Any] = said["findings"][0]
    assert first["kind"] == "stack-growth"
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
