"""What leakrun itself writes while the program runs: the maps of each process, and samples.csv."""

import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from runner.supervise import proc
from runner.supervise.family import Family, Member

SAMPLE_COLUMNS = ("time_s", "pid", "rss_bytes", "pss_bytes", "anonymous_bytes", "stack_bytes")
_MOST_MAPS = 200  # per process: a program that loads and unloads for days
_START_UP = 1.0  # seconds in which a program loads, which is no growth
_SLOPE_SPAN = 5.0  # seconds that a slope is taken over at least
_ROLLUP_SHARE = 0.01  # of the time: smaps_rollup holds the target's page tables while it reads


@dataclass(slots=True)
class MapsKeeper:
    """Keeps the text of /proc/PID/maps as DIRECTORY/PID.K.txt, K from 0 up, each time that the executable mappings have changed.

    A library that is unloaded later can be named only from the maps of its time; so nothing kept is ever replaced.
    """

    directory: Path
    _kept: dict[tuple[int, int], list[int]] = field(default_factory=dict)  # hashes of what was kept, by pid and start
    _count: dict[int, int] = field(default_factory=dict)

    def keep(self, member: Member) -> None:
        """Write the member's maps, as last read, unless the same code was mapped before. Raises OSError."""
        if not member.maps_text:
            return
        code = hash(tuple(line for line in member.maps_text.splitlines() if b"x" in line[:60].split(b" ", 2)[1] and b"/" in line))
        kept = self._kept.setdefault((member.pid, member.start_ticks), [])
        if code in kept or len(kept) >= _MOST_MAPS:
            return
        kept.append(code)
        number = self._count.get(member.pid, 0)
        while (self.directory / f"{member.pid}.{number}.txt").exists():
            number += 1  # kept by a supervisor that died
        self._count[member.pid] = number + 1
        (self.directory / f"{member.pid}.{number}.txt").write_bytes(member.maps_text)


@dataclass(slots=True)
class Sampler:
    """Writes a line for each process at each sample; a figure that can't be had is left empty.

    rss   bytes of the whole family at the last sample
    memory_by_pid   each process at the last sample
    """

    path: Path
    rss: int = 0
    memory_by_pid: dict[int, proc.Memory] = field(default_factory=dict)
    _file: TextIO | None = None
    _rollup_due: dict[int, float] = field(default_factory=dict)
    _recent: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=64))

    def open(self) -> None:
        """Create the file with its header, or go on with one that is there. Raises OSError."""
        self._file = self.path.open("a", encoding="ascii", buffering=1)
        if self._file.tell() == 0:
            self._file.write(",".join(SAMPLE_COLUMNS) + "\n")

    def sample(self, now: float, family: Family) -> None:
        """One line for each process that lives. Raises OSError when the disk is full."""
        lines, self.memory_by_pid = [], {}
        for member in family.alive():
            memory = proc.memory(member.pid)
            if memory is None:
                continue
            family.saw_rss(memory.peak)
            self.memory_by_pid[member.pid] = memory
            rollup = self._rollup(now, member.pid)
            pss, anonymous = (rollup.pss, rollup.anonymous) if rollup else ("", "")
            lines.append(f"{now:.3f},{member.pid},{memory.rss},{pss},{anonymous},{memory.stack}\n")
        self.rss = sum(memory.rss for memory in self.memory_by_pid.values())
        if now >= _START_UP:
            self._recent.append((now, self.rss))
        if self._file is not None:
            self._file.write("".join(lines))

    def _rollup(self, now: float, pid: int) -> proc.Rollup | None:
        if now < self._rollup_due.get(pid, 0.0):
            return None
        began = time.monotonic()
        rollup = proc.rollup(pid)
        self._rollup_due[pid] = now + max(1.0, (time.monotonic() - began) / _ROLLUP_SHARE)
        return rollup

    @property
    def slope(self) -> float:
        """Bytes a second by which the family's rss has grown over the last samples; 0 while those tell of the start-up alone."""
        if len(self._recent) < 2:
            return 0.0
        (start, first), (end, last) = self._recent[0], self._recent[-1]
        return (last - first) / (end - start) if end - start >= _SLOPE_SPAN else 0.0

    def close(self) -> None:
        """No more samples."""
        if self._file is not None:
            self._file.close()
            self._file = None
