"""Run inside gdb, with PID and OUT set: attaches to that process, has its glibc write malloc_info(3), and puts that into OUT.

glibc writes into memory, from where gdb reads it: the process may have another root directory, or another user's rights. The
calls are made on a thread that is not inside the allocator or a stream's list, whose locks it may hold; what other threads hold
is given back, since they run on meanwhile. Ends gdb with 1 and a line on stderr where that was not done. gdb is sent SIGINT when
it takes too long: that ends a call or a wait, and leaves the process as it was.
"""

import os
import re
import struct
from typing import Any

import gdb  # type: ignore[import-untyped, import-not-found, unused-ignore]  # gdb brings it

PID, OUT = globals()["PID"], globals()["OUT"]
DEEPEST = 60  # frames looked at
ENTRY = re.compile(
    r"operator (?:new|delete)|_*(?:int_|libc_)?(?:m?re|m|c|re)?alloc\w*$|"
    r"_*(?:int_|libc_)?c?free\w*$|posix_memalign$|aligned_alloc$|memalign$|p?valloc$|mallopt$|mallinfo2?$|"
    r"fopen\w*$|fdopen$|fclose$|freopen\w*$|fflush$|_IO_\w+$|fork$|_?exit$|open_memstream$"
)
# SIGINT stays as it is: by it gdb is told that a call has taken too long.
QUIETLY = ("handle all nostop noprint pass", "handle SIGINT stop print nopass", "set unwindonsignal on")
LIBRARIES = r"sharedlibrary /libc[.-]\|/ld-\|libpthread"


def dump() -> None:
    """Get the text and write it. Raises gdb.error or RuntimeError."""
    for command in (f"attach {PID}", *QUIETLY, LIBRARIES):
        gdb.execute(command, to_string=True)
    go_where_it_is_safe()
    room = call("void *(*)(unsigned long)", "malloc", "16")
    stream = call("void *(*)(void *, void *)", "open_memstream", f"(void *) {room}, (void *) {room + 8}")
    code = call("int (*)(int, void *)", "malloc_info", f"0, (void *) {stream}")
    call("int (*)(void *)", "fclose", f"(void *) {stream}")
    memory = gdb.selected_inferior()
    text, size = struct.unpack("<QQ", bytes(memory.read_memory(room, 16)))
    written = bytes(memory.read_memory(text, size)) if text and size else b""
    for block in (text, room):
        gdb.parse_and_eval(f"((void (*)(void *)) free)((void *) {block})")
    if code or not written:
        raise RuntimeError(f"malloc_info() gave {code}")
    with open(f"{OUT}.part", "wb") as file:  # noqa: PTH123  # gdb's own Python: nothing more than it needs
        file.write(written)
    os.rename(f"{OUT}.part", OUT)  # noqa: PTH104


def call(kind: str, function: str, arguments: str) -> int:
    """What the function of the process returns."""
    return int(gdb.parse_and_eval(f"(({kind}) {function})({arguments})"))


def go_where_it_is_safe() -> None:
    """Select a thread that holds none of the locks that we need; where there is none, wait for one to return from there."""
    ways_out = []
    for thread in sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.num):
        thread.switch()
        inside, caller = place_of_thread()
        if not inside:
            return
        ways_out += [caller.pc()] if caller is not None else []
    if not ways_out:
        raise RuntimeError("every thread is inside the allocator, and who called that can't be told")
    stops = [gdb.Breakpoint(f"*{address:#x}", internal=True) for address in dict.fromkeys(ways_out)]
    gdb.execute("continue", to_string=True)
    for stop in stops:
        stop.delete()
    if place_of_thread()[0]:
        raise RuntimeError("no thread returned from the allocator in time")


def place_of_thread() -> tuple[bool, Any]:
    """Whether the selected thread is inside the allocator or holds a lock of streams, and the frame that has called that."""
    inside, caller, frame = False, None, gdb.newest_frame()
    for _ in range(DEEPEST):
        if frame is None:
            break
        if ENTRY.match(frame.name() or ""):
            inside, caller = True, None
        elif caller is None:
            caller = frame
        frame = frame.older()
    return inside, caller


# What gdb itself says of the place where it stopped is for nobody.
STDERR = os.dup(2)
NOWHERE = os.open(os.devnull, os.O_WRONLY)
os.dup2(NOWHERE, 1)
os.dup2(NOWHERE, 2)
failure = ""
try:
    dump()
except (gdb.error, gdb.MemoryError, RuntimeError, OSError, KeyboardInterrupt) as error:
    failure = str(error) or type(error).__name__
try:
    gdb.execute("detach", to_string=True)
except gdb.error as error:
    failure = failure or str(error)  # the process has ended
if failure:
    os.write(STDERR, f"{failure}\n".encode())
    gdb.execute("quit 1")
