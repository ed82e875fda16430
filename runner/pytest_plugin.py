"""For pytest: a fixture that runs a native program under leakrun, and fails the test where it leaks or could not be measured.

    def test_the_server_frees_what_it_takes(leakrun):
        leakrun("build/server", "--once")

    def test_it_does_not_grow(leakrun):
        leakrun("build/server", profile="massif", options=["--for", "10s"])

`leakrun.run(...)` measures and asserts nothing. Settings: `leakrun_profile` in pytest's configuration, or --leakrun-profile.
leakrun runs in a process of its own; its runs lie in the test's tmp_path.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_COMMAND = (sys.executable, "-m", "runner")


@dataclass(frozen=True, slots=True)
class Measured:
    """A run that took place.

    exit_code  leakrun's: the program's own, 128+n for signal n, or 3 where nothing could be measured
    stdout, stderr  what the program wrote; leakrun's own errors are on stderr too
    answer     as in docs/answer.md; empty where the program could not be started
    """

    exit_code: int
    stdout: str
    stderr: str
    answer: dict[str, Any]
    directory: Path

    @property
    def verdict(self) -> str:
        """leaking, growing, clean or inconclusive."""
        return str(self.answer.get("verdict", "inconclusive"))


class Leakrun:
    """Runs programs; calling it asserts that they are clean."""

    def __init__(self, directory: Path, profile: str) -> None:
        self._directory, self._profile = directory, profile
        self._runs = 0

    def run(
        self,
        *argv: str | os.PathLike[str],
        profile: str | None = None,
        options: Sequence[str] = (),
        stdin: str = "",
        timeout: float | None = None,
    ) -> Measured:
        """Run a program under a profile, and say what was measured. `options` are those of the command; `timeout` in seconds."""
        self._runs += 1
        directory = self._directory / str(self._runs)
        self._directory.mkdir(exist_ok=True)
        words = ["-q", "-p", profile or self._profile, "-o", str(directory), *options, "--", *(os.fspath(word) for word in argv)]
        ran = subprocess.run(
            [*_COMMAND, *words], input=stdin, capture_output=True, text=True, errors="replace", timeout=timeout, check=False
        )
        answer = json.loads(_said("show", str(directory), "--json").stdout) if (directory / "answer.json").exists() else {}
        return Measured(ran.returncode, ran.stdout, ran.stderr, answer, directory)

    def __call__(
        self,
        *argv: str | os.PathLike[str],
        exit_code: int = 0,
        check: Sequence[str] = (),
        profile: str | None = None,
        options: Sequence[str] = (),
        stdin: str = "",
        timeout: float | None = None,
    ) -> Measured:
        """The same; AssertionError, with the findings in it, unless it ends with `exit_code`, is clean, and was measured.

        `check` are options of `leakrun check`: ["--fail-on", "lost", "--baseline", "leaks.json"].
        """
        __tracebackhide__ = True
        measured = self.run(*argv, profile=profile, options=options, stdin=stdin, timeout=timeout)
        if not measured.answer:
            raise AssertionError(f"not measured\n{measured.stderr}")
        judged = _said("check", str(measured.directory), *check)
        if judged.returncode:
            shown = _said("show", str(measured.directory), "--no-color").stdout
            what = {1: measured.verdict, 3: "not measured"}.get(judged.returncode, "leakrun check failed")
            raise AssertionError(f"{what}\n{judged.stdout}{judged.stderr}\n{shown}")
        if measured.exit_code != exit_code:
            raise AssertionError(f"the program's exit code was {measured.exit_code}, not {exit_code}\n{measured.stderr}")
        return measured


def _said(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_COMMAND, *words], capture_output=True, text=True, errors="replace", check=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    """--leakrun-profile, and the same in pytest's configuration."""
    parser.getgroup("leakrun").addoption("--leakrun-profile", metavar="NAME", help="what the leakrun fixture measures with")
    parser.addini("leakrun_profile", "what the leakrun fixture measures with", default="memcheck")


@pytest.fixture
def leakrun(tmp_path: Path, request: pytest.FixtureRequest) -> Leakrun:
    """Run a native program and assert that it is clean: leakrun("./app", "--once")."""
    profile = request.config.getoption("leakrun_profile") or request.config.getini("leakrun_profile")
    return Leakrun(tmp_path / "leakrun-runs", str(profile))
