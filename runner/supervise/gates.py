"""What must hold of a process before a snapshot may touch it."""

import fnmatch
import os
import stat
from contextlib import suppress
from pathlib import Path

from runner.plan import Gate
from runner.supervise import proc, signals
from runner.supervise.family import Member
from runner.supervise.helper import fill


def closed(gate: Gate, member: Member, mapped_before: bool = False) -> str:
    """Why the process may not be touched yet; empty when it may. What was mapped in a program stays: looking again is dear."""
    pid = member.pid
    if member.stopped:
        return "it is stopped"
    if gate.exists is not None and not _exists(Path(fill(gate.exists, pid, 0))):
        return f"{fill(gate.exists, pid, 0)} is not there"
    if gate.at_home and (left := left_home(pid)):
        return left
    if gate.catches is not None and not proc.catches(pid, gate.catches):
        return f"it does not catch {signals.name_of(gate.catches)}"
    if gate.mapped is not None and not mapped_before:
        try:
            paths = proc.mapped_paths(proc.maps(pid))
        except PermissionError:
            return "its maps can't be read"
        if not any(os.fsencode(gate.mapped) in path for path in paths):
            return f"{gate.mapped} is not mapped in it"
    return ""


def left_home(pid: int) -> str:
    """Why the process can't open any more what it could at its start; empty where it can, or is gone."""
    if proc.user(pid) not in (None, os.geteuid()):
        return "it has dropped its user"
    try:
        return "" if Path(f"/proc/{pid}/root").samefile("/") else "it has changed its root"
    except OSError:
        return ""


def lend(gate: Gate, pid: int) -> None:
    """Let the process open its pipes whoever it becomes: valgrind ends a program whose pipe it can't open.

    Only a root's program can become somebody else. They lie where nobody can list them.
    """
    if gate.lent is None or os.geteuid() != 0:
        return
    place = Path(fill(gate.lent, pid, 0))
    for path in place.parent.glob(place.name):
        with suppress(OSError):
            descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)  # a link may have been planted there
            try:
                status = os.fstat(descriptor)
                if stat.S_ISFIFO(status.st_mode) and status.st_uid == 0:
                    Path(f"/proc/self/fd/{descriptor}").chmod(0o666)
            finally:
                os.close(descriptor)


def _exists(path: Path) -> bool:
    """Something has that name. Only the last part may be a pattern: tools put user and host into their names."""
    try:
        with os.scandir(path.parent) as entries:
            return any(entry.name == path.name or fnmatch.fnmatchcase(entry.name, path.name) for entry in entries)
    except OSError:
        return False
