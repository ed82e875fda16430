"""One side of a comparison as people name it: RUN, FILE, RUN@N, RUN:PID@N.

N counts the snapshots of the main process (or of PID) in the order of time from 0; -1 is the last. Without @N it is the last
snapshot that has stacks, of all processes that hold anything added up, or what was lost where the tool finds what is lost.
Beside RUN@N it is the main process's alone. A path that exists is taken whole, whatever is in its name.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner import backends, reading, rundir
from runner.analysis.diff import has_stacks
from runner.analysis.merging import last_seen, together
from runner.errors import ErrorKind, LeakrunError
from runner.model import Metric, Recording, Snapshot
from runner.quantities import shown
from runner.reading import Evidence

_NUMBER = re.compile(r"-?[0-9]{1,9}", re.ASCII)
_PID = re.compile(r"(.+):([0-9]{1,9})", re.ASCII | re.DOTALL)
_SYNTAX = "write RUN, RUN@N or RUN:PID@N, where N is a snapshot's number: 0 is the first, -1 the last"


@dataclass(frozen=True, slots=True)
class Reference:
    """What a person named. number, pid: None where they were left out."""

    text: str
    what: str
    pid: int | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """What a reference leads to.

    recordings  of one process (or of several added up) where snapshots are compared, the main one first of all where losses are
    number      of the snapshot, from 0; None where losses are meant
    others      pids of the processes of the run that are left out
    added_up    pids of those that one recording stands for
    """

    reference: Reference
    evidence: Evidence
    recordings: Sequence[Recording]
    number: int | None
    others: Sequence[int]
    added_up: Sequence[int] = ()

    @property
    def snapshot(self) -> Snapshot | None:
        """The snapshot; None where losses are meant."""
        return None if self.number is None else self.recordings[0].snapshots[self.number]


def parse(text: str, runs_dir: Path) -> Reference:
    """What `text` names. Raises LeakrunError(USAGE) for what no reference looks like."""
    if "\0" not in text and _is_there(text, runs_dir):
        return Reference(text, text)
    what, at, number = text.rpartition("@")
    if at and not (what and _NUMBER.fullmatch(number)):
        raise LeakrunError(
            ErrorKind.USAGE, f"{shown(text)}: a snapshot's number is due behind the @, and a run before it", _SYNTAX
        )
    what, pid = what or text, None
    named = _PID.fullmatch(what)
    if named is not None and not _is_there(what, runs_dir):
        what, pid = named[1], int(named[2])
    if not what or "\0" in what or not (what.isprintable() or _is_there(what, runs_dir)):
        raise LeakrunError(ErrorKind.USAGE, f"{shown(text)} names no run", _SYNTAX)
    return Reference(text, what, pid, int(number) if at else None)


def _is_there(text: str, runs_dir: Path) -> bool:
    if not text:
        return False
    try:
        if Path(text).exists():
            return True
    except OSError:  # a name longer than any
        return False
    return any(run.id == text for run in rundir.runs(runs_dir))


def both(before: str, after: str, runs_dir: Path, search: Sequence[Path] = ()) -> tuple[Moment, Moment]:
    """The moments that two references lead to, of a kind that can be compared: both snapshots, or both losses.

    Raises LeakrunError(USAGE) for what is not there, or can't be compared; UNMEASURED for a run that recorded nothing.
    """
    references = [parse(text, runs_dir) for text in (before, after)]
    evidence: dict[str, Evidence] = {}
    for reference in references:
        if reference.what not in evidence:
            evidence[reference.what] = _evidence(reference, runs_dir, search)
    chosen = [(each, evidence[each.what], _chosen(each, evidence[each.what])) for each in references]
    by_losses = [reference.number is None and _finds_losses(heard) for reference, _, heard in chosen]
    if by_losses[0] != by_losses[1]:
        by_losses = _snapshots_of_both(references, [heard for _, _, heard in chosen], by_losses)
    alone = any(reference.number is not None for reference in references)
    moments = [_moment(*each, losses=losses, alone=alone) for each, losses in zip(chosen, by_losses, strict=True)]
    return moments[0], moments[1]


def one(text: str, runs_dir: Path, search: Sequence[Path] = (), *, alone: bool = False) -> Moment:
    """The moment that a reference leads to; of snapshots always one with stacks, the last such where none was numbered.

    `alone`: of the main process, however many there are: for what is made of all its snapshots.
    Raises LeakrunError(USAGE) for what is not there or has totals only; UNMEASURED for a run that recorded nothing.
    """
    reference = parse(text, runs_dir)
    evidence = _evidence(reference, runs_dir, search)
    heard = _chosen(reference, evidence)
    moment = _moment(reference, evidence, heard, losses=reference.number is None and _finds_losses(heard), alone=alone)
    if moment.snapshot is None or has_stacks(moment.snapshot):
        return moment
    stacked = [number for number, each in enumerate(moment.recordings[0].snapshots) if has_stacks(each)]
    hint = f"those with stacks are {_listed(stacked)}" if stacked else "massif: --set detailed_freq=1 gives every one its stacks"
    raise LeakrunError(ErrorKind.USAGE, f"{text!r}: this snapshot has totals only, no stacks", hint)


def _evidence(reference: Reference, runs_dir: Path, search: Sequence[Path]) -> Evidence:
    found = reading.evidence_of([reference.what], runs_dir, reading.Query(search=search))
    if not found.recordings:
        raise LeakrunError(ErrorKind.UNMEASURED, f"{found.name} recorded nothing: {found.nothing}")
    return found


def _chosen(reference: Reference, evidence: Evidence) -> Sequence[Recording]:
    """All recordings, or those of the process that was named."""
    if reference.pid is None:
        return evidence.recordings
    found = [each for each in evidence.recordings if each.pid == reference.pid]
    if not found:
        there = ", ".join(str(each.pid) for each in evidence.recordings if each.pid is not None) or "none with a pid"
        raise LeakrunError(
            ErrorKind.USAGE, f"{reference.text!r}: {evidence.name} has no process {reference.pid}", f"it has {there}"
        )
    return found


def _finds_losses(recordings: Sequence[Recording]) -> bool:
    """The tool says what is lost, if only that nothing is."""
    tools = [backends.get(each.tool) for each in recordings if each.tool in backends.names()]
    return any(each.losses for each in recordings) or any(Metric.LEAKED_BYTES in tool.measures for tool in tools)


def _snapshots_of_both(
    references: Sequence[Reference], heard: Sequence[Sequence[Recording]], by_losses: Sequence[bool]
) -> list[bool]:
    """One says what is lost, the other what lives: where both have snapshots these are compared."""
    side = by_losses.index(True)
    if heard[side][0].snapshots and references[1 - side].number is not None:
        return [False, False]
    raise LeakrunError(
        ErrorKind.USAGE,
        f"{references[side].text!r} says what was lost, {references[1 - side].text!r} what was in use: they can't be compared",
        "compare two runs of one profile, or two snapshots: RUN@0 RUN@-1",
    )


def _moment(reference: Reference, evidence: Evidence, heard: Sequence[Recording], *, losses: bool, alone: bool) -> Moment:
    if losses:
        return Moment(reference, evidence, list(heard), None, _pids(evidence.recordings, heard))
    holding = last_seen(heard) if reference.number is None and not alone else []
    if len(holding) > 1:
        return Moment(reference, evidence, [together(holding)], 0, (), _pids(holding))
    kept = holding or heard[:1]
    number = _numbered(reference, evidence, kept[0])
    return Moment(reference, evidence, kept, number, () if holding else _pids(evidence.recordings, kept))


def _pids(recordings: Sequence[Recording], but: Sequence[Recording] = ()) -> list[int]:
    left_out = {id(each) for each in but}
    return [each.pid for each in recordings if id(each) not in left_out and each.pid is not None]


def _numbered(reference: Reference, evidence: Evidence, recording: Recording) -> int:
    """The number of the snapshot that is meant, from 0."""
    count = len(recording.snapshots)
    if count == 0:
        raise LeakrunError(
            ErrorKind.USAGE,
            f"{reference.text!r}: {evidence.name} has no snapshots",
            "take some: leakrun -p massif, or --every 500ms",
        )
    if reference.number is None:
        stacked = [number for number, each in enumerate(recording.snapshots) if has_stacks(each)]
        return stacked[-1] if stacked else count - 1
    number = reference.number
    if not -count <= number < count:
        noun = "1 snapshot: @0" if count == 1 else f"{count} snapshots: @0 to @{count - 1}, or @-1 for the last"
        raise LeakrunError(ErrorKind.USAGE, f"{reference.text!r}: there is no snapshot {number}", f"{evidence.name} has {noun}")
    return number % count


def notes(before: Moment, after: Moment) -> Iterator[str]:
    """What bounds the comparison of two moments, a sentence each."""
    for side in (before, after):
        yield from notes_of(side)
    tools = [side.recordings[0].tool for side in (before, after)]
    if tools[0] != tools[1]:
        yield f"{tools[0]} and {tools[1]} do not count alike: small differences may be theirs"
    if before.recordings[0].growth_kind is not after.recordings[0].growth_kind:
        yield "one of them counts whole pages, the other what was asked for"


def notes_of(side: Moment) -> Iterator[str]:
    """What bounds what is seen of one moment, a sentence each."""
    if side.others:
        yield f"{side.reference.text}: its other processes are left out: {_named(side, side.others)}"
    if side.added_up:
        yield f"{side.reference.text}: processes added up, each as it was last seen: {_named(side, side.added_up)}"
    snapshot = side.snapshot
    if snapshot is not None and not has_stacks(snapshot):
        stacked = [number for number, each in enumerate(side.recordings[0].snapshots) if has_stacks(each)]
        yield f"{side.reference.text}: this snapshot has totals only; those with stacks are {_listed(stacked)}"
    for recording in side.recordings:
        yield from (f"{side.reference.text}: {text}" for text in (*recording.flaws, *recording.limits))


def _named(side: Moment, pids: Sequence[int]) -> str:
    return ", ".join(map(str, pids[:5])) + (" ..." if len(pids) > 5 else "") + f" ({side.reference.what}:PID@N names one)"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (" ..." if len(numbers) > 10 else "") or "none"
