"""heapcheck: tcmalloc's heap leak checker (gperftools up to 2.16): which blocks nothing points to when the program ends.

It looks once, when the program ends by exit() or by returning from main, and writes a file only of what it found. So that
"nothing was found" is not taken for "nobody looked", tcmalloc's heap profiler is switched on beside it: it dumps at the same
moment, and at no other.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from runner.backends import _preload
from runner.backends.base import Backend, ToolOptions, refuse_args
from runner.backends.heapprofile import INSTALL, dumps_to, environment, find_library, library_version, linked_in
from runner.errors import ErrorKind, LeakrunError
from runner.kinds import FindingKind, Metric
from runner.plan import LaunchPlan, Outcome, Target, ToolStatus
from runner.profile import NextToFile, Profile, Within

if TYPE_CHECKING:  # what only reading needs is imported when it reads
    from runner.model import Recording

REPORT = {"PPROF_PATH", "HEAP_CHECK_MAX_LEAKS", "HEAP_CHECK_IDENTIFY_LEAKS"}
MARK = b"HEAP_CHECK_DUMP_DIRECTORY"  # in each tcmalloc that has the checker
GONE_SINCE = (2, 17)
GONE = "the heap checker is gone from gperftools 2.17 on: HEAPCHECK is silently ignored there"


class HeapcheckOptions(ToolOptions):
    """Options of the heap checker, named as its environment variables; `mode` is HEAPCHECK itself.

    mode      normal; strict: also what lives from before main and what global destructors leave; draconian: whatever is not
              freed; local: only between the program's own HeapLeakChecker objects; as-is: as the other options say
    library   the libtcmalloc to preload; found by itself where it is not given

    PPROF_PATH, HEAP_CHECK_MAX_LEAKS and HEAP_CHECK_IDENTIFY_LEAKS are about the checker's own report: with one of them it is
    printed, to the program's standard error.
    """

    mode: Literal["minimal", "normal", "strict", "draconian", "local", "as-is"] = "normal"
    library: Annotated[str, NextToFile()] | None = None
    HEAP_CHECK_AFTER_DESTRUCTORS: bool | None = None
    HEAP_CHECK_IGNORE_GLOBAL_LIVE: bool | None = None
    HEAP_CHECK_IGNORE_THREAD_LIVE: bool | None = None
    HEAP_CHECK_TEST_POINTER_ALIGNMENT: bool | None = None
    HEAP_CHECK_POINTER_SOURCE_ALIGNMENT: int | None = None
    HEAP_CHECK_MAX_POINTER_OFFSET: int | None = None
    HEAP_CHECK_MAX_LEAKS: Annotated[int, Within(0)] | None = None
    HEAP_CHECK_IDENTIFY_LEAKS: bool | None = None
    PPROF_PATH: Annotated[str, NextToFile()] | None = None


class Heapcheck(Backend):
    """Preloads libtcmalloc, or finds it linked in, and has it look for leaks at the end."""

    name = "heapcheck"
    measures = frozenset({Metric.LEAKED_BYTES, Metric.LEAKED_BLOCKS})
    sees = frozenset({FindingKind.LOST})
    marks = (MARK,)
    cost = "2 to 10 times slower; 10 us for each malloc"
    slowdown = 4.0
    accounts = False  # what looks like a pointer, anywhere, keeps a block
    sanitized = False
    Options: ClassVar[type[ToolOptions]] = HeapcheckOptions

    def probe(self, options: ToolOptions) -> ToolStatus:
        """Find libtcmalloc: where the profile says, by ldconfig, or in the known directories; and whether it has the checker."""
        assert isinstance(options, HeapcheckOptions)
        library = Path(options.library) if options.library else find_library()
        if library is None or not library.is_file():
            return ToolStatus(f"libtcmalloc ({options.library})" if options.library else "libtcmalloc", None, install=INSTALL)
        version = library_version(library)
        limits = (GONE,) if version >= GONE_SINCE or MARK not in library.read_bytes() else ()
        return ToolStatus("libtcmalloc", library, version, limits, INSTALL)

    def plan(self, target: Target, tool: ToolStatus, profile: Profile, out: Path) -> LaunchPlan:
        """Environment only; the argv stays the user's. Refuses what can't be preloaded, and a library without the checker."""
        options = profile.options
        assert isinstance(options, HeapcheckOptions)
        _refuse_what_it_has_not(profile)
        if GONE in tool.limits and not target.marks:
            raise LeakrunError(
                ErrorKind.UNMEASURED,
                f"gperftools {tool.version_text} ({tool.path}) has no heap checker: it is gone since 2.17",
                "use --profile memcheck, or name a libtcmalloc up to 2.16 with --set library=PATH",
            )
        env: dict[str, str | None] = dict(profile.env)
        if not options.given().keys() & REPORT:
            env.setdefault("PERFTOOLS_VERBOSE", "-4")  # its report is read from the file, and stderr is the program's
        # Names are found by leakrun. Where there is a file, the checker starts it, and dies by SIGPIPE when that ends too early.
        env.setdefault("PPROF_PATH", "/nonexistent")
        env |= {
            "HEAPCHECK": options.mode,
            "HEAP_CHECK_DUMP_DIRECTORY": str(out),
            **dumps_to(f"{out}/exit.{{pid}}", tool),
            "HEAP_PROFILE_ALLOCATION_INTERVAL": "0",
            "HEAP_PROFILE_INUSE_INTERVAL": "0",
        }
        env |= environment(options)
        if not linked_in(target):
            env["LD_PRELOAD"] = _preload.preloaded(target, tool.path)
        return LaunchPlan(
            argv=target.argv,
            env=env,
            cwd=target.cwd,
            stop=profile.stop_plan(),
            outputs=("*.heap",),
            loaded=None if target.marks else "libtcmalloc",
        )

    def read(self, out: Path, profile: Profile, outcome: Outcome) -> "list[Recording]":
        """What each process that was looked at has lost."""
        from runner.backends import _heapcheck_files

        options = profile.options
        assert isinstance(options, HeapcheckOptions)
        return _heapcheck_files.read(out, options.mode, outcome)

    def own_processes(self, out: Path, outcome: Outcome) -> frozenset[int]:
        """To look at the stacks of all threads the checker clones the process."""
        from runner.backends import _heapcheck_files

        return _heapcheck_files.clones(out, outcome)

    def ended_by_tool(self, out: Path, outcome: Outcome) -> bool:
        """The checker ends a program that leaks with 1, whatever it was to end with."""
        from runner.backends import _heapcheck_files

        return _heapcheck_files.ended_by_checker(out, outcome)


def _refuse_what_it_has_not(profile: Profile) -> None:
    refuse_args(profile, "libtcmalloc is loaded into the program", "its settings are options: --set mode=strict")
    if profile.snapshots.every is not None or profile.snapshots.rss_step is not None:
        raise LeakrunError(
            ErrorKind.USAGE,
            "heapcheck takes no snapshots: it looks once, at the end of the program",
            "leave out --every and `snapshots`; what grows while it runs, --profile heapprofile shows",
        )
