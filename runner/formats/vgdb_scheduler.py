"""What `vgdb v.info scheduler` prints: the stack of each of the program's threads, as valgrind sees them.

The format is that of valgrind's coregrind/m_libcassert.c, show_sched_status_wrk(). Of valgrind's own ("host") stack first, then

    Thread 2: status = VgTs_Runnable (lwpid 13667)
    ==13663==    at 0x4924545: clock_nanosleep (clock_nanosleep.c:48)
    ==13663==    by 0x1091BC: nap (thr.c:6)
    client stack range: [0x4A3B000 0x6A39FFF] client SP: 0x69B4030

for each thread: the frames leaf first, at most 100 (BACKTRACE_DEPTH in that file), and cut in the middle of a row where
an answer to gdb can't hold them all (some 80 frames with long paths); the last address of its stack, and where its stack pointer
stands, so that the one less the other is in use.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from runner.formats._valgrind import Rows, mark_inlined, parse_frame, text_of
from runner.model import Frame

_THREAD = re.compile(r"Thread (\d{1,9}): status = \w+.*\(lwpid (\d{1,10})\)")
_FRAME = re.compile(r"==(?:[\d:.]+ )?\d+==\s+(?:at|by) (0x.+)")  # with the time where --time-stamp=yes
_RANGE = re.compile(r"client stack range: \[0x([0-9A-F]{1,16}) 0x([0-9A-F]{1,16})\] client SP: 0x([0-9A-F]{1,16})", re.IGNORECASE)


class ThreadStack(NamedTuple):
    """One thread: the name of its stack here, bytes of its stack in use, and its frames, leaf first."""

    name: str
    bytes: int
    frames: list[Frame]


def read(stream: BinaryIO) -> Iterator[ThreadStack]:
    """The threads whose stack is whole; those whose stack pointer is not in their stack's range (another stack) are left out."""
    name, frames = "", list[Frame]()
    for row in Rows(stream):
        text = text_of(row)
        if thread := _THREAD.fullmatch(text):
            name, frames = f"[stack of thread {thread[1]}]", []
        elif name and (described := _FRAME.fullmatch(text)):
            frame = parse_frame(described[1])
            if frame is not None:
                frames.append(frame)
        elif name and (bounds := _RANGE.search(text)):
            start, last, pointer = (int(bounds[number], 16) for number in (1, 2, 3))
            if frames and start <= pointer <= last:
                yield ThreadStack(name, last + 1 - pointer, mark_inlined(frames))
            name = ""
