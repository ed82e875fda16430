"""What LeakSanitizer has left of each process: a report of each look, the last of which counts, and what stopped the program."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from runner.formats import lsan_report
from runner.model import Column, Loss, Metric, Recording, Snapshot, TimeUnit
from runner.plan import Outcome, ProcessOutcome

REPORT = re.compile(r"lsan\.(\d+)\.(\d+)")
SANITIZER_CODE = 1  # what AddressSanitizer ends a program with
CRASHES = frozenset({4, 6, 7, 8, 11})  # ILL, ABRT, BUS, FPE, SEGV
OTHER_LIBRARY = "--set library=$(gcc -print-file-name=libasan.so)"
LATE = 1.0  # seconds
LONGEST_LOOK = 1.0  # seconds
ENDED = "an error of use ended the program before LeakSanitizer had looked for leaks: mend that first"
UNASKED = "LeakSanitizer was not asked to look: the program became another by exec, or ended by a system call of its own"
CLOCK = 0.01  # seconds: a file's time is that of the kernel's last tick, and times are rounded to 1 ms
STALE = (
    "a pointer that was left behind in a register or on the stack hides a lost block from LeakSanitizer; "
    "`--set use_stacks=0` finds more, and reports what running functions hold too"
)


def read(out: Path, outcome: Outcome) -> list[Recording]:
    """What each process that was looked at has lost, the main process first."""
    reports = _files(out)
    pids = sorted(reports, key=lambda pid: (pid != outcome.pid, pid))
    recordings = [_read(pid, reports[pid], outcome) for pid in pids]
    if outcome.pid not in pids:
        recordings.insert(0, _unchecked(outcome))
    recordings[0].limits += [STALE, *_unseen_children(outcome, {*pids, *tracers(out, outcome)})]
    return recordings


def ended_by_sanitizer(out: Path, outcome: Outcome) -> bool:
    """Whether the main process's exit code is AddressSanitizer's, which has stopped it."""
    first = out / f"lsan.0.{outcome.pid}"
    return outcome.code == SANITIZER_CODE and first.is_file() and bool(_report(first).defects)


def tracers(out: Path, outcome: Outcome) -> frozenset[int]:
    """The pids of what LeakSanitizer clones a process into, to stop its threads and look at them: it ends with the look."""
    looks = {pid: [outcome.files.get(path.name, -1.0) for path in paths] for pid, paths in _files(out).items()}
    return frozenset(
        each.pid for each in outcome.processes if each.pid not in looks and _is_tracer(each, looks.get(each.parent_pid, ()))
    )


def _is_tracer(process: ProcessOutcome, looks: Sequence[float]) -> bool:
    return process.ended is not None and any(
        at - LONGEST_LOOK <= process.started <= at + CLOCK and process.ended - process.started <= LONGEST_LOOK for at in looks
    )


def _files(out: Path) -> dict[int, list[Path]]:
    """By pid: the reports, in the order of their numbers."""
    named = [(int(found[2]), int(found[1]), path) for path in out.iterdir() if (found := REPORT.fullmatch(path.name))]
    reports: dict[int, list[Path]] = defaultdict(list)
    for pid, _, path in sorted(named):
        reports[pid].append(path)
    return reports


def _report(path: Path) -> Recording:
    with path.open("rb") as stream:
        return lsan_report.read(stream, path.name)


def _read(pid: int, paths: Sequence[Path], outcome: Outcome) -> Recording:
    """The last report, with a snapshot for each one; the others' stacks are its own too."""
    recording = _report(paths[-1])
    recording.pid, recording.time_unit = pid, TimeUnit.SECONDS
    for path in paths[:-1]:
        _add_look(recording, _report(path), path, outcome)
    if recording.snapshots:
        _add_snapshot(recording, recording.losses, paths[-1], outcome)
    if paths[-1].name.startswith("lsan.0.") and recording.complete:
        recording.flaws.append(ENDED if recording.defects else UNASKED)
        recording.complete = False
    process = next((each for each in outcome.processes if each.pid == pid), None)
    recording.parent_pid = process.parent_pid if process else None
    ended = process.ended if process else None
    looked = outcome.files.get(paths[-1].name)
    if ended is not None and looked is not None and ended - looked > LATE:
        recording.limits.append(f"LeakSanitizer's last look was {ended - looked:.0f} s before the process ended")
    return recording


def _add_look(recording: Recording, earlier: Recording, path: Path, outcome: Outcome) -> None:
    moved = earlier.table.merged_into(recording.table)
    for defect in earlier.defects:
        defect.stack_id = moved[defect.stack_id] if defect.stack_id is not None else None
        defect.auxiliary = [(text, moved[stack] if stack is not None else None) for text, stack in defect.auxiliary]
        recording.defects.append(defect)
    if not path.name.startswith("lsan.0."):
        losses = [Loss(each.kind, each.bytes, each.blocks, moved[each.stack_id], each.indirect_bytes) for each in earlier.losses]
        _add_snapshot(recording, losses, path, outcome)


def _add_snapshot(recording: Recording, losses: Sequence[Loss], path: Path, outcome: Outcome) -> None:
    """By stack what is lost directly and indirectly, each byte once."""
    size: dict[int, int] = defaultdict(int)
    blocks: dict[int, int] = defaultdict(int)
    for loss in losses:
        size[loss.stack_id] += loss.bytes - loss.indirect_bytes
        blocks[loss.stack_id] += loss.blocks
    earliest = recording.snapshots[-1].time if recording.snapshots else 0.0
    snapshot = Snapshot(max(outcome.files.get(path.name, 0.0), earliest), {}, label=path.name)
    for metric, sums in ((Metric.LEAKED_BYTES, size), (Metric.LEAKED_BLOCKS, blocks)):
        snapshot.columns[metric] = Column(sums, sums.values())
        snapshot.totals[metric] = sum(sums.values())
    recording.snapshots.append(snapshot)


def _unchecked(outcome: Outcome) -> Recording:
    """The main process ended without a look."""
    if outcome.signum in CRASHES:
        flaw = f"the program crashed: where it does so only here, try the other library: {OTHER_LIBRARY}"
    elif outcome.signum is not None:
        flaw = "a signal ended the program before LeakSanitizer had looked: stop it with SIGTERM, or take snapshots with --every"
    else:
        flaw = UNASKED
    return Recording("lsan", pid=outcome.pid, complete=False, flaws=[flaw])


def _unseen_children(outcome: Outcome, seen: set[int]) -> list[str]:
    unseen = [each for each in outcome.processes if each.pid not in seen and each.pid != outcome.pid]
    if not unseen:
        return []
    return [f"{len(unseen)} child processes were not looked at: those forked that a signal or _exit() ends, and those that crash"]
