"""What others ask of a run in progress: files in a directory of the run, so that no socket, port or signal is needed.

A request is `ID.ask`, JSON {"ask": "snapshot" | "stop"}; the supervisor takes it away and leaves `ID.answer`, which the asker
takes away. Both appear whole, by a rename. The program can write there too, so nothing that is found there is trusted.
"""

import json
import os
import stat
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

ASK, ANSWER = ".ask", ".answer"
_LARGEST = 4096  # bytes of a request
_MOST = 100  # requests that are looked at in one go
_COARSE = 20_000_000  # ns: the file system's clock ticks each 4 to 10 ms, so that a change can leave the time as it was

SNAPSHOT, STOP = "snapshot", "stop"


@dataclass(frozen=True, slots=True)
class Taken:
    """How a snapshot of one process went: `file` is below raw/; where it is empty, `reason` says why there is none."""

    pid: int
    trigger: str
    file: str = ""
    reason: str = ""


@dataclass(slots=True)
class Asked:
    """One request for snapshots: complete when as many are settled as were begun."""

    tell: Callable[["Asked"], None]
    open: int = 0
    taken: list[Taken] = field(default_factory=list)
    refused: str = ""

    def settle(self, taken: Taken) -> None:
        """One of them is had, or will not be."""
        self.taken.append(taken)
        self.open -= 1
        if self.open == 0:
            self.tell(self)

    def refuse(self, reason: str) -> None:
        """None can be taken at all."""
        self.refused = reason
        self.tell(self)


class Inbox:
    """The supervisor's side. Its look costs one stat() where nothing was asked."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._seen = self._listed = 0  # the directory's modification time, and when we listed it

    def open(self) -> None:
        """From now on requests are taken. Raises OSError."""
        if self._directory is not None:
            self._directory.mkdir(mode=0o700, exist_ok=True)

    def new(self) -> list[tuple[str, str]]:
        """(id, what is asked) of each request that has come; what is not understood is taken away unanswered."""
        if self._directory is None or not self._has_changed():
            return []
        found = []
        try:
            names = sorted(path.name for path in self._directory.iterdir() if path.name.endswith(ASK))
        except OSError:
            return []
        for name in names[:_MOST]:
            ask = _read_ask(self._directory / name)
            try:
                (self._directory / name).unlink()
            except OSError:
                continue  # a directory of that name, or it can't be taken away: it would be carried out again and again
            if ask is not None:
                found.append((name.removesuffix(ASK), ask))
        return found

    def _has_changed(self) -> bool:
        assert self._directory is not None
        try:
            changed = self._directory.stat().st_mtime_ns
        except OSError:
            return False
        if changed == self._seen and self._listed - changed > _COARSE:
            return False
        self._seen, self._listed = changed, time.time_ns()
        return True

    def answer_snapshot(self, identity: str, asked: Asked) -> None:
        """Say how the snapshots went."""
        self._answer(identity, {"taken": [asdict(each) for each in asked.taken], "refused": asked.refused})

    def answer_stop(self, identity: str) -> None:
        """Say that the stop was begun."""
        self._answer(identity, {"refused": ""})

    def _answer(self, identity: str, content: dict[str, object]) -> None:
        assert self._directory is not None
        try:
            put(self._directory / f"{identity}{ANSWER}", content)
        except OSError:
            return  # the disk is full, or the directory gone: the asker sees that no answer comes


def put(path: Path, content: dict[str, object]) -> None:
    """Make a file that is whole from the moment at which it can be seen. Raises OSError."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(content), encoding="ascii")
    fresh.rename(path)


def _read_ask(path: Path) -> str | None:
    """What a request asks; None for what is none. A FIFO, a link or a huge file that somebody put there does no harm."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        content = json.loads(os.read(descriptor, _LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    finally:
        os.close(descriptor)
    ask = content.get("ask") if isinstance(content, dict) else None
    return ask if ask in (SNAPSHOT, STOP) else None
