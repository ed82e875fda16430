"""Run inside gdb, with $pid set: attaches to that process and loads heaptrack into it, or has heaptrack end its record.

The environment says which: LEAKRUN_LIBRARY is libheaptrack_inject.so, LEAKRUN_RECORD the file to write, none to end the record.
The calls are made on a thread that is not inside the allocator or the loader: in the middle of malloc its state is half changed,
and its locks are held. Ends gdb with 1, and a line on stderr, where it could not be done; with 3 where every thread was in there,
so that another moment may do.
"""

import os
import re
import sys
from typing import Any

import gdb  # type: ignore[import-untyped, import-not-found, unused-ignore]  # gdb brings it

DEEPEST = 100  # frames looked at
ALLOCATOR = re.compile(
    r"operator (?:new|delete)|_int_(?:malloc|free|realloc|memalign)|tcache_|malloc|calloc|realloc|free\b|cfree|posix_memalign|"
    r"aligned_alloc|memalign|_?dl_|__libc_(?:malloc|free|calloc|realloc)|sysmalloc|heaptrack_"
)
# So that a signal that arrives during the call is delivered, and does not end it half-way.
QUIETLY = ("handle all nostop noprint pass", "handle SIGINT nostop noprint pass", "set unwindonsignal on")
LIBRARIES = r"sharedlibrary /libc[.-]\|/ld-\|libpthread\|/libdl[.-]\|malloc\|libheaptrack"
NEVER = 3


class _NeverSafeError(Exception):
    """Every thread is inside the allocator, or the loader."""


def work() -> None:
    """Load heaptrack, or end its record. Raises gdb.error, RuntimeError with what went wrong, or _NeverSafeError."""
    for command in (f"attach {int(gdb.parse_and_eval('$pid'))}", *QUIETLY, LIBRARIES):
        gdb.execute(command, to_string=True)
    go_where_it_is_safe()
    record = os.environ.get("LEAKRUN_RECORD")
    if record is None:
        gdb.parse_and_eval("((void (*)(void)) heaptrack_stop)()")
        return
    library = os.environ["LEAKRUN_LIBRARY"]
    opener = next((each for each in ("dlopen", "__libc_dlopen_mode") if is_there(each)), None)
    if opener is None:
        raise RuntimeError("it can't load libraries: it has no dlopen(), as a static program or one of musl has none")
    flags = 0x80000002 if opener.startswith("__") else 2  # RTLD_NOW, and glibc's own __RTLD_DLOPEN
    if not int(gdb.parse_and_eval(f"((void *(*)(const char *, int)) {opener})({text(library)}, {flags})")):
        raise RuntimeError(f"it can't load {library}: is that in its file system, and of its architecture?")
    gdb.execute("sharedlibrary libheaptrack", to_string=True)
    gdb.parse_and_eval(f"((void (*)(const char *)) heaptrack_inject)({text(record)})")


def text(value: str) -> str:
    """As gdb takes it in an expression."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def is_there(symbol: str) -> bool:
    """Whether the process has this function."""
    try:
        gdb.parse_and_eval(f"(void *) {symbol}")
    except gdb.error:
        return False
    return True


def go_where_it_is_safe() -> None:
    """Select a thread that is not inside the allocator or the loader."""
    for thread in sorted(gdb.selected_inferior().threads(), key=lambda each: each.num):
        thread.switch()
        if not is_inside():
            return
    raise _NeverSafeError("each of its threads is inside the allocator")


def is_inside() -> bool:
    """Whether the selected thread is inside the allocator or the loader."""
    frame: Any = gdb.newest_frame()
    for _ in range(DEEPEST):
        if frame is None:
            return False
        library = gdb.solib_name(frame.pc()) or ""
        if "heaptrack" in library or "/ld-" in library or ALLOCATOR.match(frame.name() or ""):
            return True
        frame = frame.older()
    return False


failure, code = "", 1
try:
    work()
except _NeverSafeError as error:
    failure, code = str(error), NEVER
except (gdb.error, RuntimeError, KeyError) as error:
    failure = str(error)
try:
    gdb.execute("detach", to_string=True)
except gdb.error as error:
    failure = failure or str(error)  # the process has ended
if failure:
    print(failure, file=sys.stderr)
    gdb.execute(f"quit {code}")
