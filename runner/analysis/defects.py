"""memcheck's errors of use, at the frame a person would change, identical ones as one."""

from collections.abc import Sequence

from runner.analysis.blame import HIDDEN, Blamer
from runner.analysis.sites import Site, shown_stack, site_of
from runner.model import AnswerError, Defect, Recording


def fold_defects(recordings: Sequence[Recording], blamers: Sequence[Blamer]) -> list[AnswerError]:
    """All defects by kind, message and site, in the order in which they came first."""
    folded: dict[tuple[str, str, Site], AnswerError] = {}
    for recording, blamer in zip(recordings, blamers, strict=True):
        for defect in recording.defects:
            site = _site(recording, blamer, defect)
            error = folded.get((defect.kind, defect.message, site))
            if error is None:
                folded[(defect.kind, defect.message, site)] = _error(recording, defect, site)
            else:
                error.count += defect.count
    return list(folded.values())


def _site(recording: Recording, blamer: Blamer, defect: Defect) -> Site:
    """Allocation wrappers that show by their callers only are no excuse for an error of use."""
    if defect.stack_id is None or (position := blamer.first_positions[defect.stack_id]) == HIDDEN:
        return Site(None, None, None)
    return site_of(recording.table.frames[recording.table.stacks[defect.stack_id][position]])


def _error(recording: Recording, defect: Defect, site: Site) -> AnswerError:
    return AnswerError(
        kind=defect.kind,
        message=defect.message,
        function=site.function,
        file=site.file,
        line=site.line,
        count=defect.count,
        stack=shown_stack(recording, defect.stack_id),
        auxiliary=[(text, shown_stack(recording, stack_id)) for text, stack_id in defect.auxiliary],
    )
