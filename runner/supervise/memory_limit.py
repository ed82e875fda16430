"""Kills by the kernel for want of memory, told from other SIGKILLs: the counters of the program's cgroup, before and after.

cgroup v2 counts in memory.events, v1 in memory.oom_control; where neither can be read, /proc/vmstat counts for the whole machine.
"""

import os
import re
from pathlib import Path

from runner.supervise import proc

_COUNT = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)
_UNLIMITED = 1 << 60  # v1 writes "no limit" as the largest number of whole pages


class MemoryLimit:
    """The cgroup that a process is in, as far as it can be seen. Made while the process lives."""

    def __init__(self, pid: int) -> None:
        self._counter, self._limit = counter_and_limit(pid)
        self._before = self._count()

    def has_killed(self) -> bool:
        """The kernel has killed a process there for want of memory since this was made."""
        now = self._count()
        return self._before is not None and now is not None and now > self._before

    def text(self) -> str:
        """Which limit that was, for a person."""
        written = (proc.read_bytes(os.fspath(self._limit)) or b"").strip() if self._limit is not None else b""
        if written.isdigit() and int(written) < _UNLIMITED:
            return f"its cgroup's limit is {int(written) / (1 << 20):,.0f} MiB"
        return "the machine, or a cgroup above its own, had no more"

    def _count(self) -> int | None:
        found = _COUNT.search(proc.read_bytes(os.fspath(self._counter)) or b"")
        return int(found[1]) if found else None


def counter_and_limit(pid: int) -> tuple[Path, Path | None]:
    """The file that counts, and the one that holds the limit."""
    for hierarchy, name, counter, limit in (
        ("cgroup", "memory", "memory.oom_control", "memory.limit_in_bytes"),
        ("cgroup2", "", "memory.events", "memory.max"),
    ):
        directory = _directory(pid, hierarchy, name)
        if directory is not None and (directory / counter).exists():
            return directory / counter, directory / limit
    return Path("/proc/vmstat"), None


def _directory(pid: int, hierarchy: str, controller: str) -> Path | None:
    """Where the process's cgroup of that hierarchy is mounted: cgroups(7), proc(5) on mountinfo."""
    inside = None
    for line in (proc.read_bytes(f"/proc/{pid}/cgroup") or b"").decode("utf-8", "surrogateescape").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") and (controller or not controllers):
            inside = path
    if inside is None:
        return None
    for line in (proc.read_bytes("/proc/self/mountinfo") or b"").decode("utf-8", "surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        root, place = before.split(" ")[3:5]
        if kind != hierarchy or (controller and controller not in options.split(" ")[-1].split(",")):
            continue
        if root == "/" or inside == root or inside.startswith(f"{root}/"):
            return Path(place, inside.removeprefix(root if root != "/" else "").lstrip("/"))
    return None
