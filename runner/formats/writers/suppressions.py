"""Suppressions for valgrind and for LeakSanitizer; runner/formats/suppressions.py says what they look like."""

from collections.abc import Sequence

from runner.formats.mangling import mangled_glob
from runner.formats.suppressions import Place
from runner.formats.writers.sheet import visible
from runner.names import without_parameters

_MOST_FRAMES = 20  # valgrind takes 24


def valgrind_entry(title: str, leak_kind: str, stack: Sequence[Place], blamed: int) -> str:
    """A suppression of leaks that come about as this one does: from the leaf to the blamed frame, whoever calls that.

    leak_kind  definite, possible or reachable
    blamed     the place in `stack`, leaf first, of the frame that it is for
    """
    rows = ["{", f"   {visible(title)}", "   Memcheck:Leak", f"   match-leak-kinds: {leak_kind}"]
    rows += [f"   {row}" for row in _frames(stack, blamed)]
    return "\n".join([*rows, "}", ""])


def _frames(stack: Sequence[Place], blamed: int) -> list[str]:
    target = _frame(stack[blamed])
    if blamed == 0:
        return ["...", target]  # the tool left the allocator's own frames out
    between = [_frame(frame) for frame in stack[:blamed]]
    if len(between) < _MOST_FRAMES and all(row.startswith("fun:") and "*" not in row for row in between):
        return [*between, target]
    # Names in C++ are given by patterns, and inlining differs from build to build: only both ends are held to.
    return [between[0], "...", target]


def _frame(frame: Place) -> str:
    if frame.signature is not None:
        return f"fun:{visible(mangled_glob(frame.signature))}"
    return f"obj:*/{visible(frame.module.rsplit('/', 1)[-1])}" if frame.module else "fun:*"


def lsan_entry(title: str, frame: Place) -> str:
    """A suppression of leaks with this frame anywhere in their stack."""
    if frame.signature is not None:
        name = without_parameters(frame.signature)
        # A template's instance has its return type before its name.
        start, end = "" if "<" in name else "^", "(" if "(" in frame.signature else "$"
        pattern = f"{start}{name}{end}"
    else:
        pattern = (frame.module or frame.file or "").rsplit("/", 1)[-1]
    return f"# {visible(title)}\nleak:{visible(pattern)}\n"
