"""Copies of files that the kernel makes up as they are read."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from runner.plan import CopyFile
from runner.supervise import proc
from runner.supervise.helper import fill

_MOST = 1000  # files of one pattern: a process can have a hundred thousand threads


def copy(action: CopyFile, pid: int, number: int, raw: Path) -> float:
    """Make the copy, whole from the moment at which it has its name; the seconds of processor time that it took.

    Raises OSError where the file can't be read, is empty (the process is ending), or the copy can't be written; no part is left.
    """
    began = time.thread_time()
    content = proc.read(fill(action.source, pid, number))
    if not content:
        raise ProcessLookupError(3, f"{fill(action.source, pid, number)} is empty")
    parts = [content, *(part for pattern in action.also for part in _appended(fill(pattern, pid, number)))]
    cost = time.thread_time() - began
    target = raw / fill(action.to, pid, number)
    fresh = raw / f".{os.urandom(4).hex()}.new"
    try:
        fresh.write_bytes(b"".join(parts))
        fresh.rename(target)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    return cost


def _appended(pattern: str) -> Iterator[bytes]:
    """The files that fit, as `tail -n +1` would print them."""
    for path in sorted(map(str, Path("/").glob(pattern.lstrip("/"))))[:_MOST]:
        content = proc.read_bytes(path)
        if content:
            yield b"==> %s <==\n%s" % (os.fsencode(path), content)
