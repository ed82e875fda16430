"""`leakrun runs`: real runs, one in progress, one whose leakrun was killed, and what else may lie beside them."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from runner import cli
from tests.leakrun_command import COMMAND


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = cli.main(["runs", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def document(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> dict[str, Any]:
    code, out, _ = run(capsys, "--runs-dir", runs_dir, "--json")
    assert code == 0
    found: dict[str, Any] = json.loads(out)
    assert found["schema"] == "leakrun.runs/1"
    return found


def test_the_newest_is_last_with_verdict_size_and_program(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    found = document(capsys, runs_dir)
    assert [each["id"] for each in found["runs"]] == [
        "massif-old",
        "heapprofile-old",
        "memcheck-old",
        "heapprofile-new",
        "memcheck-new",
    ]
    assert [each["verdict"] for each in found["runs"]] == ["growing", "growing", "leaking", "growing", "leaking"]
    assert {each["state"] for each in found["runs"]} == {"complete"}
    assert found["problems"] == []
    for each in found["runs"]:
        used = subprocess.run(["du", "-s", "--block-size=1", each["directory"]], capture_output=True, text=True, check=True)
        assert each["bytes"] == int(used.stdout.split()[0])
        assert Path(each["command"][0]).name == "leaky"
        assert each["age_seconds"] >= 0


def test_a_line_for_each_run(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    code, out, err = run(capsys, "--runs-dir", runs_dir)
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["RUN", "STATE", "VERDICT", "AGE", "SIZE", "PROGRAM"]
    assert [line[:3] for line in lines[1:3]] == [
        ["massif-old", "complete", "growing"],
        ["heapprofile-old", "complete", "growing"],
    ]


def test_no_run_is_no_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "not there"):
        code, out, err = run(capsys, "--runs-dir", place)
        assert (code, out) == (0, "")
        assert "no run" in err
        assert document(capsys, place)["runs"] == []
    file = tmp_path / "file"
    file.touch()
    assert run(capsys, "--runs-dir", file)[0] == 2


def damage(directory: Path, name: str, **keys: object) -> None:
    shutil.copytree(directory / "good", directory / name)
    manifest = directory / name / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **keys}))


def test_what_is_damaged_or_foreign_is_named_and_the_rest_is_listed(
    capsys: pytest.CaptureFixture[str], runs_dir: Path, tmp_path: Path
) -> None:
    shutil.copytree(runs_dir / "memcheck-old", tmp_path / "good")
    damage(tmp_path, "state", state="asleep")
    damage(tmp_path, "newer", schema="leakrun.manifest/9")
    damage(tmp_path, "command", command="ls")
    damage(tmp_path, "process", process=None)
    for name, text in (("cut", '{"schema": "leakr'), ("empty", ""), ("list", "[]"), ("deep", "[" * 100_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(text)
    (tmp_path / "foreign").mkdir()
    (tmp_path / ".leakrun-0123456789abcdef").mkdir()  # where the tool of a root's run writes
    (tmp_path / "a file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    found = document(capsys, tmp_path)
    assert [each["id"] for each in found["runs"]] == ["good"]
    err = run(capsys, "--runs-dir", tmp_path)[2]
    for name in ("state", "newer", "command", "process", "cut", "empty", "list", "deep", "foreign"):
        assert any(name in problem for problem in found["problems"]), name
        assert any(name in line for line in err.splitlines()), name
    assert len(found["problems"]) == 9


def test_odd_values_in_a_manifest_and_an_answer_are_survived(
    capsys: pytest.CaptureFixture[str], runs_dir: Path, tmp_path: Path
) -> None:
    shutil.copytree(runs_dir / "memcheck-old", tmp_path / "good")
    for number, moment in enumerate((float("nan"), float("inf"), -1.0, 1e300)):
        damage(tmp_path, f"time{number}", started_at=moment)
    damage(tmp_path, "words", command=["a\udcff\x1b[2J", 7])
    for text in ("", "{}", '{"verdict": "fine"}', "[1]"):
        shutil.copytree(tmp_path / "good", tmp_path / f"answer{len(text)}")
        (tmp_path / f"answer{len(text)}" / "answer.json").write_text(text)
    found = {each["id"]: each for each in document(capsys, tmp_path)["runs"]}
    assert [found[f"time{number}"]["age_seconds"] for number in range(4)] == [None] * 4
    assert [each["verdict"] for name, each in found.items() if name.startswith("answer")] == [None] * 4
    code, out, err = run(capsys, "--runs-dir", tmp_path)
    assert code == 0 and "\x1b" not in out
    assert sum("answer.json" in line for line in err.splitlines()) == 4


def test_a_run_in_progress_and_one_that_nobody_runs_any_more(
    capsys: pytest.CaptureFixture[str], runs_dir: Path, tmp_path: Path
) -> None:
    program = runs_dir.parent / "old" / "leaky"
    started = subprocess.Popen([*COMMAND, "-q", "-p", "heapprofile", "--runs-dir", tmp_path, program, "2000"])
    pid = None
    try:
        found = wait_for_run(capsys, tmp_path)
        assert (found["state"], found["verdict"]) == ("running", None)
        manifest = json.loads((Path(found["directory"]) / "manifest.json").read_text())
        pid = manifest["process"]["pid"]
        assert manifest["supervisor"]["pid"] == started.pid
    finally:
        started.kill()
        started.wait()
        with contextlib.suppress(ProcessLookupError, TypeError):
            os.kill(pid, signal.SIGKILL)  # type: ignore[arg-type]
    until_gone(pid)
    (found,) = document(capsys, tmp_path)["runs"]
    assert (found["state"], found["verdict"]) == ("lost", None)


def wait_for_run(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> dict[str, Any]:
    for _ in range(200):
        found = [each for each in document(capsys, runs_dir)["runs"] if each["state"] == "running"]
        if found:
            return found[0]
        time.sleep(0.1)
    raise AssertionError("it never ran")


def until_gone(pid: int) -> None:
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":  # nobody reaps it here
            return
        time.sleep(0.05)
    raise AssertionError("it is still there")


@pytest.mark.parametrize("other", ["boot_id", "start_ticks"])
def test_a_pid_that_another_process_has_now_is_not_the_run(
    capsys: pytest.CaptureFixture[str], runs_dir: Path, tmp_path: Path, other: str
) -> None:
    shutil.copytree(runs_dir / "memcheck-old", tmp_path / "good")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    ticks = int(Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19])
    ours = {"pid": os.getpid(), "start_ticks": ticks, "boot_id": boot}
    damage(tmp_path, "ours", state="running", process=ours, supervisor=None)
    damage(
        tmp_path, "theirs", state="running", process={**ours, other: 1 if other == "start_ticks" else "another"}, supervisor=None
    )
    states = {each["id"]: each["state"] for each in document(capsys, tmp_path)["runs"]}
    assert states == {"good": "complete", "ours": "running", "theirs": "lost"}
