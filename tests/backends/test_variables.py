"""Each environment variable of gperftools and glibc that a profile can set, seen at work: the library does another thing with it.

Programs that get tcmalloc by preload, and such as are linked with it.
"""

import json
import re
import signal
import subprocess
from functools import cache
from pathlib import Path

import pytest

from runner.backends.heapprofile import find_library
from runner.formats import read_file
from tests.compiling import compiled
from tests.leakrun_command import answer, leakrun

pytestmark = [pytest.mark.skipif(find_library() is None, reason="needs libtcmalloc"), pytest.mark.timeout(300)]

# Allocates 20 MB in all, frees half of it, maps 8 MB, and takes a hundred times so many microseconds for it as it is told; says
# which signals it catches.
WORKS = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
__attribute__((noinline)) static char *take(void) { return memset(malloc(100000), 1, 100000); }
__attribute__((noinline)) static void drop(void) { free(memset(malloc(100000), 1, 100000)); }
__attribute__((noinline)) static char *segment(void) {
    return memset(mmap(0, 1 << 18, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, 1 << 18);
}
int main(int argc, char **argv) {
    char line[200], *held[100];
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, status)) if (!strncmp(line, "SigCgt", 6)) fputs(line, stdout);
    fflush(stdout);
    for (int i = 0; i < 100; i++) {
        held[i] = take();
        drop();
        if (i % 3 == 0) segment();
        usleep(argc > 1 ? atoi(argv[1]) : 0);
    }
    return held[99][0] - 1;
}
"""
WAYS = {"preloaded": (), "linked-in": ("-Wl,--no-as-needed", "-ltcmalloc")}


@pytest.fixture(params=WAYS, scope="module")
def works(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("works"), WORKS, *WAYS[request.param])


@cache
def run(program: Path, profile: str, *settings: str, every: str | None = "1h", pause: int = 0) -> tuple[Path, str, str]:
    """The run directory, what the program said, and what stood on its standard error; the same is run once only."""
    directory = program.parent / f"run{len(list(program.parent.glob('run*')))}"
    words = [word for setting in settings for word in ("--set", setting)]
    ran = leakrun("-q", "-p", profile, *words, *(("--every", every) if every else ()), "-o", directory, program, pause)
    return directory, ran.stdout, ran.stderr


def dumps(directory: Path) -> int:
    return len(list((directory / "raw").glob("*.heap")))


@pytest.mark.parametrize(
    ("setting", "pause", "at_least"),
    [
        ("HEAP_PROFILE_ALLOCATION_INTERVAL=1M", 0, 10),
        ("HEAP_PROFILE_DEALLOCATION_INTERVAL=1M", 0, 5),
        ("HEAP_PROFILE_INUSE_INTERVAL=1M", 0, 5),
        ("HEAP_PROFILE_TIME_INTERVAL=1", 25000, 2),
    ],
)
def test_it_dumps_at_that_interval(works: Path, setting: str, pause: int, at_least: int) -> None:
    without, _, _ = run(works, "heapprofile", pause=pause)
    with_it, _, _ = run(works, "heapprofile", setting, pause=pause)
    assert dumps(without) == 1 and dumps(with_it) > at_least


def test_heapprofile_says_where_the_dumps_go(works: Path) -> None:
    directory, _, _ = run(works, "heapprofile", every="500ms", pause=20000)
    set_to = json.loads((directory / "manifest.json").read_text())["environment"]["HEAPPROFILE"]
    assert Path(set_to).name.startswith("heap.") and dumps(directory) >= 4
    assert all(b"heap profile:" in path.read_bytes()[:100] for path in (directory / "raw").glob("*.heap"))


def test_heapprofilesignal_is_the_signal_that_it_catches(works: Path) -> None:
    for name in ("URG", "USR2"):
        directory, said, _ = run(works, "heapprofile", f"signal={name}", every="500ms", pause=20000)
        caught = int(said.split()[1], 16)
        assert caught >> (getattr(signal, f"SIG{name}") - 1) & 1 and dumps(directory) >= 4
        assert caught >> (signal.SIGUSR2 - 1) & 1 == (name == "USR2")


def functions(directory: Path) -> set[str]:
    ranking = json.loads(leakrun("growth", directory, "--json").stdout)
    return {site["function"] for site in ranking["sites"]}


def allocations(directory: Path) -> int:
    """How many allocations the last dump counts, freed ones included: in its first line, in brackets."""
    heads = [path.read_bytes()[:100] for path in (directory / "raw").glob("*.heap")]
    return max(int(found[1]) for head in heads if (found := re.search(rb"\[ *(\d+):", head)))


def test_mappings_are_profiled_too_or_alone(works: Path) -> None:
    usual, both, alone = (
        run(works, "heapprofile", *settings, every="200ms", pause=10000)[0]
        for settings in ((), ("HEAP_PROFILE_MMAP=true",), ("HEAP_PROFILE_MMAP=true", "HEAP_PROFILE_ONLY_MMAP=true"))
    )
    assert functions(usual) & {"take", "segment"} == {"take"}
    assert functions(both) & {"take", "segment"} == {"take", "segment"}
    assert "segment" in functions(alone)
    assert allocations(alone) < 150 < 200 <= allocations(usual)


def test_the_log_of_mappings_is_printed(works: Path) -> None:
    assert "mmap(start=" not in run(works, "heapprofile", "HEAP_PROFILE_MMAP=true")[2]
    assert "mmap(start=" in run(works, "heapprofile", "HEAP_PROFILE_MMAP=true", "HEAP_PROFILE_MMAP_LOG=true")[2]


# ---- the heap checker

# Loses five blocks. Others are held by a global, by a pointer at an odd place, and by one far inside the block.
LOSES = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *held;
static struct { char odd; void *pointer; } __attribute__((packed)) aside;
static char *inside;
__attribute__((noinline)) static char *take(int size) { return memset(malloc(size), 0, size); }
__attribute__((noinline)) static void lose(int size) { volatile char *lost = take(size); lost = 0; }
__attribute__((noinline)) static void hold(void) { held = take(1000); }
__attribute__((noinline)) static void put_aside(void) { aside.pointer = take(2000); }
__attribute__((noinline)) static void point_inside(void) { inside = take(8000) + 4000; }
__attribute__((noinline)) static void wipe(void) { volatile char room[4000]; memset((char *)room, 0, sizeof room); }
int main(void) {
    for (int i = 0; i < 5; i++) lose(100 + 16 * i);
    hold();
    put_aside();
    point_inside();
    wipe();
    return held == 0;
}
"""


@pytest.fixture(params=WAYS, scope="module")
def loses(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("loses"), LOSES, *WAYS[request.param])


def reported(directory: Path) -> int:
    """Bytes that the checker itself says are lost: the sum in its own file's first line."""
    files = list((directory / "raw").glob("*_main_-end.heap"))
    if not files:
        return 0
    head = re.match(rb"heap profile: +\d+: +(\d+)", files[0].read_bytes())
    assert head is not None
    return int(head[1])


def test_heapcheck_is_the_mode(loses: Path) -> None:
    lost = {}
    for mode in ("minimal", "normal", "strict", "draconian", "local", "as-is"):
        directory, _, _ = run(loses, "heapcheck", f"mode={mode}", every=None)
        lost[mode] = reported(directory)
    assert lost["local"] == 0  # it looks only where the program itself asks it to
    assert 0 < lost["minimal"] <= lost["normal"] <= lost["strict"] < lost["draconian"]
    assert lost["as-is"] > 0


@pytest.mark.parametrize(
    ("setting", "more"),
    [
        pytest.param("HEAP_CHECK_IGNORE_GLOBAL_LIVE=false", 1000, id="what globals hold is lost too"),
        pytest.param("HEAP_CHECK_POINTER_SOURCE_ALIGNMENT=1", -2000, id="pointers at odd places count"),
        pytest.param("HEAP_CHECK_MAX_POINTER_OFFSET=8192", -8000, id="pointers far inside count"),
    ],
)
def test_what_keeps_a_block_from_being_lost(loses: Path, setting: str, more: int) -> None:
    usual, changed = (reported(run(loses, "heapcheck", "mode=as-is", *each, every=None)[0]) for each in ((), (setting,)))
    assert (changed - usual >= more) if more > 0 else (changed - usual <= more)


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("HEAP_CHECK_MAX_LEAKS=2", r"The 2 largest leaks:"),
        ("HEAP_CHECK_IDENTIFY_LEAKS=true", r"leaked \d+ byte object 0x"),
        ("HEAP_CHECK_IGNORE_THREAD_LIVE=false", r"Not looking for thread stacks"),
        ("HEAP_CHECK_TEST_POINTER_ALIGNMENT=true", r"unaligned pointers must not be the cause"),
    ],
)
def test_what_the_report_says(loses: Path, setting: str, line: str) -> None:
    usual = ("env.PERFTOOLS_VERBOSE=1", "mode=as-is", "HEAP_CHECK_MAX_LEAKS=9")
    assert not re.search(line, run(loses, "heapcheck", *usual, every=None)[2])
    assert re.search(line, run(loses, "heapcheck", *usual, setting, every=None)[2])


def test_without_being_asked_for_there_is_no_report(loses: Path) -> None:
    assert "Leak" not in run(loses, "heapcheck", every=None)[2]


def test_pprof_path_is_the_command_that_names_the_addresses(loses: Path, tmp_path: Path) -> None:
    pprof = tmp_path / "pprof"
    pprof.write_text(f"#!/bin/sh\necho called > {tmp_path}/seen\n")
    pprof.chmod(0o755)
    run(loses, "heapcheck", f"PPROF_PATH={pprof}", every=None)
    assert (tmp_path / "seen").read_text() == "called\n"


# ---- glibc


def test_malloc_trace_is_where_mtrace_writes_and_leakrun_reads_it(tmp_path: Path) -> None:
    head = "int main(int argc, char **argv) {"
    source = WORKS.replace(head, f"#include <mcheck.h>\n{head}\n    mtrace();")
    program, log = compiled(tmp_path, source), tmp_path / "trace.log"
    environment = {"MALLOC_TRACE": str(log), "LD_PRELOAD": "libc_malloc_debug.so.0"}
    subprocess.run([program], env=environment, stdout=subprocess.DEVNULL, check=True, timeout=60)
    assert read_file(log).tool == "mtrace"
    assert answer(log)["findings"][0]["function"] == "take"
