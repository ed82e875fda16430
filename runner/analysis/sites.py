"""A site: the frame that is blamed, as findings are folded by it, and as the answer shows it."""

from typing import NamedTuple

from runner.analysis.blame import HIDDEN, Blamer
from runner.analysis.frames import Role, function_of
from runner.analysis.wording import place_text
from runner.model import AnswerFrame, Frame, Recording


class Site(NamedTuple):
    """What two stacks must share to be one finding.

    module and address stand only where there is no file: massif prints no module beside a line.
    """

    function: str | None
    file: str | None
    line: int | None
    module: str | None = None
    address: int | None = None

    def text(self) -> str:
        """The site in a sentence."""
        return place_text(self.function, self.file, self.line, self.module)


def site_of(frame: Frame) -> Site:
    """The site of a blamed frame."""
    function = function_of(frame)
    if frame.file is not None:
        return Site(function, frame.file, frame.line)
    return Site(function, None, None, frame.module, frame.address if function is None else None)


def fold(recording: Recording, blamer: Blamer) -> tuple[list[int], dict[Site, Role]]:
    """For each stack the number of its site, -1 where the tool shows nothing of it; and the sites in order, with their roles."""
    numbers: dict[Site, int] = {}
    sites: dict[Site, Role] = {}
    of_frame: dict[int, int] = {}
    folded = []
    for stack, position in zip(recording.table.stacks, blamer.positions, strict=True):
        if position == HIDDEN:
            folded.append(-1)
            continue
        frame_id = stack[position]
        if frame_id not in of_frame:
            site = site_of(recording.table.frames[frame_id])
            of_frame[frame_id] = numbers.setdefault(site, len(numbers))
            sites.setdefault(site, blamer.roles[frame_id])
        folded.append(of_frame[frame_id])
    return folded, sites


def shown(frame: Frame) -> AnswerFrame:
    """A frame as the answer has it."""
    return AnswerFrame(
        function=function_of(frame),
        signature=frame.signature,
        file=frame.file,
        line=frame.line,
        module=frame.module,
        address=None if frame.address is None else f"0x{frame.address:x}",
        inlined=frame.inlined,
    )


def shown_stack(recording: Recording, stack_id: int | None) -> list[AnswerFrame]:
    """A stack as the answer has it, leaf first; empty for None."""
    return [] if stack_id is None else [shown(frame) for frame in recording.table.frames_of(stack_id)]
