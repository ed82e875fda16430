"""pprof's profile.proto, gzipped: the format of github.com/google/pprof, which its file proto/profile.proto describes.

Protocol buffers on the wire are tag, value; tag is field number x 8 + type, where type 0 is a varint and 2 is bytes with
their length before them (protobuf.dev, "Encoding"). Repeated numbers are packed. That is all that is needed here.
"""

import gzip
from collections.abc import Iterable, Sequence
from typing import BinaryIO

from runner.formats.writers.sheet import Row, Sheet, frame_name, visible
from runner.mappings import MappingIndex
from runner.model import Frame, Mapping, Metric

FORMAT = "pprof"

_TYPES = {
    Metric.ALLOCATED_BLOCKS: ("alloc_objects", "count"),
    Metric.ALLOCATED_BYTES: ("alloc_space", "bytes"),
    Metric.LEAKED_BLOCKS: ("leaked_objects", "count"),
    Metric.LEAKED_BYTES: ("leaked_space", "bytes"),
    Metric.LIVE_BLOCKS: ("inuse_objects", "count"),
    Metric.LIVE_BYTES: ("inuse_space", "bytes"),
}
_NANOSECONDS = 1_000_000_000
_WIRE_BYTES = 2
# Field numbers of message Profile.
_SAMPLE_TYPE, _SAMPLE, _MAPPING, _LOCATION, _FUNCTION, _STRINGS = 1, 2, 3, 4, 5, 6
_TIME, _DURATION, _PERIOD_TYPE, _PERIOD, _COMMENT, _DEFAULT_TYPE = 9, 10, 11, 12, 13, 14


def write(sheet: Sheet, stream: BinaryIO) -> None:
    """Sample types alloc_* (where measured), inuse_objects and inuse_space; a loss's kind is a label of its sample.

    Functions are called without their parameters; the whole signature is the system name. Inlined frames share a location.
    """
    # The time of the archive is left out, so that the same sheet gives the same bytes.
    stream.write(gzip.compress(_Builder(sheet).message(), mtime=0))


def varint(number: int) -> bytes:
    """A number of 0 or more, seven bits at a time, the lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value) if value else b""  # 0 is what a missing field means


def _bytes(field: int, value: bytes) -> bytes:
    return varint(field << 3 | _WIRE_BYTES) + varint(len(value)) + value


def _packed(field: int, values: Iterable[int]) -> bytes:
    return _bytes(field, b"".join(map(varint, values)))


class _Builder:
    """Numbers strings, functions, locations and mappings, each once; ids begin at 1."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._strings: dict[str, int] = {"": 0}
        self._functions: dict[tuple[str, str, str], int] = {}
        self._mappings: dict[Mapping, int] = {}
        self._locations: dict[tuple[Frame, ...], int] = {}
        self._index = MappingIndex(sheet.mappings)
        self._tables = bytearray()  # functions, locations and mappings, as they are first needed

    def message(self) -> bytes:
        """The whole message Profile."""
        sheet = self._sheet
        types = b"".join(_bytes(_SAMPLE_TYPE, self._value_type(metric)) for metric in sheet.metrics)
        samples = b"".join(_bytes(_SAMPLE, self._sample(row)) for row in sheet.rows)
        end = [
            _number(_TIME, round((sheet.taken_at or 0) * _NANOSECONDS)),
            _number(_DURATION, round((sheet.time or 0) * _NANOSECONDS)),
            _bytes(_PERIOD_TYPE, self._value_type(sheet.main_metric)),
            _number(_PERIOD, 1),
            _packed(_COMMENT, [self._string(text) for text in (f"leakrun: {sheet.name}", *sheet.limits)]),
            _number(_DEFAULT_TYPE, self._string(_TYPES[sheet.main_metric][0])),
        ]
        strings = b"".join(_bytes(_STRINGS, text.encode()) for text in self._strings)
        return types + samples + bytes(self._tables) + strings + b"".join(end)

    def _string(self, text: str) -> int:
        return self._strings.setdefault(visible(text), len(self._strings))

    def _value_type(self, metric: Metric) -> bytes:
        name, unit = _TYPES[metric]
        return _number(1, self._string(name)) + _number(2, self._string(unit))

    def _sample(self, row: Row) -> bytes:
        locations = [self._location(group) for group in _grouped(self._sheet.frames(row))]
        label = _number(1, self._string("kind")) + _number(2, self._string(row.kind)) if row.kind else b""
        return _packed(1, locations) + _packed(2, row.amounts) + (_bytes(3, label) if label else b"")

    def _location(self, frames: tuple[Frame, ...]) -> int:
        """The id of the location of one address: inlined frames first, last the function that holds the code."""
        known = self._locations.get(frames)
        if known is not None:
            return known
        place = self._locations[frames] = len(self._locations) + 1
        lines = b"".join(_bytes(4, self._line(frame)) for frame in frames if frame.signature or frame.file)
        mapping = self._mapping_of(frames[-1])
        message = _number(1, place) + _number(2, self._mapping(mapping)) + _number(3, _address(frames[-1], mapping)) + lines
        self._tables += _bytes(_LOCATION, message)
        return place

    def _line(self, frame: Frame) -> bytes:
        key = (frame_name(frame), visible(frame.signature or ""), visible(frame.file or ""))
        place = self._functions.get(key)
        if place is None:
            place = self._functions[key] = len(self._functions) + 1
            name, system_name, file = (self._string(text) for text in key)
            message = _number(1, place) + _number(2, name) + _number(3, system_name or name) + _number(4, file)
            self._tables += _bytes(_FUNCTION, message)
        return _number(1, place) + _number(2, frame.line or 0)

    def _mapping_of(self, frame: Frame) -> Mapping | None:
        """The mapping that the frame's code is in, as far as known; None where nothing is."""
        if frame.module is not None and frame.signature is None:
            return next((each for each in self._sheet.mappings if _holds(each, frame)), Mapping(0, 0, 0, frame.module))
        found = self._index.find(frame.address) if frame.address is not None else None
        if frame.module is not None and (found is None or found.path != frame.module):
            return Mapping(0, 0, 0, frame.module)
        return found

    def _mapping(self, found: Mapping | None) -> int:
        """The id of a mapping; 0 for none."""
        if found is None:
            return 0
        place = self._mappings.get(found)
        if place is None:
            place = self._mappings[found] = len(self._mappings) + 1
            extent = [place, found.start, found.end, found.offset, self._string(found.path), self._string(found.build_id)]
            message = b"".join(_number(field, value) for field, value in enumerate(extent, 1))
            # Names were looked up already, as far as they can be: no reader has to try again.
            message += b"".join(_number(field, 1) for field in (7, 8, 9, 10))
            self._tables += _bytes(_MAPPING, message)
        return place


def _holds(mapping: Mapping, frame: Frame) -> bool:
    """Whether the nameless frame, whose address counts within its file, is in this mapping."""
    within = (frame.address or 0) - mapping.offset
    return mapping.path == frame.module and 0 <= within < mapping.end - mapping.start


def _address(frame: Frame, mapping: Mapping | None) -> int:
    """Where the frame's code was in the process."""
    if frame.signature is None and mapping is not None and _holds(mapping, frame):
        return mapping.start + (frame.address or 0) - mapping.offset
    return frame.address or 0


def _grouped(frames: Sequence[Frame]) -> list[tuple[Frame, ...]]:
    """Frames of one address together: inlined ones, leaf first, and the function that they were inlined into."""
    groups: list[tuple[Frame, ...]] = []
    waiting: list[Frame] = []
    for frame in frames:
        waiting.append(frame)
        if not frame.inlined:
            groups.append(tuple(waiting))
            waiting = []
    return [*groups, tuple(waiting)] if waiting else groups
