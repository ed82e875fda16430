"""What is below raw/: which files came since, whether anything still grows. Cheap with thousands of files."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from runner.supervise import spool

_TAIL = 1 << 16
_WHOLE = 1 << 26  # a marker is looked for in at most this many bytes
_LEAST_BLOCKS = 2  # free ones, of a disk that is not full
_COARSE = 20_000_000  # ns: the file system's clock ticks each 4 to 10 ms, so that a change can leave the time as it was


class RawOutput:
    """Watches the files below `raw`. Names are paths relative to it.

    arrivals  every file's name in the order in which it was first seen
    final     where a file is moved to by deliver(), under the same name
    """

    def __init__(self, raw: Path, final: Path | None = None) -> None:
        self.raw = raw
        self.final = final or raw
        self.arrivals: list[str] = []
        self.grown_at = float("-inf")
        self._directories: dict[str, tuple[int, int]] = {"": (0, 0)}  # its modification time, and when we listed it
        self._known: dict[str, set[str]] = {"": set()}
        self._sizes: dict[str, int] = {}

    def refresh(self) -> None:
        """Notice new files. Only directories that changed are listed again."""
        for directory in list(self._directories):
            self._refresh(directory)

    def _refresh(self, directory: str) -> None:
        try:
            changed = (self.raw / directory).stat().st_mtime_ns
        except OSError:
            return
        before, listed = self._directories[directory]
        if changed == before and listed - changed > _COARSE:
            return
        self._directories[directory] = (changed, time.time_ns())
        names = set()
        for entry in self._entries(directory):
            name = f"{directory}/{entry.name}" if directory else entry.name
            if entry.is_dir(follow_symlinks=False):
                if name not in self._directories:
                    self._directories[name], self._known[name] = (0, 0), set()
                    self._refresh(name)
            elif entry.is_file(follow_symlinks=False):  # not a tool's FIFO: opening one would wait
                names.add(name)
        self.arrivals.extend(sorted(names - self._known[directory]))
        self._known[directory] = names

    def _entries(self, directory: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.raw / directory) as entries:
                return list(entries)
        except OSError:
            return []

    def state(self, name: str) -> tuple[int, int] | None:
        """Size in bytes and modification time in nanoseconds; None for one that is gone."""
        try:
            status = (self.raw / name).lstat()
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns

    def is_full(self) -> bool:
        """The disk takes no more."""
        try:
            disk = os.statvfs(self.raw)
        except OSError:
            return False
        return (disk.f_bavail if os.geteuid() else disk.f_bfree) < _LEAST_BLOCKS

    def remove(self, name: str) -> None:
        """The file is worth nothing."""
        with suppress(OSError):
            (self.raw / name).unlink()

    def deliver(self, name: str) -> None:
        """The file is whole: put it where nobody else can write. One that can't be moved now is tried once more at the end."""
        if self.final != self.raw:
            with suppress(OSError):
                spool.move(name, self.raw, self.final)

    def deliver_all(self, litter: Iterable[str]) -> list[str]:
        """All that is left, but what nobody needs; the names of those that can't be moved."""
        return spool.move_all(self.raw, self.final, litter) if self.final != self.raw else []

    def look_for_growth(self, now: float) -> None:
        """Set `grown_at` to `now` if any file has another size than at the last look."""
        self.refresh()
        sizes = {}
        for name in self.names():
            state = self.state(name)
            if state is not None:
                sizes[name] = state[0]
        if sizes != self._sizes:
            self._sizes, self.grown_at = sizes, now

    def names(self) -> list[str]:
        """All files that are there, as of the last refresh."""
        return sorted(name for names in self._known.values() for name in names)

    def holds(self, name: str, marker: bytes) -> bool:
        """The file contains the marker. The end is read first, where a tool's last words are."""
        if not marker:
            return True
        try:
            descriptor = os.open(self.raw / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL))
                if marker in file.read():
                    return True
                file.seek(0)
                return size > _TAIL and marker in file.read(min(size, _WHOLE))
        except OSError:
            return False

    def written_at(self, started_at: float) -> dict[str, float]:
        """For each file: when it was last written, in seconds since `started_at` (Unix time), never negative."""
        if self.final != self.raw:
            return RawOutput(self.final).written_at(started_at)
        self.refresh()
        states = {name: self.state(name) for name in self.names()}
        return {name: max(0.0, round(state[1] / 1e9 - started_at, 3)) for name, state in states.items() if state}


def written_at(raw: Path, started_at: float) -> dict[str, float]:
    """For each file below `raw`: when it was last written, in seconds since `started_at` (Unix time)."""
    return RawOutput(raw).written_at(started_at)
