"""`leakrun runs --prune`: what goes, what stays, what is asked."""

import json
import os
import pty
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import cli
from tests.leakrun_command import COMMAND


def prune(capsys: pytest.CaptureFixture[str], runs_dir: Path, *words: object) -> tuple[int, str, str]:
    code = cli.main(["runs", "--prune", "--runs-dir", str(runs_dir), *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def change(run: Path, **keys: object) -> None:
    manifest = run / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **keys}))


def names(runs_dir: Path) -> list[str]:
    return sorted(path.name for path in runs_dir.iterdir())


@pytest.fixture
def old_runs(runs_dir: Path, tmp_path: Path) -> Path:
    """Five runs of one second, begun 1, 2, 3, 4 and 5 days ago; the newest is called day1."""
    for day in (5, 4, 3, 2, 1):
        name = tmp_path / f"day{day}"
        shutil.copytree(runs_dir / "memcheck-old", name)
        change(name, started_at=time.time() - day * 86400, seconds=1.0)
    return tmp_path


def test_the_age_is_that_of_the_end(capsys: pytest.CaptureFixture[str], old_runs: Path) -> None:
    change(old_runs / "day4", seconds=3.5 * 86400)
    code, out, _ = prune(capsys, old_runs, "--older-than", "60h")
    assert (code, names(old_runs)) == (0, ["day1", "day2", "day4"])
    assert [line.split()[:2] for line in out.splitlines()] == [["removed", str(old_runs / name)] for name in ("day5", "day3")]


def test_so_many_of_the_newest_stay(capsys: pytest.CaptureFixture[str], old_runs: Path) -> None:
    assert prune(capsys, old_runs, "--keep", "2")[0] == 0
    assert names(old_runs) == ["day1", "day2"]
    assert prune(capsys, old_runs, "--keep", "0")[0] == 0
    assert names(old_runs) == []


def test_both_must_let_it_go(capsys: pytest.CaptureFixture[str], old_runs: Path) -> None:
    prune(capsys, old_runs, "--keep", "4", "--older-than", "36h")
    assert names(old_runs) == ["day1", "day2", "day3", "day4"]
    prune(capsys, old_runs, "--keep", "1", "--older-than", "60h")
    assert names(old_runs) == ["day1", "day2"]


def test_a_dry_run_only_says(capsys: pytest.CaptureFixture[str], old_runs: Path) -> None:
    code, out, _ = prune(capsys, old_runs, "--keep", "3", "--dry-run")
    assert (code, len(names(old_runs))) == (0, 5)
    assert [line.split()[:3] for line in out.splitlines()] == [
        ["would", "remove", str(old_runs / name)] for name in ("day5", "day4")
    ]


@pytest.mark.parametrize("words", [(), ("--json", "--keep", "1"), ("--older-than", "7"), ("--keep", "-1"), ("--keep", "x")])
def test_what_is_not_clear_removes_nothing(capsys: pytest.CaptureFixture[str], old_runs: Path, words: tuple[str, ...]) -> None:
    code, out, err = prune(capsys, old_runs, *words)
    assert (code, out) == (2, "") and err and "Traceback" not in err
    assert len(names(old_runs)) == 5


@pytest.mark.parametrize("words", [("--keep", "1"), ("--older-than", "7d"), ("--dry-run",), ("--yes",)])
def test_its_options_alone_are_refused(capsys: pytest.CaptureFixture[str], old_runs: Path, words: tuple[str, ...]) -> None:
    assert cli.main(["runs", "--runs-dir", str(old_runs), *words]) == 2
    assert "--prune" in capsys.readouterr().err


def test_what_can_not_be_read_and_what_is_no_run_stay(capsys: pytest.CaptureFixture[str], old_runs: Path) -> None:
    (old_runs / "day5" / "manifest.json").write_text("{")
    change(old_runs / "day4", schema="leakrun.manifest/9")
    change(old_runs / "day3", started_at="yesterday")
    (old_runs / "mine").mkdir()
    code, _, err = prune(capsys, old_runs, "--older-than", "1h")
    assert (code, names(old_runs)) == (0, ["day3", "day4", "day5", "mine"])
    assert all(name in err for name in ("day3", "day4", "day5", "mine"))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A run in progress, and its directory."""
    run = tmp_path / "running"
    process = subprocess.Popen([*COMMAND, "run", "-q", "-p", "pmap", "--every", "1h", "-o", run, "sleep", "1000"])
    while not (run / "manifest.json").exists() or json.loads((run / "manifest.json").read_text())["state"] != "running":
        time.sleep(0.02)
    yield process, run
    process.kill()
    process.wait()


def test_a_run_in_progress_stays_and_so_does_a_lost_one_whose_program_runs(
    capsys: pytest.CaptureFixture[str], running: tuple[subprocess.Popen[bytes], Path]
) -> None:
    process, run = running
    change(run, started_at=1.0)  # as old as can be
    prune(capsys, run.parent, "--keep", "0")
    assert names(run.parent)[-1] == "running"
    process.kill()
    process.wait()
    manifest = json.loads((run / "manifest.json").read_text())
    try:
        prune(capsys, run.parent, "--keep", "0", "--older-than", "1h")
        assert run.exists() and (run / "raw").exists()
    finally:
        os.kill(manifest["process"]["pid"], signal.SIGKILL)
    while Path(f"/proc/{manifest['process']['pid']}/cwd").exists():
        time.sleep(0.02)
    spool = manifest["spool"]
    assert spool is None or Path(spool).is_dir()  # leakrun was killed before it could remove it
    prune(capsys, run.parent, "--keep", "0")
    assert names(run.parent) == []
    assert spool is None or not Path(spool).exists()


def test_a_manifest_can_name_no_other_directory_to_be_removed(
    capsys: pytest.CaptureFixture[str], old_runs: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    others = tmp_path_factory.mktemp("others")
    victims: list[Any] = [others / ".leakrun-0123456789abcdef", old_runs / "mine", old_runs / ".leakrun-0123456789abcdef"]
    victims[0].mkdir()
    victims[1].mkdir()
    (victims[0] / "precious").touch()
    victims[2].symlink_to(victims[0])
    for run, spool in zip(("day5", "day4", "day3"), victims, strict=True):
        change(old_runs / run, spool=str(spool))
    change(old_runs / "day2", spool=["/"])
    prune(capsys, old_runs, "--keep", "0")
    assert (victims[0] / "precious").exists() and victims[1].exists()
    assert names(old_runs) == [".leakrun-0123456789abcdef", "mine"]


@pytest.mark.parametrize(("typed", "left"), [(b"n\n", 5), (b"y\n", 1), (b"\x04", 5)])
def test_a_person_is_asked(old_runs: Path, typed: bytes, left: int) -> None:
    child, master = pty.fork()
    if child == 0:
        os.execv(COMMAND[0], [*COMMAND, "runs", "--prune", "--keep", "1", "--runs-dir", str(old_runs)])
    said = b""
    while b"?" not in said:
        said += os.read(master, 4096)
    os.write(master, typed)
    try:
        while got := os.read(master, 4096):
            said += got
    except OSError:  # it has ended
        pass
    os.close(master)
    os.waitpid(child, 0)
    assert b"remove 4 runs" in said and b"Traceback" not in said
    assert len(names(old_runs)) == left
