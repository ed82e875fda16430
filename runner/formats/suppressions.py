"""Suppression files: what is known, and not to be reported. valgrind's and LeakSanitizer's are read, and written.

valgrind's (its manual, "Suppressing errors"): groups in braces, of a name, `tool:Kind`, perhaps `match-leak-kinds:`, and the
stack from the leaf on: `fun:GLOB`, `obj:GLOB`, `src:GLOB`, and `...` for any number of frames. It may end before the stack does.
LeakSanitizer's: `leak:PATTERN` lines, for a part of any frame's function, file or module; `*`, `^`, `$` as usual.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from runner.errors import ErrorKind, LeakrunError
from runner.formats.mangling import name_of_mangled
from runner.model import LossKind
from runner.names import without_parameters

LEAK = "Leak"
_LEAK_KINDS = {
    "definite": LossKind.DEFINITE,
    "indirect": LossKind.INDIRECT,
    "possible": LossKind.POSSIBLE,
    "reachable": LossKind.REACHABLE,
}
_MOST_FRAMES = 24  # valgrind refuses a longer suppression
_LONGEST = 1 << 24
# What memcheck's XML calls an error, and what its suppressions call it; a size is appended to Addr and Value.
_KINDS = {
    "InvalidRead": "Addr",
    "InvalidWrite": "Addr",
    "UninitValue": "Value",
    "UninitCondition": "Cond",
    "SyscallParam": "Param",
    "InvalidFree": "Free",
    "MismatchedFree": "Free",
    "InvalidJump": "Jump",
    "Overlap": "Overlap",
    "FishyValue": "FishyValue",
    "ReallocSizeZero": "ReallocZero",
    "CoreMemError": "Param",
}
_SIZE = re.compile(r"of size ([0-9]+)")


class Place(Protocol):
    """What a frame must have: one of a recording does, and one of an answer."""

    @property
    def signature(self) -> str | None: ...  # noqa: D102  # as in model.Frame
    @property
    def file(self) -> str | None: ...  # noqa: D102
    @property
    def module(self) -> str | None: ...  # noqa: D102


Test = Callable[[Place], bool]


@dataclass(frozen=True, slots=True)
class Suppression:
    """One entry.

    kinds       valgrind's kinds of error that it is for: Leak, Addr4, Cond ...
    leak_kinds  for a leak: which
    frames      tests of the frames from the leaf on; None stands for any number of frames
    anywhere    the one test may hold for any frame (LeakSanitizer's)
    place       FILE:LINE
    """

    name: str
    kinds: frozenset[str]
    leak_kinds: frozenset[LossKind]
    frames: tuple[Test | None, ...]
    anywhere: bool
    place: str

    def is_for_leak(self, kind: LossKind, stack: Sequence[Place]) -> bool:
        """Whether it suppresses a leak of that kind, or (REACHABLE) growth, at that stack, leaf first."""
        return LEAK in self.kinds and kind in self.leak_kinds and self._matches(stack)

    def is_for_error(self, kind: str, message: str, stack: Sequence[Place]) -> bool:
        """Whether it suppresses an error that memcheck's XML calls `kind`."""
        size = _SIZE.search(message)
        named = _KINDS.get(kind, kind)
        return (named in self.kinds or f"{named}{size[1] if size else ''}" in self.kinds) and self._matches(stack)

    def _matches(self, stack: Sequence[Place]) -> bool:
        if self.anywhere:
            return any(test is not None and test(frame) for test in self.frames for frame in stack)
        ends = {0}  # how many frames may have been matched so far
        for test in self.frames:
            if test is None:
                ends = set(range(min(ends), len(stack) + 1))
            else:
                ends = {end + 1 for end in ends if end < len(stack) and test(stack[end])}
            if not ends:
                return False
        return True


def read(text: str, name: str) -> list[Suppression]:
    """All entries of a file of either kind, which its content tells. Raises LeakrunError(USAGE) with FILE:LINE."""
    if len(text) > _LONGEST or "\0" in text:
        raise LeakrunError(ErrorKind.USAGE, f"{name}: not a file of suppressions", "name a text file of valgrind's or LSan's")
    rows = [(number, row.strip()) for number, row in enumerate(text.splitlines(), 1)]
    rows = [(number, row) for number, row in rows if row and not row.startswith("#")]
    if rows and rows[0][1] == "{":
        return list(_groups(iter(rows), name))
    return [_lsan_entry(row, f"{name}:{number}") for number, row in rows]


# ---- LeakSanitizer's


def _lsan_entry(row: str, place: str) -> Suppression:
    kind, colon, pattern = row.partition(":")
    if kind != "leak" or not colon or not pattern:
        hint = "write leak:FUNCTION, or valgrind's groups in braces"
        raise LeakrunError(ErrorKind.USAGE, f"{place}: {row[:60]!r} is no suppression of a leak", hint)
    expression = re.compile(_lsan_expression(pattern), re.DOTALL)

    def test(frame: Place) -> bool:
        return any(text and expression.search(text) for text in (frame.signature, frame.file, frame.module))

    return Suppression(pattern, frozenset({LEAK}), frozenset(LossKind), (test,), True, place)


def _lsan_expression(pattern: str) -> str:
    start, end = pattern.startswith("^"), pattern.endswith("$") and len(pattern) > 1
    inner = pattern[start : len(pattern) - end]
    middle = ".*".join(re.escape(part) for part in re.split(r"\*+", inner))
    return ("^" if start else "") + middle + (r"\Z" if end else "")


# ---- valgrind's


def _groups(rows: Iterator[tuple[int, str]], name: str) -> Iterator[Suppression]:
    for number, row in rows:
        if row != "{":
            raise _wrong(name, number, f"{row[:60]!r} stands outside of braces", "begin each suppression with {")
        group = []
        for inner_number, inner in rows:
            if inner == "}":
                break
            group.append((inner_number, inner))
        else:
            raise _wrong(name, number, "this suppression does not end", "end it with }")
        yield _group(group, name, number)


def _group(rows: list[tuple[int, str]], name: str, number: int) -> Suppression:
    if len(rows) < 3:
        raise _wrong(
            name, number, "a suppression needs a name, TOOL:KIND and frames", "see valgrind's manual, Suppressing errors"
        )
    (_, title), (kind_row, kind_line), *frames = rows
    tools, colon, kind = kind_line.partition(":")
    if not colon or not kind.strip():
        raise _wrong(name, kind_row, f"{kind_line[:60]!r} is not TOOL:KIND", "write Memcheck:Leak")
    ours = "Memcheck" in tools.replace(" ", "").split(",")
    leak_kinds = frozenset(LossKind)
    if frames[0][1].startswith("match-leak-kinds:"):
        leak_kinds = _leak_kinds(frames.pop(0), name)
    elif kind.strip() in ("Param", "FishyValue", "User") and not _is_frame(frames[0][1]):
        frames.pop(0)  # the parameter's name: errors are told apart by their stacks here
    steps = tuple(_step(row, name, line) for line, row in frames)
    return Suppression(title, frozenset({kind.strip()}) if ours else frozenset(), leak_kinds, steps, False, f"{name}:{number}")


def _leak_kinds(row: tuple[int, str], name: str) -> frozenset[LossKind]:
    words = [word.strip() for word in row[1].partition(":")[2].split(",")]
    if words == ["all"]:
        return frozenset(LossKind)
    if words == ["none"]:
        return frozenset()
    if unknown := [word for word in words if word not in _LEAK_KINDS]:
        raise _wrong(name, row[0], f"{unknown[0][:40]!r} is no kind of leak", f"write {', '.join(_LEAK_KINDS)} or all")
    return frozenset(_LEAK_KINDS[word] for word in words)


def _is_frame(row: str) -> bool:
    return row == "..." or row.startswith(("fun:", "obj:", "src:"))


def _step(row: str, name: str, line: int) -> Test | None:
    if row == "...":
        return None
    kind, _, glob = row.partition(":")
    glob = glob.strip()
    if not _is_frame(row) or not glob:
        raise _wrong(name, line, f"{row[:60]!r} is no frame", "write fun:NAME, obj:FILE, src:FILE:LINE or ...")
    if kind == "fun":
        return _function_test(glob)
    expression = _glob(glob)
    if kind == "obj":
        return lambda frame: expression.fullmatch(frame.module or "") is not None
    return lambda frame: expression.fullmatch(_source(frame)) is not None or expression.fullmatch(_file_name(frame)) is not None


def _function_test(glob: str) -> Test:
    """valgrind compares mangled names, and its own output shows demangled ones: both forms are understood."""
    mangled = name_of_mangled(glob)
    expression = _glob(glob) if mangled is None else mangled

    def test(frame: Place) -> bool:
        if frame.signature is None:
            return glob in ("???", "*")
        return any(expression.fullmatch(text) is not None for text in _forms(frame.signature))

    return test


@lru_cache(maxsize=65536)
def _forms(signature: str) -> tuple[str, ...]:
    return signature, without_parameters(signature)


def _file_name(frame: Place) -> str:
    return (frame.file or "").rsplit("/", 1)[-1]


def _source(frame: Place) -> str:
    line = getattr(frame, "line", None)
    return f"{_file_name(frame)}:{line}" if line is not None else _file_name(frame)


def _glob(glob: str) -> re.Pattern[str]:
    """valgrind's globs: `*` and `?`, nothing else."""
    parts = re.split(r"(\*+|\?)", glob)
    return re.compile(
        "".join(".*" if part.startswith("*") else "." if part == "?" else re.escape(part) for part in parts), re.DOTALL
    )


def _wrong(name: str, line: int, what: str, hint: str) -> LeakrunError:
    return LeakrunError(ErrorKind.USAGE, f"{name}:{line}: {what}", hint)
