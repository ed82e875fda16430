"""Which snapshots stay, and whether there is room for more: a disk that we filled would cut what matters most, the last ones."""

import os
from contextlib import suppress
from dataclasses import dataclass, field

from runner.plan import EventKind, Trigger
from runner.supervise.output import RawOutput
from runner.supervise.timeline import Timeline

_RESERVE = 64 << 20  # bytes that stay free for what is written at the end, or
_PART = 0.05  # so much of a small disk, but at least
_LEAST = 96 << 10
_ROOM_FOR = 2  # of the largest snapshot of a process so far
_LOOK = 1.0  # seconds between two looks at the disk
_FEWEST = 12  # snapshots of a process that are never thinned
_DENSE = 16  # with "log" so many of the last ones all stay: more than it takes to judge growth


def stays(number: int, age: int) -> bool:
    """Whether "log" keeps the snapshot of that number, from 0 up, once `age` more of its process have been taken.

    Of those older than 16 every second stays, older than 32 every fourth, and so on: about 8 for each doubling of the age. What
    is dropped once would be dropped ever after, and the first one always stays.
    """
    stride = 1 << (age // _DENSE).bit_length()
    return number % stride == 0


@dataclass(slots=True)
class _Series:
    """The files of one process by one trigger, by number, the oldest first, and the largest size in bytes."""

    trigger: Trigger
    files: dict[int, str] = field(default_factory=dict)
    taken: int = 0
    largest: int = 0


@dataclass(slots=True)
class Retention:
    """Keeps what the trigger, or else `policy` ("all", the last so many, "log"), says, and thins where the disk gets full.

    dropped  how many files went by the policy, or for want of room
    """

    output: RawOutput
    timeline: Timeline
    policy: int | str = "all"
    dropped: int = 0
    _series: dict[tuple[int, str], _Series] = field(default_factory=dict)
    _free: int = 0
    _reserve: int = 0
    _looked: float = float("-inf")
    _told: bool = False

    def keep(self, pid: int, trigger: Trigger, name: str) -> None:
        """A file of that process was confirmed and moved to its place; nobody waits for it by name."""
        series = self._series.setdefault((pid, trigger.name), _Series(trigger))
        series.files[series.taken] = name
        series.taken += 1
        with suppress(OSError):
            size = (self.output.final / name).stat().st_size
            series.largest = max(series.largest, size)
            self._free -= size  # until the next look
        if trigger.keep_last is not None:  # the newer ones hold all that these held: nothing is lost with them
            for number in list(series.files)[: -trigger.keep_last]:
                self._remove(series, number)
        else:
            self._apply_policy(series)

    def _apply_policy(self, series: _Series) -> None:
        last = series.taken - 1
        if isinstance(self.policy, int):
            self._drop(series, list(series.files)[: -self.policy])
        elif self.policy == "log":
            self._drop(series, [number for number in series.files if not stays(number, last - number)])

    def text(self) -> str:
        """What did not stay, as a sentence."""
        why = "the disk was nearly full" if self.policy == "all" else f"snapshots.keep is {self.policy}"
        return f"{self.dropped} snapshots were confirmed and did not stay: {why}"

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
        """Drop a quarter, where each stands for itself: those that stand closest together, so that no part of the run is lost."""
        for series in self._series.values():
            if series.trigger.thins and len(series.files) > _FEWEST:
                numbers = list(series.files)
                between = sorted(range(1, len(numbers) - 1, 2), key=lambda i: numbers[i + 1] - numbers[i - 1])
                self._drop(series, [numbers[i] for i in between[: len(numbers) // 4]])
        self._looked = float("-inf")

    def _drop(self, series: _Series, numbers: list[int]) -> None:
        for number in numbers:
            self.dropped += 1
            self._remove(series, number)

    def _remove(self, series: _Series, number: int) -> None:
        with suppress(OSError):
            (self.output.final / series.files.pop(number)).unlink()
