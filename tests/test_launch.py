"""The way from the command to the program: nothing is imported on it that only reading, or only a first time, needs."""

import subprocess
import sys
from pathlib import Path

import pytest

# Whole rooms and libraries; what begins with one of these counts too.
LATER = (
    "numpy",
    "pydantic",
    "rich",
    "runner.analysis",
    "runner.formats",
    "runner.model",
    "runner.reading",
    "runner.reports",
    "runner.profile.yaml_tree",
    "typer._adapters",
    "xml",
    "yaml",
)
# Stands for the program: says what is imported at the moment at which it would be started.
PROGRAM = """
import os, sys
def fork():
    sys.stdout.write("\\n".join(sys.modules))
    sys.stdout.flush()
    os._exit(0)
os.fork = fork
from runner.cli import main
sys.exit(main(sys.argv[1:]))
"""


def imported(directory: Path, *words: str) -> set[str]:
    """The modules that are there when the program is started."""
    command = [sys.executable, "-c", PROGRAM, "-q", "-o", str(directory / "run"), *words, "/bin/true"]
    said = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 0 and "runner.supervise.launch" in said.stdout, said.stderr
    return set(said.stdout.splitlines())


def later(modules: set[str]) -> list[str]:
    return sorted(name for name in modules if any(name == each or name.startswith(f"{each}.") for each in LATER))


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of the test's own: no configuration, and a cache that is empty at first."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


@pytest.mark.parametrize("profile", ["memcheck", "massif", "heapprofile", "dhat", "mtrace"])
def test_nothing_that_only_reading_needs_is_imported_before_the_program_starts(tmp_path: Path, profile: str) -> None:
    assert {"yaml", "pydantic"} <= imported(tmp_path, "-p", profile), "the first time it is validated"
    (tmp_path / "second").mkdir()
    assert later(imported(tmp_path / "second", "-p", profile)) == []


def test_options_of_the_command_line_need_no_more(tmp_path: Path) -> None:
    words = ("-p", "massif", "--set", "depth=40", "--every", "2s", "--grace", "1m", "--env", "A=b", "--cwd", "/", "-v")
    imported(tmp_path, *words)
    (tmp_path / "second").mkdir()
    # --set is read relative to the working directory: the second call is from the first one's.
    (tmp_path / "run" / "manifest.json").unlink()
    (tmp_path / "run").rename(tmp_path / "first")
    assert later(imported(tmp_path, *words)) == []
