"""mtrace driven by leakrun: real programs that were not made for it, in every way in which programs come."""

import shutil
import stat
import subprocess
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runner import backends
from runner.backends import _shim, mtrace
from runner.errors import ErrorKind, LeakrunError
from runner.formats import read_file
from runner.model import Metric
from runner.pipeline import load_profile
from runner.plan import ElfFacts, Target, ToolStatus
from tests.examples_truth import Example, all_examples, answers_of
from tests.leakrun_command import answer, first_site, leakrun

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(mtrace.SOURCE.parent.glob("_*_shim.c"))
# Behind these the trace's only frame is the wrapper, or the container's allocator, and not the site that is declared.
BEHIND = {"xmalloc_leak": "xmalloc", "map_cache": "std::__new_allocator"}

pytestmark = pytest.mark.timeout(300)

Compile = Callable[..., Path]


# ---- the examples


def seen() -> list[Example]:
    return [each for each in all_examples() if each.clean or each.expected("growing")]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, dict[str, Any]]]:
    return answers_of(seen(), "mtrace", tmp_path_factory.mktemp("mtrace"))


@pytest.mark.parametrize("example", seen(), ids=lambda each: each.name)
def test_an_example_that_grows_is_found_and_one_that_does_not_is_clean(
    example: Example, answers: dict[str, tuple[int, dict[str, Any]]]
) -> None:
    code, said = answers[example.name]
    assert code == 0 and said["run"]["complete"], said["reasons"]
    if example.clean:
        assert (said["verdict"], said["findings"]) == ("clean", []), said["reasons"]
        return
    expected = example.expected("growing")[0]
    assert said["verdict"] == "growing", said["reasons"]
    assert said["run"]["snapshots"] >= 20 and said["findings"][0]["bytes_per_second"] > 0
    if example.name in BEHIND:
        assert said["findings"][0]["function"].startswith(BEHIND[example.name])
        assert any("direct caller" in note["text"] for note in said["notes"])
    else:
        assert first_site(said) == (expected.function, example.source.name, expected.line)


# ---- how programs come

GROWER = """
#include <stdlib.h>
#include <unistd.h>
void *kept[4000];
__attribute__((noinline)) static void grow(int i) { kept[i] = malloc(300); }  // line 5
void run(int steps) { for (int i = 0; i < steps; i++) { grow(i); free(malloc(50)); usleep(5000); } }
"""
MAIN = GROWER + "int main(void) { run(300); return 0; }\n"


@pytest.mark.parametrize("flags", [("-pie", "-fPIE"), ("-no-pie",)], ids=["pie", "no-pie"])
def test_a_program_is_found_out_however_it_is_linked(flags: tuple[str, ...], program: Compile, tmp_path: Path) -> None:
    ran = leakrun("-p", "mtrace", "-o", tmp_path / "run", program(MAIN, *flags))
    assert ran.returncode == 0, ran.stderr
    assert first_site(answer(tmp_path / "run")) == ("grow", "program.c", 5)


def test_code_in_a_library_that_was_loaded_and_unloaded_has_its_lines(program: Compile, tmp_path: Path) -> None:
    program(GROWER, "-shared", "-fPIC", name="plugin.so")
    host = program(
        '#include <dlfcn.h>\nint main(void) { void *library = dlopen("./plugin.so", RTLD_NOW);\n'
        'void (*run)(int) = (void (*)(int))dlsym(library, "run"); run(300); dlclose(library); return 0; }\n',
        "-ldl",
    )
    ran = leakrun("-p", "mtrace", "-o", tmp_path / "run", host, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert first_site(answer(tmp_path / "run", cwd=Path("/"))) == ("grow", "plugin.so.c", 5)


def test_new_is_laid_to_its_caller_and_still_throws(program: Compile, tmp_path: Path) -> None:
    source = """
#include <new>
#include <unistd.h>
struct Item { char text[300]; };
Item *kept[400];
__attribute__((noinline)) static void add(int i) { kept[i] = new Item; }  // line 6
int main() {
    for (int i = 0; i < 300; i++) { add(i); delete[] new int[20]; usleep(5000); }
    try { operator new(1UL << 46); } catch (const std::bad_alloc &) { return 5; }
    return 0;
}
"""
    ran = leakrun("-p", "mtrace", "-o", tmp_path / "run", program(source, compiler="g++"))
    assert ran.returncode == 5, ran.stderr
    assert first_site(answer(tmp_path / "run")) == ("add", "program.cc", 6)


def test_a_daemon_that_closes_all_descriptors_keeps_its_files_and_its_trace(program: Compile, tmp_path: Path) -> None:
    source = (
        GROWER
        + """
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/resource.h>
int close_range(unsigned, unsigned, int);
int main(void) {
    for (int fd = 3; fd < 4096; fd++) close(fd);
    close_range(3, ~0U, 0);
    for (int i = 0; i < 60; i++) if (open("own.txt", O_WRONLY | O_CREAT | O_APPEND, 0600) < 0) return 9;
    run(300);
    return write(3, "mine\\n", 5) == 5 ? 0 : 8;
}
"""
    )
    ran = leakrun("-p", "mtrace", "-o", tmp_path / "run", program(source), cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "own.txt").read_text() == "mine\n"
    assert answer(tmp_path / "run")["findings"][0]["function"] == "grow"


def test_a_program_that_traces_itself_is_traced_to_its_end(program: Compile, tmp_path: Path) -> None:
    source = (
        GROWER + '#include <mcheck.h>\nint main(void) { if (getenv("MALLOC_TRACE")) return 7; mtrace(); muntrace(); run(300); }\n'
    )
    ran = leakrun("-p", "mtrace", "-o", tmp_path / "run", program(source))
    assert ran.returncode == 0, ran.stderr
    assert answer(tmp_path / "run")["findings"][0]["function"] == "grow"


def test_forks_and_programs_that_are_executed_have_logs_of_their_own(program: Compile, tmp_path: Path) -> None:
    grower = program(MAIN, name="grower")
    source = """
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    for (int i = 0; i < 50; i++) malloc(10 * argc);
    if (fork() == 0) _exit(malloc(77) == NULL);
    if (fork() == 0) execl(argv[1], argv[1], (char *)NULL);
    while (wait(NULL) > 0) {}
    execl(argv[1], argv[1], (char *)NULL);
}
"""
    ran = leakrun("-p", "mtrace", "-o", tmp_path / "run", program(source, name="parent"), grower)
    assert ran.returncode == 0, ran.stderr
    said = answer(tmp_path / "run")
    main = said["run"]["processes"][0]["pid"]
    logs = sorted(path.name for path in (tmp_path / "run" / "raw").glob("*.log"))
    assert len([name for name in logs if name.startswith(f"mtrace.{main}.")]) == 2
    assert len(logs) == 2 + 1 + 2
    assert first_site(said) == ("grow", "grower.c", 5)
    assert len(said["findings"][0]["pids"]) == 2
    assert any("became another program by exec" in note["text"] for note in said["notes"])


def test_several_threads_lose_no_event(program: Compile, tmp_path: Path) -> None:
    source = """
#include <pthread.h>
#include <stdlib.h>
void *kept[4][1000];
static void *work(void *row) {
    for (int i = 0; i < 20000; i++) { void **slot = &((void **)row)[i % 1000]; free(*slot); *slot = malloc(i % 90 + 1); }
    return row;
}
int main(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work, kept[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}
"""
    ran = leakrun("-p", "mtrace", "-o", tmp_path / "run", program(source, "-pthread"))
    assert ran.returncode == 0, ran.stderr
    (log,) = (tmp_path / "run" / "raw").glob("*.log")
    recording = read_file(log)
    assert recording.complete
    end = recording.snapshots[-1].columns
    expected = 4 * sum(i % 90 + 1 for i in range(19000, 20000))
    assert expected in dict(end[Metric.LIVE_BYTES].items()).values()
    assert 80000 in dict(end[Metric.ALLOCATED_BLOCKS].items()).values()


def test_a_program_that_is_stopped_has_all_but_its_last_events(program: Compile, tmp_path: Path) -> None:
    ran = leakrun("-p", "mtrace", "--for", "2s", "-o", tmp_path / "run", program(GROWER + "int main(void) { run(4000); }"))
    assert ran.returncode == 0, ran.stderr
    said = answer(tmp_path / "run")
    assert said["run"]["complete"] and said["run"]["exit"]["stopped_by"] == "for"
    assert first_site(said) == ("grow", "program.c", 5)
    assert said["findings"][0]["bytes"] > 300 * 200


def test_a_program_that_is_killed_has_them_too_and_is_not_called_whole(program: Compile, tmp_path: Path) -> None:
    source = GROWER + "#include <signal.h>\nint main(void) { run(300); raise(SIGKILL); }\n"
    ran = leakrun("-p", "mtrace", "-o", tmp_path / "run", program(source))
    assert ran.returncode == 137, ran.stderr
    assert answer(tmp_path / "run")["findings"][0]["function"] == "grow"


def test_a_bare_log_of_ours_says_the_same_anywhere(program: Compile, tmp_path: Path) -> None:
    assert leakrun("-p", "mtrace", "-o", tmp_path / "run", program(MAIN)).returncode == 0
    (log,) = (tmp_path / "run" / "raw").glob("*.log")
    shutil.copy(log, tmp_path / "some.log")
    said = answer("some.log", cwd=tmp_path)
    assert said["verdict"] == "growing" and said["run"]["backend"] == "mtrace"
    assert first_site(said) == ("grow", "program.c", 5)
    assert said["findings"][0]["bytes_per_second"] > 0


def test_mtrace_s_own_script_reads_the_log(program: Compile, tmp_path: Path) -> None:
    if shutil.which("mtrace") is None:
        pytest.skip("mtrace(1) is not installed")
    assert leakrun("-p", "mtrace", "-o", tmp_path / "run", program(MAIN)).returncode == 0
    (log,) = (tmp_path / "run" / "raw").glob("*.log")
    printed = subprocess.run(["mtrace", log], capture_output=True, text=True, timeout=60, check=False).stdout
    assert printed.count(" 0x12c  at ") == 300


# ---- what is refused, and the shim


@pytest.mark.parametrize(
    ("target", "word"),
    [
        (Target(("./app",), Path("/app"), Path("/"), ElfFacts(64, 62, None)), "statically linked"),
        (Target(("./app",), Path("/app"), Path("/"), ElfFacts(32, 3, "/lib/ld-linux.so.2")), "32-bit"),
        (Target(("./app",), Path("/app"), Path("/"), ElfFacts(64, 62, "/lib/ld-musl-x86_64.so.1")), "musl"),
        (Target(("./app",), Path("/app"), Path("/"), ElfFacts(64, 62, "/lib64/ld.so"), setuid=True), "setuid"),
    ],
)
def test_what_cannot_be_traced_is_refused(target: Target, word: str) -> None:
    tool = ToolStatus("mtrace", Path("/cache/shim.so"), (2, 36))
    with pytest.raises(LeakrunError) as told:
        backends.get("mtrace").plan(target, tool, load_profile("mtrace"), Path("/runs/raw"))
    assert told.value.kind is ErrorKind.UNMEASURED and word in told.value.message and told.value.hint


def test_an_older_glibc_has_its_trace_inside() -> None:
    target = Target(("./app",), Path("/app"), Path("/"), ElfFacts(64, 62, "/lib64/ld.so"), preload="/opt/other.so")
    plan = backends.get("mtrace").plan(
        target, ToolStatus("mtrace", Path("/cache/shim.so"), (2, 31)), load_profile("mtrace"), Path("/r")
    )
    assert plan.env["LD_PRELOAD"] == "/cache/shim.so:/opt/other.so"


def test_without_a_compiler_it_says_what_is_missing(program: Compile, tmp_path: Path) -> None:
    ran = leakrun("-p", "mtrace", program(MAIN), PATH=str(tmp_path / "empty"), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert ran.returncode == 3
    assert "needs a C compiler" in ran.stderr and "apt-get install gcc" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho 'shim.c:9: fatal error: stdlib.h: No such file' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(_shim.ShimError, match=r"that works .*stdlib\.h"):
        _shim.built(mtrace.SOURCE, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(_shim.ShimError, match="a directory to keep its shim in"):
        _shim.built(mtrace.SOURCE, tmp_path / "cache")


def test_without_a_home_the_shim_lies_among_the_temporary_files(program: Compile, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    places = {"HOME": "/nonexistent", "XDG_CACHE_HOME": "/dev/null", "TMPDIR": str(temporary)}
    ran = leakrun("-q", "-p", "mtrace", "-o", tmp_path / "run", program(MAIN), **places)
    assert ran.returncode == 0, ran.stderr
    (place,) = temporary.iterdir()
    assert stat.S_IMODE(place.stat().st_mode) == 0o700 and [each.suffix for each in place.iterdir()] == [".so"]
    place.chmod(0o777)  # now anybody may have put something there
    refused = leakrun("-q", "-p", "mtrace", "-o", tmp_path / "other", program(MAIN), **places)
    assert refused.returncode == 3 and "a directory to keep its shim in" in refused.stderr


def test_the_shim_is_built_once_for_each_source_and_whole_for_all_who_build_at_once(tmp_path: Path) -> None:
    start = threading.Barrier(4)

    def build_now(_: int) -> bytes:
        start.wait()
        return _shim.built(mtrace.SOURCE, tmp_path / "cache").read_bytes()

    with ThreadPoolExecutor(4) as pool:
        libraries = list(pool.map(build_now, range(4)))
    (library,) = (tmp_path / "cache").iterdir()
    assert all(each.startswith(b"\x7fELF") and len(each) == library.stat().st_size for each in libraries)
    before = library.stat().st_ino
    assert _shim.built(mtrace.SOURCE, tmp_path / "cache").stat().st_ino == before
    changed = tmp_path / mtrace.SOURCE.name
    changed.write_text(mtrace.SOURCE.read_text() + "\n")
    other = _shim.built(changed, tmp_path / "cache")
    (tmp_path / "one.h").write_text("/* the same source, with another header beside it */\n")
    assert len({library, other, _shim.built(changed, tmp_path / "cache")}) == 3


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_shim_compiles_without_a_warning(tmp_path: Path, source: Path) -> None:
    command = ["gcc", "-Wall", "-Wextra", "-Werror", *_shim.FLAGS, "-o", tmp_path / "shim.so", source, *_shim.LIBRARIES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_logs_are_for_their_owner_only(program: Compile, tmp_path: Path) -> None:
    assert leakrun("-p", "mtrace", "-o", tmp_path / "run", program("int main(void) { return 0; }\n")).returncode == 0
    (log,) = (tmp_path / "run" / "raw").glob("*.log")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_the_wheel_has_the_shims_sources(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling builds the wheel: `make setup` installs it")
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    needed = {f"runner/backends/{path.name}" for path in (*SOURCES, *mtrace.SOURCE.parent.glob("*.h"))}
    assert needed <= set(zipfile.ZipFile(wheel).namelist())
