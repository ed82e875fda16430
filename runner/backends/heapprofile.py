"""heapprofile: tcmalloc's heap profiler (gperftools): live and allocated bytes by stack, in dumps while the program runs."""

import os
import re
import signal as signals
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from runner.backends import _preload
from runner.backends.base import Backend, ToolOptions, refuse_args
from runner.kinds import FindingKind, Metric
from runner.plan import Gate, LaunchPlan, Outcome, Proof, SendSignal, Target, ToolStatus, Trigger
from runner.profile import NextToFile, Profile, Size, Within, Written, parse_signal

if TYPE_CHECKING:  # what only reading needs is imported when it reads
    from runner.model import Recording

INSTALL = "apt-get install libgoogle-perftools4  (dnf install gperftools-libs, pacman -S gperftools, conda install gperftools)"
# The profiler is in libtcmalloc and libtcmalloc_and_profiler, never in libtcmalloc_minimal.
WITH_PROFILER = re.compile(r"libtcmalloc(?:_and_profiler|_debug)?\.so(?:\.\d+)*$")
BYPASSED = (
    "not one allocation went through tcmalloc: the program has a malloc of its own, or gets its memory by mmap; "
    "use --profile massif, or massif-pages"
)
UNSEEN_MAPPINGS = (
    "what the C library maps for itself passes tcmalloc by: threads' stacks, and what dlopen loads; massif-pages sees it"
)
USE_PID_SINCE = (2, 11)
# As the supervisor gave it to a process, kept.PID.N; as the library names it, heap.PID[_CHILD].N, where nobody was left to.
# Under MPI and Slurm gperftools 2.11 and later put the rank between, heap.PID.rank-3_CHILD.N.
RANK = r"(?:\.[a-z]+-\d+)?"
DUMP = re.compile(rf"(?:kept|heap)\.(\d+){RANK}(?:_(\d+))?\.(\d+)\.heap$")
Signal = Annotated[int, Written(parse_signal)]


class HeapprofileOptions(ToolOptions):
    """Options of tcmalloc's heap profiler, named as its environment variables.

    library   the libtcmalloc to preload; found by itself where it is not given
    signal    what makes it dump. URG's default action is to be ignored, so that one sent too early kills nobody.
    """

    library: Annotated[str, NextToFile()] | None = None
    signal: Signal = int(signals.SIGURG)
    HEAP_PROFILE_ALLOCATION_INTERVAL: Size | None = None
    HEAP_PROFILE_DEALLOCATION_INTERVAL: Size | None = None
    HEAP_PROFILE_INUSE_INTERVAL: Size | None = None
    HEAP_PROFILE_TIME_INTERVAL: Annotated[int, Within(0)] | None = None  # seconds
    HEAP_PROFILE_MMAP: bool | None = None
    HEAP_PROFILE_ONLY_MMAP: bool | None = None
    HEAP_PROFILE_MMAP_LOG: bool | None = None


class Heapprofile(Backend):
    """Preloads libtcmalloc, or finds it linked in, and has it dump on a signal."""

    name = "heapprofile"
    measures = frozenset({Metric.LIVE_BYTES, Metric.LIVE_BLOCKS, Metric.ALLOCATED_BYTES, Metric.ALLOCATED_BLOCKS})
    sees = frozenset({FindingKind.GROWING, FindingKind.MAPPING_GROWTH})
    marks = (b"HEAPPROFILESIGNAL",)
    cost = "5 us for each malloc and free"
    slowdown = 2.0
    clocked = True
    sanitized = False
    Options: ClassVar[type[ToolOptions]] = HeapprofileOptions

    def probe(self, options: ToolOptions) -> ToolStatus:
        """Find libtcmalloc: where the profile says, by ldconfig, or in the known directories."""
        assert isinstance(options, HeapprofileOptions)
        library = Path(options.library) if options.library else find_library()
        if library is None or not library.is_file():
            return ToolStatus(f"libtcmalloc ({options.library})" if options.library else "libtcmalloc", None, install=INSTALL)
        version = library_version(library)
        limits = ("mmap profiling is gone from gperftools 2.17 on",) if version >= (2, 17) else ()
        return ToolStatus("libtcmalloc", library, version, limits, INSTALL)

    def plan(self, target: Target, tool: ToolStatus, profile: Profile, out: Path) -> LaunchPlan:
        """Environment only; the argv stays the user's. Refuses what can't be preloaded."""
        options = profile.options
        assert isinstance(options, HeapprofileOptions)
        refuse_args(
            profile, "libtcmalloc is loaded into the program", "its settings are options: --set HEAP_PROFILE_TIME_INTERVAL=10"
        )
        env: dict[str, str | None] = dict(profile.env)
        if not options.HEAP_PROFILE_MMAP_LOG:
            env.setdefault("PERFTOOLS_VERBOSE", "-2")  # not a line on the program's stderr for each dump; warnings stay
        env |= dumps_to(f"{out}/heap.{{pid}}", tool)
        env["HEAPPROFILESIGNAL"] = str(options.signal)
        env |= environment(options)
        if not self.linked_in(target):
            env["LD_PRELOAD"] = _preload.preloaded(target, tool.path)
            env.setdefault("HEAPCHECK", None)  # set for other programs, it would end this one with 1 and its output unwritten
        dump = Trigger(
            name="dump",
            action=SendSignal(options.signal),
            gate=Gate(catches=options.signal, mapped=None if target.marks else "libtcmalloc"),
            proof=Proof(
                "heap.*.heap",  # a fork writes under its parent's names
                marker=b"MAPPED_LIBRARIES:",
                settle=0.02,
                keep_as="kept.{pid}.{n}.heap",
                own="heap.*_{pid}.*.heap",
            ),
            patience=2.0,
            thins=True,
        )
        return LaunchPlan(
            argv=target.argv,
            env=env,
            cwd=target.cwd,
            triggers=(profile.timed(dump),),
            stop=profile.stop_plan(),
            default_signals=(options.signal,),
            outputs=("*.heap",),
            loaded=None if target.marks else "libtcmalloc",
        )

    def seen_with(self, options: ToolOptions) -> frozenset[FindingKind]:
        """The heap, the mappings, or both."""
        assert isinstance(options, HeapprofileOptions)
        mappings = {FindingKind.MAPPING_GROWTH} if options.HEAP_PROFILE_MMAP or options.HEAP_PROFILE_ONLY_MMAP else set()
        return frozenset(mappings if options.HEAP_PROFILE_ONLY_MMAP else {FindingKind.GROWING, *mappings})

    def linked_in(self, target: Target) -> bool:
        """The program has a tcmalloc with the profiler in it, or loads one by itself: nothing to preload."""
        return linked_in(target)

    def read(self, out: Path, profile: Profile, outcome: Outcome) -> "list[Recording]":
        """The dumps of each process in the order of time."""
        from runner.formats import gperftools_heap

        options = profile.options
        assert isinstance(options, HeapprofileOptions)
        dumps: dict[int, list[tuple[Path, float]]] = defaultdict(list)
        for path in sorted(out.glob("*.heap")):
            named = DUMP.match(path.name)
            if named and path.stat().st_size:
                dumps[int(named[2] or named[1])].append((path, outcome.files.get(path.name, 0.0)))
        recordings = []
        for pid, files in sorted(dumps.items(), key=lambda item: (item[0] != outcome.pid, item[0])):
            recording = gperftools_heap.read_series(sorted(files, key=lambda each: (each[1], each[0])))
            recording.pid = pid
            if options.HEAP_PROFILE_ONLY_MMAP:
                recording.growth_kind = FindingKind.MAPPING_GROWTH
            if options.HEAP_PROFILE_MMAP or options.HEAP_PROFILE_ONLY_MMAP:
                recording.limits.append(UNSEEN_MAPPINGS)
            recordings.append(recording)
        if not options.HEAP_PROFILE_ONLY_MMAP:
            _doubt_what_passes_by(recordings, outcome)
        return recordings


def _doubt_what_passes_by(recordings: Sequence["Recording"], outcome: Outcome) -> None:
    """A program none of whose processes allocated anything; a master that only forks and waits is no reason to doubt."""
    names = {each.pid: each.name for each in outcome.processes}
    allocates = {
        each.pid for each in recordings if any(snapshot.totals.get(Metric.ALLOCATED_BYTES) for snapshot in each.snapshots)
    }
    programs = {names.get(pid or 0) for pid in allocates}
    for recording in recordings:
        if recording.pid not in allocates and names.get(recording.pid or 0) not in programs:
            recording.flaws.append(BYPASSED)


def environment(options: ToolOptions) -> dict[str, str]:
    """The options that are named as the library's environment variables, as it reads them."""
    given = ((name, value) for name, value in options.given().items() if name.isupper())
    return {name: value if isinstance(value, str) else str(int(value)) for name, value in given}


def linked_in(target: Target) -> bool:
    """The program has a tcmalloc with the profiler in it, or loads one by itself: nothing to preload."""
    if target.marks:
        return True
    return target.elf is not None and any(WITH_PROFILER.search(name) for name in target.elf.needed)


@cache
def find_library() -> Path | None:
    """The libtcmalloc with a profiler that the loader would find, or one in a directory where distributions put it."""
    usable = [
        path for path in _preload.libraries("libtcmalloc*.so*") if WITH_PROFILER.search(path.name) and "_debug" not in path.name
    ]
    return min(usable, key=lambda path: ("_and_" in path.name, len(path.name)), default=None)


def library_version(library: Path) -> tuple[int, ...]:
    """gperftools' version, from the string that tc_version() returns ("gperftools 2.10"); empty where there is none."""
    try:
        written = re.search(rb"gperftools (\d+)\.(\d+)", library.read_bytes())
    except OSError:
        return ()
    return (int(written[1]), int(written[2])) if written else ()


def dumps_to(prefix: str, tool: ToolStatus) -> dict[str, str]:
    """The variables that have each process, the first one too, write its dumps to `prefix`, "_" and its pid.

    By itself the library adds the pid only in programs that its process has started, which it knows by a mark. Up to 2.17 that
    is the first byte's high bit, set where the variable lies: bash hands on what it was given, unmarked, and two children would
    write to one file. 2.11 and later take HEAPPROFILE_USE_PID for it, and 2.18 sets that instead of the bit. So the older ones
    alone are given a name that is marked from the start: Rust's std::env::vars() panics at such a byte.
    Source: GetUniquePathFromEnv() in gperftools' src/base/sysinfo.cc, pull request 1263 (for 2.11) and issue 1603 (for 2.18).
    """
    written = os.fsencode(prefix)
    marked = bytes([written[0] | 0x80]) + written[1:] if tool.version < USE_PID_SINCE else written
    return {"HEAPPROFILE": os.fsdecode(marked), "HEAPPROFILE_USE_PID": "1"}
