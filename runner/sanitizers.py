"""Programs that were built with a sanitizer: most tools that take malloc's place can't run beside one.

Measured with gcc 12: under valgrind ASan's ends before main(), TSan's takes all memory there is, and LSan's never ends; with a
library preloaded ASan's ends before main(), and TSan's crashes.
"""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from runner.errors import ErrorKind, LeakrunError
from runner.plan import ProcessOutcome, Target

# The bytes in the program, or the library that it loads, by which it is known.
MARKS = {
    b"\0__asan_init\0": "address",
    b"\0__tsan_init\0": "thread",
    b"\0__msan_init\0": "memory",
    b"\0__lsan_init\0": "leak",
}
KINDS = {kind[0]: kind for kind in MARKS.values()}
LIBRARY = re.compile(r"lib(?:clang_rt\.)?([atml])san\b")
_MOST_PROGRAMS = 100  # files looked into


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


def note(processes: Iterable[ProcessOutcome], maps: Path, cwd: Path) -> None:
    """Note which processes were built with one: behind a shell nobody could refuse them. `maps`: the run directory's."""
    from runner.symbols.target import marks_in

    known: dict[Path, str] = {}
    for process in processes:
        program = _program_of(process, maps, cwd)
        if program is not None and (program in known or len(known) < _MOST_PROGRAMS):
            if program not in known:
                known[program] = next((MARKS[mark] for mark in MARKS if mark in marks_in(program, tuple(MARKS))), "")
            process.sanitizer = known[program]


def _program_of(process: ProcessOutcome, maps: Path, cwd: Path) -> Path | None:
    """The file that a process ran: what it had mapped of that name, or, of one that ended sooner, what its command line names."""
    from runner.mappings import parse_maps

    first = process.command[0] if process.command else ""
    for path in maps.glob(f"{process.pid}.*"):
        for mapped in parse_maps(path.read_bytes()):
            if first and os.path.basename(mapped.path) == os.path.basename(first):  # noqa: PTH119  # a string, not a file
                return Path(mapped.path)
    found = cwd / first if "/" in first else shutil.which(first)
    return Path(found) if first and found is not None else None
