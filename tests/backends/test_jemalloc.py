"""jemalloc driven by leakrun: growth, samples, programs that bring jemalloc along, signals, and what is refused."""

import json
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runner import backends
from runner.errors import LeakrunError
from runner.pipeline import load_profile
from runner.plan import Target, ToolStatus
from tests.compiling import compiled
from tests.examples_truth import Example, all_examples, build
from tests.leakrun_command import answer, leakrun

LIBRARY = next((path for path in sorted(Path("/usr/lib").glob("*/libjemalloc.so.2"))), None)
ARCHIVE = next((path for path in sorted(Path("/usr/lib").glob("*/libjemalloc.a"))), None)
WHOLE = ("-Wl,--whole-archive", ARCHIVE, "-Wl,--no-whole-archive", "-ldl", "-lm", "-lstdc++")

pytestmark = [
    pytest.mark.skipif(LIBRARY is None or not shutil.which("gdb"), reason="needs libjemalloc2 and gdb"),
    pytest.mark.timeout(300),
]

GROWS = """\
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
static char *kept[1 << 20];
static int at;
__attribute__((noinline)) static void keep(int n) { kept[at] = malloc(n); memset(kept[at++], 1, n); }  /* line 8 */
__attribute__((noinline)) static void churn(int n) { char *p = malloc(n); p[0] = 1; free(p); }
int main(int argc, char **argv) {
  int rounds = atoi(argv[1]), size = atoi(argv[2]);
  if (argc > 3 && fork() == 0) { keep(100000); exit(0); }
  for (int i = 0; i < rounds; i++) { keep(size); for (int k = 0; k < 20; k++) churn(500 + k); usleep(4000); }
  if (argc > 3) wait(0);
  puts("done");
  return 0;
}
"""

# Allocates all the time in four threads, with a signal each 2 ms: a call into it must neither meet a held lock nor end half-way.
BUSY = """\
#include <stdlib.h>
#include <stdio.h>
#include <signal.h>
#include <string.h>
#include <pthread.h>
#include <time.h>
#include <sys/time.h>
static volatile sig_atomic_t ticks;
static void tick(int s) { (void)s; ticks++; }
static void *work(void *seconds) {
  time_t end = time(0) + (long)seconds;
  char *held[300] = {0};
  for (unsigned r = 1; time(0) < end;) {
    r = r * 1103515245 + 12345;
    int i = r / 65536 % 300;
    free(held[i]);
    held[i] = malloc(r / 7 % 3000 + 1);
    *held[i] = 7;
  }
  for (int i = 0; i < 300; i++) free(held[i]);
  return 0;
}
int main(int argc, char **argv) {
  struct itimerval each = {{0, 2000}, {0, 2000}};
  pthread_t threads[3];
  int extra = argc > 2 ? atoi(argv[2]) : 0;
  signal(SIGALRM, tick);
  setitimer(ITIMER_REAL, &each, 0);
  for (int i = 0; i < extra; i++) pthread_create(threads + i, 0, work, (void *)atol(argv[1]));
  work((void *)atol(argv[1]));
  for (int i = 0; i < extra; i++) pthread_join(threads[i], 0);
  puts(ticks > 10 ? "alive" : "no signals");
  return 0;
}
"""


@pytest.fixture(scope="module")
def grows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("jemalloc"), GROWS, name="grows")


def manifest(run: Path) -> dict[str, Any]:
    written: dict[str, Any] = json.loads((run / "manifest.json").read_text())
    return written


def site(said: dict[str, Any]) -> tuple[str, str, int]:
    first = said["findings"][0]
    return first["kind"], first["function"], first["line"]


EXAMPLES = [each for each in all_examples() if each.expected("growing") or each.clean]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    directory = tmp_path_factory.mktemp("examples")

    def measured(example: Example) -> dict[str, Any]:
        stop = ("--for", f"{example.stop_after}s") if example.stop_after else ()
        run = directory / f"{example.name}-run"
        ran = leakrun("-p", "jemalloc", "-o", run, *stop, build(example, directory), *(example.args or ("8",)))
        assert ran.returncode == 0, ran.stderr
        return answer(run)

    with ThreadPoolExecutor(2) as pool:  # they sleep most of the time
        return dict(zip((example.name for example in EXAMPLES), pool.map(measured, EXAMPLES), strict=True))


def is_named(said: dict[str, Any], function: str, line: int) -> bool:
    """The site stands first; or, where a busy machine let gdb take too few dumps to judge growth, it is named as what lives."""
    if said["verdict"] == "growing":
        return site(said) == ("growing", function, line)
    live = [(note.get("function"), note.get("line")) for note in said["notes"] if note["kind"] == "live"]
    return said["verdict"] == "inconclusive" and said["findings"] == [] and live[:1] == [(function, line)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_examples(example: Example, answers: dict[str, dict[str, Any]]) -> None:
    said, growing = answers[example.name], example.expected("growing")
    assert said["run"]["complete"], said["reasons"]
    if not growing:
        assert (said["verdict"], said["findings"]) == ("clean", []), said["reasons"]
        return
    assert is_named(said, growing[0].function, growing[0].line), said


def test_samples_name_the_same_line(grows: Path, tmp_path: Path) -> None:
    ran = leakrun("-p", "jemalloc-production", "--every", "300ms", "-o", tmp_path / "run", grows, 1300, 100000)
    assert ran.returncode == 0 and ran.stdout == "done\n"
    said = answer(tmp_path / "run")
    assert site(said) == ("growing", "keep", 8)
    total = 1300 * 100000  # 250 samples: four standard deviations are a quarter
    assert total * 0.67 < said["findings"][0]["bytes"] < total * 1.33
    assert any("heap_v2/524288" in note["text"] and "estimates" in note["text"] for note in said["notes"])


def test_ones_own_settings_of_jemalloc_are_kept(grows: Path, tmp_path: Path) -> None:
    ran = leakrun("-p", "jemalloc", "-o", tmp_path / "run", grows, 1, 100, MALLOC_CONF="dirty_decay_ms:0,prof:false")
    assert ran.returncode == 0 and "Invalid conf" not in ran.stderr
    settings = manifest(tmp_path / "run")["environment"]["MALLOC_CONF"].split(",")
    assert settings[:2] == ["dirty_decay_ms:0", "prof:false"] and settings.index("prof:true") > 1
    assert answer(tmp_path / "run")["run"]["complete"]


def test_what_leakrun_stops_has_its_last_state(tmp_path: Path) -> None:
    ran = leakrun("-p", "jemalloc", "--every", "1h", "--for", "1s", "-o", tmp_path / "run", "sleep", "60")
    assert ran.returncode == 0, ran.stderr
    said = answer(tmp_path / "run")
    assert (said["run"]["snapshots"], said["run"]["exit"]["stopped_by"]) == (1, "for")


def test_each_process_has_its_own_series(grows: Path, tmp_path: Path) -> None:
    assert leakrun("-p", "jemalloc", "--every", "200ms", "-o", tmp_path / "run", grows, 100, 1000, "fork").returncode == 0
    said = answer(tmp_path / "run")
    assert len(said["run"]["processes"]) == 2


@pytest.mark.parametrize("inside", [False, True], ids=["preloaded", "linked in"])
@pytest.mark.parametrize("extra", [0, 3], ids=["one thread", "four threads"])
def test_a_program_that_only_allocates_survives_being_called_into(extra: int, inside: bool, tmp_path: Path) -> None:
    if inside and ARCHIVE is None:
        pytest.skip("needs libjemalloc-dev")
    busy = compiled(tmp_path, BUSY, *(WHOLE if inside else ()), name="busy")
    ran = leakrun("-p", "jemalloc", "--every", "200ms", "-o", tmp_path / "run", busy, 6, extra)
    assert (ran.returncode, ran.stdout) == (0, "alive\n"), ran.stderr
    said = answer(tmp_path / "run")
    assert said["run"]["snapshots"] >= 3 and said["run"]["misses"] == 0


def test_a_program_that_is_linked_with_it_is_not_preloaded(tmp_path: Path) -> None:
    grows = compiled(tmp_path, GROWS, LIBRARY, name="linked")
    assert leakrun("-p", "jemalloc", "-o", tmp_path / "run", grows, 500, 2000).returncode == 0
    assert "LD_PRELOAD" not in manifest(tmp_path / "run")["environment"]
    assert is_named(answer(tmp_path / "run"), "keep", 8)


@pytest.mark.skipif(ARCHIVE is None, reason="needs libjemalloc-dev")
def test_a_program_that_has_it_inside_is_left_as_it_is(tmp_path: Path) -> None:
    grows = compiled(tmp_path, GROWS, *WHOLE, name="inside")
    assert leakrun("-p", "jemalloc", "-o", tmp_path / "run", grows, 500, 2000).returncode == 0
    assert "LD_PRELOAD" not in manifest(tmp_path / "run")["environment"]
    assert is_named(answer(tmp_path / "run"), "keep", 8)


@pytest.mark.skipif(not shutil.which("redis-server"), reason="needs redis-server")
def test_redis_which_is_linked_with_it(tmp_path: Path) -> None:
    socket = tmp_path / "redis.sock"
    words = ["redis-server", "--port", 0, "--unixsocket", socket, "--save", "", "--dir", tmp_path]
    ran = leakrun("-p", "jemalloc", "--every", "300ms", "--for", "4s", "-o", tmp_path / "run", *words)
    assert ran.returncode == 0, ran.stderr
    said = answer(tmp_path / "run")
    assert said["run"]["complete"] and said["run"]["snapshots"] >= 5
    assert "LD_PRELOAD" not in manifest(tmp_path / "run")["environment"]


def test_dumps_that_no_run_of_leakrun_made_are_a_series_too(grows: Path, tmp_path: Path) -> None:
    settings = f"prof:true,lg_prof_sample:0,lg_prof_interval:20,prof_prefix:{tmp_path}/app.1"
    env = {**os.environ, "LD_PRELOAD": str(LIBRARY), "MALLOC_CONF": settings}
    subprocess.run([grows, "500", "50000"], env=env, check=True, capture_output=True, timeout=60)
    files = sorted(tmp_path.glob("*.heap"))
    assert len(files) > 10  # so that by their names 10 would come before 2
    said = answer(*reversed(files))
    assert site(said) == ("growing", "keep", 8)
    assert said["run"]["snapshots"] == len(files)
    assert answer(files[0])["verdict"] == "inconclusive"


def test_without_gdb_it_dumps_as_memory_is_allocated(grows: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("llvm-symbolizer", "addr2line", "true"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    ran = leakrun("-p", "jemalloc", "-o", tmp_path / "run", grows, 500, 1000000, PATH=str(tools))
    assert ran.returncode == 0, ran.stderr
    assert "lg_prof_interval:25" in manifest(tmp_path / "run")["environment"]["MALLOC_CONF"]
    said = answer(tmp_path / "run")
    assert site(said) == ("growing", "keep", 8)
    assert any("no dump was made by the clock" in note["text"] for note in said["notes"])


def test_a_library_without_the_profiler_is_refused(grows: Path, tmp_path: Path) -> None:
    # What a jemalloc built without --enable-prof says of itself; there is none to be had here.
    source = """
        #include <stdlib.h>
        #include <unistd.h>
        __attribute__((destructor)) static void say(void) {
          static const char text[] = "Version: \\"5.3.0-0-gabc\\"\\n  config.prof: false\\n";
          if (getenv("MALLOC_CONF") && write(2, text, sizeof text - 1)) return;
        }
    """
    stub = compiled(tmp_path, source, "-shared", "-fPIC", name="libjemalloc.so.2")
    ran = leakrun("-p", "jemalloc", "--set", f"library={stub}", "-o", tmp_path / "run", grows, 1, 1)
    assert ran.returncode == 3
    assert "built without profiling" in ran.stderr and "--set library=PATH" in ran.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "told", "code"),
    [
        (("--set", "library=/nonexistent/libjemalloc.so"), "apt-get install libjemalloc2", 3),
        (("--set", "lg_prof_sample=99"), "lg_prof_sample", 2),
        (("--tool-arg", "x"), "no command line", 2),
    ],
)
def test_mistakes_are_told_in_a_line(grows: Path, tmp_path: Path, words: tuple[str, ...], told: str, code: int) -> None:
    ran = leakrun("-p", "jemalloc", *words, grows, 1, 1, cwd=tmp_path)
    assert ran.returncode == code and told in ran.stderr and "Traceback" not in ran.stderr


def test_a_directory_that_jemalloc_cannot_be_told_is_refused() -> None:
    target = Target(("./app",), Path("/srv/app"), Path("/srv"))
    with pytest.raises(LeakrunError, match="comma"):
        backends.get("jemalloc").plan(target, ToolStatus("libjemalloc", LIBRARY), load_profile("jemalloc"), Path("/srv/a,b/raw"))


def test_a_static_program_is_refused(tmp_path: Path) -> None:
    static = compiled(tmp_path, "int main(void) { return 0; }", "-static", name="static")
    ran = leakrun("-p", "jemalloc", "-o", tmp_path / "run", static)
    assert ran.returncode == 3 and "statically linked" in ran.stderr


def test_gdb_says_why_it_could_not() -> None:
    script = Path(__file__).parents[2] / "runner" / "backends" / "_jemalloc_dump.py"
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        command = ["gdb", "-nx", "-batch", "-ex", f"set $pid = {sleeper.pid}", "-x", script]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "LC_ALL": "C"}, check=False)
        assert ran.returncode == 1 and re.search(r"mallctl\(\) is not in it", ran.stderr)
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()
