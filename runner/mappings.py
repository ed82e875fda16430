"""Mappings of a process, from /proc/PID/maps as the kernel writes it (proc(5)) and as gperftools copies it into its dumps."""

import re
from bisect import bisect_right
from collections.abc import Iterable

from runner.model import Mapping

_LINE = re.compile(rb"\s*([0-9a-f]{1,16})-([0-9a-f]{1,16}) ..(x|-). ([0-9a-f]{1,16}) \S+ \d+ *(.*)", re.IGNORECASE)
_BRIEF = re.compile(rb"([0-9a-f]{1,16})-([0-9a-f]{1,16}): *(/.*)", re.IGNORECASE)  # as jemalloc lists them on macOS
_DELETED = " (deleted)"


def parse_maps(text: bytes) -> list[Mapping]:
    """The executable mappings of a file or a special area ([vdso]), in the order of the text. Other lines are passed over."""
    return [mapping for line in text.split(b"\n") if (mapping := _mapping(line)) is not None]


def _mapping(line: bytes) -> Mapping | None:
    match = _LINE.match(line)
    if not match and (brief := _BRIEF.fullmatch(line.rstrip(b"\r"))):
        return Mapping(int(brief[1], 16), int(brief[2], 16), 0, brief[3].decode("utf-8", "surrogateescape"))
    if not match or match[3] == b"-" or not match[5].strip():
        return None
    path = match[5].decode("utf-8", "surrogateescape").rstrip("\r").replace("\\012", "\n")
    deleted = path.endswith(_DELETED)
    return Mapping(int(match[1], 16), int(match[2], 16), int(match[4], 16), path.removesuffix(_DELETED), deleted=deleted)


class MappingIndex:
    """Finds the mapping that an address is in.

    Where mappings overlap, as those of different moments may, the last one given wins.
    """

    def __init__(self, mappings: Iterable[Mapping]) -> None:
        self._layers: list[tuple[list[int], list[Mapping]]] = []
        layer: list[Mapping] = []
        for mapping in mappings:
            if layer and mapping.start < layer[-1].end:
                self._add(layer)
                layer = []
            layer.append(mapping)
        self._add(layer)

    def _add(self, layer: list[Mapping]) -> None:
        self._layers.insert(0, ([mapping.start for mapping in layer], layer))

    def find(self, address: int) -> Mapping | None:
        """The mapping that `address` is in; None where it is in none."""
        for starts, layer in self._layers:
            at = bisect_right(starts, address) - 1
            if at >= 0 and address < layer[at].end:
                return layer[at]
        return None
