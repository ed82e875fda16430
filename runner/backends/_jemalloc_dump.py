"""Run inside gdb, with $pid set: attaches to that process and has its jemalloc write a heap dump, by mallctl("prof.dump").

The call is made on a thread that is not inside the allocator: in the middle of malloc its state is half changed, and its locks
are held. Where every thread is, they run until one has returned from there. Ends gdb with 1, and a line on stderr, where
the dump was not done.
"""

import re
import sys
from typing import Any

import gdb  # type: ignore[import-untyped, import-not-found, unused-ignore]  # gdb brings it

DEEPEST = 200  # frames looked at: the allocator's own are among the first
ENTRY = re.compile(
    r"(?:je_|_rjem_)\w+$|operator (?:new|delete)|"
    r"(?:malloc|calloc|realloc|free|cfree|posix_memalign|aligned_alloc|memalign|valloc|[msrxdn]*allocx|mallctl\w*)$"
)
# So that a signal that arrives during the call is delivered, and does not end it half-way.
QUIETLY = ("handle all nostop noprint pass", "handle SIGINT nostop noprint pass", "set unwindonsignal on")
# Libraries whose functions the allocator calls; with it those whose frames can stand above the program's while it allocates.
BENEATH = re.compile(r"/libc[.-]|libgcc_s|/ld-|libpthread|vdso")
UNWINDING = r"sharedlibrary jemalloc\|/libc[.-]\|libgcc_s\|/ld-\|libpthread"


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
    ways_out = []
    for thread in threads:
        thread.switch()
        inside, caller = place_of_thread()
        if not inside:
            return
        ways_out += [caller.pc()] if caller is not None else []  # none for a thread of the allocator's own
    if not ways_out:
        raise RuntimeError("it is inside the allocator, and who called that can't be told")
    run_until(ways_out[0])


def place_of_thread() -> tuple[bool, Any]:
    """Whether the selected thread is inside the allocator, and the frame that has called it, None where that can't be told.

    Of a shared library the frames are the first, with those of libraries that it calls. What is linked in statically is told by
    the names of its entries, of which one may stand far up.
    """
    shared = any("jemalloc" in each.filename for each in gdb.objfiles())
    inside, caller, frame = False, None, gdb.newest_frame()
    for _ in range(DEEPEST):
        if frame is None:
            break
        library = gdb.solib_name(frame.pc()) or ""
        if ("jemalloc" in library) if shared else ENTRY.match(frame.name() or ""):
            inside, caller = True, None
        elif caller is None and not (shared and BENEATH.search(library)):
            caller = frame
            if shared:
                break
        frame = frame.older()
    return inside, caller


def run_until(address: int) -> None:
    """Let the process run until a thread comes by there; it is outside of the allocator then.

    There is no limit of time: to interrupt it gdb would send SIGINT, and the program would get that.
    """
    stop = gdb.Breakpoint(f"*{address:#x}", internal=True)
    gdb.execute("continue", to_string=True)
    stop.delete()


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
