"""malloc_info: whether a running process's heap holds more and more, or only keeps what is free, as glibc's malloc sees it."""

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from runner.backends import _gdb
from runner.backends.base import Backend, ToolOptions, refuse_args
from runner.errors import ErrorKind, LeakrunError
from runner.kinds import FindingKind, Metric
from runner.plan import Gate, LaunchPlan, Outcome, Proof, RunCommand, Target, ToolStatus, Trigger
from runner.profile import Profile

if TYPE_CHECKING:  # what only reading needs is imported when it reads
    from runner.model import Recording

INSTALL = "apt-get install gdb  (dnf install gdb, pacman -S gdb)"
SCRIPT = Path(__file__).with_name("_malloc_info_dump.py")
NAME = re.compile(r"malloc_info\.(\d+)\.(\d+)\.xml")
LONGEST = 10.0  # seconds: the process stands still meanwhile; then gdb is told to let go
LAST_RITES = 10.0  # seconds that gdb has to do so before it is killed
WORTH_A_WORD = 64 << 10  # bytes
NEXT = "more is in use than at the start: bpf (a process that runs already) or heapprofile names the code that asked for it"
NO_PTRACE = "gdb may only look into what leakrun has started (kernel.yama.ptrace_scope): attaching needs root"


class MallocInfoOptions(ToolOptions):
    """None: malloc_info(3) has no settings."""


class MallocInfo(Backend):
    """Has gdb call malloc_info() in the process, as often as the profile says."""

    name = "malloc_info"
    measures = frozenset({Metric.LIVE_BYTES, Metric.HEAP_EXTRA_BYTES})
    sees = frozenset({FindingKind.GROWING})
    cost = "stops the process for 0.2 s at each snapshot, nothing between"
    slowdown = 1.0
    accounts = False
    sites = False
    attaches = True
    Options: ClassVar[type[ToolOptions]] = MallocInfoOptions

    def probe(self, options: ToolOptions) -> ToolStatus:
        """Find gdb. timeout(1), which tells it when its time is up, is wherever there is a shell."""
        found = shutil.which("gdb")
        limits = (NO_PTRACE,) if found and os.geteuid() and _gdb.ptrace_scope() > 0 else ()
        return ToolStatus("gdb", Path(found) if found else None, (), limits, INSTALL)

    def plan(self, target: Target, tool: ToolStatus, profile: Profile, out: Path) -> LaunchPlan:
        """The program as it is; gdb beside it at each snapshot."""
        refuse_args(profile)
        if target.elf is not None and (target.elf.static or "musl" in (target.elf.interpreter or "")):
            raise LeakrunError(
                ErrorKind.UNMEASURED,
                f"{target.argv[0]} is not linked with glibc's shared library, whose malloc_info() is to be called",
                "use --profile pmap, or bpf",
            )
        return LaunchPlan(
            argv=target.argv,
            env=dict(profile.env),
            cwd=target.cwd,
            triggers=(profile.timed(question(out)),),
            stop=profile.stop_plan(),
            outputs=("malloc_info.*.xml",),
            litter=("malloc_info.*.part",),
            pid=target.pid,
        )

    def read(self, out: Path, profile: Profile, outcome: Outcome) -> "list[Recording]":
        """The files of each process in the order of time."""
        recordings = []
        for recording in series(out, outcome):
            live = [snapshot.totals[Metric.LIVE_BYTES] for snapshot in recording.snapshots]
            if live and live[-1] - live[0] >= WORTH_A_WORD:
                recording.limits.append(NEXT)
            recordings.append(recording)
        return recordings


def question(out: Path) -> Trigger:
    """Has gdb ask a process's malloc, when it is told when: for other backends too."""
    file = str(out / "malloc_info.{pid}.{n}.xml")
    command = ["timeout", "--foreground", "-s", "INT", f"{LONGEST:g}", *_gdb.COMMAND]
    command += ["-ex", "python PID = {pid}", "-ex", f"python OUT = {file!r}", "-x", str(SCRIPT)]
    return Trigger(
        name="malloc_info",
        action=RunCommand(tuple(command), timeout=LONGEST + LAST_RITES),
        gate=Gate(mapped="libc"),
        proof=Proof("malloc_info.{pid}.{n}.xml", marker=b"</malloc>", settle=0.0),
        retries=5,
    )


def series(out: Path, outcome: Outcome) -> "Iterator[Recording]":
    """What malloc said over time in each process, the main process first."""
    from runner.formats import malloc_info

    files: dict[int, list[tuple[float, Path]]] = defaultdict(list)
    for path in out.glob("malloc_info.*.xml"):
        named = NAME.fullmatch(path.name)
        if named:
            files[int(named[1])].append((outcome.files.get(path.name, 0.0), path))
    for pid, found in sorted(files.items(), key=lambda item: (item[0] != outcome.pid, item[0])):
        recording = malloc_info.read_series((path, time) for time, path in sorted(found))
        recording.pid = pid
        yield recording
