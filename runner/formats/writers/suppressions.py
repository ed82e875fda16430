"""Suppressions for valgrind and for LeakSanitizer; runner/formats/suppressions.py says what they look like."""

from collections.abc import Sequence

from runner.formats.mangling import components, is_identifier, mangled_glob
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
    return f"# {visible(title)}\n" + "".join(f"leak:{visible(pattern)}\n" for pattern in _lsan_patterns(frame))


def _lsan_patterns(frame: Place) -> list[str]:
    if frame.signature is None:
        return [(frame.module or frame.file or "").rsplit("/", 1)[-1]]
    name = without_parameters(frame.signature)
    if "(" not in frame.signature:
        return [f"^{name}$"]
    # An instance of a template has its return type before its name.
    patterns = [f"{'' if '<' in name else '^'}{name}("]
    # gcc's runtime calls what is static, or in an unnamed namespace, by the last part of its name alone.
    last = components(name)[-1]
    return [*patterns, f"^{last}$"] if is_identifier(last) else patterns
