import os
import pickle
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner.plan import EventKind, LaunchPlan, Outcome
from runner.supervise import Places

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="session")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled subject.c."""
    program = tmp_path_factory.mktemp("subject") / "subject"
    subprocess.run(["gcc", "-g", "-o", program, HERE / "subject.c", "-ldl"], check=True)
    return program


@dataclass
class Run:
    """One run of the driver. `ask` is called with the driver's own process."""

    directory: Path
    mark: str
    process: subprocess.Popen[str] | None = None
    states: list[str] = field(default_factory=list)
    heard: list[Any] = field(default_factory=list)
    stdout: str = ""

    @property
    def raw(self) -> Path:
        return self.directory / "raw"

    @property
    def order(self) -> Path:
        return self.directory / "order"

    def prepare(self, plan: LaunchPlan, duration: float | None = None, fault: str = "") -> list[str]:
        """Write the order; the command line that carries it out."""
        places = Places(self.raw, self.directory / "maps", self.directory / "samples.csv")
        for path in (self.raw, self.directory / "maps"):
            path.mkdir(exist_ok=True)
        plan = plan._replace(env=dict(plan.env))  # the default can't be pickled
        self.order.write_bytes(pickle.dumps((plan, places, duration, fault)))
        return [sys.executable, os.fspath(HERE / "driver.py"), os.fspath(self.order)]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": os.fspath(ROOT), "LEAKRUN_TEST_MARK": self.mark}

    def start(self, plan: LaunchPlan, duration: float | None = None, fault: str = "", **popen: Any) -> "Run":
        command = self.prepare(plan, duration, fault)
        popen = {"stdout": subprocess.PIPE, "text": True, "env": self.environment} | popen
        self.process = subprocess.Popen(command, **popen)
        return self

    def wait_for_line(self, line: str) -> None:
        """Until the program prints that line."""
        assert self.process is not None and self.process.stdout is not None
        for got in self.process.stdout:
            self.stdout += got
            if got.strip() == line:
                return
        raise AssertionError(f"never printed {line!r}: {self.stdout!r}")

    def wait_for_line_start(self, words: str) -> None:
        """Until the program prints a line that begins so."""
        assert self.process is not None and self.process.stdout is not None
        while not (line := self.process.stdout.readline()).startswith(words):
            assert line, f"never printed {words!r}"

    def wait_until(self, true: Callable[[], object]) -> None:
        """Until the condition holds; the run's end is a failure."""
        while not true():
            assert self.process is not None and self.process.poll() is None, "the run ended first"
            time.sleep(0.01)

    def send(self, signum: int) -> None:
        assert self.process is not None
        self.process.send_signal(signum)

    @property
    def main_pid(self) -> int:
        """The program's pid, as the journal tells it."""
        states = self.order.with_suffix(".states")
        self.wait_until(lambda: states.exists() and "running" in states.read_text())
        return int(states.read_text().split("running ")[1].split()[0])

    def result(self) -> Any:
        """What came back: an Outcome, or the error as (kind, message, hint)."""
        if self.process is not None:
            self.stdout += self.process.communicate()[0] or ""
        answer, self.states, self.heard = pickle.loads(self.order.with_suffix(".result").read_bytes())
        return answer

    def outcome(self) -> Outcome:
        answer = self.result()
        assert isinstance(answer, Outcome), answer
        return answer


def marked(mark: str) -> list[str]:
    """Command lines of all processes that descend from a run."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if f"LEAKRUN_TEST_MARK={mark}".encode() in (directory / "environ").read_bytes():
                found.append(f"{directory.name} {(directory / 'cmdline').read_bytes()!r}")
        except OSError:
            continue
    return found


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A run in a directory of its own; nothing of it may be left when the test ends."""
    one = Run(tmp_path, uuid.uuid4().hex)
    yield one
    if one.process is not None and one.process.poll() is None:
        one.process.send_signal(signal.SIGKILL)
        one.process.wait()
    if one.process is not None and one.process.stdout is not None:
        one.process.stdout.close()
    left = marked(one.mark)
    for line in left:
        os.kill(int(line.split()[0]), signal.SIGKILL)
    assert left == []


def texts(outcome: Outcome, kind: EventKind) -> list[str]:
    return [event.text for event in outcome.timeline if event.kind is kind]


@pytest.fixture(name="texts")
def texts_fixture() -> Callable[[Outcome, EventKind], list[str]]:
    return texts
