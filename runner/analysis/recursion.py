"""Whose a stack is that grows: the function that repeats in the call stack of the thread whose stack was deepest.

A tool that measures stacks says how large they are. Samples of the call stacks, taken on the way, say who is on them; what
counts is the newest of those taken when the stack was nearly as deep as it ever was.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from runner.analysis.frames import Role, function_of, role_of
from runner.analysis.sites import Site, site_of
from runner.analysis.wording import size_text
from runner.model import Frame, Metric, Recording, StackSample

_DEEP = 0.5  # of what the stack has at the end: who was on it when it had less may not be whose it is
_REPEATS = 3  # so often a function stands on the stack that calls itself, by whatever way
_MANY = 8  # so many more stacks than at the start are threads that were left behind
_LARGE = 64 << 10  # bytes for each frame: without repetition, so large a stack is one frame's
_ANONYMOUS = "lambda"  # in the name of a function that has none: the one that it stands in says more
_NAMED = 3  # functions of a cycle that are named
THREADS = "[stacks of threads]"
_MISSED = "no look at the stack met it when it was deep: run it longer, or again"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a stack is, as far as that is known.

    site       where the function that repeats calls on; a thread's stack by name where no function is known
    stack_id   the call stack that shows it
    evidence   in a sentence; where nothing is known, why not
    sure       how far to trust it, 0 to 1
    """

    site: Site | None
    evidence: str
    frame: Frame | None = None
    stack_id: int | None = None
    sure: float = 0.95


def owner_of(recording: Recording, now: float) -> Owner:
    """Whose the stack is that has grown to `now` bytes, that of one thread or all together."""
    grown = _grown_stacks(recording)
    if grown is None:
        return _seen_owner(recording, now)
    if grown.more >= _MANY and grown.most < _DEEP * grown.all:
        text = f"there are {grown.more} more stacks than at the start: of threads that never end, or are never joined"
        return Owner(Site(THREADS, None, None), text)
    owner = _seen_owner(recording, grown.holds, grown.name)
    return owner if owner.site else replace(owner, site=Site(grown.name, None, None))


@dataclass(frozen=True, slots=True)
class _Grown:
    """What has become of the single stacks: bytes by which all and the one with most have grown, its name and what it holds."""

    more: int
    all: int
    most: int
    name: str
    holds: int


def _grown_stacks(recording: Recording) -> _Grown | None:
    """From the first snapshot that has them to the fullest; None where the tool does not tell one stack from another."""
    columns = [each.columns[Metric.STACK_BYTES] for each in recording.snapshots if Metric.STACK_BYTES in each.columns]
    if not columns:
        return None
    fullest = max(columns, key=lambda column: sum(column.amounts))
    before, after = dict(columns[0].items()), dict(fullest.items())
    if not after:
        return None
    rises = {stack_id: amount - before.get(stack_id, 0) for stack_id, amount in after.items()}
    most = max(rises, key=lambda stack_id: rises[stack_id])
    name = recording.table.frames_of(most)[0].signature or ""
    return _Grown(len(after) - len(before), sum(after.values()) - sum(before.values()), rises[most], name, after[most])


def _seen_owner(recording: Recording, now: float, thread: str | None = None) -> Owner:
    """What the looks at the stack show, of one thread or of whichever was deepest."""
    samples = [sample for sample in recording.stack_samples if thread in (None, sample.thread)]
    if not samples:
        return Owner(None, "the tool says how much, not whose", sure=0.9)
    deepest = max(samples, key=lambda sample: (sample.bytes, sample.time))
    if deepest.bytes < _DEEP * now:
        return Owner(None, f"{_MISSED} ({size_text(deepest.bytes)} at most was seen)", sure=0.9)
    frames = recording.table.frames_of(deepest.stack_id)
    program = recording.command[0] if recording.command else ""
    roles = [role_of(frame, program) for frame in frames]
    found = _recursing(frames, roles) or _largest_frame(frames, roles, deepest)
    if found is None:
        return Owner(None, "no function repeats on it when it is deep, and none of the program's own is there", sure=0.9)
    frame, how, sure = found
    evidence = f"on {deepest.thread}, {size_text(deepest.bytes)} deep, {how}"
    return Owner(site_of(frame), evidence, frame, deepest.stack_id, sure)


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
    return frame, f"{counts[chosen]} of the {len(frames)} innermost frames are {chosen}{by_way}", 0.95


def _largest_frame(frames: Sequence[Frame], roles: Sequence[Role], sample: StackSample) -> tuple[Frame, str, float] | None:
    """Where nothing repeats, a frame is large itself (alloca(), a local array): the innermost of the program's own is named.

    What is inlined has no frame of its own.
    """
    if sample.bytes < _LARGE * len(frames):
        return None
    own = [frame for frame, role in zip(frames, roles, strict=True) if role is Role.PROJECT and not frame.inlined]
    if not own:
        return None
    names = [function for frame in own if (function := function_of(frame)) is not None]
    where = f" ({', '.join(names[:_NAMED])}{' ...' if len(names) > _NAMED else ''})" if names else ""
    return own[0], f"no function repeats in {len(frames)} frames: one{where} holds a large array or alloca()", 0.6
