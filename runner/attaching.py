"""A process that runs already, as a target: who it is, and whether we may look into it."""

import os
from pathlib import Path

from runner import backends
from runner.backends.base import Backend
from runner.errors import ErrorKind, LeakrunError
from runner.plan import Target
from runner.supervise import proc


def inspect_process(pid: int) -> Target:
    """The target that process `pid` is. Raises LeakrunError(USAGE) where there is none, or it is closed to us."""
    stat = proc.stat(pid) if pid > 0 else None
    if stat is None or stat.ended:
        raise LeakrunError(ErrorKind.USAGE, f"there is no process {pid}", "`ps -e` lists what runs")
    if pid == os.getpid():
        raise LeakrunError(ErrorKind.USAGE, f"process {pid} is leakrun itself", "`ps -e` lists what else runs")
    _check_open(pid)
    command, executable = proc.command(pid), proc.executable(pid)
    if not command or not executable:
        raise LeakrunError(
            ErrorKind.USAGE, f"process {pid} is the kernel's own, or is about to end", "`ps -e` lists what else runs"
        )
    return Target(tuple(command), Path(executable), _directory(pid), pid=pid)


def _check_open(pid: int) -> None:
    try:
        with Path(f"/proc/{pid}/maps").open("rb") as file:
            file.read(1)
    except PermissionError:
        raise LeakrunError(
            ErrorKind.USAGE,
            f"process {pid} may not be looked into: it is another user's, or closed",
            "run leakrun as that user, or as root",
        ) from None
    except OSError:
        raise LeakrunError(ErrorKind.USAGE, f"process {pid} has just ended", "`ps -e` lists what runs") from None


def _directory(pid: int) -> Path:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return Path("/")


def check_attaches(profile: str, backend: Backend) -> None:
    """Raise LeakrunError(USAGE) unless the backend can attach, naming those that can."""
    if not backend.attaches:
        # A shipped profile has its backend's name, as YAML's files are named.
        able = ", ".join(name.replace("_", "-") for name in backends.names() if backends.get(name).attaches)
        raise LeakrunError(
            ErrorKind.USAGE,
            f"profile {profile} can't attach: {backend.name} must start the program itself",
            f"these can: -p {able}",
        )
