"""Copies of files that the kernel makes up as they are read."""

import os
import time
from pathlib import Path

from runner.plan import CopyFile
from runner.supervise import proc
from runner.supervise.helper import fill


def copy(action: CopyFile, pid: int, number: int, raw: Path) -> float:
    """Make the copy, whole from the moment at which it has its name; the seconds of processor time that it took.

    Raises OSError where the file can't be read, is empty (the process is ending), or the copy can't be written; no part is left.
    """
    began = time.thread_time()
    content = proc.read(fill(action.source, pid, number))
    if not content:
        raise ProcessLookupError(3, f"{fill(action.source, pid, number)} is empty")
    cost = time.thread_time() - began
    target = raw / fill(action.to, pid, number)
    fresh = raw / f".{os.urandom(4).hex()}.new"
    try:
        fresh.write_bytes(content)
        fresh.rename(target)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    return cost
