"""malloc-info: what glibc's malloc of a running process holds and what it only keeps, asked by gdb."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.leakrun_command import answer, leakrun

FRAGMENTED = Path(__file__).parent.parent / "golden" / "malloc_info" / "fragmented" / "fragmented.c"
# Every thread is inside malloc most of the time: there the process may not be asked.
BUSY = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static volatile long rounds;
static void *work(void *unused) {
    for (;;) {
        void *blocks[100];
        for (int i = 0; i < 100; i++) blocks[i] = malloc(2000 + 100 * i);
        for (int i = 0; i < 100; i++) free(blocks[i]);
        rounds++;
    }
    return unused;
}
int main(void) {
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], 0, work, 0);
    puts("up"), fflush(stdout);
    work(0);
}
"""
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not (shutil.which("gdb") and shutil.which("timeout")), reason="gdb is not here"),
]


def attached(
    program: Path, run: Path, *words: str, every: str = "300ms", duration: str = "5s", profile: tuple[str, ...] = ("malloc-info",)
) -> dict[str, Any]:
    """The answer of a run that was attached to the program; it lived on."""
    with subprocess.Popen([program, *words], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "up\n"
            done = leakrun("attach", process.pid, "-p", *profile, "--every", every, "--for", duration, "-o", run)
            assert done.returncode == 0, done.stderr
            assert process.poll() is None
        finally:
            process.kill()
    return answer(run)


@pytest.mark.parametrize(("how", "kinds"), [("fragmented", {"fragmentation"}), ("kept", {"retained"}), ("held", set())])
def test_free_but_kept_is_told_from_in_use(how: str, kinds: set[str], compiled: Callable[..., Path], tmp_path: Path) -> None:
    said = attached(compiled("fragmented", FRAGMENTED.read_text()), tmp_path / "run", how)
    assert said["findings"] == []
    assert {note["kind"] for note in said["notes"]} & {"fragmentation", "retained"} == kinds


def test_another_profile_can_have_malloc_asked_too(compiled: Callable[..., Path], tmp_path: Path) -> None:
    program = compiled("fragmented", FRAGMENTED.read_text())
    said = attached(program, tmp_path / "run", "kept", profile=("pmap", "--set", "malloc_info=1s"))
    assert said["findings"] == []
    (note,) = (note for note in said["notes"] if note["kind"] == "retained" and "at the top of the heaps" in note["text"])
    assert "no leak" in note["text"]
    assert sorted((tmp_path / "run" / "raw").glob("smaps.*"))


def test_growth_of_what_is_in_use_is_growing_and_names_what_to_run_next(server: Path, tmp_path: Path) -> None:
    said = attached(server, tmp_path / "run", duration="6s")
    assert (said["verdict"], said["findings"][0]["function"]) == ("growing", "[heap in use]")
    assert any("bpf" in note["text"] for note in said["notes"])


def test_a_process_that_is_always_in_malloc_is_never_harmed(compiled: Callable[..., Path], tmp_path: Path) -> None:
    said = attached(compiled("busy", BUSY, "-pthread", "-O1"), tmp_path / "run", every="200ms", duration="8s")
    assert said["run"]["snapshots"] > 0
    assert said["findings"] == []


def test_a_bare_file_is_read(tmp_path: Path) -> None:
    saved = tmp_path / "heap.xml"
    saved.write_bytes((FRAGMENTED.parent / "fragmented.xml").read_bytes())
    said = answer(saved)
    assert said["verdict"] == "inconclusive" and said["run"]["backend"] == "malloc_info"
    assert any(note["kind"] == "fragmentation" for note in said["notes"])
