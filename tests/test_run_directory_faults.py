"""The run directory is moved, deleted, on a full disk or a read-only one: that is said, and nothing cut is called whole."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.leakrun_command import answer, leakrun

pytestmark = pytest.mark.timeout(300)

SOURCE = """
#include <stdlib.h>
#include <time.h>
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static void *keep[100000];
static int kept;
__attribute__((noinline)) static void serve(void) { keep[kept++] = malloc(3000); }
int main(int argc, char **argv) {
    double end = now() + atof(argv[1]);
    (void)argc;
    while (now() < end) { struct timespec t = {0, 5000000}; serve(); nanosleep(&t, NULL); }
    return 0;
}
"""
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: to mount, and for the spool that root's runs have")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("faults")
    (directory / "server.c").write_text(SOURCE)
    subprocess.run(["gcc", "-g", "-o", directory / "server", directory / "server.c"], check=True)
    return directory / "server"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", place], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def meanwhile(do: str, run: Path) -> threading.Thread:
    """Do it once the run has some snapshots."""

    def act() -> None:
        while len(list((run / "raw").glob("*.heap"))) < 3:
            time.sleep(0.01)
        subprocess.run(["sh", "-c", do], cwd=run.parent, check=True)

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


@AS_ROOT
def test_a_run_directory_that_is_renamed_is_followed(server: Path, tmp_path: Path) -> None:
    mover = meanwhile("mv run moved", tmp_path / "run")
    ran = leakrun("-p", "heapprofile", "--every", "200ms", "-o", tmp_path / "run", server, "3")
    mover.join()
    assert ran.returncode == 0, ran.stderr
    assert not (tmp_path / "run").exists()
    said = answer(tmp_path / "moved")
    assert said["run"]["complete"] and said["run"]["snapshots"] >= 8


@AS_ROOT
def test_a_run_directory_that_is_deleted_is_said_and_not_made_anew(server: Path, tmp_path: Path) -> None:
    mover = meanwhile("until rm -rf run; do :; done", tmp_path / "run")  # what leakrun writes meanwhile makes rm fail
    ran = leakrun("-p", "heapprofile", "--every", "200ms", "-o", tmp_path / "run", server, "3")
    mover.join()
    assert ran.returncode == 3
    assert "was deleted while the program ran" in ran.stderr and "Traceback" not in ran.stderr
    assert not (tmp_path / "run").exists()


@AS_ROOT
@pytest.mark.parametrize("tool", ["heapprofile", "massif", "memcheck"])
def test_a_disk_that_is_full_at_the_start_is_said_before_the_program_runs(tool: str, server: Path, small_disk: Path) -> None:
    fill(small_disk, leave=0)
    ran = leakrun("-p", tool, "-o", small_disk / "run", server, "60")
    assert ran.returncode in (2, 3) and "No space left" in ran.stderr and "Traceback" not in ran.stderr


@AS_ROOT
@pytest.mark.parametrize("tool", ["heapprofile", "massif"])
def test_a_disk_that_fills_up_is_never_filled_by_snapshots(tool: str, server: Path, small_disk: Path) -> None:
    fill(small_disk, leave=280_000)
    ran = leakrun("-p", tool, "--every", "50ms", "-o", small_disk / "run", server, "8")
    assert ran.returncode == 0, ran.stderr
    said = answer(small_disk / "run")
    assert said["verdict"] == "growing" and said["run"]["complete"], said["reasons"]
    dumps = list((small_disk / "run" / "raw").glob("kept.[0-9]*.heap"))
    assert all("MAPPED_LIBRARIES:" in path.read_text() and path.read_text().endswith("\n") for path in dumps)
    if tool == "heapprofile":
        manifest = json.loads((small_disk / "run" / "manifest.json").read_text())
        taken = [each for each in manifest["timeline"] if each["kind"] == "snapshot"]
        assert any("bytes are free" in each["text"] for each in manifest["timeline"])
        assert 8 <= len(dumps) < len(taken)  # thinned, and enough is left to tell growth


def fill(place: Path, *, leave: int) -> None:
    """Leave that many bytes free."""
    with (place / "fill").open("wb", buffering=0) as file:
        try:
            while os.statvfs(place).f_bavail * os.statvfs(place).f_frsize > leave:
                file.write(b"\0" * 4096)
        except OSError:
            return


@AS_ROOT
def test_a_place_that_can_not_be_written_is_refused(server: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    ran = leakrun("-p", "heapprofile", "-o", small_disk / "run", server, "60")
    assert ran.returncode == 2 and "Read-only file system" in ran.stderr
