"""Leak records folded by site: what is lost, what only interior pointers reach, and what is merely still there."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import or_

from runner.analysis.blame import HIDDEN, Blamer, Turnover
from runner.analysis.frames import Role, asks_for_others
from runner.analysis.sites import Site, site_of
from runner.analysis.wording import count_text
from runner.model import FindingKind, Frame, Loss, LossKind, Recording

MANY_BLOCKS = 8  # possibly lost blocks of one site from which they are a suspect, not a note
_CUT = "; its stack ends before the program's code: who asked for it is not known"
_POINTS = ("they point", "it points")
_THREAD_SET_UP = ("_dl_allocate_tls", "allocate_dtv", "allocate_stack", "pthread_create")


@dataclass(slots=True)
class Lost:
    """The records of one site and kind, of all processes. Bytes include what only the blocks point to; blocks do not."""

    kind: LossKind
    site: Site
    bytes: int = 0
    blocks: int = 0
    indirect_bytes: int = 0
    records: list[int] = field(default_factory=list)  # their numbers in the recording, from 1
    pids: set[int] = field(default_factory=set)
    heaviest: tuple[Recording, int] | None = None  # the recording and the stack of the largest record
    largest: int = -1  # its bytes
    frame: Frame | None = None  # the frame blamed in it
    role: Role = Role.NAMELESS
    thread_set_up: bool = False
    cut: bool = False  # a stack that ends before who asked for it: --num-callers=1, or code that can't be unwound

    def finding_kind(self) -> FindingKind | None:
        """What it is as a finding; None where it is a note."""
        if self.role in (Role.MACHINERY, Role.HIDDEN) or self.thread_set_up:
            return None
        if self.kind is LossKind.DEFINITE:
            return FindingKind.LOST
        return FindingKind.SUSPECT if self.kind is LossKind.POSSIBLE and self.blocks >= MANY_BLOCKS else None

    def confidence(self) -> float:
        """0.95 where nothing points to it; a suspect 0.5, with its blocks up to 0.7; less where the site is not the project's."""
        base = 0.95 if self.kind is LossKind.DEFINITE else 0.5 + 0.2 * min(1.0, self.blocks / 100)
        return round(base * (1.0 if self.role is Role.PROJECT else 0.8), 2)

    def evidence(self) -> str:
        """Figures that can be checked against the tool's own report."""
        own = f"{count_text(self.bytes - self.indirect_bytes, 'byte')} in {count_text(self.blocks, 'block')}"
        held = (
            f", and {count_text(self.indirect_bytes, 'byte')} that only {_POINTS[self.blocks == 1]} to"
            if self.indirect_bytes
            else ""
        )
        return f"{own}, {self.kind.value} ({self._where()}){held}{_CUT if self.cut else ''}"

    def _where(self) -> str:
        """The records' numbers in the tool's report; of several processes, each with a report of its own, how many these are."""
        if len(self.pids) > 1:
            return f"in {len(self.pids)} processes"
        records = ", ".join(str(number) for number in self.records[:3]) + (" ..." if len(self.records) > 3 else "")
        return f"{'record' if len(self.records) == 1 else 'records'} {records}"


def fold_losses(recordings: Sequence[Recording], blamers: Sequence[Blamer]) -> list[Lost]:
    """All leak records by kind and site, most bytes first. The bytes of indirect ones stand under their heads too."""
    folded: dict[tuple[LossKind, Site], Lost] = {}
    inherited = _Inherited(recordings)
    for recording, blamer in zip(recordings, blamers, strict=True):
        for number, loss in enumerate(recording.losses, 1):
            if blamer.positions[loss.stack_id] == HIDDEN:
                continue
            site = site_of(blamer.frame(loss.stack_id))
            lost = folded.setdefault((loss.kind, site), Lost(loss.kind, site))
            _add(lost, recording, blamer, number, loss, count=not inherited.has(recording, loss))
    return sorted(folded.values(), key=lambda lost: -lost.bytes)


def _add(lost: Lost, recording: Recording, blamer: Blamer, number: int, loss: Loss, *, count: bool) -> None:
    if recording.pid is not None:
        lost.pids.add(recording.pid)
    if not count:
        return
    lost.bytes += loss.bytes
    lost.blocks += loss.blocks
    lost.indirect_bytes += loss.indirect_bytes
    lost.records.append(number)
    if _is_cut(recording, blamer, loss.stack_id):  # it may be anybody's
        lost.cut, lost.role = True, Role.NAMELESS
    if loss.bytes > lost.largest:
        lost.largest, lost.heaviest, lost.frame = loss.bytes, (recording, loss.stack_id), blamer.frame(loss.stack_id)
        if not lost.cut:
            lost.role = blamer.role(loss.stack_id)
        lost.thread_set_up = any(
            blamer.function(frame_id) in _THREAD_SET_UP
            for frame_id in recording.table.stacks[loss.stack_id][: blamer.positions[loss.stack_id]]
        )


def _is_cut(recording: Recording, blamer: Blamer, stack_id: int) -> bool:
    """The stack ends in an allocator or a container, or shows beside these only code without a name."""
    stack = recording.table.stacks[stack_id]
    asking = [asks_for_others(recording.table.frames[frame_id]) for frame_id in stack]
    nameless = [blamer.roles[frame_id] is Role.NAMELESS for frame_id in stack]
    return asking[-1] or (any(asking) and all(map(or_, asking, nameless)))


class _Inherited:
    """Records that a forked child has from its parent: the same bytes and blocks at the same stack."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._known: dict[int, set[tuple[object, ...]]] = {}
        for recording in recordings:
            if recording.pid is not None:
                self._known[recording.pid] = {_identity(recording, loss) for loss in recording.losses}

    def has(self, recording: Recording, loss: Loss) -> bool:
        """Whether the parent has the same record."""
        parent = self._known.get(recording.parent_pid) if recording.parent_pid is not None else None
        return parent is not None and recording.parent_pid != recording.pid and _identity(recording, loss) in parent


def _identity(recording: Recording, loss: Loss) -> tuple[object, ...]:
    return (loss.kind, loss.bytes, loss.blocks, tuple(recording.table.frames_of(loss.stack_id)))


def loss_turnover(recording: Recording) -> Turnover | None:
    """By stack, bytes lost and bytes that were still there at all. None without records.

    The reachable is in good hands, and what only pointers past its start reach is so for all that is known.
    """
    if not recording.losses:
        return None
    kept: dict[int, float] = defaultdict(float)
    had: dict[int, float] = defaultdict(float)
    for loss in recording.losses:
        had[loss.stack_id] += loss.bytes
        if loss.kind in (LossKind.DEFINITE, LossKind.INDIRECT):
            kept[loss.stack_id] += loss.bytes
    stacks = range(len(recording.table.stacks))
    return Turnover([kept[stack] for stack in stacks], [had[stack] for stack in stacks])
