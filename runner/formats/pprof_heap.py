"""pprof's profile.proto of a heap: what Go's runtime, google's tcmalloc and tools for jemalloc write, and leakrun's own export.

The format is that of github.com/google/pprof, proto/profile.proto: message Profile in protocol buffers (tag, value; protobuf.dev,
"Encoding"), mostly gzipped. A sample is a list of locations, leaf first, and a value for each sample type; a location is an
address with the lines that are there, inlined ones first; names are numbers of strings. Its sample types say what it counts:

    inuse_space, inuse_objects       what lives; google's tcmalloc writes `space` and `objects`
    alloc_space, alloc_objects       what was allocated in all

The figures are whole: who writes it scales its samples. One file is one moment; the time is when it was written.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from runner.errors import ErrorKind, LeakrunError
from runner.formats._compressed import flaw_of, opened_at
from runner.formats._in_order import in_order
from runner.model import Column, Frame, Loss, LossKind, Mapping, Metric, Recording, Snapshot, TimeUnit

FORMAT = "a pprof heap profile (profile.proto)"

_METRICS = {
    "inuse_space": Metric.LIVE_BYTES,
    "inuse_objects": Metric.LIVE_BLOCKS,
    "space": Metric.LIVE_BYTES,
    "objects": Metric.LIVE_BLOCKS,
    "alloc_space": Metric.ALLOCATED_BYTES,
    "alloc_objects": Metric.ALLOCATED_BLOCKS,
}
_KIND = "kind"  # the label by which `leakrun export` says what kind of loss a sample is
# Field numbers of message Profile, and which of them are numbers.
_SAMPLE_TYPE, _SAMPLE, _MAPPING, _LOCATION, _FUNCTION, _STRING, _TIME, _PERIOD = 1, 2, 3, 4, 5, 6, 9, 12
_NUMBERS = {7, 8, 9, 10, 12, 13, 14, 15}
_HIGHEST_FIELD = 15
_MANGLED = ("_Z", "__Z", "_R")  # C++, the same on macOS, Rust
_NANOSECONDS = 1_000_000_000
_LARGEST = 2**63 - 1
_NAME = re.compile(r"(.*?)[._-]?(\d+)(?:\.(?:pb|pprof|prof|heap))*$")

Field = tuple[int, "int | bytes"]


class _DamageError(ValueError):
    """The bytes are no message."""


def sniff(head: bytes) -> bool:
    """There is no mark: the first fields must be those of a Profile, among them a sample type, which is two numbers."""
    seen = set()
    try:
        for field, value in _fields(head):
            if field > _HIGHEST_FIELD or (isinstance(value, int) and field not in _NUMBERS):
                return False
            if field == _SAMPLE_TYPE and not _is_value_type(value):
                return False
            seen.add(field)
            if _SAMPLE_TYPE in seen and seen & {_SAMPLE, _MAPPING, _LOCATION, _STRING}:
                return True
    except _DamageError:
        return False
    return False


def _is_value_type(value: int | bytes) -> bool:
    fields = list(_fields(value)) if isinstance(value, bytes) else []
    return bool(fields) and all(field in (1, 2) and isinstance(number, int) for field, number in fields)


def read(stream: BinaryIO, name: str) -> Recording:
    """One snapshot, or what was lost. Raises LeakrunError(USAGE) for a profile of other things than memory."""
    series = _Series(TimeUnit.SNAPSHOTS)
    series.add(stream.read(), name, 0.0)
    return series.finish()


def read_series(files: Iterable[tuple[Path, float | None]]) -> Recording:
    """Profiles of one process in the order of time; times in seconds since the start, None where they are not known."""
    unit, found = in_order(files)
    series = _Series(unit)
    for time, path in found:
        with opened_at(path) as stream:
            series.add(stream.read(), path.name, time)
            if flaw := flaw_of(stream):
                series.flaw(f"{path.name}: {flaw}")
    return series.finish()


def series_of(name: str) -> tuple[str, int] | None:
    """heap.3.pb is number 3 of heap."""
    named = _NAME.fullmatch(name)
    return (named[1], int(named[2])) if named else None


class _Place(NamedTuple):
    """A location: the number of its mapping, its address, and (function, line) of each call there, inlined ones first."""

    mapping: int
    address: int
    lines: list[tuple[int, int]]


class _Profile:
    """The parts of one message Profile, by their ids, as far as it can be read."""

    def __init__(self, data: bytes) -> None:
        self.types: list[tuple[int, int]] = []
        self.samples: list[tuple[list[int], list[int], dict[int, int]]] = []  # locations, values, labels (both are strings)
        self.mappings: dict[int, dict[int, int]] = {}
        self.places: dict[int, _Place] = {}
        self.functions: dict[int, dict[int, int]] = {}
        self.strings: list[str] = []
        self.numbers: dict[int, int] = {}
        self.whole = True
        try:
            for field, value in _fields(data):
                self._take(field, value)
        except _DamageError:
            self.whole = False

    def _take(self, field: int, value: int | bytes) -> None:
        if isinstance(value, int):
            self.numbers[field] = value
        elif field == _SAMPLE:
            self.samples.append(_sample(value))
        elif field == _LOCATION:
            self._take_location(value)
        elif field == _FUNCTION:
            function = _numbers_by_field(value)
            self.functions[function.get(1, 0)] = function
        elif field == _STRING:
            self.strings.append(value.decode("utf-8", "backslashreplace"))
        elif field == _MAPPING:
            mapping = _numbers_by_field(value)
            self.mappings[mapping.get(1, 0)] = mapping
        elif field == _SAMPLE_TYPE:
            kind = _numbers_by_field(value)
            self.types.append((kind.get(1, 0), kind.get(2, 0)))

    def _take_location(self, data: bytes) -> None:
        numbers, lines = {}, []
        for field, value in _fields(data):
            if isinstance(value, int):
                numbers[field] = value
            elif field == 4:
                line = _numbers_by_field(value)
                lines.append((line.get(1, 0), line.get(2, 0)))
        self.places[numbers.get(1, 0)] = _Place(numbers.get(2, 0), numbers.get(3, 0), lines)

    def string(self, number: int) -> str:
        """The string of that number; empty where there is none."""
        return self.strings[number] if 0 < number < len(self.strings) else ""

    def mapped(self, number: int) -> Mapping | None:
        """The mapping of that id."""
        found = self.mappings.get(number)
        if found is None:
            return None
        path, build_id = self.string(found.get(5, 0)), self.string(found.get(6, 0))
        return Mapping(found.get(2, 0), found.get(3, 0), found.get(4, 0), path, build_id) if path else None

    def frames(self, number: int) -> Iterator[Frame]:
        """The frames of the location of that id."""
        place = self.places.get(number)
        if place is None:
            yield Frame()
            return
        mapping = self.mapped(place.mapping)
        module = mapping.path if mapping else None
        named = [(self._signature(self.functions.get(function, {})), function, line) for function, line in place.lines]
        for at, (signature, function, line) in enumerate(named, 1):
            file = self.string(self.functions.get(function, {}).get(4, 0)) or None
            known = line if file and 0 < line <= _LARGEST else None
            yield Frame(signature or None, file, known, module, place.address or None, inlined=at < len(named))
        if not named:  # its address is that of the call, and a frame's without a name that behind it
            yield Frame(module=module, address=place.address + 1 if place.address else None)

    def _signature(self, function: dict[int, int]) -> str:
        """The system's name, which has the parameters, but where it is mangled."""
        name, system = self.string(function.get(2, 0)), self.string(function.get(3, 0))
        return name if name and (not system or system.startswith(_MANGLED)) else system


class _Series:
    """Profiles of one process, one after the other."""

    def __init__(self, unit: TimeUnit) -> None:
        self.recording = Recording("pprof", time_unit=unit)
        self._taken: list[int] = []  # nanoseconds, when each was written

    def add(self, data: bytes, name: str, time: float) -> None:
        """One more."""
        profile = _Profile(data)
        metrics = [_METRICS.get(profile.string(kind)) for kind, _ in profile.types]
        if profile.whole and not any(metrics):
            kinds = ", ".join(profile.string(kind) for kind, _ in profile.types) or "nothing"
            message = f"{name}: a pprof profile of {kinds[:100]}, which is not memory"
            raise LeakrunError(ErrorKind.USAGE, message, "name a heap profile, as /debug/pprof/heap gives it")
        if not profile.whole:
            self.flaw(f"{name} is cut or damaged: what came behind is missing")
        known = self.recording.mappings
        known += [each for each in filter(None, map(profile.mapped, profile.mappings)) if each not in known]
        self.recording.command = [each.path for each in known[:1] if each.end > each.start and ".so" not in each.path]
        if (period := profile.numbers.get(_PERIOD, 0)) > 1:
            limit = f"sampled, one for about each {period:,} bytes: the figures are estimates"
            self.recording.limits += [limit] if limit not in self.recording.limits else []
        self._taken.append(profile.numbers.get(_TIME, 0))
        self._add_samples(profile, metrics, Snapshot(time, {}, label=name))

    def _add_samples(self, profile: _Profile, metrics: list[Metric | None], snapshot: Snapshot) -> None:
        table = self.recording.table
        frame_ids = {number: tuple(map(table.frame_id, profile.frames(number))) for number in profile.places}
        amounts: dict[Metric, dict[int, int]] = {metric: defaultdict(int) for metric in metrics if metric}
        kinds, less = {kind.value: kind for kind in LossKind}, False
        for places, values, labels in profile.samples:
            stack = tuple(frame for place in places for frame in frame_ids.get(place) or ())
            stack_id = table.stack_id(stack or (table.frame_id(Frame()),))
            found = {metric: value for metric, value in zip(metrics, values, strict=False) if metric and value}
            less |= any(value < 0 for value in found.values())
            said = {profile.string(key): profile.string(text) for key, text in labels.items()}
            if (kind := kinds.get(said.get(_KIND, ""))) is not None:
                size, blocks = (max(found.get(metric, 0), 0) for metric in (Metric.LIVE_BYTES, Metric.LIVE_BLOCKS))
                self.recording.losses.append(Loss(kind, size, blocks, stack_id))
                continue
            for metric, value in found.items():
                amounts[metric][stack_id] = min(amounts[metric][stack_id] + max(value, 0), _LARGEST)
        if less:
            self.flaw(f"{snapshot.label} is a difference of two profiles: what became less is left out")
        snapshot.columns = {metric: Column(column.keys(), column.values()) for metric, column in amounts.items()}
        snapshot.totals = {metric: min(sum(column.amounts), _LARGEST) for metric, column in snapshot.columns.items()}
        if not self.recording.losses:
            self.recording.snapshots.append(snapshot)

    def finish(self) -> Recording:
        """The recording. Its times are those of writing, where all profiles have one and nobody knows better."""
        recording, taken = self.recording, self._taken
        if recording.time_unit is TimeUnit.SNAPSHOTS and len(taken) > 1 and all(taken) and taken == sorted(taken):
            recording.time_unit = TimeUnit.SECONDS
            for snapshot, nanoseconds in zip(recording.snapshots, taken, strict=False):
                snapshot.time = (nanoseconds - taken[0]) / _NANOSECONDS
        return recording

    def flaw(self, text: str) -> None:
        """Something is missing."""
        self.recording.complete = False
        self.recording.flaws.append(text)


# ---- protocol buffers


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at that place, and the place behind it. Raises _DamageError."""
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _DamageError("a number has no end")


def _fields(data: bytes) -> Iterator[Field]:
    """Number and value of each field of a message. Raises _DamageError where it is none."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            number, at = _varint(data, at)
            yield field, number
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise _DamageError("no such type of field")
        if not field or at + size > end:
            raise _DamageError("a field reaches beyond its message")
        yield field, data[at : at + size]
        at += size


def _numbers_by_field(data: bytes) -> dict[int, int]:
    return {field: value for field, value in _fields(data) if isinstance(value, int)}


def _packed(value: int | bytes) -> list[int]:
    """The numbers of a repeated field, which may stand packed, or one by one."""
    if isinstance(value, int):
        return [value]
    numbers, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        numbers.append(number)
    return numbers


def _sample(data: bytes) -> tuple[list[int], list[int], dict[int, int]]:
    places: list[int] = []
    values: list[int] = []
    labels: dict[int, int] = {}
    for field, value in _fields(data):
        if field == 1:
            places += _packed(value)
        elif field == 2:
            values += [each - (1 << 64) if each > _LARGEST else each for each in _packed(value)]
        elif field == 3 and isinstance(value, bytes):
            label = _numbers_by_field(value)
            labels[label.get(1, 0)] = label.get(2, 0)
    return places, values, labels
