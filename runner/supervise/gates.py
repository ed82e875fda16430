"""What must hold of a process before a snapshot may touch it."""

import fnmatch
import os
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
    if has_dropped_user(gate, member):
        return "it has dropped its user"
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


def has_dropped_user(gate: Gate, member: Member) -> bool:
    """It is asked for by the gate that it has not, and it has; that can happen in the middle of a snapshot too."""
    return gate.same_user and proc.user(member.pid) not in (None, os.geteuid())


def _exists(path: Path) -> bool:
    """Something has that name. Only the last part may be a pattern: tools put user and host into their names."""
    try:
        with os.scandir(path.parent) as entries:
            return any(entry.name == path.name or fnmatch.fnmatchcase(entry.name, path.name) for entry in entries)
    except OSError:
        return False
