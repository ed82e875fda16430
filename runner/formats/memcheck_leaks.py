"""memcheck's leak checks while the program runs: what `vgdb leak_check` prints, one file for each check.

The records and the summary are those of the text log, without the log's head and end. Where it was asked for `increased` or
`changed` a check lists only the records that changed since the check before: the others stand as they were.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from runner.formats import memcheck_text
from runner.formats._compressed import opened_at
from runner.formats._memcheck import EMPTIED, loss_of
from runner.formats._valgrind import add_flaw
from runner.model import Amount, Column, Loss, LossKind, Metric, Recording, Snapshot, TimeUnit

FORMAT = "memcheck leak check (vgdb)"

_LOST = (LossKind.DEFINITE, LossKind.INDIRECT)
_HEAD = re.compile(rb"\s*==[0-9]+== ([^\n]*)")
_SUMMARY = re.compile(rb"^==[0-9]+== LEAK SUMMARY:", re.MULTILINE)
_OF_A_LOG = re.compile(rb"^==[0-9]+== (?:HEAP|ERROR) SUMMARY:", re.MULTILINE)
_DELTA = re.compile(rb" \(\+[0-9,]+\)")
_ALL_FREED = b"All heap blocks were freed -- no leaks are possible"
_SERIES = re.compile(r"(.*?)([0-9]+)(\.[A-Za-z]\w*)?")
_SO_FAR = "leak checks while the program ran: what was lost after the last of them they don't show"


class _Standing(NamedTuple):
    """What a stack has lost by now: bytes with what only its blocks point to, blocks, and how much only they point to."""

    bytes: int
    blocks: int
    indirect_bytes: int


def sniff(head: bytes) -> bool:
    """It begins with a leak record or its summary, and is no log: that has a head or, with -q, no summary of leaks."""
    first = _HEAD.match(head)
    if first is None or _OF_A_LOG.search(head):
        return False
    if first[1].startswith((b"LEAK SUMMARY:", _ALL_FREED)):
        return True
    is_record = loss_of(first[1].decode("ascii", "replace"), 0) is not None
    return is_record and bool(_DELTA.search(first[1]) or _SUMMARY.search(head))


def series_of(name: str) -> tuple[str, int] | None:
    """memcheck.4711.0003.leaks is number 3 of memcheck.4711."""
    named = _SERIES.fullmatch(name)
    return (named[1] + (named[3] or ""), int(named[2])) if named else None


def read(stream: BinaryIO, name: str) -> Recording:
    """One check."""
    checks = _Checks(Recording("memcheck", time_unit=TimeUnit.SNAPSHOTS))
    checks.add(0.0, stream, name)
    return checks.alone()


def read_series(files: Iterable[tuple[Path, float | None]]) -> Recording:
    """The checks of one process in the order given; times in seconds since the start, None where they are not known."""
    found = list(files)
    timed = all(time is not None for _, time in found)
    checks = _Checks(Recording("memcheck", time_unit=TimeUnit.SECONDS if timed else TimeUnit.SNAPSHOTS))
    for number, (path, time) in enumerate(found):
        checks.add_file(float(number) if time is None or not timed else time, path)
    return checks.alone()


def add_snapshots(recording: Recording, files: Iterable[tuple[float, Path]]) -> None:
    """Give `recording` a snapshot for each leak check, (seconds, file), of its process."""
    recording.time_unit = TimeUnit.SECONDS
    checks = _Checks(recording)
    for seconds, path in files:
        checks.add_file(seconds, path)


def forgive_registers(recording: Recording) -> int:
    """What the last check, just before a signal ended the program, still reached is not lost. Gives its bytes.

    Of a program that no signal ended nothing is forgiven.
    """
    if EMPTIED not in recording.limits:
        return 0
    recording.limits.remove(EMPTIED)
    last = recording.snapshots[-1]
    live, lost = (
        {_code(recording, stack_id): amount for stack_id, amount in last.columns[metric].items() if amount}
        for metric in (Metric.LIVE_BYTES, Metric.LEAKED_BYTES)
    )
    forgiven = 0
    for number, loss in enumerate(recording.losses):
        own, code = loss.bytes - loss.indirect_bytes, _code(recording, loss.stack_id)
        if loss.kind in _LOST and code not in lost and live.get(code, 0) >= own:
            recording.losses[number] = Loss(LossKind.REACHABLE, own, loss.blocks, loss.stack_id)
            _move(recording.leak_summary or {}, loss.kind, own, loss.blocks)
            forgiven += own
    return forgiven


def _code(recording: Recording, stack_id: int) -> tuple[int | None, ...]:
    """Where a stack's calls are: the XML and the text name frames differently."""
    return tuple(frame.address for frame in recording.table.frames_of(stack_id))


def _move(summary: dict[LossKind, Amount], kind: LossKind, size: int, blocks: int) -> None:
    if {kind, LossKind.REACHABLE} <= summary.keys():
        for each, sign in ((kind, -1), (LossKind.REACHABLE, 1)):
            summary[each] = Amount(summary[each].bytes + sign * size, summary[each].blocks + sign * blocks)


class _Checks:
    """One check after another, as snapshots of a recording."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._standing: dict[tuple[LossKind, int], _Standing] = {}
        self._summary: dict[LossKind, Amount] | None = None
        self._elsewhere: set[int] = set()

    def add_file(self, time: float, path: Path) -> None:
        """One more, of a file that may be gone."""
        try:
            with opened_at(path) as stream:
                self.add(time, stream, path.name)
        except OSError as error:
            self._recording.flaws.append(f"the leak check {path.name} can't be read: {error.strerror}")

    def add(self, time: float, stream: BinaryIO, name: str) -> None:
        """One more. Of another process it is left out."""
        check = memcheck_text.read(stream, name)
        recording = self._recording
        recording.pid = recording.pid if recording.pid is not None else check.pid
        if check.pid not in (None, recording.pid):
            self._elsewhere.add(check.pid or 0)
            return
        self._summary = check.leak_summary
        if self._summary and not any(amount.blocks for amount in self._summary.values()):
            self._standing.clear()
        moved = check.table.merged_into(recording.table)
        changed: dict[tuple[LossKind, int], list[int]] = defaultdict(lambda: [0, 0, 0])
        for loss in check.losses:
            for place, amount in enumerate((loss.bytes, loss.blocks, loss.indirect_bytes)):
                changed[loss.kind, moved[loss.stack_id]][place] += amount
        self._standing.update((key, _Standing(*amounts)) for key, amounts in changed.items())
        recording.snapshots.append(_snapshot(time, name, self._standing))

    def alone(self) -> Recording:
        """The recording where there is nothing beside the checks: what stood at the last of them, and what they leave open."""
        recording = self._recording
        recording.losses = [
            Loss(kind, stands.bytes, stands.blocks, stack_id, stands.indirect_bytes)
            for (kind, stack_id), stands in self._standing.items()
            if stands.bytes or stands.blocks
        ]
        recording.leak_summary = self._summary
        recording.flaws.append(_SO_FAR)
        if self._summary is None:
            add_flaw(recording, "the last leak check has no LEAK SUMMARY: it is cut, or valgrind ran with -q")
        elif (unlisted := sum(each.bytes for each in self._summary.values()) - self._listed()) > 0:
            add_flaw(recording, f"{unlisted:,} bytes stand in earlier leak checks, or were not asked for: name those files too")
        if self._elsewhere:
            others = ", ".join(map(str, sorted(self._elsewhere)[:10]))
            add_flaw(recording, f"checks of other processes are left out ({others}): show them apart")
        return recording

    def _listed(self) -> int:
        return sum(stands.bytes - stands.indirect_bytes for stands in self._standing.values())


def _snapshot(time: float, label: str, standing: dict[tuple[LossKind, int], _Standing]) -> Snapshot:
    live: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    leaked: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for (kind, stack_id), stands in standing.items():
        for sums in (live, leaked) if kind in _LOST else (live,):
            sums[stack_id][0] += stands.bytes - stands.indirect_bytes
            sums[stack_id][1] += stands.blocks
    snapshot = Snapshot(time, {}, label=label)
    for metrics, sums in (
        ((Metric.LIVE_BYTES, Metric.LIVE_BLOCKS), live),
        ((Metric.LEAKED_BYTES, Metric.LEAKED_BLOCKS), leaked),
    ):
        for place, metric in enumerate(metrics):
            snapshot.columns[metric] = Column(sums.keys(), (amounts[place] for amounts in sums.values()))
            snapshot.totals[metric] = sum(amounts[place] for amounts in sums.values())
    return snapshot
