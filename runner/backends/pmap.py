"""pmap: which kind of a process's memory grows, from /proc/PID/smaps over time. Attaches to what runs already."""

import json
import platform
import re
import shutil
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from runner.backends import malloc_info
from runner.backends.base import Backend, ToolOptions, refuse_args
from runner.formats import smaps
from runner.model import FindingKind, Frame, Metric, Recording, StackSample
from runner.plan import CopyFile, LaunchPlan, Outcome, Proof, RunCommand, Target, ToolStatus, Trigger
from runner.profile import Duration, Profile

SMAPS = re.compile(r"smaps\.(\d+)\.(\d+)$")
SHARE = 0.01  # of one core: reading smaps holds the process's page tables
SAMPLES = 0.1  # seconds between two looks at statm
WORTH_A_WORD = 64 << 10  # bytes
STACK_SCRIPT = Path(__file__).with_name("_stack_sample.py")
STACK_STEP = 512 << 10  # bytes: an ordinary stack does not grow by so much
STACK_FRAMES = 256
STACK_SECONDS = 10.0
STOPPED = "where a stack had grown, its thread was stopped for some milliseconds to see who is on it"
# By kind of memory, the profile that names the code that asked for it.
BLOCKS = (
    "heapprofile (or massif, heaptrack) names the code that asked for it, bpf that of a process that runs already; memcheck says "
    "whether it is lost, malloc-info whether it is only kept"
)
MAPPED = "heapprofile-mmap or massif-pages names who calls mmap, bpf-mmap in a process that runs already"
NEXT = {
    smaps.HEAP: BLOCKS,
    smaps.ARENAS: BLOCKS,
    smaps.ANONYMOUS: f"large blocks of malloc, which heapprofile names the code of, or mmap: {MAPPED}",
    smaps.SHARED: MAPPED,
    "file ": MAPPED,
    smaps.AGAIN: MAPPED,
}
STACKS = "massif-stacks measures them, and names the recursion"
THREADS = "threads that never end, or are never joined: massif-pages names who calls pthread_create"


class PmapOptions(ToolOptions):
    """The kernel has no settings for it.

    malloc_info  ask glibc's malloc too, so often, how much of the heap is free and kept; gdb stops the process for 0.2 s then
    """

    malloc_info: Duration | None = None


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
        """The kernel shows smaps, or it was built without; gdb where malloc is to be asked."""
        assert isinstance(options, PmapOptions)
        if options.malloc_info is not None and shutil.which("gdb") is None:
            return ToolStatus("gdb (for malloc_info)", None, install=malloc_info.INSTALL)
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
        refuse_args(profile)
        options = profile.options
        assert isinstance(options, PmapOptions)
        asked = options.malloc_info
        ask = () if asked is None else (malloc_info.question(out)._replace(every=asked, on_request=False),)
        copy = Trigger(
            name="smaps",
            action=CopyFile("/proc/{pid}/smaps", "smaps.{pid}.{n}", ("/proc/{pid}/task/*/comm", "/proc/{pid}/task/*/syscall")),
            proof=Proof("smaps.{pid}.{n}", marker=b"Rss:", settle=0.0),
            share=SHARE,
            retries=0,
        )
        return LaunchPlan(
            argv=target.argv,
            env=dict(profile.env),
            cwd=target.cwd,
            triggers=(profile.timed(copy), _look_at_stack(out), *ask),
            stop=profile.stop_plan(),
            outputs=("smaps.*",),
            litter=("stack.*.deepest", "malloc_info.*.part"),
            sample_every=SAMPLES,
            pid=target.pid,
        )

    def read(self, out: Path, profile: Profile, outcome: Outcome) -> list[Recording]:
        """The copies of each process in the order of time."""
        files: dict[int, list[tuple[Path, float | None]]] = defaultdict(list)
        for path in sorted(out.glob("smaps.*")):
            named = SMAPS.match(path.name)
            if named:
                files[int(named[1])].append((path, outcome.files.get(path.name, 0.0)))
        asked = {each.pid: each for each in malloc_info.series(out, outcome)}
        recordings = []
        for pid, copies in sorted(files.items(), key=lambda item: (item[0] != outcome.pid, item[0])):
            recording = smaps.read_series(sorted(copies, key=lambda each: (each[1] or 0.0, each[0])))
            recording.pid = pid
            _add_stack_samples(recording, out, outcome)
            recording.limits += _what_next(recording)
            if pid in asked:
                _add_what_malloc_says(recording, asked[pid])
            recordings.append(recording)
        return recordings


def _add_what_malloc_says(recording: Recording, asked: Recording) -> None:
    """What is free and kept, as remarks; why malloc could not be asked, as limits."""
    ids = asked.table.merged_into(recording.table)
    recording.remarks += [replace(remark, stack_id=ids[remark.stack_id]) for remark in asked.remarks]
    recording.limits += asked.flaws


def _look_at_stack(out: Path) -> Trigger:
    """Who is on the deepest stack, once it has grown: a command of ours looks, and stops a thread only then."""
    command = (sys.executable, "-I", "-S", str(STACK_SCRIPT), "{pid}", f"{out}/stack.{{pid}}.deepest", str(STACK_FRAMES))
    return Trigger(
        name="stack",
        action=RunCommand(command, timeout=STACK_SECONDS, stdout="stack.{pid}.{n}.json"),
        proof=Proof("stack.{pid}.{n}.json", marker=b"}", settle=0.0),
        stack_step=STACK_STEP,
        on_request=False,
        retries=0,
        patience=STACK_SECONDS,
    )


def _add_stack_samples(recording: Recording, out: Path, outcome: Outcome) -> None:
    """Who was on the stacks at the moments at which they had grown; why that is not known, as limits."""
    for path in sorted(out.glob(f"stack.{recording.pid}.*.json")):
        try:
            said = json.loads(path.read_bytes())
            if said.get("trouble"):
                recording.limits.append(f"who is on the stack is not known: {said['trouble']}")
            if not said.get("addresses"):
                continue
            thread, frames = int(said["thread"]), [Frame(address=int(word, 16)) for word in said["addresses"]]
            name = smaps.MAIN_STACK if thread == recording.pid else smaps.stack_of(thread, str(said["name"]))
            size = int(said["bytes"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            recording.limits.append(f"{path.name} can't be read: {error}")
            continue
        stack_id = recording.table.intern(frames)
        recording.stack_samples.append(StackSample(name, outcome.files.get(path.name, 0.0), size, stack_id))
    if recording.stack_samples:
        recording.limits.append(STOPPED)
    recording.limits[:] = dict.fromkeys(recording.limits)


def _what_next(recording: Recording) -> list[str]:
    """For each kind of memory that is more at the end than at the start: which profile names the code."""
    if len(recording.snapshots) < 2:
        return []
    first, last = recording.snapshots[0], recording.snapshots[-1]
    before, after = (dict(each.columns[Metric.LIVE_BYTES].items()) for each in (first, last))
    words = []
    for stack_id, amount in sorted(after.items(), key=lambda item: before.get(item[0], 0) - item[1]):
        kind = recording.table.frames_of(stack_id)[0].signature or ""
        advice = _advice(kind)
        if amount - before.get(stack_id, 0) >= WORTH_A_WORD and advice:
            words.append(f"{kind} is more than at the start: {advice}")
    if last.totals[Metric.STACK_BYTES] - first.totals[Metric.STACK_BYTES] >= WORTH_A_WORD:
        more = len(last.columns[Metric.STACK_BYTES]) - len(first.columns[Metric.STACK_BYTES])
        words.append(f"the stacks are {f'{more} ' if more > 1 else ''}more than at the start: {THREADS if more > 1 else STACKS}")
    return words


def _advice(kind: str) -> str:
    return next((advice for name, advice in NEXT.items() if kind.startswith(name)), "")
