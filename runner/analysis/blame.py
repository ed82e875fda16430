"""Which frame of a stack a person would change.

Machinery is skipped (see frames), then the project's own allocation wrappers. A wrapper is known
  - because the profile names it;
  - by its name, where the name says nothing else (xmalloc, g_malloc0, safe_strdup, xmmap);
  - by its name, where that ends as one of the C library's (queue_malloc, contextMalloc), and other files call it, or it has its
    memory from a wrapper itself;
  - by its name, where its callers are called so too, up to a wrapper that is known by its name, or that has several callers;
  - because its callers' blocks fare differently: what one caller had of it is freed, what another had stays;
  - because it is the one leaf under many callers that have nothing to do with each other.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache

from runner.analysis.frames import Role, function_of, role_of
from runner.model import Frame, Recording

HIDDEN = -1  # stands for the position of a blamed frame where the tool shows no frame at all

_FREED_SHARE = 0.25  # of a caller's bytes at most this part is still there: its blocks are freed, but for those in use
_KEPT_SHARE = 0.03  # at least this part is still there: its blocks stay
_TIMES = 4  # and so many times the part of the caller that frees
_WORTH = 0.01  # of what the caller had whose blocks stay: of less that another freed nothing is concluded
_ROUNDS = 8  # wrappers of wrappers that are looked through
_WRAPPER_LINES = 2  # a wrapper allocates at one line, or at two (malloc or realloc)
_UNRELATED_CALLERS = 5
_UNRELATED_FILES = 3

_VERB = r"(?:m|c|re|z|v|kz|kv|kvz|recalloc|reallocarray|mem)?alloc|memalign|(?:str|strn|wcs|mem)dup|v?asprintf"
_ENDING = (
    r"(?:\d|_?(?:array|arr|n|zero|zeroed|or_die|or_fail|or_abort|safe|checked|align|aligned|usable|nofail|impl|internal|ex))*"
)
_CLEAR_NAME = re.compile(
    r"(?i)^_*(?:x+|x_|my|safe|check|checked|must|try|e|s|z|g|p|k|u|ck|sec|secure|dbg|debug|mem|memory|utils?|util|wrap|wrapped|track|"
    r"tracked|trace|do|heap|sys|os|default|die|fatal|guarded|zero|count|counted|log|logged|stat|stats|ztry|try_x?)"
    rf"?_?(?:{_VERB}|mmap){_ENDING}$"
)
# Where its word begins: itemAlloc and vecalloc are no malloc and no calloc.
_NAME_OF_C_LIBRARY = re.compile(
    r"^\w+?(?:(?:_|(?<=[a-z0-9])(?=[A-Z]))(?i:(?:m|c|re)alloc|reallocarray)|(?i:memalign|(?:str|strn|wcs|mem)dup|v?asprintf))"
    rf"(?i:{_ENDING})_*$"
)
_LIKELY_NAME = re.compile(rf"(?i)^_*[a-z0-9]+?(?:_[a-z0-9]+)*?_?(?:{_VERB}){_ENDING}$")


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
    serves    other files call it, or it stands behind a wrapper
    chained   it stands before a wrapper, or before several of which the last is one
    """

    lines: set[int | None] = field(default_factory=set)
    callers: dict[tuple[FunctionKey, int | None], list[float]] = field(default_factory=dict)
    stacks: list[tuple[int, int, int]] = field(default_factory=list)
    serves: bool = False
    chained: bool = False

    def add_fate(self, blamer: "Blamer", stack_id: int, outer: int, kept: float, had: float) -> None:
        """What became of the blocks of one more stack, in which the caller stands at `outer`."""
        frame_id = blamer.frame_id_at(stack_id, outer)
        sums = self.callers.setdefault((blamer.keys[frame_id], blamer.line_of(frame_id)), [0.0, 0.0])
        sums[0] += kept
        sums[1] += had

    def is_wrapper(self, key: FunctionKey, every_fate_known: bool) -> bool:
        """Whether its callers are to blame for what it allocates."""
        name, file = key
        if name is None:
            return False
        if self.chained or (self.serves and _NAME_OF_C_LIBRARY.match(_last_part(name))):
            return True
        functions = self.functions()
        if (len(functions) > 1 and _is_likely(name)) or self.diverges():
            return True
        return len(self.lines) <= _WRAPPER_LINES and (not every_fate_known and self._callers_are_unrelated(functions, file))

    def functions(self) -> set[FunctionKey]:
        """Its callers, each once however many lines call it."""
        return {caller for caller, _ in self.callers}

    def diverges(self) -> bool:
        """One caller keeps several times as large a part of what it had as another, which gives most of its blocks back."""
        if len(self.callers) < 2 or len(self.lines) > _WRAPPER_LINES:
            return False
        fates = [(kept / had, had) for kept, had in self.callers.values() if had]
        for part, stays in fates:
            others = (had for other, had in fates if other <= min(_FREED_SHARE, part / _TIMES))
            if part >= _KEPT_SHARE and max(others, default=0.0) >= _WORTH * stays:
                return True
        return False

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

    def by_allocators(self) -> "Blamer":
        """The same, but no function counts as a wrapper for what its callers do."""
        blamer = copy(self)
        blamer.positions = self.first_positions
        return blamer

    def project_stacks(self) -> Iterable[int]:
        """The stacks whose blamed frame is the project's."""
        ours, stacks = self._ours, self._stacks
        return (stack_id for stack_id, at in enumerate(self.positions) if at != HIDDEN and ours[stacks[stack_id][at]])

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

    def frame_at(self, stack_id: int, position: int) -> Frame:
        """The frame at a position of a stack."""
        return self._frames[self._stacks[stack_id][position]]

    def line_of(self, frame_id: int) -> int | None:
        """The line of a frame."""
        return self._frames[frame_id].line

    def frame(self, stack_id: int) -> Frame:
        """The blamed frame. The stack must not be hidden."""
        return self._frames[self.frame_id(stack_id)]

    def function(self, frame_id: int) -> str | None:
        """The function of a frame, without parameters."""
        return self._functions[frame_id]

    def serves(self, stack_id: int, position: int, outer: int) -> bool:
        """What stands at a position has a wrapper under it, or is called, at `outer`, from another file (or has no lines)."""
        stack = self._stacks[stack_id]
        own, other = (self._frames[stack[at]].file for at in (position, outer))
        behind = any(self._ours[frame_id] and self.keys[frame_id] != self.keys[stack[position]] for frame_id in stack[:position])
        return behind or (other is not None and own != other)

    def is_chained(self, stack_id: int, position: int, outer: int) -> bool:
        """What stands at a position and its callers from `outer` on are named as allocators are, up to a wrapper.

        That is one by its name, where it says nothing else, or where it is as the C library's and another file calls it.
        """
        stack = self._stacks[stack_id]
        while outer != HIDDEN:
            name, frame = self._functions[stack[position]] or "", self._frames[stack[position]]
            if not _is_likely(name) or takes_nothing(frame):
                return False
            elsewhere = self._frames[stack[outer]].file not in (None, frame.file)
            if self._wraps[stack[outer]] or (elsewhere and _NAME_OF_C_LIBRARY.match(_last_part(name))):
                return True
            position, outer = outer, self.caller(stack_id, outer)
        return False

    def caller(self, stack_id: int, position: int) -> int:
        """The position of the project's next function outwards of the one at a position; HIDDEN where there is none."""
        stack = self._stacks[stack_id]
        ours, keys = self._ours, self.keys
        own = keys[stack[position]]
        for outer in range(position + 1, len(stack)):
            frame_id = stack[outer]
            if ours[frame_id] and keys[frame_id] != own:
                return outer
        return HIDDEN


def blame(recordings: Sequence[Recording], turnovers: Sequence[Turnover | None], wrappers: Sequence[str] = ()) -> list[Blamer]:
    """The blamed frame of each stack of each recording; wrappers are recognised over all recordings together."""
    return _Blame(recordings, turnovers, wrappers).blamers


class _Blame:
    """The blamers of all recordings, and the functions that may be wrappers."""

    def __init__(self, recordings: Sequence[Recording], turnovers: Sequence[Turnover | None], wrappers: Sequence[str]) -> None:
        self.blamers = [Blamer(recording, wrappers) for recording in recordings]
        self._turnovers = turnovers
        self._fates_known = not any(recording.losses for recording in recordings)
        self._suspects: dict[FunctionKey, Suspect] = defaultdict(Suspect)
        fresh = [(number, stack_id) for number, blamer in enumerate(self.blamers) for stack_id in blamer.project_stacks()]
        for _ in range(_ROUNDS):
            fresh = self._climb(fresh)

    def _climb(self, fresh: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Enter stacks (recording's number, stack id) under the function that they blame now; those that blame another then."""
        climbed = []
        for key in self._count(fresh):
            suspect = self._suspects[key]
            if suspect.is_wrapper(key, self._fates_known) or self._is_inner_wrapper(key, suspect):
                for number, stack_id, outer in suspect.stacks:
                    self.blamers[number].positions[stack_id] = outer
                    climbed.append((number, stack_id))
                suspect.stacks.clear()
        return climbed

    def _count(self, fresh: Iterable[tuple[int, int]]) -> set[FunctionKey]:
        """Enter stacks under the function that they blame now; the functions that were touched."""
        touched = set()
        for number, stack_id in fresh:
            blamer = self.blamers[number]
            key = blamer.keys[blamer.frame_id(stack_id)]
            if self._enter(self._suspects[key], number, stack_id, blamer.positions[stack_id]):
                touched.add(key)
        return touched

    def _enter(self, suspect: Suspect, number: int, stack_id: int, position: int) -> bool:
        """Count a stack for the function at `position`; whether that has a caller to blame instead."""
        blamer, turnover = self.blamers[number], self._turnovers[number]
        kept, had = (turnover.kept[stack_id], turnover.had[stack_id]) if turnover is not None else (0.0, 0.0)
        tells = turnover is None or had > 0  # else it follows what is found out from others
        frame = blamer.frame_at(stack_id, position)
        if tells:
            suspect.lines.add(frame.line)
        outer = blamer.caller(stack_id, position)
        if outer == HIDDEN or takes_nothing(frame):
            return False
        if tells:
            suspect.add_fate(blamer, stack_id, outer, kept, had)
        suspect.stacks.append((number, stack_id, outer))
        suspect.serves |= blamer.serves(stack_id, position, outer)
        suspect.chained = suspect.chained or blamer.is_chained(stack_id, position, outer)
        return True

    def _is_inner_wrapper(self, key: FunctionKey, suspect: Suspect) -> bool:
        """All of it is called from one line of a function that is itself a wrapper: the inner one of two, or of several."""
        likely = _is_likely(key[0] or "")
        for _ in range(_ROUNDS):
            if len(suspect.callers) != 1:
                return False
            ((name, _), _) = next(iter(suspect.callers))
            likely = likely and _is_likely(name or "")
            inner, suspect = suspect, Suspect()
            for number, stack_id, outer in inner.stacks:
                self._enter(suspect, number, stack_id, outer)
            if suspect.diverges() or (likely and len(suspect.functions()) > 1):
                return True
        return False


def takes_nothing(frame: Frame) -> bool:
    """Its signature says that it has no parameters: nothing that allocates for others goes without a size or a text."""
    return frame.signature is not None and frame.signature.endswith("()")


def _last_part(function: str) -> str:
    return function.rsplit("::", 1)[-1]


@lru_cache(maxsize=4096)
def _is_likely(function: str) -> bool:
    return _LIKELY_NAME.match(_last_part(function)) is not None


def _is_named_wrapper(frame: Frame, function: str | None, wrappers: Sequence[str]) -> bool:
    if function is None:
        return False
    if any(fnmatchcase(function, wrapper) for wrapper in wrappers):
        return True
    name = _last_part(function)
    return not takes_nothing(frame) and _CLEAR_NAME.match(name) is not None
