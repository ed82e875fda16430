"""Reports that one process wrote one after another: what several of them list is counted once."""

from collections import defaultdict
from collections.abc import Sequence

from runner.model import Frame, Loss, LossKind, Recording

_Stack = tuple[LossKind, tuple[Frame, ...]]


def without_repeats(recordings: Sequence[Recording]) -> None:
    """Of one tool's reports of one process keep what each stack has lost where it is most: later ones list again what was known.

    Changes the recordings; those without a pid are left as they are. Call it before names are found: the stacks are compared.
    """
    groups: dict[tuple[str, int], list[Recording]] = defaultdict(list)
    for recording in recordings:
        if recording.pid is not None and recording.losses:
            groups[recording.tool, recording.pid].append(recording)
    for group in groups.values():
        if len(group) > 1:
            _keep_the_most(group)


def _keep_the_most(reports: Sequence[Recording]) -> None:
    lost: dict[_Stack, list[int]] = defaultdict(lambda: [0] * len(reports))
    for number, report in enumerate(reports):
        for loss in report.losses:
            lost[_stack(report, loss)][number] += loss.bytes
    for number, report in enumerate(reports):
        report.losses = [loss for loss in report.losses if _last_most(lost[_stack(report, loss)]) == number]


def _stack(report: Recording, loss: Loss) -> _Stack:
    return loss.kind, tuple(report.table.frames_of(loss.stack_id))


def _last_most(amounts: Sequence[int]) -> int:
    """The number of the report that has most; of equal ones the last."""
    return max(range(len(amounts)), key=lambda number: (amounts[number], number))
