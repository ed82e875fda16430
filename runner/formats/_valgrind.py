"""What valgrind's formats have in common: how frames are written, and what may be found in their bytes."""

import re
from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import BinaryIO

from runner.model import Frame, Recording, StackTable

LARGEST = 2**63 - 1  # what a column of amounts can hold
LONGEST_ROW = 1 << 20
CHUNK_BYTES = 1 << 16
MOST_FLAWS = 20

# 0x10920E: f(int) (a file.c:12)   0x4A: ??? (in /usr/lib/x.so)   0x4A: (below main) (libc-start.c:308)   0x4A: ???
_FRAME = re.compile(r"0x([0-9A-Fa-f]{1,16}): ?(.*)", re.DOTALL)
# The common case: no parentheses where the frame is. Otherwise _split_place() looks for them.
_PLAIN = re.compile(r"(.+) \((?:in ([^()]+)|([^()]+):([0-9]{1,9}))\)", re.DOTALL)
_SOURCE = re.compile(r"\((.+):([0-9]{1,9})\)", re.DOTALL)
_OBJECT = re.compile(r"\(in (.+)\)", re.DOTALL)


def parse_frame(text: str) -> Frame | None:
    """A frame as valgrind's describe_IP() writes it in massif's trees and memcheck's log; None for other text."""
    match = _FRAME.fullmatch(text)
    if match is None:
        return None
    address, described = int(match[1], 16), match[2]
    if plain := _PLAIN.fullmatch(described):
        signature = None if plain[1] == "???" else plain[1]
        return Frame(signature, plain[3], int(plain[4]) if plain[4] else None, plain[2], address)
    name, place = _split_place(described)
    signature = None if name in ("", "???") else name
    if source := _SOURCE.fullmatch(place):
        return Frame(signature, file=source[1], line=int(source[2]), address=address)
    if module := _OBJECT.fullmatch(place):
        return Frame(signature, module=module[1], address=address)
    return Frame(None if described in ("", "???") else described, address=address)


def _split_place(described: str) -> tuple[str, str]:
    """Function name and "(where it is)": the last group in parentheses, which may hold further ones, after a space."""
    if not described.endswith(")"):
        return described, ""
    depth = 0
    for at in range(len(described) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(described[at], 0)
        if depth == 0 and (at == 0 or described[at - 1] == " "):
            break
    else:  # unbalanced: a file name may hold one parenthesis
        at = described.rfind(" (") + 1
    return described[:at].rstrip(" "), described[at:]


def mark_inlined(frames: list[Frame]) -> list[Frame]:
    """The same stack, leaf first, with inlined frames marked.

    valgrind prints an inlined call as a frame of its own with the address of the function that it was inlined into,
    which comes last. A function that calls itself repeats the whole group, so only the shortest period counts.
    """
    if all(left.address != right.address for left, right in pairwise(frames)):
        return frames
    marked: list[Frame] = []
    for _, members in groupby(frames, key=lambda frame: frame.address):
        group = list(members)
        period = next(n for n in range(1, len(group) + 1) if group[n:] == group[:-n])
        marked += [
            frame if (n + 1) % period == 0 or frame.address is None else frame._replace(inlined=True)
            for n, frame in enumerate(group)
        ]
    return marked


def with_inlined_marked(table: StackTable) -> StackTable:
    """A table of the same stacks under the same ids, with inlined frames marked."""
    addresses = [frame.address for frame in table.frames]
    if all(addresses[above] != addresses[below] for stack in table.stacks for above, below in pairwise(stack)):
        return table
    marked = StackTable()
    for stack_id in range(len(table.stacks)):
        marked.intern(mark_inlined(table.frames_of(stack_id)))
    return marked


def text_of(raw: bytes) -> str:
    """Text of bytes that ought to be UTF-8; others stay visible as \\xNN."""
    return raw.decode("utf-8", "backslashreplace")


def amount_of(text: str | bytes | None) -> int | None:
    """A count or size that valgrind wrote, with or without thousands separators; None for anything else."""
    if text is None:
        return None
    plain = (text_of(text) if isinstance(text, bytes) else text).strip().replace(",", "")
    if not (plain.isascii() and plain.isdigit() and len(plain) <= 19):
        return None
    value = int(plain)
    return value if value <= LARGEST else None


def add_flaw(recording: Recording, flaw: str) -> None:
    """Note that something is missing or damaged; `recording` is not complete then. Says when it stops counting."""
    recording.complete = False
    if len(recording.flaws) < MOST_FLAWS:
        recording.flaws.append(flaw)
    elif len(recording.flaws) == MOST_FLAWS:
        recording.flaws.append("more of the file is damaged")


class Rows:
    """The rows of a stream, without their ends. After the last, `unfinished` holds what stands behind the last row end.

    A row longer than a mebibyte, which no tool writes, is cut there, so that memory is bounded on any file.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.unfinished = b""
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        rest = b""
        while chunk := self._stream.read(CHUNK_BYTES):
            rows = (rest + chunk).split(b"\n")
            rest = rows.pop()[:LONGEST_ROW]
            yield from rows
        self.unfinished = rest
