"""What the heap checker has left of each process: the blocks it found lost, and tcmalloc's dump at the end, made beside it."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from runner.backends.heapprofile import RANK
from runner.formats import gperftools_heap
from runner.model import Amount, HeapSummary, LossKind, Metric, Recording
from runner.plan import Outcome
from runner.quantities import signal_name

CLOCK = 0.005  # seconds: a file's time is that of the kernel's last tick, and times are rounded to 1 ms
CODE = 1  # what the checker ends a program with that leaks
WHOLE_PROGRAM = "_main_"  # the name of its check at the end
# exit.PID.N.heap, and exit.PID_CHILD.N.heap of a program that it has started; with a rank between as the heap profiler's dumps.
EXIT_DUMP = re.compile(rf"exit\.(\d+){RANK}(?:_(\d+))?\.\d+\.heap$")
STALE = (
    "a pointer that was left behind in a register, on the stack or in freed memory hides a lost block from the heap checker; "
    "memcheck may find more"
)
UNTOLD = "draconian does not follow pointers: it lists each block that was not freed, lost or still in use"


def read(out: Path, mode: str, outcome: Outcome) -> list[Recording]:
    """What each process that was looked at has lost, the main process first. `mode` is HEAPCHECK's."""
    leaks, exits = _files(out)
    pids = sorted({*leaks, *exits}, key=lambda pid: (pid != outcome.pid, pid))
    recordings = [_read(pid, leaks[pid], exits.get(pid), mode) for pid in pids]
    if outcome.pid not in pids:
        recordings.insert(0, _unchecked(outcome))
    elif outcome.signum is not None and not leaks[outcome.pid]:
        # The dump is made before the check is over.
        ended = signal_name(outcome.signum)
        recordings[0].flaws.append(
            f"{ended} ended the program before the check was over: run it again, or use --profile memcheck"
        )
        recordings[0].complete = False
    recordings[0].limits += _unseen_children(outcome, {*pids, *_clones(outcome, exits)})
    if ended_by_checker(out, outcome):
        recordings[0].limits.append(
            f"exit code {CODE} is the heap checker's: what the program itself would have ended with is not known, "
            "and what it had said to a pipe or a file and not flushed is lost"
        )
    return recordings


def ended_by_checker(out: Path, outcome: Outcome) -> bool:
    """Whether the main process's exit code is the checker's, who found something at its end."""
    leaks, _ = _files(out)
    names = [gperftools_heap.LEAKS.search(path.name) for path in leaks.get(outcome.pid or 0, ())]
    return outcome.code == CODE and any(named and named[2] == WHOLE_PROGRAM for named in names)


def clones(out: Path, outcome: Outcome) -> frozenset[int]:
    """The pids of the checker's clones of a process, from which it looks at the stacks of all threads."""
    return _clones(outcome, _files(out)[1])


def _files(out: Path) -> tuple[dict[int, list[Path]], dict[int, Path]]:
    """By pid: what the checks found, and the dump at the end."""
    leaks: dict[int, list[Path]] = defaultdict(list)
    exits: dict[int, Path] = {}
    for path in sorted(out.glob("*.heap")):
        if named := EXIT_DUMP.fullmatch(path.name):
            exits[int(named[2] or named[1])] = path
        elif found := gperftools_heap.LEAKS.search(path.name):
            leaks[int(found[1])].append(path)
    return leaks, exits


def _read(pid: int, leaks: Sequence[Path], exit_dump: Path | None, mode: str) -> Recording:
    recording = gperftools_heap.read_series((path, None) for path in leaks) if leaks else Recording("heapcheck")
    gperftools_heap.as_losses(recording, LossKind.POSSIBLE if mode == "draconian" else LossKind.DEFINITE)
    recording.pid = pid
    recording.limits.append(UNTOLD if mode == "draconian" else STALE)
    if mode == "draconian":
        _keep_the_programs(recording)
        recording.flaws += [f"{UNTOLD}: see with --profile heapcheck which is which"] if recording.losses else []
    elif mode == "local" and not leaks:
        recording.flaws.append("local looks only where the program itself has HeapLeakChecker objects, and those found nothing")
    if exit_dump is not None:
        _add_what_lived(recording, exit_dump)
    recording.complete = not recording.flaws
    return recording


def _keep_the_programs(recording: Recording) -> None:
    """Leave out what libtcmalloc has allocated for itself as it started, which it does not free."""
    tables = recording.table
    own = {
        number
        for number in range(len(tables.stacks))
        if any("libtcmalloc" in (frame.module or "") for frame in tables.frames_of(number))
    }
    recording.losses = [loss for loss in recording.losses if loss.stack_id not in own]


def _add_what_lived(recording: Recording, exit_dump: Path) -> None:
    """The dump at the end shows that the check was come to, and what was in use then."""
    last = gperftools_heap.read_series([(exit_dump, None)])
    if not last.complete:
        recording.flaws.append(
            f"{exit_dump.name} is not whole, and neither may be what the heap checker wrote: is the disk full?"
        )
        return
    totals = last.snapshots[0].totals
    recording.heap_summary = HeapSummary(in_use_at_exit=Amount(totals[Metric.LIVE_BYTES], totals[Metric.LIVE_BLOCKS]))


def _unchecked(outcome: Outcome) -> Recording:
    """The main process ended without the check."""
    if outcome.signum is not None:
        how, what = f"{signal_name(outcome.signum)} ended the program", "have it end by itself on that signal"
    else:
        how, what = "the program ended by _exit(), or as another one by exec", "have it end by exit()"
    flaw = f"{how}, and the heap checker looks only when exit() is called or main returns: {what}, or use --profile memcheck"
    return Recording("heapcheck", pid=outcome.pid, complete=False, flaws=[flaw], limits=[STALE])


def _clones(outcome: Outcome, exits: Mapping[int, Path]) -> frozenset[int]:
    """What a process starts once its last dump is written is the checker's."""
    written = {pid: outcome.files.get(path.name, math.inf) for pid, path in exits.items()}
    return frozenset(each.pid for each in outcome.processes if each.started >= written.get(each.parent_pid, math.inf) - CLOCK)


def _unseen_children(outcome: Outcome, seen: Set[int]) -> list[str]:
    unseen = [each for each in outcome.processes if each.pid not in seen and each.pid != outcome.pid]
    if not unseen:
        return []
    noun = "child process was" if len(unseen) == 1 else "child processes were"
    return [
        f"{len(unseen)} {noun} not checked: forked children never are, nor is what a signal or _exit() ends; memcheck sees them"
    ]
