"""A kill by the kernel for want of memory is told from a kill by a person."""

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.supervise import memory_limit
from tests.leakrun_command import COMMAND, answer, leakrun
from tests.live.conftest import lives

HUNGRY = r"""
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static char *kept[100000];
int main(void) {
    for (int n = 0; n < 100000; n++) {
        kept[n] = memset(malloc(200000), 1, 200000);
        usleep(4000);
    }
    return 0;
}
"""


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup that holds 64 MiB: below our own in v1, beside it in v2, where one with processes has none below it."""
    counter, limit = memory_limit.counter_and_limit(os.getpid())
    if limit is None:
        pytest.skip("there is no memory cgroup to be seen here")
    above = counter.parent if limit.name == "memory.limit_in_bytes" else counter.parent.parent
    place = above / f"leakrun-test-{uuid.uuid4().hex[:8]}"
    try:
        place.mkdir()
        (place / limit.name).write_text(str(64 << 20))
    except OSError as error:
        if place.exists():
            place.rmdir()
        pytest.skip(f"a memory cgroup can't be made here: {error}")
    yield place
    for pid in (place / "cgroup.procs").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    subprocess.run(["sh", "-c", f"for i in 1 2 3 4 5; do rmdir {place} && break; sleep 0.2; done"], check=True)


def run_inside(cgroup: Path, *words: object) -> int:
    """leakrun in that cgroup; its exit code."""
    script = f'echo $$ > {cgroup}/cgroup.procs && exec "$@"'
    command = ["sh", "-c", script, "sh", *COMMAND, *map(str, words)]
    return subprocess.run(command, capture_output=True, check=False, timeout=100).returncode


def test_what_was_snapped_survives_and_the_kill_is_named(cgroup: Path, compiled: Any, tmp_path: Path) -> None:
    code = run_inside(cgroup, "-p", "heapprofile", "--every", "50ms", "-o", tmp_path / "run", compiled("hungry", HUNGRY))
    said = answer(tmp_path / "run")
    assert code == 128 + signal.SIGKILL
    assert said["run"]["exit"]["signal"] == "SIGKILL"
    assert any("for want of memory: its cgroup's limit is 64 MiB" in note["text"] for note in said["notes"])
    assert said["run"]["snapshots"] >= 2
    assert said["verdict"] != "clean"


def test_a_kill_by_a_person_is_none_of_it(start: Any, server: Path) -> None:
    run = start("-p", "heapprofile", "--every", "100ms", server)
    run.wait_for_line("up")
    run.wait_until(lambda: len(run.files()) >= 2)
    os.kill(run.target, signal.SIGKILL)
    assert run.process.wait() == 128 + signal.SIGKILL
    assert run.manifest["exit"]["out_of_memory"] == "" and not lives(run.target)


def test_where_nothing_was_measured_the_reason_is_the_memory(cgroup: Path, compiled: Any, tmp_path: Path) -> None:
    code = run_inside(cgroup, "-p", "dhat", "-o", tmp_path / "run", compiled("hungry", HUNGRY))
    assert code == 3
    shown = leakrun("show", tmp_path / "run")
    assert "for want of memory" in " ".join(shown.stdout.split())
