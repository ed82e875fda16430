"""The ways in which a program may have, or not have, its malloc from tcmalloc."""

import os
import subprocess
from pathlib import Path

import pytest

from runner.backends.heapprofile import dumps_to
from runner.plan import ToolStatus
from tests.leakrun_command import answer, leakrun

GROWING = """
#include <stdlib.h>
#include <unistd.h>
static void *kept[1000];
__attribute__((noinline)) static void keep(int i) { kept[i] = malloc(5000); }
int main(void) { for (int i = 0; i < 300; i++) { keep(i); usleep(5000); } return kept[0] == 0; }
"""
OWN_MALLOC = """
#include <stddef.h>
#include <string.h>
static char pool[64 << 20];
static size_t used;
void *malloc(size_t size) { void *p = pool + used; used += (size + 15) & ~15ul; return p; }
void free(void *p) { (void)p; }
void *calloc(size_t a, size_t b) { return memset(malloc(a * b), 0, a * b); }
void *realloc(void *old, size_t size) { void *p = malloc(size); return old ? memcpy(p, old, size) : p; }
"""
STATIC_LIBRARY = next(Path("/usr/lib").glob("*/libtcmalloc.a"), None)


def built(directory: Path, source: str, *flags: str) -> Path:
    (directory / "p.c").write_text(source)
    subprocess.run(["gcc", "-g", "-o", directory / "p", directory / "p.c", *flags], check=True)
    return directory / "p"


def environment_of(run: Path) -> str:
    return (run / "manifest.json").read_text()


def found(run: Path) -> list[tuple[str, int]]:
    said = answer(run)
    assert said["run"]["snapshots"] >= 8
    return [(each["function"], each["line"]) for each in said["findings"]]


def test_it_is_preloaded(tmp_path: Path) -> None:
    assert leakrun("-q", "-p", "heapprofile", "-o", tmp_path / "run", built(tmp_path, GROWING)).returncode == 0
    assert "LD_PRELOAD" in environment_of(tmp_path / "run")
    assert found(tmp_path / "run") == [("keep", 5)]


def test_a_heap_checker_that_is_meant_for_others_does_not_end_it(tmp_path: Path) -> None:
    source = '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { puts("said"); return malloc(10) == 0; }\n'
    ran = leakrun("-q", "-p", "heapprofile", "-o", tmp_path / "run", built(tmp_path, source), HEAPCHECK="draconian")
    assert (ran.returncode, ran.stdout) == (0, "said\n"), ran.stderr


def test_a_program_that_is_linked_with_it_is_left_as_it_is(tmp_path: Path) -> None:
    program = built(tmp_path, GROWING, "-Wl,--no-as-needed", "-ltcmalloc")
    assert leakrun("-q", "-p", "heapprofile", "-o", tmp_path / "run", program).returncode == 0
    assert "LD_PRELOAD" not in environment_of(tmp_path / "run")
    assert found(tmp_path / "run") == [("keep", 5)]


@pytest.mark.skipif(STATIC_LIBRARY is None, reason="there is no libtcmalloc.a here")
def test_a_program_that_has_it_linked_in_statically_is_left_as_it_is(tmp_path: Path) -> None:
    whole = ("-Wl,--whole-archive", str(STATIC_LIBRARY), "-Wl,--no-whole-archive")
    program = built(tmp_path, GROWING, *whole, "-lstdc++", "-lm", "-lpthread", "-lunwind")
    assert leakrun("-q", "-p", "heapprofile", "-o", tmp_path / "run", program).returncode == 0
    assert "LD_PRELOAD" not in environment_of(tmp_path / "run")
    assert found(tmp_path / "run") == [("keep", 5)]


def test_a_program_that_is_linked_with_the_minimal_one_gets_the_whole_one(tmp_path: Path) -> None:
    program = built(tmp_path, GROWING, "-Wl,--no-as-needed", "-l:libtcmalloc_minimal.so.4")
    assert leakrun("-q", "-p", "heapprofile", "-o", tmp_path / "run", program).returncode == 0
    assert found(tmp_path / "run") == [("keep", 5)]


def test_a_program_with_a_malloc_of_its_own_is_never_clean(tmp_path: Path) -> None:
    program = built(tmp_path, GROWING + OWN_MALLOC)
    assert leakrun("-q", "-p", "heapprofile", "-o", tmp_path / "run", program).returncode == 0
    said = answer(tmp_path / "run")
    assert said["verdict"] == "inconclusive"
    assert "a malloc of its own" in said["reasons"][0]


def test_a_crash_is_said_once_and_with_a_way_out(tmp_path: Path) -> None:
    program = built(tmp_path, GROWING.replace("return", "abort(); return"))
    assert leakrun("-q", "-p", "heapprofile", "-o", tmp_path / "run", program).returncode == 134
    assert answer(tmp_path / "run")["verdict"] == "growing"
    early = built(tmp_path, GROWING.replace("int main(void) {", "int main(void) { abort();"))
    assert leakrun("-q", "-p", "heapprofile", "-o", tmp_path / "early", early).returncode in (3, 134)
    said = answer(tmp_path / "early")
    assert said["verdict"] == "inconclusive"
    assert [("SIGABRT" in each, "mend" in each) for each in said["reasons"]] == [(True, True)]


def test_the_variables_of_the_profile_reach_the_library(tmp_path: Path) -> None:
    program = built(tmp_path, GROWING)
    options = ("--set", "HEAP_PROFILE_ALLOCATION_INTERVAL=100K", "--set", "HEAP_PROFILE_INUSE_INTERVAL=1G")
    quiet = ("--set", "snapshots.every=1h", "--set", "snapshots.adaptive=false")
    assert leakrun("-q", "-p", "heapprofile", *options, *quiet, "-o", tmp_path / "run", program).returncode == 0
    dumps = list((tmp_path / "run" / "raw").glob("*.heap"))
    assert 14 <= len(dumps) <= 17  # 1.5 MB allocated, a dump for each 100 KiB, and one at the end


def test_a_rank_in_the_names_of_the_dumps_is_passed_over(tmp_path: Path) -> None:
    """gperftools from 2.11 on puts it there under MPI; this machine's is older, so the files are given such names."""
    assert leakrun("-q", "-p", "heapprofile", "-o", tmp_path / "run", built(tmp_path, GROWING)).returncode == 0
    before, manifest = found(tmp_path / "run"), environment_of(tmp_path / "run")
    for path in (tmp_path / "run" / "raw").glob("kept.*.heap"):
        _, pid, number, _ = path.name.split(".")
        named = f"heap.{pid}.rank-3_{pid}.{number}.heap"
        manifest = manifest.replace(path.name, named)
        path.rename(path.with_name(named))
    (tmp_path / "run" / "manifest.json").write_text(manifest)
    assert found(tmp_path / "run") == before == [("keep", 5)]


@pytest.mark.parametrize(("version", "marked"), [((), True), ((2, 7), True), ((2, 10), True), ((2, 11), False), ((2, 18), False)])
def test_only_a_library_that_needs_it_is_given_a_name_that_is_no_text(version: tuple[int, ...], marked: bool) -> None:
    given = dumps_to("/place/heap.{pid}", ToolStatus("libtcmalloc", Path("libtcmalloc.so.4"), version))
    assert given["HEAPPROFILE_USE_PID"] == "1"
    assert os.fsencode(given["HEAPPROFILE"]) == (b"\xaf" if marked else b"/") + b"place/heap.{pid}"
