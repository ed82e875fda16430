import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.supervise import proc
from tests.leakrun_command import COMMAND

SERVER = r"""
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static char *kept[1000000];
int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "deaf") == 0) signal(SIGTERM, SIG_IGN);
    for (int n = 0; n < 1000000; n++) {
        kept[n] = memset(malloc(20000), 1, 20000);
        if (n == 20) puts("up"), fflush(stdout);
        usleep(10000);
    }
    return 0;
}
"""


@pytest.fixture(scope="session")
def server(compiled: Callable[..., Path]) -> Path:
    """A program that keeps 20,000 bytes each 10 ms, and says "up" when it has begun."""
    return compiled("server", SERVER)


@dataclass
class Running:
    """leakrun in a process of its own, and the run directory that it makes."""

    process: subprocess.Popen[str]
    directory: Path

    @property
    def manifest(self) -> dict[str, Any]:
        return dict(json.loads((self.directory / "manifest.json").read_text()))

    @property
    def target(self) -> int:
        """The pid of the program."""
        pid = self.manifest["process"]["pid"]
        assert isinstance(pid, int)
        return pid

    def wait_for_line(self, line: str) -> None:
        assert self.process.stdout is not None
        for got in self.process.stdout:
            if got.strip() == line:
                return
        raise AssertionError(f"never printed {line!r}")

    def wait_for_state(self, state: str) -> None:
        self.wait_until(lambda: (self.directory / "manifest.json").exists() and self.manifest["state"] == state)

    def wait_until(self, true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not true():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.02)

    def kill(self) -> None:
        """leakrun itself dies by SIGKILL; its program goes on."""
        self.process.kill()
        self.process.wait()

    def files(self, kind: str = "snapshot") -> list[str]:
        return [each["file"] for each in self.manifest["timeline"] if each["kind"] == kind]


def lives(pid: int) -> bool:
    stat = proc.stat(pid)
    return stat is not None and not stat.ended


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start leakrun with these words, by the command `before`; whatever is left of it at the end of the test is killed."""
    started: list[Running] = []

    def start_(*words: object, name: str = "run", before: tuple[str, ...] = (), **popen: Any) -> Running:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("LEAKRUN_")}
        command = [*COMMAND, *map(str, words)]
        if words[0] != "recover":
            place = len(COMMAND) + (words[0] == "attach")
            command[place:place] = [*(["run"] if words[0] != "attach" else []), "-o", str(tmp_path / name)]
        popen = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": clean} | popen
        one = Running(subprocess.Popen([*before, *command], **popen), tmp_path / name)
        started.append(one)
        return one

    yield start_
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        manifest = one.directory / "manifest.json"
        for each in json.loads(manifest.read_text())["processes"] if manifest.exists() else ():
            stat = proc.stat(each["pid"])
            if stat is not None and stat.start_ticks == each["start_ticks"] and not stat.ended:
                os.kill(each["pid"], signal.SIGKILL)
        one.process.communicate()  # only now: the program has the pipes too
