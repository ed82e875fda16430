"""Mappings that grow, under massif-pages and heapprofile-mmap: the caller of mmap is named, past wrappers and the loader."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from runner.backends.heapprofile import find_library
from tests.compiling import compiled
from tests.leakrun_command import answer, leakrun

pytestmark = [
    pytest.mark.skipif(not shutil.which("valgrind") or find_library() is None, reason="needs valgrind and libtcmalloc"),
    pytest.mark.timeout(300),
]
PROFILES = ("massif-pages", "heapprofile-mmap")

HEAD = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
static void nap(int ms) { struct timespec t = {0, ms * 1000000L}; nanosleep(&t, 0); }
"""
WRAPPED = """
static char *map_or_die(size_t size) {
    return mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void scratch(void) { char *room = map_or_die(65536); memset(room, 1, 65536); munmap(room, 65536); }
static void cache_page(int i) { memset(map_or_die(65536), i, 65536); }  // <- here
/* In turns: massif looks at what is mapped first after a pause, and would always find the scratch there. */
int main(void) {
    for (int i = 0; i < 150; i++) { if (i % 2) scratch(); cache_page(i); if (i % 2 == 0) scratch(); nap(20); }
    return 0;
}
"""
A_FILE = """
static volatile int sum;
static void open_index(const char *path) {
    int file = open(path, O_RDONLY);
    char *data = mmap(0, 65536, PROT_READ, MAP_SHARED, file, 0);  // <- here
    sum += data[0];
    close(file);
}
int main(int count, char **words) { for (int i = 0; i < 150; i++) { open_index(words[0]); nap(20); } return count == 0; }
"""
IN_A_PLUGIN = """
void load_asset(int i) {
    memset(mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), i, 65536);  // <- here
    nap(15);  // names of a plugin are known from maps that were seen while it was loaded
}
"""
LOADS = """
int main(int count, char **words) {
    for (int i = 0; i < 150; i++) {
        void *plugin = dlopen(words[count - 1], RTLD_NOW);
        ((void (*)(int))dlsym(plugin, "load_asset"))(i);
        dlclose(plugin);
        nap(5);
    }
    return 0;
}
"""
LEFT_BEHIND = """
static void *job(void *unused) { char room[3000]; memset(room, 1, sizeof room); return room[5] ? 0 : unused; }
static void spawn(void) { pthread_t thread; pthread_create(&thread, 0, job, 0); }  // <- here
int main(void) { for (int i = 0; i < 150; i++) { spawn(); nap(20); } return 0; }
"""
A_RING = """
static char *ring[8];
int main(void) {
    for (int i = 0; i < 150; i++) {
        if (ring[i % 8]) munmap(ring[i % 8], 1 << 18);
        ring[i % 8] = mmap(0, 1 << 18, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(ring[i % 8], 1, 1 << 18);
        nap(20);
    }
    return 0;
}
"""


def measured(profile: str, directory: Path, *command: Path) -> dict[str, Any]:
    assert leakrun("-q", "-p", profile, "-o", directory / "run", *command).returncode == 0
    return answer(directory / "run")


def check_only_the_marked_line_grows(said: dict[str, Any], file: Path, function: str) -> None:
    (marked,) = (number for number, line in enumerate(file.read_text().splitlines(), 1) if line.endswith("// <- here"))
    found = [(each["kind"], each["function"], each["line"]) for each in said["findings"]]
    assert found == [("mapping-growth", function, marked)], said["reasons"]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("source", "function"), [(WRAPPED, "cache_page"), (A_FILE, "open_index")], ids=["wrapped", "file"])
def test_the_caller_of_mmap_is_named(profile: str, source: str, function: str, tmp_path: Path) -> None:
    app = compiled(tmp_path, HEAD + source)
    with app.open("ab") as program:
        program.write(bytes(70_000))  # so that there is as much of it as is mapped
    check_only_the_marked_line_grows(measured(profile, tmp_path, app), tmp_path / "app.c", function)


@pytest.mark.parametrize("profile", PROFILES)
def test_what_a_plugin_maps_is_the_plugins_and_the_loader_is_left_out(profile: str, tmp_path: Path) -> None:
    plugin = compiled(tmp_path, HEAD + IN_A_PLUGIN, "-shared", "-fPIC", name="plugin.so")
    app = compiled(tmp_path, HEAD + LOADS)
    check_only_the_marked_line_grows(measured(profile, tmp_path, app, plugin), tmp_path / "plugin.so.c", "load_asset")


def test_threads_that_are_never_joined_are_their_creators(tmp_path: Path) -> None:
    app = compiled(tmp_path, HEAD + LEFT_BEHIND)
    check_only_the_marked_line_grows(measured("massif-pages", tmp_path, app), tmp_path / "app.c", "spawn")


def test_what_tcmalloc_can_not_see_is_said(tmp_path: Path) -> None:
    said = measured("heapprofile-mmap", tmp_path, compiled(tmp_path, HEAD + LEFT_BEHIND))
    assert any(note["kind"] == "limit" and "threads' stacks" in note["text"] for note in said["notes"])


@pytest.mark.parametrize("profile", PROFILES)
def test_mappings_that_come_and_go_are_no_finding(profile: str, tmp_path: Path) -> None:
    assert measured(profile, tmp_path, compiled(tmp_path, HEAD + A_RING))["findings"] == []
