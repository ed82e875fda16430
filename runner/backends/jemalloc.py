"""jemalloc: its own heap profiler: live bytes by stack, of every allocation or of samples, in dumps while the program runs."""

import os
import re
import shutil
import subprocess
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from runner.backends import _gdb, _preload
from runner.backends.base import LOADED, Backend, ToolOptions, refuse_args
from runner.errors import ErrorKind, LeakrunError
from runner.kinds import FindingKind, Metric
from runner.plan import Gate, LaunchPlan, Outcome, Proof, RunCommand, Target, ToolStatus, Trigger
from runner.profile import NextToFile, Profile, Within

if TYPE_CHECKING:  # what only reading needs is imported when it reads
    from runner.model import Recording

INSTALL = "apt-get install libjemalloc2 gdb  (dnf install jemalloc gdb, pacman -S jemalloc gdb, conda install jemalloc gdb)"
LIBRARY = "libjemalloc.so.2"
DUMP_SCRIPT = Path(__file__).with_name("_jemalloc_dump.py")
MARK = b"<jemalloc>: "  # of its messages: in a program that it is linked into statically
# Where it was built with a prefix (FreeBSD's je_, Rust's _rjem_) its variable has that too.
VARIABLES = {MARK: "MALLOC_CONF", b"JE_MALLOC_CONF": "JE_MALLOC_CONF", b"_RJEM_MALLOC_CONF": "_RJEM_MALLOC_CONF"}
LONGEST_DUMP = 60.0  # seconds: the program stands still meanwhile
LARGEST = 62  # of a power of 2 in MALLOC_CONF
INTERVAL = 25  # dump for each 2^25 bytes (32 MiB) allocated, where gdb can't make it

NO_PROFILER = "it was built without profiling"
NO_GDB = "gdb is not here: it dumps for each 32 MiB allocated, and not by the clock"
NO_PTRACE = "gdb may not attach (kernel.yama.ptrace_scope): it dumps for each 32 MiB allocated, and not by the clock"


class JemallocOptions(ToolOptions):
    """Options of jemalloc's profiler, named as in MALLOC_CONF.

    library            the libjemalloc to preload; found by itself where it is not given
    lg_prof_sample     one sample for about each 2^N bytes allocated; 0: every allocation
    lg_prof_interval   a dump for each 2^N bytes allocated, besides those by the clock
    prof_accum         count what was allocated in all too; each stack is then kept to the end
    """

    library: Annotated[str, NextToFile()] | None = None
    lg_prof_sample: Annotated[int, Within(0, LARGEST)] = 0
    lg_prof_interval: Annotated[int, Within(0, LARGEST)] | None = None
    prof_accum: bool = True


class Jemalloc(Backend):
    """Preloads libjemalloc, or finds it linked in, and has it dump by a call that gdb makes."""

    name = "jemalloc"
    measures = frozenset({Metric.LIVE_BYTES, Metric.LIVE_BLOCKS, Metric.ALLOCATED_BYTES, Metric.ALLOCATED_BLOCKS})
    sees = frozenset({FindingKind.GROWING})
    marks = tuple(VARIABLES)
    cost = "2 us for each malloc where every one is counted, nearly none where samples are; stops 0.1 s for each snapshot"
    slowdown = 2.0
    accounts = False  # where it must be preloaded: gdb's stops leave too few snapshots of a program of seconds
    clocked = True
    sanitized = False
    Options: ClassVar[type[ToolOptions]] = JemallocOptions

    def probe(self, options: ToolOptions) -> ToolStatus:
        """Find libjemalloc: where the profile says, by ldconfig, or in the known directories; and gdb."""
        assert isinstance(options, JemallocOptions)
        library = Path(options.library) if options.library else next(_preload.libraries(LIBRARY), None)
        if library is None or not library.is_file():
            return ToolStatus(f"libjemalloc ({options.library})" if options.library else "libjemalloc", None, install=INSTALL)
        said = _statistics(library)
        limits = [NO_PROFILER] if b"config.prof: false" in said else []
        if shutil.which("gdb") is None:
            limits.append(NO_GDB)
        elif os.geteuid() and _gdb.ptrace_scope() > 0:
            limits.append(NO_PTRACE)
        return ToolStatus("libjemalloc", library, _version(said), tuple(limits), INSTALL)

    def plan(self, target: Target, tool: ToolStatus, profile: Profile, out: Path) -> LaunchPlan:
        """Environment only; the argv stays the user's. Refuses what can't be preloaded."""
        options = profile.options
        assert isinstance(options, JemallocOptions)
        _check(profile, out)
        by_gdb = NO_GDB not in tool.limits and NO_PTRACE not in tool.limits
        env: dict[str, str | None] = dict(profile.env)
        for variable in [VARIABLES[mark] for mark in target.marks] or ["MALLOC_CONF"]:
            env[variable] = _configuration(_preload.given(variable, profile), options, out, by_gdb)
        linked = self.linked_in(target)
        if not linked:
            if NO_PROFILER in tool.limits:
                raise LeakrunError(
                    ErrorKind.UNMEASURED,
                    f"{tool.path} can't profile: {NO_PROFILER}",
                    "name one that was built with --enable-prof (Debian's is): --set library=PATH; or use --profile heapprofile",
                )
            env["LD_PRELOAD"] = _preload.preloaded(target, tool.path)
        seen = None if target.marks else "libjemalloc"
        return LaunchPlan(
            argv=target.argv,
            env=env,
            cwd=target.cwd,
            triggers=(profile.timed(_dump(seen)),) if by_gdb else (),
            stop=profile.stop_plan(),
            outputs=("jeprof.*.heap",),
            loaded=seen,
        )

    def linked_in(self, target: Target) -> bool:
        """The program has a jemalloc in it, or loads one by itself: nothing to preload."""
        return bool(target.marks) or _linked_in(target)

    def read(self, out: Path, profile: Profile, outcome: Outcome) -> "list[Recording]":
        """The dumps of each process in the order of time."""
        from runner.formats import jemalloc_heap

        dumps: dict[int, list[tuple[Path, float]]] = defaultdict(list)
        for path in sorted(out.glob("jeprof.*.heap")):
            named = jemalloc_heap.NAME.fullmatch(path.name)
            if named and path.stat().st_size:
                dumps[int(named[2])].append((path, outcome.files.get(path.name, 0.0)))
        recordings = []
        for pid, files in sorted(dumps.items(), key=lambda item: (item[0] != outcome.pid, item[0])):
            recordings.append(jemalloc_heap.read_series(files))
            recordings[-1].pid = pid
        if profile.snapshots.every is not None and recordings and not any(out.glob("jeprof.*.m*.heap")) and not outcome.misses:
            recordings[0].limits.append("no dump was made by the clock: gdb was not there or the program ended too soon")
        return recordings


def _check(profile: Profile, out: Path) -> None:
    refuse_args(profile, LOADED, "more of its settings go into the environment: --env MALLOC_CONF=dirty_decay_ms:0")
    if "," in str(out):
        raise LeakrunError(
            ErrorKind.USAGE,
            f"the run directory {out.parent} has a comma in its path: jemalloc can't be told it",
            "name another with -o",
        )


def _configuration(given: str, options: JemallocOptions, out: Path, by_gdb: bool) -> str:
    """The value of MALLOC_CONF: of two settings of one name the last counts."""
    interval = options.lg_prof_interval if options.lg_prof_interval is not None or by_gdb else INTERVAL
    words = [
        given,
        "prof:true",
        "prof_active:true",
        "prof_final:true",
        f"prof_prefix:{out}/jeprof",
        f"lg_prof_sample:{options.lg_prof_sample}",
        f"prof_accum:{str(options.prof_accum).lower()}",
        f"lg_prof_interval:{interval}" if interval is not None else "",
    ]
    return ",".join(filter(None, words))


def _dump(mapped: str | None) -> Trigger:
    """jemalloc listens to no signal: gdb calls it, which takes 0.1 to 0.3 seconds."""
    return Trigger(
        name="dump",
        action=RunCommand((*_gdb.COMMAND, "-ex", "set $pid = {pid}", "-x", str(DUMP_SCRIPT)), timeout=LONGEST_DUMP),
        gate=Gate(mapped=mapped),
        proof=Proof("jeprof.{pid}.*.m*.heap", marker=b"MAPPED_LIBRARIES:"),
    )


def _linked_in(target: Target) -> bool:
    """The program loads jemalloc by itself: nothing to preload."""
    return target.elf is not None and any(re.search(r"libjemalloc[^/]*\.so", name) for name in target.elf.needed)


@cache
def _statistics(library: Path) -> bytes:
    """What jemalloc says of itself at the end of a program that does nothing; empty where it can't be loaded here."""
    env = {**os.environ, "LD_PRELOAD": str(library), "MALLOC_CONF": "stats_print:true,stats_print_opts:mdablxe"}
    try:
        return subprocess.run(["/bin/true"], env=env, capture_output=True, timeout=10, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return b""


def _version(said: bytes) -> tuple[int, ...]:
    """From `Version: "5.3.0-0-g54ea..."`; empty where there is none."""
    written = re.search(rb'Version: "(\d+)\.(\d+)\.(\d+)', said)
    return tuple(map(int, written.groups())) if written else ()
