"""massif: what lives on the heap over time, by stack; with options also the stacks, or whole pages."""

import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from runner.backends import _valgrind
from runner.backends.base import ToolOptions
from runner.kinds import FindingKind, Metric
from runner.plan import LaunchPlan, Outcome, Proof, RunCommand, Target, ToolStatus, Trigger
from runner.profile import Profile, Within

if TYPE_CHECKING:  # what only reading needs is imported when it reads
    from runner.model import Recording

YesNo = _valgrind.YesNo
CHECKPOINTS = 2  # of each process: every one holds the whole timeline so far, and the last may be cut by a full disk
STACKS_EVERY = 1.0  # seconds, denser at first: a look takes 0.2 s, in which the program stands still for some milliseconds
STACKS_STEP = 1 << 20  # bytes: a deep recursion is seen on its way
STACKS_SECONDS = 10.0
MOST_THREADS = 20  # of which samples are kept
LARGEST_PRINTED = 16 << 20  # bytes: ms_print takes a second for 6 MB
_CRASH = rb"Process terminating with default action of signal \d+ \((SIG(?:SEGV|ABRT|BUS|ILL|FPE|TRAP|SYS))\)"
_STAMP = rb"(?m)^==(\d+):(\d\d):(\d\d):(\d\d)\.(\d{3}) \d+=="  # days:hours:minutes:seconds


class MassifOptions(_valgrind.ValgrindOptions):
    """Options of massif, as `valgrind --tool=massif --help` names them."""

    heap: YesNo | None = None
    heap_admin: Annotated[int, Within(0, 1024)] | None = None
    stacks: YesNo | None = None
    pages_as_heap: YesNo | None = None
    depth: Annotated[int, Within(1, 200)] | None = None
    alloc_fn: tuple[str, ...] = ()
    ignore_fn: tuple[str, ...] = ()
    threshold: Annotated[float, Within(0, 100)] | None = None
    peak_inaccuracy: Annotated[float, Within(0, 100)] | None = None
    time_unit: Literal["i", "ms", "B"] | None = None
    detailed_freq: Annotated[int, Within(1, 1000000)] | None = None
    max_snapshots: Annotated[int, Within(10, 1000)] | None = None


class Massif(_valgrind.ValgrindBackend):
    """Drives valgrind's massif."""

    name = "massif"
    measures = frozenset({Metric.LIVE_BYTES, Metric.HEAP_EXTRA_BYTES, Metric.STACK_BYTES, Metric.MAPPED_BYTES})
    sees = frozenset({FindingKind.GROWING, FindingKind.MAPPING_GROWTH, FindingKind.STACK_GROWTH})
    cost = "10 to 30 times slower"
    slowdown = 20.0
    Options: ClassVar[type[ToolOptions]] = MassifOptions

    def plan(self, target: Target, tool: ToolStatus, profile: Profile, out: Path) -> LaunchPlan:
        """One file for each process at its end, and the whole timeline so far through vgdb at the profile's interval."""
        place = _valgrind.escaped(out)
        output = [f"--massif-out-file={place}/massif.%p.out", f"--log-file={place}/valgrind.%p.log", "--time-stamp=yes"]
        name = "massif.{pid}.{n}.checkpoint"
        timeline_so_far = _valgrind.checkpoint(["all_snapshots", f"{out}/{name}"], out, name, profile, keep_last=CHECKPOINTS)
        options = profile.options
        assert isinstance(options, MassifOptions)
        looks = [_look_at_stacks(out)] if options.stacks == "yes" else []
        triggers, replaces = [timeline_so_far, *looks], options.pages_as_heap != "yes"
        return _valgrind.plan("massif", output, "massif.*", triggers, target, tool, profile, out, replaces=replaces)

    def seen_with(self, options: ToolOptions) -> frozenset[FindingKind]:
        """Blocks of malloc, or all pages instead; and the stacks besides."""
        assert isinstance(options, MassifOptions)
        stacks = {FindingKind.STACK_GROWTH} if options.stacks == "yes" else set()
        return frozenset({FindingKind.MAPPING_GROWTH if options.pages_as_heap == "yes" else FindingKind.GROWING, *stacks})

    def read(self, out: Path, profile: Profile, outcome: Outcome) -> "list[Recording]":
        """The file of each process; where a process left none, its newest checkpoint that is whole."""
        by_pid: dict[int, list[Path]] = defaultdict(list)
        for path in [*out.glob("massif.*.out"), *out.glob("massif.*.checkpoint")]:
            by_pid[_valgrind.pid_of(path)].append(path)
        recordings = [_best(pid, paths) for pid, paths in sorted(by_pid.items())]
        for recording in recordings:
            recording.end = _end(recording, out / f"valgrind.{recording.pid}.log")
            if recording.pid != outcome.pid:  # how the main process ended is in the outcome
                recording.flaws += _crash(recording.pid, out / f"valgrind.{recording.pid}.log")
            _add_stack_samples(recording, out, outcome)
        _forgive_idle(recordings)
        return sorted(recordings, key=lambda each: each.pid != outcome.pid)

    def renditions(self, out: Path) -> list[RunCommand]:
        """ms_print's text beside each file that it prints in reasonable time."""
        return [
            RunCommand(("ms_print", str(path)), timeout=20.0, stdout=f"{path.name}.txt")
            for path in out.glob("massif.*.out")
            if path.stat().st_size < LARGEST_PRINTED
        ]


def _crash(pid: int | None, log: Path) -> list[str]:
    """How valgrind says that the process crashed: else its parent alone knows. Empty where it did not."""
    crashed = re.search(_CRASH, log.read_bytes()) if log.is_file() else None
    return [f"process {pid}: it crashed ({crashed[1].decode()}), and was not seen to its end: mend that first"] if crashed else []


def _look_at_stacks(out: Path) -> Trigger:
    """massif says how large the stacks are and not whose: who is on them at some moments is asked of valgrind's core."""
    return Trigger(
        name="stacks",
        action=RunCommand(
            ("vgdb", f"--vgdb-prefix={out}/vgdb", "--pid={pid}", "v.info", "scheduler"),
            timeout=STACKS_SECONDS,
            stdout="stacks.{pid}.{n}.txt",
        ),
        gate=_valgrind.gate(out),
        proof=Proof("stacks.{pid}.{n}.txt", marker=b"client stack range", settle=0.0),
        every=STACKS_EVERY,
        adaptive=True,
        rss_step=STACKS_STEP,
        on_request=False,
        retries=0,
        patience=STACKS_SECONDS,
    )


def _add_stack_samples(recording: "Recording", out: Path, outcome: Outcome) -> None:
    """Of each thread the moment at which its stack was deepest, the newest of several."""
    from runner.formats import vgdb_scheduler
    from runner.model import StackSample

    deepest: dict[str, tuple[int, float, vgdb_scheduler.ThreadStack]] = {}
    files = sorted(out.glob(f"stacks.{recording.pid}.*.txt"), key=lambda path: outcome.files.get(path.name, 0.0))
    for path in files:
        with path.open("rb") as stream:
            for thread in vgdb_scheduler.read(stream):
                known = deepest.get(thread.name)
                if known is None or thread.bytes >= known[0]:
                    deepest[thread.name] = (thread.bytes, outcome.files.get(path.name, 0.0), thread)
    for name, (size, time, thread) in sorted(deepest.items(), key=lambda item: -item[1][0])[:MOST_THREADS]:
        stack_id = recording.table.intern(thread.frames)
        recording.stack_samples.append(StackSample(name, time, size, stack_id))


def _forgive_idle(recordings: "list[Recording]") -> None:
    """A process without an allocation is no flaw where massif saw those of another: a master that only forks, a client."""
    from runner.formats.massif import NO_ALLOCATION

    if any(snapshot.totals.get(Metric.LIVE_BYTES) for recording in recordings for snapshot in recording.snapshots):
        for recording in recordings:
            recording.flaws = [flaw for flaw in recording.flaws if flaw != NO_ALLOCATION]


def _end(recording: "Recording", log: Path) -> float | None:
    """When the process ended, on the clock of massif's snapshots: valgrind stamps the line that it logs before massif writes.

    None where massif's time is not in seconds, or there is no stamp: how long the process lived is no measure of it, as
    valgrind's start-up and massif's writing can take seconds.
    """
    from runner.model import TimeUnit

    if recording.time_unit is not TimeUnit.SECONDS:
        return None
    stamps = re.findall(_STAMP, log.read_bytes()) if log.is_file() else []
    if not stamps:
        return None
    days, hours, minutes, seconds, milliseconds = map(int, stamps[-1])
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds + milliseconds / 1000


def _best(pid: int, paths: list[Path]) -> "Recording":
    from runner.formats import massif as massif_format

    final = [path for path in paths if path.suffix == ".out"]
    checkpoints = sorted((path for path in paths if path.suffix != ".out"), reverse=True)
    first: Recording | None = None
    for path in final + checkpoints:
        with path.open("rb") as stream:
            recording = massif_format.read(stream, path.name)
        recording.pid = pid
        if recording.complete:
            if path not in final:
                recording.complete = False
                recording.flaws.append(f"process {pid} left no whole massif file at its end: this is its checkpoint {path.name}")
            return recording
        first = first or recording
    assert first is not None
    return first
