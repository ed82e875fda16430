"""Which snapshots stay, and whether there is room for more: a disk that we filled would cut what matters most, the last ones."""

import os
from contextlib import suppress
from dataclasses import dataclass, field

from runner.plan import EventKind, Trigger
from runner.supervise.output import RawOutput
from runner.supervise.timeline import Timeline

_RESERVE = 64 << 20  # bytes that stay free for what is written at the end, or
_PART = 0.05  # so much of a small disk, but at least
_LEAST = 128 << 10
_ROOM_FOR = 2  # of the largest snapshot of a process so far
_LOOK = 1.0  # seconds between two looks at the disk
_FEWEST = 12  # snapshots of a process that are never thinned


@dataclass(slots=True)
class _Series:
    """The files of one process by one trigger, the oldest first, and the largest size in bytes."""

    trigger: Trigger
    files: list[str] = field(default_factory=list)
    largest: int = 0


@dataclass(slots=True)
class Retention:
    """Keeps what a trigger says is to be kept, and thins older snapshots where the disk gets full."""

    output: RawOutput
    timeline: Timeline
    _series: dict[tuple[int, str], _Series] = field(default_factory=dict)
    _free: int = 0
    _reserve: int = 0
    _looked: float = float("-inf")
    _told: bool = False

    def keep(self, pid: int, trigger: Trigger, name: str) -> None:
        """A file of that process was confirmed and moved to its place; nobody waits for it by name."""
        series = self._series.setdefault((pid, trigger.name), _Series(trigger))
        series.files.append(name)
        with suppress(OSError):
            size = (self.output.final / name).stat().st_size
            series.largest = max(series.largest, size)
            self._free -= size  # until the next look
        while trigger.keep_last is not None and len(series.files) > trigger.keep_last:
            self._drop(series.files.pop(0))

    def lacks_room(self, pid: int, trigger: Trigger, now: float) -> str:
        """Why one more snapshot of the process would leave too little of the disk; empty where there is enough."""
        if now - self._looked >= _LOOK:
            self._look(now)
        series = self._series.get((pid, trigger.name))
        need = max(self._reserve, _ROOM_FOR * series.largest if series else 0)
        if self._free >= need:
            return ""
        self._thin()
        if not self._told:
            self._told = True
            text = f"only {self._free:,} bytes are free: no more snapshots on the timer, and older ones are thinned"
            self.timeline.tell(EventKind.NOTE, None, text)
        return "the disk is nearly full"

    def _look(self, now: float) -> None:
        self._looked, figures = now, []
        for place in {self.output.raw, self.output.final}:
            with suppress(OSError):
                figures.append(os.statvfs(place))
        fullest = min(figures, key=lambda each: each.f_bavail * each.f_frsize, default=None)
        if fullest is not None:  # else it was moved or deleted, which shows elsewhere
            self._free = fullest.f_bavail * fullest.f_frsize
            self._reserve = min(_RESERVE, max(int(_PART * fullest.f_blocks * fullest.f_frsize), _LEAST))

    def _thin(self) -> None:
        """Drop every second of the older half, where each stands for itself: the more recent, the denser."""
        for series in self._series.values():
            if series.trigger.thins and len(series.files) > _FEWEST:
                older = series.files[1 : len(series.files) // 2 : 2]
                series.files = [name for name in series.files if name not in older]
                for name in older:
                    self._drop(name)
        self._looked = float("-inf")

    def _drop(self, name: str) -> None:
        with suppress(OSError):
            (self.output.final / name).unlink()
