"""Whose is it: two processes that write under one name, moment by moment."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runner.plan import ProcessOutcome, Proof, SendSignal, Trigger
from runner.supervise import proc
from runner.supervise.claims import Claims
from runner.supervise.family import Member
from runner.supervise.output import RawOutput
from runner.supervise.timeline import Timeline

WRITER = """
import sys
for line in sys.stdin:
    name, size = line.split()
    with open(name, "wb", buffering=0) as file:
        file.write(bytes(int(size)))
"""
DUMP = Trigger("dump", SendSignal(signal.SIGURG), Proof("heap.*", keep_as="kept.{pid}.{n}"))


class Writer:
    """A process of one thread, and how it is known."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.process = subprocess.Popen([sys.executable, "-c", WRITER], cwd=directory, stdin=subprocess.PIPE, text=True)
        stat = proc.stat(self.process.pid)
        assert stat is not None
        self.member = Member(ProcessOutcome(self.process.pid, 1, [], 0.0), stat.start_ticks, stat.session, 0.0)

    def write(self, name: str, size: int) -> None:
        """Returns when that is counted as written."""
        assert self.process.stdin is not None
        before = proc.written(self.process.pid)
        assert before is not None
        self.process.stdin.write(f"{name} {size}\n")
        self.process.stdin.flush()
        while (proc.written(self.process.pid) or 0) < before + size:
            time.sleep(0.001)

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.member.alive = False


def test_what_a_child_that_is_gone_wrote_is_not_its_parents_whose_own_is_closed_right_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, child, closed = Writer(tmp_path), Writer(tmp_path), []
    closings = SimpleNamespace(take=lambda: [closed.pop()] if closed else [])
    monkeypatch.setattr("runner.supervise.claims.Closings", lambda _: closings)
    family: Any = SimpleNamespace(
        members={each.process.pid: each.member for each in (parent, child)}, main_pid=parent.process.pid
    )
    claims = Claims((DUMP,), family, RawOutput(tmp_path), Timeline())
    claims.open()
    claims.look(1.0)
    claims.asked(parent.member, 1.0)
    child.write("heap.child", 100)
    child.end()
    parent.write("heap.parent", 150)
    seen = []
    for now, name in ((1.1, "heap.child"), (1.11, "heap.parent")):
        closed.append(name)
        claims.look(now)
        seen.append(claims.sight(parent.member, DUMP.proof, 1.0))
    parent.end()
    assert seen[-1] is not None and seen[-1].size == 150
