"""What bpftrace says of a process's blocks, a JSON object a line, under the program that the bpf backend gives it.

    {"type": "leakrun.bpf", "data": {"pid": .., "unix_time": .., "monotonic_ns": .., "maps": [lines of /proc/PID/maps], ...}}
    {"type": "attached_probes", "data": {"probes": 26}}
    {"type": "stats", "data": {"@freed": {"STACK": {"count": 319, "average": 200, "total": 63800}, ...}}}
    {"type": "stats", "data": {"@allocated": {"STACK": {...}}}}
    {"type": "map", "data": {"@below": {"STACK": OTHER, ...}}}    the stack without its outermost frame; 0 for none
    {"type": "map", "data": {"@frame": {"STACK": ADDRESS, ...}}}  its outermost frame
    {"type": "map", "data": {"@untracked": 0}}
    {"type": "map", "data": {"@at": 12066202010370}}              nanoseconds on the monotonic clock; ends a snapshot

Counts are cumulative since the start. Stacks' numbers are hashes of 64 bits, which bpftrace prints with a sign or without.
The stacks are printed when one is new. Where bpftrace was killed the last line is cut; the snapshots before it are whole.
"""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from runner.mappings import MappingIndex, parse_maps
from runner.model import Column, FindingKind, Frame, Metric, Recording, Snapshot, TimeUnit

FORMAT = "bpftrace's lines under leakrun's program"

_HEAD = b'{"type": "leakrun.bpf"'
_OVERFLOW = 1  # the stack that stands for all beyond the bound
_BEYOND = Frame(signature="(stacks beyond the bound)")
_DEEPEST = 200  # frames: a damaged file may have a ring
_MASK = (1 << 64) - 1
_METRICS = (Metric.LIVE_BYTES, Metric.LIVE_BLOCKS, Metric.ALLOCATED_BYTES, Metric.ALLOCATED_BLOCKS)
_LIMITS = [
    "only what was allocated since the attach is counted, and what the process had before it is not",
    "other processes that it forks are not seen",
]
_NO_CALLERS = "its stacks are one frame deep: the callers are seen in what is built with -fno-omit-frame-pointer"


def sniff(head: bytes) -> bool:
    """The line that leakrun writes before bpftrace's own."""
    return head.startswith(_HEAD)


def read(stream: BinaryIO, name: str, started_at: float | None = None) -> Recording:
    """One process's blocks over time, since the attach, or since `started_at` (Unix time) where that is given."""
    return _Reader(name, started_at).read(stream)


class _Reader:
    def __init__(self, name: str, started_at: float | None) -> None:
        self.recording = Recording("bpf", time_unit=TimeUnit.SECONDS, limits=list(_LIMITS))
        self.name, self.started_at = name, started_at
        self.origin = 0.0  # of the monotonic clock, in seconds, at which the recording's time is 0
        self.frame: dict[int, int] = {}
        self.below: dict[int, int] = {}
        self.sums: dict[str, dict[int, tuple[int, int]]] = {"@allocated": {}, "@freed": {}}
        self.moments: list[tuple[float, dict[int, tuple[int, ...]]]] = []
        self.index = MappingIndex(())
        self.untracked = self.lost = self.damaged = 0
        self.map_keys = 0
        self.attached = False
        self.cut = False

    def read(self, stream: BinaryIO) -> Recording:
        for line in stream:
            if not line.strip():
                continue
            if not line.endswith(b"\n"):
                self.cut = True
                break
            try:
                said = json.loads(line)
                self._hear(said["type"], said["data"])
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self.damaged += 1
        self._add_snapshots()
        self._conclude()
        return self.recording

    def _hear(self, kind: str, data: Any) -> None:
        if kind == "leakrun.bpf":
            self._begin(data)
        elif kind == "attached_probes":
            self.attached = True
        elif kind == "stats":
            for name, rows in data.items():
                if name in self.sums:
                    self.sums[name] = {_number(key): (int(row["total"]), int(row["count"])) for key, row in rows.items()}
        elif kind == "map":
            self._learn(data)
        elif kind == "lost_events":
            self.lost += int(data["events"])

    def _begin(self, data: dict[str, Any]) -> None:
        self.recording.pid = int(data["pid"])
        self.recording.command = [str(word) for word in data.get("command", ())]
        self.recording.tool_version = data.get("version")
        if data.get("what") == "mappings":
            self.recording.growth_kind = FindingKind.MAPPING_GROWTH
        self.map_keys = int(data["map_keys"])
        lines = "\n".join(map(str, data["maps"]))
        self.recording.mappings = parse_maps(lines.encode("utf-8", "surrogateescape"))
        self.index = MappingIndex(self.recording.mappings)
        before = float(data["unix_time"]) - self.started_at if self.started_at is not None else 0.0
        self.origin = int(data["monotonic_ns"]) / 1e9 - before

    def _learn(self, data: dict[str, Any]) -> None:
        for name, content in data.items():
            if name == "@untracked":
                self.untracked = int(content)
            elif name == "@at":
                self._snapshot(int(content) / 1e9 - self.origin)
            elif name in ("@frame", "@below"):
                known = self.frame if name == "@frame" else self.below
                known.update((_number(key), _number(value)) for key, value in content.items())

    def _snapshot(self, time: float) -> None:
        """What is live is what was allocated less what was freed; the two are read one after the other, so never below 0."""
        freed = self.sums["@freed"]
        rows: dict[int, tuple[int, ...]] = {}
        for stack, (size, count) in self.sums["@allocated"].items():
            freed_size, freed_count = freed.get(stack, (0, 0))
            rows[stack] = tuple(max(amount, 0) for amount in (size - freed_size, count - freed_count, size, count))
        if self.moments and time <= self.moments[-1][0]:  # it was due earlier and is printed now: it is the same moment
            self.moments[-1] = (self.moments[-1][0], rows)
        else:
            self.moments.append((max(time, 0.0), rows))

    def _add_snapshots(self) -> None:
        """At the end, since a stack's frames may be printed after its sums."""
        ids: dict[int, int] = {}
        for number, (time, rows) in enumerate(self.moments):
            sums: dict[int, tuple[int, ...]] = {}
            for stack, row in rows.items():
                if stack not in ids:
                    ids[stack] = self.recording.table.intern(self._frames(stack))
                known = sums.get(ids[stack])
                sums[ids[stack]] = tuple(map(sum, zip(known, row, strict=True))) if known else row
            columns = {metric: Column() for metric in _METRICS}
            for stack_id, row in sums.items():
                for metric, amount in zip(_METRICS, row, strict=True):
                    if amount:
                        columns[metric].append(stack_id, amount)
            totals = {metric: sum(column.amounts) for metric, column in columns.items()}
            self.recording.snapshots.append(Snapshot(time, totals, columns, label=f"{self.name} {number}"))

    def _frames(self, stack: int) -> Iterator[Frame]:
        """Leaf first, as they were put upon each other."""
        if stack == _OVERFLOW:
            return iter([_BEYOND])
        addresses: list[int] = []
        at = stack
        while at in self.frame and len(addresses) < _DEEPEST:
            addresses.append(self.frame[at])
            at = self.below.get(at, 0)
        return map(self._named, reversed(addresses or [0]))

    def _named(self, address: int) -> Frame:
        mapping = self.index.find(max(address - 1, 0))
        return Frame(address=address, module=mapping.path if mapping else None)

    def _conclude(self) -> None:
        recording = self.recording
        if not self.attached:
            self._flaw(
                "bpftrace did not come to watch the process: that takes it some seconds; heaptrack is there from the start"
            )
        elif not recording.snapshots:
            self._flaw("no snapshot was taken: give it longer; attaching alone takes some seconds")
        elif not any(snapshot.totals[Metric.ALLOCATED_BLOCKS] for snapshot in recording.snapshots):
            self._flaw("the process allocated nothing while it was watched, or by an allocator of its own")
        if all(len(stack) == 1 for stack in recording.table.stacks):
            recording.limits.append(_NO_CALLERS)
        if self.untracked:
            self._flaw(
                f"{self.untracked:,} allocations were not followed: more than {self.map_keys:,} blocks were live at once;"
                " raise it with --set map_keys=N (1 kB of the kernel's memory for each)"
            )
        if self.lost:
            self._flaw(f"bpftrace lost {self.lost} of its own messages: take snapshots more seldom")
        if self.cut:
            self._flaw("ends in the middle of a line: bpftrace was killed, or the disk was full; what came before counts")
        if self.damaged:
            self._flaw(f"{self.damaged} of its lines can't be read")

    def _flaw(self, text: str) -> None:
        self.recording.complete = False
        self.recording.flaws.append(f"{self.name}: {text}")


def _number(text: str | int) -> int:
    """A hash or an address without its sign."""
    return int(text) & _MASK
