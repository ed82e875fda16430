"""Run inside gdb, with $pid set: attaches to that process and has its jemalloc write a heap dump, by mallctl("prof.dump").

The call is made on a thread that is not inside the allocator: in the middle of malloc its state is half changed, and its locks
are held. Where every thread is, the first is run until it has returned from there. Ends gdb with 1, and a line on stderr, where
the dump was not done.
"""

import re
import sys
from typing import Any

import gdb  # type: ignore[import-untyped, import-not-found, unused-ignore]  # gdb brings it

DEEPEST = 200  # frames looked at: the allocator's own are among the first
ALLOCATOR = re.compile(
    r"(?:je_|_rjem_)|(?:malloc|calloc|realloc|free|cfree|posix_memalign|aligned_alloc|memalign|valloc|[msrxdn]*allocx|mallctl\w*)$"
)
# So that a signal that arrives during the call is delivered, and does not end it half-way.
QUIETLY = ("handle all nostop noprint pass", "handle SIGINT nostop noprint pass", "set unwindonsignal on")
UNWINDING = r"sharedlibrary jemalloc\|/libc[.-]\|libgcc_s\|/ld-"  # whose frames stand above the program's while it allocates


def dump() -> None:
    """Take the dump. Raises gdb.error, or RuntimeError with what jemalloc said."""
    for command in (f"attach {int(gdb.parse_and_eval('$pid'))}", *QUIETLY, UNWINDING):
        gdb.execute(command, to_string=True)
    prefix = next((each for each in ("", "je_", "_rjem_") if is_there(f"{each}mallctl")), None)
    if prefix is None:
        raise RuntimeError("jemalloc's mallctl() is not in it")
    go_where_it_is_safe()
    room = call(f"(void *(*)(unsigned long, int)) {prefix}mallocx", "16, 0")
    gdb.selected_inferior().write_memory(room, b"prof.dump\0")
    nulls = f"(const char *) {room}, (void *) 0, (void *) 0, (void *) 0, 0"
    code = call(f"(int (*)(const char *, void *, void *, void *, unsigned long)) {prefix}mallctl", nulls)
    gdb.parse_and_eval(f"((void (*)(void *, int)) {prefix}dallocx)((void *) {room}, 0)")
    if code:
        raise RuntimeError(f"mallctl(prof.dump) gave {code}: it was started without prof:true, or can't write there")


def is_there(symbol: str) -> bool:
    """Whether the process has this function."""
    try:
        gdb.parse_and_eval(f"(void *) {symbol}")
    except gdb.error:
        return False
    return True


def call(function: str, arguments: str) -> int:
    """What the function of the process returns."""
    return int(gdb.parse_and_eval(f"({function})({arguments})"))


def go_where_it_is_safe() -> None:
    """Select a thread that is not inside the allocator."""
    threads = sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.num)
    for thread in threads:
        thread.switch()
        if outermost_of_allocator() is None:
            return
    threads[0].switch()
    frame = outermost_of_allocator()
    if frame is not None:
        frame.select()
        gdb.execute("finish", to_string=True)


def outermost_of_allocator() -> Any:
    """The last frame of the selected thread that is the allocator's; None where there is none."""
    found, frame = None, gdb.newest_frame()
    for _ in range(DEEPEST):
        if frame is None:
            break
        if "jemalloc" in (gdb.solib_name(frame.pc()) or "") or ALLOCATOR.match(frame.name() or ""):
            found = frame
        frame = frame.older()
    return found


failure = ""
try:
    dump()
except (gdb.error, RuntimeError) as error:
    failure = str(error)
try:
    gdb.execute("detach", to_string=True)
except gdb.error as error:
    failure = failure or str(error)  # the process has ended
if failure:
    print(failure, file=sys.stderr)
    gdb.execute("quit 1")
