"""What a suppression takes out of a recording before it is judged, and of an answer's growth after that."""

from collections import Counter
from collections.abc import Sequence

from runner.formats.suppressions import Suppression
from runner.gate import GROWTH, Item, Standing
from runner.model import LossKind, Recording


def leave_out(recording: Recording, entries: Sequence[Suppression], used: Counter[str]) -> None:
    """Take the losses and defects out that an entry is for, record by record as the tools do; `used` counts them by name."""
    table = recording.table
    losses, defects = [], []
    for loss in recording.losses:
        frames = table.frames_of(loss.stack_id)
        entry = next((each for each in entries if each.is_for_leak(loss.kind, frames)), None)
        if entry is None:
            losses.append(loss)
        else:
            used[entry.name] += 1
    for defect in recording.defects:
        frames = [] if defect.stack_id is None else table.frames_of(defect.stack_id)
        entry = next((each for each in entries if each.is_for_error(defect.kind, defect.message, frames)), None)
        if entry is None:
            defects.append(defect)
        else:
            used[entry.name] += 1
    recording.losses, recording.defects = losses, defects


def mark(items: Sequence[Item], entries: Sequence[Suppression], used: Counter[str]) -> None:
    """Mark the growth that an entry is for as suppressed. What grows is still reachable: entries for that kind are meant."""
    growth = {kind.value for kind in GROWTH}
    for item in items:
        if item.kind not in growth:
            continue
        entry = next((each for each in entries if each.is_for_leak(LossKind.REACHABLE, item.stack)), None)
        if entry is not None:
            item.standing = Standing.SUPPRESSED
            used[entry.name] += 1
