"""Programs that were built with a sanitizer: most tools that take malloc's place can't run beside one.

Measured with gcc 12: under valgrind ASan's ends before main(), TSan's takes all memory there is, and LSan's never ends; with a
library preloaded ASan's ends before main(), and TSan's crashes.
"""

import re

from runner.errors import ErrorKind, LeakrunError
from runner.plan import Target

# The bytes in the program, or the library that it loads, by which it is known.
MARKS = {
    b"\0__asan_init\0": "address",
    b"\0__tsan_init\0": "thread",
    b"\0__msan_init\0": "memory",
    b"\0__lsan_init\0": "leak",
}
KINDS = {kind[0]: kind for kind in MARKS.values()}
LIBRARY = re.compile(r"lib(?:clang_rt\.)?([atml])san\b")


def refuse(target: Target, where: str) -> None:
    """Raise LeakrunError(UNMEASURED) for a program with a sanitizer in it, which can't run `where`."""
    marks = [kind for mark, kind in MARKS.items() if mark in target.marks]
    libraries = [KINDS[named[1]] for name in (target.elf.needed if target.elf else ()) if (named := LIBRARY.match(name))]
    for kind in marks + libraries:
        raise LeakrunError(
            ErrorKind.UNMEASURED,
            f"{target.argv[0]} was built with -fsanitize={kind}, which can't run {where}",
            "build it without for measuring" + ("; `-p lsan` measures it as it is" if kind in ("address", "leak") else ""),
        )
