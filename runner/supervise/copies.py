"""A bounded copy of what the program writes to its stdout and stderr: the head and the tail, at the program's own speed.

A process of its own stands between the program and where it wrote before, for each of the two: it passes everything on, and
never holds the supervisor up. It outlives leakrun: a program whose leakrun was killed must not die of a broken pipe.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_NAMES = {1: "stdout", 2: "stderr"}
_BOTH = "output"  # where both go to the same place, so that their order is kept


class Copies:
    """The copies of one run, in `directory`, which is made; None for none.

    ends  for the program's descriptors 1 and 2 what stands in their place
    pids  of the processes that copy; they end when nobody can write any more
    """

    def __init__(self, directory: Path | None) -> None:
        self.ends: dict[int, int] = {}
        self.pids: set[int] = set()
        self._directory = directory

    def start(self) -> None:
        """Begin to copy. Raises OSError where the disk has no room for it."""
        if self._directory is None:
            return
        from runner.supervise import passing  # most runs need none of it

        self._directory.mkdir(mode=0o700)
        for numbers in _places():
            name = _BOTH if len(numbers) == 2 else _NAMES[numbers[0]]
            pid, end = passing.start(numbers[0], self._directory / name)
            self.pids.add(pid)
            self.ends.update(dict.fromkeys(numbers, end))

    def close_ends(self) -> None:
        """The program has them, or was not started."""
        for descriptor in set(self.ends.values()):
            os.close(descriptor)
        self.ends.clear()

    def kill(self) -> None:
        """Nobody reads what they pass on, and somebody is in a hurry. What they have read is kept."""
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _places() -> Iterator[tuple[int, ...]]:
    """Which of 1 and 2 the program would have: each alone, or both together where they lead to the same place."""
    where: dict[tuple[int, int], list[int]] = {}
    for number in filter(os.get_inheritable, _NAMES):
        status = os.fstat(number)
        where.setdefault((status.st_dev, status.st_ino), []).append(number)
    yield from map(tuple, where.values())
