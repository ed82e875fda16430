"""heaptrack driven by leakrun: programs that end in every way, that start others, and that run already."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runner.backends import heaptrack
from runner.errors import LeakrunError
from runner.formats import read_file
from runner.model import Metric
from runner.pipeline import load_profile
from runner.plan import ElfFacts, Target, ToolStatus
from tests.examples_truth import Example, all_examples, answers_of
from tests.leakrun_command import answer, first_site, leakrun

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(heaptrack.find_library() is None, reason="heaptrack is not here"),
]

Compile = Callable[..., Path]


def live_blocks(raw: Path) -> int:
    """Blocks that live at the end of the record, but for those of the C++ runtime, which heaptrack itself loads."""
    recording = read_file(raw)
    column = recording.snapshots[-1].columns[Metric.LIVE_BLOCKS]
    own = [
        amount
        for stack, amount in column.items()
        if not any("libstdc++" in (frame.module or "") for frame in recording.table.frames_of(stack))
    ]
    return sum(own)


# ---- the examples

SEEN = [each for each in all_examples() if each.clean or each.expected("growing")]
FOLLOWED = [each for each in SEEN if each.name != "forking_worker"]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, dict[str, Any]]]:
    return answers_of(SEEN, "heaptrack", tmp_path_factory.mktemp("heaptrack"))


@pytest.mark.parametrize("example", FOLLOWED, ids=lambda each: each.name)
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
    assert first_site(said) == (expected.function, example.source.name, expected.line)
    assert said["findings"][0]["bytes_per_second"] > 0 and said["run"]["snapshots"] >= 20


def test_a_fork_is_not_followed_and_that_is_said(answers: dict[str, tuple[int, dict[str, Any]]]) -> None:
    _, said = answers["forking_worker"]
    assert said["verdict"] == "inconclusive"
    assert any(heaptrack.FORKS in note["text"] for note in said["notes"])


# ---- how programs end

ENDS = """
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
void *kept[1000];
static void stop(int number) { (void)number; exit(5); }
int main(int argc, char **argv) {
    for (int i = 0; i < 1000; i++) kept[i] = malloc(32);
    write(1, "kept\\n", 5);
    switch (argc > 1 ? argv[1][0] : 0) {
    case 'r': return 3;
    case '_': _exit(4);
    case 'h': signal(SIGTERM, stop); raise(SIGTERM); break;
    case 't': raise(SIGTERM); break;
    case 'i': raise(SIGINT); break;
    }
    for (;;) pause();
}
"""


@pytest.mark.parametrize(
    ("how", "code"), [("return", 3), ("_exit", 4), ("handler", 5), ("term", 128 + signal.SIGTERM), ("int", 128 + signal.SIGINT)]
)
def test_the_record_is_whole_however_the_program_ends(how: str, code: int, program: Compile, tmp_path: Path) -> None:
    ran = leakrun("-p", "heaptrack", "-o", tmp_path / "run", program(ENDS), how)
    assert ran.returncode == code, ran.stderr
    (raw,) = (tmp_path / "run" / "raw").glob("heaptrack.*.raw")
    assert read_file(raw).complete
    assert live_blocks(raw) >= 1000
    assert answer(tmp_path / "run")["run"]["exit"]["code" if code < 128 else "signal"] is not None


def test_a_killed_program_leaves_what_it_had_written(program: Compile, tmp_path: Path) -> None:
    ran = leakrun(
        "-p",
        "heaptrack",
        "-o",
        tmp_path / "run",
        program(RUNS.replace("usleep(5000)", "if (i == 4000) raise(9)"), "-include", "signal.h"),
    )
    assert ran.returncode == 128 + signal.SIGKILL, ran.stderr
    (raw,) = (tmp_path / "run" / "raw").glob("heaptrack.*.raw")
    assert live_blocks(raw) >= 3500
    assert any("not yet written" in note["text"] for note in answer(tmp_path / "run")["notes"])


def test_leakrun_stops_a_program_that_waits_and_nothing_is_lost(program: Compile, tmp_path: Path) -> None:
    ran = leakrun("-p", "heaptrack", "-o", tmp_path / "run", "--for", "1s", program(ENDS))
    assert ran.returncode == 0, ran.stderr
    (raw,) = (tmp_path / "run" / "raw").glob("heaptrack.*.raw")
    assert read_file(raw).complete and live_blocks(raw) >= 1000


# ---- children

STARTS = """
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
void *kept[100];
int main(int argc, char **argv) {
    if (argc > 2) { for (int i = 0; i < 100; i++) kept[i] = malloc(32); return 0; }
    if (!strcmp(argv[1], "exec")) { execl(argv[0], argv[0], "child", "now", (char *)0); return 1; }
    if (fork() == 0) { execl(argv[0], argv[0], "child", "now", (char *)0); _exit(1); }
    int status = 0;
    wait(&status);
    return status != 0;
}
"""


@pytest.mark.parametrize("how", ["exec", "child"])
def test_a_program_that_another_starts_has_its_own_record(how: str, program: Compile, tmp_path: Path) -> None:
    ran = leakrun("-p", "heaptrack", "-o", tmp_path / "run", program(STARTS), how)
    assert ran.returncode == 0, ran.stderr
    records = sorted((tmp_path / "run" / "raw").glob("heaptrack.*.raw"))
    pids = {heaptrack.RECORD.fullmatch(path.name)[1] for path in records}  # type: ignore[index]
    assert len(records) == 2 and len(pids) == (1 if how == "exec" else 2)
    assert answer(tmp_path / "run")["run"]["complete"]
    assert sum(live_blocks(path) >= 100 for path in records if path.stat().st_size) == 1


# ---- a process that runs already

RUNS = """
#include <stdlib.h>
#include <unistd.h>
void *kept[100000];
__attribute__((noinline)) static void grow(int i) { kept[i] = malloc(300); }  // line 5
int main(void) { for (int i = 0; i < 100000; i++) { grow(i); free(malloc(50)); usleep(5000); } return 0; }
"""


@pytest.fixture
def running(program: Compile) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([program(RUNS)])
    time.sleep(0.3)
    yield process
    process.kill()
    process.wait(10)


@pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not here")
def test_a_running_process_is_attached_to_and_let_go(running: subprocess.Popen[bytes], tmp_path: Path) -> None:
    ran = leakrun("attach", str(running.pid), "-p", "heaptrack", "-o", tmp_path / "run", "--for", "6s")
    assert ran.returncode == 0, ran.stderr
    said = answer(tmp_path / "run")
    assert said["verdict"] == "growing", said["reasons"]
    assert first_site(said) == ("grow", "program.c", 5)
    assert any("attached" in note["text"] for note in said["notes"])
    assert running.poll() is None
    (raw,) = (tmp_path / "run" / "raw").glob("heaptrack.*.raw")
    size = raw.stat().st_size
    time.sleep(0.5)
    assert raw.stat().st_size == size and running.poll() is None  # it lives on, and is recorded no more


@pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not here")
def test_a_process_that_ends_meanwhile_leaves_its_record(running: subprocess.Popen[bytes], tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        attached = pool.submit(leakrun, "attach", str(running.pid), "-p", "heaptrack", "-o", tmp_path / "run", "--for", "60s")
        deadline = time.monotonic() + 30
        while not list((tmp_path / "run" / "raw").glob("heaptrack.*.raw")) and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)
        os.kill(running.pid, signal.SIGTERM)
        ran = attached.result(60)
    assert ran.returncode == 0, ran.stderr
    assert list((tmp_path / "run" / "raw").glob("heaptrack.*.raw"))


# ---- what can't be


@pytest.mark.parametrize(
    "target",
    [
        Target(("./app",), Path("/srv/app"), Path("/srv"), ElfFacts(64, 62, None)),
        Target(("./app",), Path("/srv/app"), Path("/srv"), ElfFacts(32, 3, "/lib/ld-linux.so.2")),
        Target(("./app",), Path("/srv/app"), Path("/srv"), ElfFacts(64, 62, "/lib64/ld-linux-x86-64.so.2"), setuid=True),
    ],
    ids=["static", "32-bit", "setuid"],
)
def test_what_it_cannot_see_into_is_refused(target: Target) -> None:
    with pytest.raises(LeakrunError) as told:
        heaptrack.Heaptrack().plan(target, ToolStatus("heaptrack", Path("/x.so")), load_profile("heaptrack"), Path("/out"))
    assert told.value.hint


def test_without_gdb_it_does_not_attach() -> None:
    tool = ToolStatus("heaptrack", Path("/x.so"), limits=(heaptrack.NO_GDB,))
    target = Target(("./app",), Path("/srv/app"), Path("/srv"), pid=4711)
    with pytest.raises(LeakrunError) as told:
        heaptrack.Heaptrack().plan(target, tool, load_profile("heaptrack"), Path("/out"))
    assert "gdb" in told.value.hint
