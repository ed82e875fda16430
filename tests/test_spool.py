"""A program that drops its user can still write what the tool has to say, and what it plants there harms nobody. Needs root."""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from runner.supervise import empty_spool, remove_spool
from tests.leakrun_command import answer, leakrun

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop its user"),
]

SOURCE = """
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static void nap(int ms) { struct timespec t = {ms / 1000, ms % 1000 * 1000000L}; nanosleep(&t, NULL); }
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static void *keep[100000];
static int kept;
__attribute__((noinline)) static void serve(void) { keep[kept++] = malloc(3000); }
static void work(double seconds) {
    double end = now() + seconds;
    if (setgid(65534) || setuid(65534)) _exit(9);
    while (now() < end) { serve(); nap(5); }
    exit(0);
}
int main(int argc, char **argv) {
    int status, failed = 0, workers = atoi(argv[1]);
    (void)argc;
    if (workers == 0) work(atof(argv[2]));
    for (int i = 0; i < workers; i++) if (fork() == 0) work(atof(argv[2]));
    while (wait(&status) > 0) failed |= status;
    return failed != 0;
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("drops")
    (directory / "server.c").write_text(SOURCE)
    subprocess.run(["gcc", "-g", "-o", directory / "server", directory / "server.c"], check=True)
    directory.chmod(0o755)
    return directory / "server"


def spool_of(run: Path) -> Path:
    return Path(json.loads((run / "manifest.json").read_text())["spool"])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("tool", ["heapprofile", "massif"])
def test_workers_that_drop_their_user_are_recorded(tool: str, workers: int, server: Path, tmp_path: Path) -> None:
    ran = leakrun("-p", tool, "--every", "500ms", "-o", tmp_path / "run", server, workers, "5")
    assert ran.returncode == 0, ran.stderr
    said = answer(tmp_path / "run")
    assert said["run"]["complete"], said["reasons"]
    assert len(said["run"]["processes"]) == workers + 1
    named = [each["function"] for each in [*said["findings"], *said["notes"]] if each.get("bytes")]
    assert "serve" in named and said["verdict"] != "clean", said["reasons"]
    kept = Counter(path.suffix for path in (tmp_path / "run" / "raw").iterdir())
    assert kept[".heap"] >= 8 if tool == "heapprofile" else kept[".out"] == workers + 1
    assert not spool_of(tmp_path / "run").exists()
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


def test_a_run_below_a_closed_directory_is_recorded_too(server: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert leakrun("-p", "heapprofile", "-o", closed / "run", server, 0, "2").returncode == 0
    assert len(list((closed / "run" / "raw").glob("kept.*.heap"))) >= 8
    assert spool_of(closed / "run").parent != closed and not spool_of(closed / "run").exists()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A spool in which a program has left what it should not."""
    spool, secret = tmp_path / "spool", tmp_path / "secret"
    spool.mkdir()
    secret.write_text("not yours")
    (spool / "real.heap").write_text("whole")
    (spool / "link.heap").symlink_to(secret)
    (spool / "twice.heap").hardlink_to(secret)
    os.mkfifo(spool / "pipe.heap")
    (spool / "deep").mkdir()
    (spool / "deep" / "more.heap").write_text("more")
    (tmp_path / "raw").mkdir()
    return spool


def test_what_was_planted_is_not_taken(spool: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    assert empty_spool(spool, raw) == ["twice.heap"]
    assert sorted(os.fspath(path.relative_to(raw)) for path in raw.rglob("*.heap")) == ["deep/more.heap", "real.heap"]
    remove_spool(spool)
    assert [path.name for path in spool.iterdir()] == ["twice.heap"]
    assert (tmp_path / "secret").read_text() == "not yours"


def test_litter_goes_and_an_empty_spool_too(tmp_path: Path) -> None:
    spool, raw = tmp_path / "spool", tmp_path / "raw"
    spool.mkdir(), raw.mkdir()
    (spool / "vgdb-shared").write_text("")
    (spool / "out").write_text("whole")
    os.utime(spool / "out", ns=(1_000_000_000, 2_345_678_900))
    assert empty_spool(spool, raw, ("vgdb-*",)) == []
    remove_spool(spool)
    assert not spool.exists()
    assert [path.name for path in raw.iterdir()] == ["out"] and (raw / "out").stat().st_mtime_ns == 2_345_678_900


def test_another_file_system_is_copied_to(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    spool, raw = other / f"leakrun-test-{os.getpid()}", tmp_path / "raw"
    spool.mkdir(), raw.mkdir()
    try:
        (spool / "out").write_text("whole")
        os.utime(spool / "out", ns=(1_000_000_000, 2_345_678_900))
        assert empty_spool(spool, raw) == []
        assert (raw / "out").read_text() == "whole" and (raw / "out").stat().st_mtime_ns == 2_345_678_900
        assert list(spool.iterdir()) == []
    finally:
        remove_spool(spool)
