"""Which frame of a stack a person would change.

Machinery is skipped (see frames), then the project's own allocation wrappers. A wrapper is known
  - because the profile names it;
  - by its name, where the name says nothing else (xmalloc, g_malloc0, safe_strdup);
  - because its callers' blocks fare differently: what one caller had of it is freed, what another had stays;
  - because it is the one leaf under many callers that have nothing to do with each other.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from runner.analysis.frames import Role, function_of, role_of
from runner.model import Frame, Recording

HIDDEN = -1  # stands for the position of a blamed frame where the tool shows no frame at all

_FREED_SHARE = 0.01  # of a caller's bytes at most this part is still there: its blocks are freed
_KEPT_SHARE = 0.03  # at least this part is still there: its blocks stay
_ROUNDS = 4  # wrappers of wrappers that are looked through
_WRAPPER_LINES = 2  # a wrapper allocates at one line, or at two (malloc or realloc)
_UNRELATED_CALLERS = 5
_UNRELATED_FILES = 3

_VERB = r"(?:m|c|re|z|v|kz|kv|kvz|recalloc|reallocarray|mem)?alloc|memalign|(?:str|strn|wcs|mem)dup|v?asprintf"
_ENDING = (
    r"(?:\d|_?(?:array|arr|n|zero|zeroed|or_die|or_fail|or_abort|safe|checked|align|aligned|usable|nofail|impl|internal|ex))*"
)
_CLEAR_NAME = re.compile(
    r"(?i)^(?:x+|x_|my|safe|check|checked|must|try|e|s|z|g|p|k|u|ck|sec|secure|dbg|debug|mem|memory|utils?|util|wrap|wrapped|track|"
    r"tracked|trace|do|heap|sys|os|default|die|fatal|guarded|zero|count|counted|log|logged|stat|stats|ztry|try_x?)"
    rf"?_?(?:{_VERB}){_ENDING}$"
)
_LIKELY_NAME = re.compile(rf"(?i)^[a-z0-9]+?(?:_[a-z0-9]+)*?_?(?:{_VERB}){_ENDING}$")


FunctionKey = tuple[str | None, str | None]


@dataclass(slots=True)
class Turnover:
    """By stack id: bytes that are still there (or lost), and bytes that were ever had. Tells whose blocks are freed."""

    kept: Sequence[float]
    had: Sequence[float]


@dataclass(slots=True)
class Suspect:
    """A function that stands first in the project's part of stacks: is it a wrapper?

    callers   by function, file and line of the call: bytes that are still there, bytes that were ever had
    stacks    recording's number, stack id, and the caller's position in the stack
    """

    lines: set[int | None] = field(default_factory=set)
    callers: dict[tuple[FunctionKey, int | None], list[float]] = field(default_factory=dict)
    stacks: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, blamer: "Blamer", number: int, stack_id: int, outer: int, kept: float, had: float) -> None:
        """One more stack that would blame its caller if this is a wrapper."""
        frame_id = blamer.frame_id_at(stack_id, outer)
        sums = self.callers.setdefault((blamer.keys[frame_id], blamer.line_of(frame_id)), [0.0, 0.0])
        sums[0] += kept
        sums[1] += had
        self.stacks.append((number, stack_id, outer))

    def is_wrapper(self, key: FunctionKey, every_fate_known: bool) -> bool:
        """Whether its callers are to blame for what it allocates."""
        name, file = key
        if len(self.callers) < 2 or name is None:
            return False
        functions = {caller for caller, _ in self.callers}
        if len(functions) > 1 and _LIKELY_NAME.match(_last_part(name)):
            return True
        if len(self.lines) > _WRAPPER_LINES:
            return False
        return self._callers_diverge() or (not every_fate_known and self._callers_are_unrelated(functions, file))

    def _callers_diverge(self) -> bool:
        freed = max((had for kept, had in self.callers.values() if kept <= _FREED_SHARE * had), default=0.0)
        stays = max((had for kept, had in self.callers.values() if had and kept >= _KEPT_SHARE * had), default=0.0)
        return stays > 0 and freed > 0 and freed >= _FREED_SHARE * stays

    @staticmethod
    def _callers_are_unrelated(functions: set[FunctionKey], file: str | None) -> bool:
        files = {caller_file for _, caller_file in functions if caller_file not in (None, file)}
        return len(functions) >= _UNRELATED_CALLERS and len(files) >= _UNRELATED_FILES


class Blamer:
    """Blames one frame for each stack of one recording; roles and names are worked out once per frame."""

    def __init__(self, recording: Recording, wrappers: Sequence[str]) -> None:
        program = recording.command[0] if recording.command else ""
        table = recording.table
        self._frames = table.frames
        self._stacks = table.stacks
        self.roles = [role_of(frame, program) for frame in table.frames]
        self._functions = [function_of(frame) for frame in table.frames]
        self.keys: list[FunctionKey] = [
            (function, frame.file) for function, frame in zip(self._functions, table.frames, strict=True)
        ]
        self._wraps = [
            role is Role.PROJECT and _is_named_wrapper(frame, function, wrappers)
            for frame, function, role in zip(table.frames, self._functions, self.roles, strict=True)
        ]
        self._ours = [role is Role.PROJECT for role in self.roles]
        self.first_positions = [self._first(stack) for stack in table.stacks]  # before wrappers are recognised by their callers
        self.positions = list(self.first_positions)

    def _first(self, stack: tuple[int, ...]) -> int:
        """The position of the first frame of the project that is no wrapper by name; else the best of what is there."""
        ours, wraps = self._ours, self._wraps
        wrapper = HIDDEN
        for position, frame_id in enumerate(stack):
            if ours[frame_id]:
                if not wraps[frame_id]:
                    return position
                wrapper = position
        return wrapper if wrapper != HIDDEN else self._without_project(stack)

    def _without_project(self, stack: tuple[int, ...]) -> int:
        """The outermost frame of a library, else the first with a name, else the first."""
        roles = [self.roles[frame_id] for frame_id in stack]
        libraries = [position for position, role in enumerate(roles) if role is Role.LIBRARY]
        if libraries:
            return libraries[-1]
        named = [p for p, i in enumerate(stack) if self._functions[i] is not None and roles[p] is not Role.HIDDEN]
        shown = [position for position, role in enumerate(roles) if role is not Role.HIDDEN]
        return next(iter(named or shown), HIDDEN)

    def project_stacks(self) -> Iterable[int]:
        """The stacks whose blamed frame is the project's."""
        ours, stacks = self._ours, self._stacks
        return (stack_id for stack_id, at in enumerate(self.positions) if at != HIDDEN and ours[stacks[stack_id][at]])

    def is_project(self, stack_id: int) -> bool:
        """Whether the blamed frame of this stack is the project's."""
        return self.role(stack_id) is Role.PROJECT

    def role(self, stack_id: int) -> Role:
        """What the blamed frame is."""
        position = self.positions[stack_id]
        return Role.HIDDEN if position == HIDDEN else self.roles[self._stacks[stack_id][position]]

    def frame_id(self, stack_id: int) -> int:
        """The id of the blamed frame. The stack must not be hidden."""
        return self._stacks[stack_id][self.positions[stack_id]]

    def frame_id_at(self, stack_id: int, position: int) -> int:
        """The id of the frame at a position of a stack."""
        return self._stacks[stack_id][position]

    def line_of(self, frame_id: int) -> int | None:
        """The line of a frame."""
        return self._frames[frame_id].line

    def frame(self, stack_id: int) -> Frame:
        """The blamed frame. The stack must not be hidden."""
        return self._frames[self.frame_id(stack_id)]

    def function(self, frame_id: int) -> str | None:
        """The function of a frame, without parameters."""
        return self._functions[frame_id]

    def caller(self, stack_id: int) -> int:
        """The position of the project's next function outwards of the blamed one; HIDDEN where there is none."""
        stack, position = self._stacks[stack_id], self.positions[stack_id]
        ours, keys = self._ours, self.keys
        own = keys[stack[position]]
        for outer in range(position + 1, len(stack)):
            frame_id = stack[outer]
            if ours[frame_id] and keys[frame_id] != own:
                return outer
        return HIDDEN


def blame(recordings: Sequence[Recording], turnovers: Sequence[Turnover | None], wrappers: Sequence[str] = ()) -> list[Blamer]:
    """The blamed frame of each stack of each recording; wrappers are recognised over all recordings together."""
    blamers = [Blamer(recording, wrappers) for recording in recordings]
    suspects: dict[FunctionKey, Suspect] = defaultdict(Suspect)
    fates_known = not any(recording.losses for recording in recordings)
    fresh = [(number, stack_id) for number, blamer in enumerate(blamers) for stack_id in blamer.project_stacks()]
    for _ in range(_ROUNDS):
        touched = _count(fresh, blamers, turnovers, suspects)
        climbing = [suspects[key] for key in touched if suspects[key].is_wrapper(key, fates_known)]
        fresh = []
        for suspect in climbing:
            for number, stack_id, outer in suspect.stacks:
                blamers[number].positions[stack_id] = outer
                fresh.append((number, stack_id))
            suspect.stacks.clear()
    return blamers


def _count(
    fresh: Iterable[tuple[int, int]],
    blamers: Sequence[Blamer],
    turnovers: Sequence[Turnover | None],
    suspects: dict[FunctionKey, Suspect],
) -> set[FunctionKey]:
    """Enter stacks (recording's number, stack id) under the function that they blame now; the functions that were touched."""
    touched = set()
    for number, stack_id in fresh:
        blamer, turnover = blamers[number], turnovers[number]
        kept, had = (turnover.kept[stack_id], turnover.had[stack_id]) if turnover is not None else (0.0, 0.0)
        if turnover is not None and not had:
            continue
        frame_id, outer = blamer.frame_id(stack_id), blamer.caller(stack_id)
        suspect = suspects[blamer.keys[frame_id]]
        suspect.lines.add(blamer.frame(stack_id).line)
        if outer != HIDDEN and not takes_nothing(blamer.frame(stack_id)):
            suspect.add(blamer, number, stack_id, outer, kept, had)
            touched.add(blamer.keys[frame_id])
    return touched


def takes_nothing(frame: Frame) -> bool:
    """Its signature says that it has no parameters: nothing that allocates for others goes without a size or a text."""
    return frame.signature is not None and frame.signature.endswith("()")


def _last_part(function: str) -> str:
    return function.rsplit("::", 1)[-1]


def _is_named_wrapper(frame: Frame, function: str | None, wrappers: Sequence[str]) -> bool:
    if function is None:
        return False
    if any(fnmatchcase(function, wrapper) for wrapper in wrappers):
        return True
    name = _last_part(function)
    return not takes_nothing(frame) and _CLEAR_NAME.match(name) is not None
