"""Names that are no text, many leakruns at once, a program that changes its root, links planted where the tool writes."""

import json
import os
import subprocess
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
