"""Which files of a directory were closed after writing, as it happens: inotify(7) and SIGIO, or by looking."""

import ctypes
import fcntl
import os
import struct
import time
from pathlib import Path

_MODIFY, _CLOSE_WRITE, _OVERFLOW = 0x2, 0x8, 0x4000  # inotify's IN_MODIFY, IN_CLOSE_WRITE, IN_Q_OVERFLOW
_EVENT = struct.Struct("iIII")  # struct inotify_event: watch, mask, cookie, length of the name that follows
_STILL = 50_000_000  # nanoseconds: without inotify a file that did not change for so long counts as closed


class Closings:
    """Watches one directory. While it is open the kernel sends SIGIO at each closing: the caller must hold that signal back."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor = _watch(directory)
        self._overflown = False

    def take(self) -> list[str]:
        """The names of files that were closed since, in that order; one that was closed twice stands there twice."""
        if self._descriptor is None:
            return self._still(_STILL)
        names: list[str] = []
        while data := _read(self._descriptor):
            names += self._names(data)
        if self._overflown:
            self._overflown = False
            names += [name for name in self._still(0) if name not in names]
        return names

    def _names(self, data: bytes) -> list[str]:
        names, offset = [], 0
        while offset < len(data):
            _, mask, _, length = _EVENT.unpack_from(data, offset)
            offset += _EVENT.size
            if mask & _OVERFLOW:
                self._overflown = True
            elif mask & _CLOSE_WRITE and length:
                names.append(os.fsdecode(data[offset : offset + length].rstrip(b"\0")))
            offset += length
        return names

    def _still(self, nanoseconds: int) -> list[str]:
        """All files there that nothing was written to for a while, the oldest first."""
        found = []
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        found.append((entry.stat(follow_symlinks=False).st_mtime_ns, entry.name))
        except OSError:
            return []
        now = time.time_ns()
        return [name for changed, name in sorted(found) if now - changed >= nanoseconds]

    def close(self) -> None:
        """No more signals."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _watch(directory: Path) -> int | None:
    """An inotify descriptor that sends SIGIO; None where the kernel gives none (too many are open)."""
    libc = ctypes.CDLL(None)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        return None
    # The kernel makes one event of equal ones in a row: two closings of one name are told apart by the writing between them.
    if libc.inotify_add_watch(descriptor, os.fsencode(directory), _CLOSE_WRITE | _MODIFY) < 0:
        os.close(descriptor)
        return None
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
    return int(descriptor)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return b""
