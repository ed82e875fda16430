"""What /proc says of a process: proc(5). A process that is gone or closed to us is None or empty, never an exception."""

import os
import re
from pathlib import Path
from typing import NamedTuple

PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")
_WRITTEN = re.compile(rb"^wchar: (\d+)$", re.MULTILINE)
_FIRST_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of the kernel


class Stat(NamedTuple):
    """Some fields of /proc/PID/stat. Times are in clock ticks, `start_ticks` since the boot."""

    state: str
    parent_pid: int
    group: int
    session: int
    cpu_ticks: int
    threads: int
    start_ticks: int
    virtual: int  # bytes of address space: another figure means other mappings

    @property
    def ended(self) -> bool:
        """Nothing of it runs any more. (A leader that has left its threads behind is a zombie too, and lives.)"""
        return self.state in "ZX" and self.threads <= 1

    @property
    def stopped(self) -> bool:
        """It is stopped by a signal, and acts on none but CONT and KILL."""
        return self.state == "T"


def read(path: str) -> bytes:
    """The whole of a /proc file. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(descriptor, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def read_bytes(path: str) -> bytes | None:
    """The whole of a /proc file; None where it can't be read."""
    try:
        return read(path)
    except OSError:
        return None


def stat(pid: int) -> Stat | None:
    """The fields we need of a process; None when there is no such process."""
    text = read_bytes(f"/proc/{pid}/stat")
    if not text or b")" not in text:
        return None
    fields = text[text.rindex(b")") + 2 :].split()  # the name before may hold spaces and parentheses; fields[0] is field 3
    return Stat(
        state=fields[0].decode("ascii"),
        parent_pid=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        cpu_ticks=int(fields[11]) + int(fields[12]),
        threads=int(fields[17]),
        start_ticks=int(fields[19]),
        virtual=int(fields[20]),
    )


def lives(pid: int, start_ticks: int) -> bool:
    """That process is still there, and no later one with its pid."""
    now = stat(pid)
    return now is not None and now.start_ticks == start_ticks and not now.ended


def children(pid: int) -> list[int]:
    """The pids of the children that any thread of `pid` has now."""
    return [int(child) for text in _of_threads(pid, "children") for child in text.split()]


def _of_threads(pid: int, name: str) -> list[bytes]:
    """That file of each of its threads."""
    try:
        with os.scandir(f"/proc/{pid}/task") as entries:
            paths = [f"{entry.path}/{name}" for entry in entries]
    except OSError:
        return []
    return [text for path in paths if (text := read_bytes(path)) is not None]


def command(pid: int) -> list[str]:
    """The command line, with bytes that are no UTF-8 escaped as surrogates; empty for a zombie."""
    text = read_bytes(f"/proc/{pid}/cmdline") or b""
    return [os.fsdecode(word) for word in text.rstrip(b"\0").split(b"\0")] if text.strip(b"\0") else []


def executable(pid: int) -> str:
    """The file that the process runs; empty where it can't be told."""
    try:
        return str(Path(f"/proc/{pid}/exe").readlink())
    except OSError:
        return ""


def maps(pid: int) -> bytes:
    """The text of /proc/PID/maps; empty where there is none. Raises PermissionError where it is closed to us."""
    try:
        return read(f"/proc/{pid}/maps")
    except PermissionError:
        raise
    except OSError:
        return b""


def mapped_paths(maps_text: bytes) -> list[bytes]:
    """The paths in a text of /proc/PID/maps, in its order, repeated ones kept once."""
    paths = (line.split(None, 5)[5:] for line in maps_text.splitlines())
    return list(dict.fromkeys(path[0] for path in paths if path and path[0].startswith(b"/")))


def catches(pid: int, signum: int) -> bool:
    """The process has a handler for the signal."""
    return _in_mask(pid, signum, b"SigCgt:")


def ignores(pid: int, signum: int) -> bool:
    """The process ignores the signal."""
    return _in_mask(pid, signum, b"SigIgn:")


def is_handling(pid: int, signum: int) -> bool:
    """The signal waits for the process's main thread, or its handler, which holds it back meanwhile, is at work."""
    return _in_mask(pid, signum, b"SigPnd:", b"ShdPnd:", b"SigBlk:")


def _in_mask(pid: int, signum: int, *masks: bytes) -> bool:
    """The signal's bit in one of those masks of /proc/PID/status (proc(5))."""
    lines = (read_bytes(f"/proc/{pid}/status") or b"").splitlines()
    return any(int(line.split()[1], 16) >> (signum - 1) & 1 for line in lines if line.startswith(masks))


def user(pid: int) -> int | None:
    """The effective user id of the process."""
    for line in (read_bytes(f"/proc/{pid}/status") or b"").splitlines():
        if line.startswith(b"Uid:"):
            return int(line.split()[2])
    return None


def written(pid: int) -> int | None:
    """Bytes that its threads have handed to write(2) and the like, wherever these went; None where that is not counted or told.

    Not those of threads that have ended: the kernel adds these up with those of the children that it has waited for.
    """
    found = [match for text in _of_threads(pid, "io") if (match := _WRITTEN.search(text))]
    return sum(int(match[1]) for match in found) if found else None


def boot_id() -> str:
    """Tells this boot of the machine from every other."""
    return (read_bytes("/proc/sys/kernel/random/boot_id") or b"").decode("ascii").strip()


def pid_namespace() -> str:
    """Names the space of pids that we are in: pid_namespaces(7)."""
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115  # it is no path
    except OSError:
        return ""


def all_namespaces_seen() -> bool:
    """We are in the first pid namespace, from which the processes of all others can be seen."""
    return pid_namespace() in ("", _FIRST_NAMESPACE)


def pid_here(pid: int, start_ticks: int, namespace: str) -> int | None:
    """The pid here of the process that has `pid` in that pid namespace; None where it can't be seen from here, or is gone."""
    if namespace in ("", pid_namespace()):
        return pid
    for name in os.listdir("/proc"):  # noqa: PTH208  # a Path for each costs half of it
        if name.isdigit() and pid in _pids(int(name)) and lives(int(name), start_ticks):
            return int(name)
    return None


def _pids(pid: int) -> list[int]:
    """Its pids in our pid namespace and in those below, from ours on."""
    for line in (read_bytes(f"/proc/{pid}/status") or b"").splitlines():
        if line.startswith(b"NSpid:"):
            return [int(word) for word in line.split()[1:]]
    return []


class Memory(NamedTuple):
    """Bytes from /proc/PID/statm and status: resident now, at most, and the main thread's stack; and its threads, counted."""

    rss: int
    peak: int
    stack: int
    threads: int = 1


def memory(pid: int) -> Memory | None:
    """The cheap figures; None for a process that has none (gone, zombie, kernel thread)."""
    wanted = {b"VmRSS": 0, b"VmHWM": 0, b"VmStk": 0}
    seen, threads = False, 1
    for line in (read_bytes(f"/proc/{pid}/status") or b"").splitlines():
        name, _, rest = line.partition(b":")
        if name in wanted:
            wanted[name] = int(rest.split()[0]) * 1024
            seen = True
        elif name == b"Threads":
            threads = int(rest)
    if not seen:
        return None
    statm = (read_bytes(f"/proc/{pid}/statm") or b"").split()
    rss = int(statm[1]) * PAGE if len(statm) > 1 else wanted[b"VmRSS"]
    return Memory(rss, wanted[b"VmHWM"], wanted[b"VmStk"], threads)


class Rollup(NamedTuple):
    """Bytes from /proc/PID/smaps_rollup, which walks the page tables and is not cheap."""

    pss: int
    anonymous: int


def rollup(pid: int) -> Rollup | None:
    """The dear figures; None where they can't be read."""
    fields: dict[bytes, int] = {}
    for line in (read_bytes(f"/proc/{pid}/smaps_rollup") or b"").splitlines():
        name, _, rest = line.partition(b":")
        if name in (b"Pss", b"Anonymous"):
            fields[name] = int(rest.split()[0]) * 1024
    return Rollup(fields[b"Pss"], fields[b"Anonymous"]) if len(fields) == 2 else None
