"""Names that are no text, many leakruns at once, changed roots, links planted where the tool writes, and a disk that it fills."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import AS_ROOT
from tests.leakrun_command import COMMAND, answer, leakrun


@pytest.mark.parametrize("tool", ["memcheck", "massif", "heapprofile", "pmap"])
def test_names_and_arguments_that_are_no_utf8(tool: str, leaker: Path, tmp_path: Path) -> None:
    place = tmp_path / os.fsdecode(b"place \xff\n%p")
    place.mkdir()
    program = place / os.fsdecode(b"pro\xe9gram")
    program.write_bytes(leaker.read_bytes())
    program.chmod(0o755)
    ran = leakrun("-p", tool, "-o", place / os.fsdecode(b"run\xfe"), program, "work", "2.5", os.fsdecode(b"\x01\xff"))
    assert ran.returncode == 0 and "Traceback" not in ran.stderr, ran.stderr
    said = answer(place / os.fsdecode(b"run\xfe"))
    assert said["run"]["complete"]
    if tool in ("massif", "heapprofile"):  # memcheck sees that it is still referenced at the end
        assert "leaks" in json.dumps(said)


def test_16_leakruns_choose_their_directories_at_once(tmp_path: Path) -> None:
    words = [*COMMAND, "-q", "-p", "pmap", "--runs-dir", str(tmp_path / "runs"), "sleep", "3"]
    running = [subprocess.Popen(words) for _ in range(16)]
    assert [each.wait(120) for each in running] == [0] * 16
    runs = list((tmp_path / "runs").iterdir())
    assert len(runs) == 16
    assert {json.loads((run / "manifest.json").read_text())["state"] for run in runs} == {"complete"}


@AS_ROOT
@pytest.mark.parametrize("tool", ["heapprofile", "massif", "memcheck"])
def test_a_program_that_changes_its_root_is_recorded_or_said_not_to_be(tool: str, leaker: Path, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    ran = leakrun("-p", tool, "--every", "300ms", "-o", tmp_path / "run", leaker, "chroot", "3", tmp_path / "root")
    said = answer(tmp_path / "run")
    assert ran.returncode in (0, 3) and "Traceback" not in ran.stderr
    # What it keeps is referenced to the end, so that memcheck finds nothing lost.
    assert said["verdict"] != "clean" or tool == "memcheck"
    assert said["run"]["exit"]["code"] == 0 and (ran.returncode == 0 or said["reasons"])


@AS_ROOT
def test_links_that_the_program_plants_where_the_tool_writes_are_not_followed(leaker: Path, tmp_path: Path) -> None:
    if Path("/proc/sys/fs/protected_symlinks").read_text().strip() == "0":
        pytest.skip("fs.protected_symlinks is 0 here")
    victim = tmp_path / "victim"
    victim.write_text("precious")
    ran = leakrun("-p", "heapprofile", "--every", "100ms", "-o", tmp_path / "run", leaker, "plant", "4", victim)
    assert "Traceback" not in ran.stderr
    assert victim.read_text() == "precious"
    assert not [path for path in (tmp_path / "run").rglob("*") if path.is_symlink()]
    assert answer(tmp_path / "run")["verdict"] != "clean"


MANY_STACKS = """
#include <stdlib.h>
#include <time.h>
static void left(int path, int deep);
static void right(int path, int deep);
__attribute__((noinline)) static void lost(void) { *(void *volatile *)malloc(100) = 0; }
__attribute__((noinline)) static void down(int path, int deep) {
    if (deep == 0) lost();
    else if (path & 1) left(path >> 1, deep - 1);
    else right(path >> 1, deep - 1);
}
__attribute__((noinline)) static void left(int path, int deep) { down(path, deep); }
__attribute__((noinline)) static void right(int path, int deep) { down(path, deep); }
int main(void) {
    for (int path = 0; path < 4096; path++) {
        struct timespec moment = {0, 500000};
        down(path, 10), nanosleep(&moment, NULL);
    }
    return 0;
}
"""


@pytest.fixture
def nearly_full() -> Iterator[Path]:
    """A file system of 20 MiB, of which 700,000 bytes are free. Everybody reaches it, so that a root's tool writes there too."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", place], capture_output=True, check=False).returncode:
        place.rmdir()
        pytest.skip("mounting is not permitted here")
    try:
        (place / "fill").write_bytes(bytes(os.statvfs(place).f_bavail * os.statvfs(place).f_frsize - 700_000))
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)
        place.rmdir()


@AS_ROOT
@pytest.mark.parametrize("tool", ["massif", "memcheck"])
def test_a_tool_that_fills_the_disk_at_its_end_leaves_room_for_what_is_said_of_it(
    tool: str, nearly_full: Path, compiled: Callable[..., Path]
) -> None:
    large = {"massif": ("--set", "detailed_freq=1", "--set", "threshold=0"), "memcheck": ()}[tool]
    ran = leakrun("-p", tool, *large, "-o", nearly_full / "run", compiled("many", MANY_STACKS))
    assert ran.returncode == 0, ran.stderr
    assert json.loads((nearly_full / "run" / "manifest.json").read_text())["state"] == "complete"
    assert not (nearly_full / "run" / ".reserve").exists()
    written = json.loads((nearly_full / "run" / "answer.json").read_text())
    assert written["verdict"] == {"massif": "inconclusive", "memcheck": "leaking"}[tool]
    assert any("the file is cut" in text for text in [*written["reasons"], *(note["text"] for note in written["notes"])])
