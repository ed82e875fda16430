"""LeakSanitizer driven by leakrun: preloaded and built in, at the end and on request, and never in the program's way."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runner.backends import _preload, lsan
from runner.errors import LeakrunError
from runner.pipeline import load_profile
from runner.plan import ElfFacts, Target, ToolStatus
from tests.examples_truth import Example, all_examples, answers_of
from tests.leakrun_command import answer, first_site, leakrun

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(lsan.find_library() is None, reason="neither liblsan nor libasan is here"),
]

Compile = Callable[..., Path]


# ---- the examples

QUICK = {"lost_block", "lost_list", "xmalloc_leak", "thread_leak", "forking_worker", "leak_server", "bounded_cache", "map_cache"}
SEEN = [each for each in all_examples() if each.name in QUICK]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, dict[str, Any]]]:
    return answers_of(SEEN, "lsan", tmp_path_factory.mktemp("lsan"))


@pytest.mark.parametrize("example", SEEN, ids=lambda each: each.name)
def test_what_an_example_loses_is_found_and_nothing_else(
    example: Example, answers: dict[str, tuple[int, dict[str, Any]]]
) -> None:
    code, said = answers[example.name]
    assert code == 0 and said["run"]["complete"], said["reasons"]
    lost = example.expected("lost")
    if not lost:
        assert (said["verdict"], said["findings"]) == ("clean", []), said["reasons"]
        return
    assert said["verdict"] == "leaking", said["reasons"]
    assert first_site(said) == (lost[0].function, example.source.name, lost[0].line)
    if lost[0].bytes is not None:
        assert said["findings"][0]["bytes"] == lost[0].bytes


# ---- how programs end, and that they go on as they were

LOSES = """
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
void *kept[100];
volatile int hits;
static void note(int number) { (void)number; hits++; }
__attribute__((noinline)) static void lose(void) {
    char *text = malloc(500);
    memset(text, 1, 500);
    __asm__ volatile("" ::"r"(text) : "memory");
    kept[0] = malloc(10);
}
int main(int argc, char **argv) {
    signal(SIGUSR1, note);
    struct sigaction action = {.sa_handler = note};
    sigaction(SIGUSR2, &action, NULL);
    raise(SIGUSR1);
    raise(SIGUSR2);
    if (hits != 2) return 99;
    lose();
    switch (argc > 1 ? argv[1][0] : 0) {
    case 'r': return 3;
    case '_': _exit(4);
    case 't': raise(SIGTERM); break;
    case 'i': raise(SIGINT); break;
    case 'k': for (int i = 0; i < 200; i++) usleep(10000); raise(SIGKILL); break;
    case 's': abort();
    }
    for (;;) pause();
}
"""


@pytest.mark.parametrize("library", ["liblsan.so.0", "libasan.so.8"])
@pytest.mark.parametrize(
    ("how", "code"), [("return", 3), ("_exit", 4), ("term", 128 + signal.SIGTERM), ("int", 128 + signal.SIGINT)]
)
def test_what_is_lost_is_found_however_the_program_ends(
    how: str, code: int, library: str, program: Compile, tmp_path: Path
) -> None:
    path = next(_preload.libraries(library), None)
    if path is None:
        pytest.skip(f"{library} is not here")
    ran = leakrun("-p", "lsan", "--set", f"library={path}", "-o", tmp_path / "run", program(LOSES), how)
    assert ran.returncode == code, ran.stderr
    said = answer(tmp_path / "run")
    assert said["verdict"] == "leaking", said["reasons"]
    assert first_site(said) == ("lose", "program.c", 10)
    assert (said["findings"][0]["bytes"], said["run"]["exit"]["by_tool"]) == (500, False)


def test_looks_on_the_timer_survive_a_kill(program: Compile, tmp_path: Path) -> None:
    ran = leakrun("-p", "lsan", "--every", "300ms", "-o", tmp_path / "run", program(LOSES), "kill")
    assert ran.returncode == 128 + signal.SIGKILL, ran.stderr
    said = answer(tmp_path / "run")
    assert said["run"]["snapshots"] >= 3 and first_site(said) == ("lose", "program.c", 10)


def test_a_look_on_request_while_it_runs(program: Compile, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(leakrun, "-p", "lsan", "-o", tmp_path / "run", "--for", "60s", program(LOSES))
        deadline = time.monotonic() + 30
        shot = leakrun("snapshot", tmp_path / "run")
        while shot.returncode and time.monotonic() < deadline:
            time.sleep(0.2)
            shot = leakrun("snapshot", tmp_path / "run")
        assert shot.returncode == 0 and Path(shot.stdout.strip()).is_file(), shot.stderr
        assert leakrun("stop", tmp_path / "run").returncode == 0
        assert run.result(60).returncode == 0
    assert first_site(answer(tmp_path / "run")) == ("lose", "program.c", 10)


def test_a_crash_is_not_clean_and_says_what_to_try(program: Compile, tmp_path: Path) -> None:
    ran = leakrun("-p", "lsan", "-o", tmp_path / "run", program(LOSES), "segv")
    assert ran.returncode == 3, ran.stderr  # nothing was measured
    said = answer(tmp_path / "run")
    assert said["verdict"] == "inconclusive" and any("library=" in reason for reason in said["reasons"])


def test_a_library_that_crashes_when_it_is_preloaded_is_passed_over(program: Compile, monkeypatch: pytest.MonkeyPatch) -> None:
    crashing = program(
        "__attribute__((constructor)) static void up(void) { __builtin_trap(); }", "-shared", "-fPIC", name="liblsan.so.0"
    )
    real = list(lsan._libraries())
    monkeypatch.setattr(_preload, "libraries", lambda pattern: iter([crashing] if "lsan" in pattern else real[-1:]))
    tool = lsan.Lsan().probe(lsan.LsanOptions())
    assert tool.path == real[-1]
    assert tool.limits == (f"{crashing} crashes here when it is preloaded: {real[-1].name} is taken",)
    monkeypatch.setattr(_preload, "libraries", lambda _: iter([crashing]))
    assert lsan.Lsan().probe(lsan.LsanOptions()).path is None


def test_a_program_that_a_debugger_holds_is_not_ended(program: Compile, tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not here")
    ran = leakrun("-p", "lsan", "-o", tmp_path / "run", "strace", "-f", "-o", tmp_path / "calls", program(LOSES), "return")
    assert ran.returncode == 3, ran.stderr
    said = answer(tmp_path / "run")
    assert said["verdict"] == "inconclusive" and any("could not look" in reason for reason in said["reasons"])


# ---- what is in use is not lost

HOLDS = """
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((noinline)) void use(char *p) { __asm__ volatile("" ::"r"(p) : "memory"); }
static void *work(void *arg) { char *mine = malloc(60); for (;;) { use(mine); usleep(1000); } return arg; }
struct server { char *buffers[10]; };
volatile int ends = 1;
static void serve(struct server *s) {
    for (int i = 0; i < 10; i++) use(s->buffers[i] = malloc(100));
    usleep(300000);
    if (ends) exit(0);
}
int main(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
    struct server *s = calloc(1, sizeof *s);
    serve(s);
    use((char *)s);
    return 0;
}
"""


@pytest.mark.parametrize("every", [(), ("--every", "100ms")], ids=["end", "timer"])
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_what_running_functions_hold_is_not_lost(level: str, every: tuple[str, ...], program: Compile, tmp_path: Path) -> None:
    ran = leakrun("-p", "lsan", *every, "-o", tmp_path / "run", program(HOLDS, level))
    assert ran.returncode == 0, ran.stderr
    said = answer(tmp_path / "run")
    assert (said["verdict"], said["findings"]) == ("clean", []), said["reasons"]
    assert said["reasons"]


def test_the_other_setting_reports_it_and_is_there_for_who_wants_it(program: Compile, tmp_path: Path) -> None:
    leakrun("-p", "lsan", "--set", "use_stacks=false", "-o", tmp_path / "run", program(HOLDS))
    assert answer(tmp_path / "run")["verdict"] == "leaking"


# ---- built in

MISUSES = """
#include <stdlib.h>
int main(int argc, char **argv) {
    char *text = malloc(10);
    text[0] = argv[0][0];
    if (argc > 1) { free(text); return text[0]; }  // line 6
    text = NULL;
    return 7;
}
"""


@pytest.mark.parametrize("sanitizer", ["address", "leak"])
def test_a_program_that_was_built_with_it(sanitizer: str, program: Compile, tmp_path: Path) -> None:
    built = program(MISUSES, f"-fsanitize={sanitizer}", "-O0")
    ran = leakrun("-p", "lsan", "-o", tmp_path / "run", built)
    assert ran.returncode == 7, ran.stderr
    said = answer(tmp_path / "run")
    assert first_site(said) == ("main", "program.c", 4)
    assert said["verdict"] == "leaking" and said["findings"][0]["bytes"] == 10


def test_an_error_of_use_that_stopped_it_is_told_and_is_not_clean(program: Compile, tmp_path: Path) -> None:
    leakrun("-p", "lsan", "-o", tmp_path / "run", program(MISUSES, "-fsanitize=address", "-O0"), "misuse")
    said = answer(tmp_path / "run")
    assert [(each["kind"], each["function"], each["line"]) for each in said["errors"]] == [("heap-use-after-free", "main", 6)]
    assert said["verdict"] == "inconclusive" and said["run"]["exit"]["by_tool"]


# ---- what can't be


@pytest.mark.parametrize(
    "target",
    [
        Target(("./app",), Path("/srv/app"), Path("/srv"), ElfFacts(64, 62, None)),
        Target(("./app",), Path("/srv/app"), Path("/srv"), ElfFacts(64, 62, "/lib64/ld-linux-x86-64.so.2"), setuid=True),
    ],
    ids=["static", "setuid"],
)
def test_what_it_cannot_see_into_is_refused(target: Target) -> None:
    with pytest.raises(LeakrunError) as told:
        lsan.Lsan().plan(target, ToolStatus("liblsan", Path("/x.so"), shim=Path("/y.so")), load_profile("lsan"), Path("/out"))
    assert told.value.hint


def test_the_users_own_settings_stay_before_ours() -> None:
    target = Target(("./app",), Path("/srv/app"), Path("/srv"), ElfFacts(64, 62, "/lib64/ld.so"))
    profile = load_profile("lsan", ["env.LSAN_OPTIONS=max_leaks=3"])
    plan = lsan.Lsan().plan(target, ToolStatus("liblsan", Path("/x.so"), shim=Path("/y.so")), profile, Path("/my out"))
    options = str(plan.env["LSAN_OPTIONS"])
    assert options.startswith("allocator_may_return_null=1:max_leaks=3:") and 'log_path="/my out/lsan.0"' in options
    assert plan.env["LD_PRELOAD"] == "/y.so:/x.so"


def test_a_request_that_is_too_large_is_refused_and_no_end(program: Compile, tmp_path: Path) -> None:
    asks = "#include <stdlib.h>\nint main(void) { void *volatile p = malloc((size_t)1 << 50); return p ? 4 : 5; }\n"
    ran = leakrun("-q", "-p", "lsan", "-o", tmp_path / "run", program(asks))
    assert ran.returncode == 5, ran.stderr
    assert answer(tmp_path / "run")["verdict"] == "clean"


def test_a_run_directory_with_a_quotation_mark_in_its_name(program: Compile, tmp_path: Path) -> None:
    (tmp_path / 'so called "runs"').mkdir()
    run = tmp_path / 'so called "runs"' / "run"
    assert leakrun("-q", "-p", "lsan", "-o", run, program(LOSES), "return").returncode == 3
    assert answer(run)["verdict"] == "leaking"


def test_a_crash_is_called_one_and_the_other_library_is_named(program: Compile, tmp_path: Path) -> None:
    subject = program("#include <stdlib.h>\nint main(void) { void *volatile p = malloc(100); p = 0; abort(); }")
    assert leakrun("-q", "-p", "lsan", "-o", tmp_path / "run", subject).returncode == 3
    reasons = " ".join(answer(tmp_path / "run")["reasons"])
    assert "SIGABRT left lsan no time to write" in reasons
    other = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip()
    assert "--set library=$(gcc -print-file-name=libasan.so)" in reasons
    if Path(other).is_absolute():  # gcc has it: what was advised can be loaded
        lost = program("#include <stdlib.h>\nint main(void) { void *volatile p = malloc(100); p = 0; return 0; }", name="lost")
        ran = leakrun("-q", "-p", "lsan", "--set", f"library={other}", "-o", tmp_path / "again", lost)
        assert ran.returncode == 0 and answer(tmp_path / "again")["verdict"] == "leaking", ran.stderr
