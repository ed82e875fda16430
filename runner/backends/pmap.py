"""pmap: which kind of a process's memory grows, from /proc/PID/smaps over time. Attaches to what runs already."""

import platform
import re
from collections import defaultdict
from pathlib import Path
from typing import ClassVar

from runner.backends.base import Backend, ToolOptions
from runner.errors import ErrorKind, LeakrunError
from runner.formats import smaps
from runner.model import FindingKind, Metric, Recording
from runner.plan import CopyFile, LaunchPlan, Outcome, Proof, Target, ToolStatus, Trigger
from runner.profile import Profile

SMAPS = re.compile(r"smaps\.(\d+)\.(\d+)$")
SHARE = 0.01  # of one core: reading smaps holds the process's page tables
WORTH_A_WORD = 64 << 10  # bytes
# By kind of memory, the profile that names the code that asked for it.
NEXT = {
    smaps.HEAP: "heapprofile (or massif) names the code that asked for it; memcheck says whether it is lost",
    smaps.ARENAS: "heapprofile (or massif) names the code that asked for it; memcheck says whether it is lost",
    smaps.ANONYMOUS: "large blocks of malloc, or mmap: heapprofile names the code of the one, massif-pages of both",
}
STACKS = "massif-stacks measures them; a deep recursion, or threads that never end"


class PmapOptions(ToolOptions):
    """None: the kernel has no settings for it."""


class Pmap(Backend):
    """Copies smaps as often as a hundredth of a core allows."""

    name = "pmap"
    measures = frozenset({Metric.LIVE_BYTES, Metric.STACK_BYTES, Metric.RSS_BYTES, Metric.PSS_BYTES, Metric.MAPPED_BYTES})
    sees = frozenset({FindingKind.MAPPING_GROWTH, FindingKind.STACK_GROWTH})
    cost = "none to speak of"
    slowdown = 1.0
    sites = False
    clocked = True
    attaches = True
    Options: ClassVar[type[ToolOptions]] = PmapOptions

    def probe(self, options: ToolOptions) -> ToolStatus:
        """The kernel shows smaps, or it was built without."""
        path = Path("/proc/self/smaps")
        numbers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", platform.release())
        version = tuple(int(part) for part in numbers.groups(default="0")) if numbers else ()
        return ToolStatus(
            "/proc/PID/smaps",
            path if path.exists() else None,
            version,
            (),
            "mount /proc, of a kernel with CONFIG_PROC_PAGE_MONITOR",
        )

    def plan(self, target: Target, tool: ToolStatus, profile: Profile, out: Path) -> LaunchPlan:
        """The program as it is; copies of smaps beside it."""
        if profile.args:
            raise LeakrunError(
                ErrorKind.USAGE, f"pmap has no command line for {profile.args[0]!r}", "leave out `args` and --tool-arg"
            )
        snapshots = profile.snapshots
        copy = Trigger(
            name="smaps",
            action=CopyFile("/proc/{pid}/smaps", "smaps.{pid}.{n}"),
            proof=Proof("smaps.{pid}.{n}", marker=b"Rss:", settle=0.0),
            every=snapshots.every,
            adaptive=snapshots.adaptive,
            rss_step=snapshots.rss_step,
            before_stop=snapshots.at_exit,
            share=SHARE,
            retries=0,
        )
        return LaunchPlan(
            argv=target.argv,
            env=dict(profile.env),
            cwd=target.cwd,
            triggers=(copy,),
            stop=profile.stop_plan(),
            outputs=("smaps.*",),
            pid=target.pid,
        )

    def read(self, out: Path, profile: Profile, outcome: Outcome) -> list[Recording]:
        """The copies of each process in the order of time."""
        files: dict[int, list[tuple[Path, float | None]]] = defaultdict(list)
        for path in sorted(out.glob("smaps.*")):
            named = SMAPS.match(path.name)
            if named:
                files[int(named[1])].append((path, outcome.files.get(path.name, 0.0)))
        recordings = []
        for pid, copies in sorted(files.items(), key=lambda item: (item[0] != outcome.pid, item[0])):
            recording = smaps.read_series(sorted(copies, key=lambda each: (each[1] or 0.0, each[0])))
            recording.pid = pid
            recording.limits += _what_next(recording)
            recordings.append(recording)
        return recordings


def _what_next(recording: Recording) -> list[str]:
    """For each kind of memory that is more at the end than at the start: which profile names the code."""
    if len(recording.snapshots) < 2:
        return []
    first, last = recording.snapshots[0], recording.snapshots[-1]
    before, after = (dict(each.columns[Metric.LIVE_BYTES].items()) for each in (first, last))
    words = []
    for stack_id, amount in sorted(after.items(), key=lambda item: before.get(item[0], 0) - item[1]):
        kind = recording.table.frames_of(stack_id)[0].signature or ""
        if amount - before.get(stack_id, 0) >= WORTH_A_WORD and kind in NEXT:
            words.append(f"{kind} is more than at the start: {NEXT[kind]}")
    if last.totals[Metric.STACK_BYTES] - first.totals[Metric.STACK_BYTES] >= WORTH_A_WORD:
        words.append(f"the stacks are more than at the start: {STACKS}")
    return words
