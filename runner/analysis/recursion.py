"""Whose a stack is that grows: the function that repeats in the call stack of the thread whose stack was deepest.

A tool that measures stacks says how large they are. Samples of the call stacks, taken on the way, say who is on them; what
counts is the newest of those taken when the stack was nearly as deep as it ever was.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from runner.analysis.frames import Role, function_of, role_of
from runner.analysis.sites import Site, site_of
from runner.analysis.wording import size_text
from runner.model import Frame, Recording, StackSample

_DEEP = 0.5  # of what the stack has at the end: who was on it when it had less may not be whose it is
_REPEATS = 3  # so often a function stands on the stack that calls itself, by whatever way
_LARGE = 64 << 10  # bytes for each frame: without repetition, so large a stack is one frame's
_ANONYMOUS = "lambda"  # in the name of a function that has none: the one that it stands in says more
_NAMED = 3  # functions of a cycle that are named
_MISSED = "no look at the stack met it when it was deep: run it longer, or again"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a stack is: where the function that repeats calls on, the sample that shows it, and the evidence in a sentence.

    sure   how far to trust it, 0 to 1
    """

    site: Site
    frame: Frame
    sample: StackSample
    evidence: str
    sure: float


def owner_of(recording: Recording, now: float, thread: str | None = None) -> Owner | str:
    """Whose the stack is that has grown to `now` bytes, of one thread or of all; where that is not known, why not."""
    samples = [sample for sample in recording.stack_samples if thread in (None, sample.thread)]
    if not samples:
        return "the tool says how much, not whose"
    deepest = max(samples, key=lambda sample: (sample.bytes, sample.time))
    if deepest.bytes < _DEEP * now:
        return f"{_MISSED} ({size_text(deepest.bytes)} at most was seen)"
    frames = recording.table.frames_of(deepest.stack_id)
    program = recording.command[0] if recording.command else ""
    roles = [role_of(frame, program) for frame in frames]
    found = _recursing(frames, roles) or _largest_frame(frames, roles, deepest)
    if found is None:
        return "no function repeats on the stack when it is deep, and no frame of the program's own is there"
    frame, how, sure = found
    evidence = f"on the stack of {deepest.thread} at {size_text(deepest.bytes)}, {how}"
    return Owner(site_of(frame, recording.mappings), frame, deepest, evidence, sure)


def _recursing(frames: Sequence[Frame], roles: Sequence[Role]) -> tuple[Frame, str, float] | None:
    """The call of the program's own function that repeats most; of several that take turns, the innermost."""
    counts = Counter(function for frame in frames if (function := function_of(frame)) is not None)
    most = max(counts.values(), default=0)
    if most < _REPEATS:
        return None
    cycle = [function for function, count in counts.items() if 2 * count > most]  # innermost first
    own = {function_of(frame) for frame, role in zip(frames, roles, strict=True) if role is Role.PROJECT}
    chosen = max(cycle, key=lambda function: (function in own, _ANONYMOUS not in function, counts[function] >= most - 1))
    calls = Counter(frame for frame in frames[1:] if function_of(frame) == chosen)
    frame = max(calls, key=lambda each: calls[each])
    others = [function for function in cycle if function != chosen and function in own]
    by_way = f", by way of {', '.join(others[:_NAMED])}" + (" and others" if len(others) > _NAMED else "") if others else ""
    return frame, f"{counts[chosen]} of the {len(frames)} innermost frames are {chosen}{by_way}", 1.0


def _largest_frame(frames: Sequence[Frame], roles: Sequence[Role], sample: StackSample) -> tuple[Frame, str, float] | None:
    """Where nothing repeats, a frame is large itself (alloca(), a local array): the innermost of the program's own is named."""
    if sample.bytes < _LARGE * len(frames):
        return None
    for frame, role in zip(frames, roles, strict=True):
        if role is Role.PROJECT:
            return frame, f"no function repeats in {len(frames)} frames: one holds a large array or alloca()", 0.6
    return None
