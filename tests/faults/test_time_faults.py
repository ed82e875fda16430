"""The clock is set while a program runs: intervals, ages and the end of the run are none of its business."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.leakrun_command import answer

# Stands for a machine whose clock is set by that many seconds when the program has run for a second: leakrun's own view of it.
SET = """
import os, sys, time
real, real_ns, fork, started, by = time.time, time.time_ns, os.fork, [], float(sys.argv[1])
def shift(): return by if started and time.monotonic() - started[0] > 1.5 else 0.0
def start(): started.append(time.monotonic()); return fork()
os.fork = start
time.time = lambda: real() + shift()
time.time_ns = lambda: real_ns() + int(shift() * 1e9)
from runner.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("by", [-86400.0, -30.0, 30.0, 86400.0 * 400])
@pytest.mark.parametrize("tool", ["heapprofile", "pmap"])
def test_the_clock_is_set_while_the_program_runs(tool: str, by: float, leaker: Path, tmp_path: Path) -> None:
    words = ["-q", "-p", tool, "--every", "200ms", "--for", "4s", "-o", str(tmp_path / "run"), str(leaker), "work", "600"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("LEAKRUN_")}
    ran = subprocess.run([sys.executable, "-c", SET, str(by), *words], env=clean, timeout=60, check=False)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert ran.returncode == 0 and manifest["exit"]["stopped_by"] == "for"
    assert 4 <= manifest["seconds"] < 30
    times = [each["time"] for each in manifest["timeline"]]
    assert times == sorted(times)
    assert len([each for each in manifest["timeline"] if each["kind"] == "snapshot"]) >= 10
    assert not [each for each in manifest["timeline"] if each["kind"] == "miss"]
    assert any("the date was set by" in each["text"] for each in manifest["timeline"])
    assert answer(tmp_path / "run")["verdict"] == "growing"
