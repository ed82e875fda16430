"""Reads the truth that each program in examples/c_leaks declares in its comments. The grammar is in the README there."""

import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.leakrun_command import answer, leakrun

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "c_leaks"
KINDS = frozenset({"lost", "growing", "mapping-growth", "stack-growth", "error"})

_COMMENT = re.compile(r"^// ([A-Z]+): *(.*?) *$")
_MARK = re.compile(r"// <- here *$")
_EXPECT = re.compile(r"(?P<kind>[a-z-]+)(?: (?P<what>.+?))? at (?P<function>.+)\(\)")
_AMOUNT = re.compile(r"(\d+) bytes x (\d+|N)")
_STOP = re.compile(r"([A-Z0-9]+) after (\d+(?:\.\d+)?)s")


class TruthError(ValueError):
    """A declaration that does not follow the grammar; the text begins with file:line."""


@dataclass(frozen=True)
class Expectation:
    """One thing that is wrong with a program.

    kind       lost, growing, mapping-growth, stack-growth, or error (then `defect` is memcheck's name for it)
    line       of the site, from 1
    blocks     for lost: directly lost blocks; None where the program runs by the clock and nobody knows
    bytes      for lost: all bytes, indirectly lost ones included; None where blocks is None
    block_size for lost: bytes of one directly lost block
    """

    kind: str
    function: str
    line: int
    defect: str | None = None
    block_size: int | None = None
    blocks: int | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Example:
    """One program: how to build it, how to run it, and what is wrong with it (nothing, where `expectations` is empty)."""

    source: Path
    args: tuple[str, ...]
    cflags: tuple[str, ...]
    stop_signal: str | None  # TERM, INT ...; None where the program ends by itself
    stop_after: float | None  # seconds
    expectations: tuple[Expectation, ...]

    @property
    def name(self) -> str:
        return self.source.stem

    @property
    def clean(self) -> bool:
        return not self.expectations

    def expected(self, *kinds: str) -> list[Expectation]:
        """The expectations of these kinds."""
        return [expectation for expectation in self.expectations if expectation.kind in kinds]


def all_examples() -> list[Example]:
    """Every program in examples/c_leaks, by name."""
    return [read_truth(source) for source in sorted(EXAMPLES.glob("*.c*")) if source.suffix in {".c", ".cpp"}]


def read_truth(source: Path) -> Example:
    """The declarations in `source`. Raises TruthError where they don't follow the grammar."""
    comments: list[tuple[int, str, str]] = []
    marks: list[int] = []
    for number, line in enumerate(source.read_text().splitlines(), 1):
        if comment := _COMMENT.match(line):
            comments.append((number, comment[1], comment[2]))
        elif _MARK.search(line):
            marks.append(number)
    words: dict[str, tuple[str, ...]] = {"RUN": (), "CFLAGS": ()}
    stop: tuple[str, float] | None = None
    expected: list[tuple[int, str]] = []
    for number, keyword, text in comments:
        if keyword == "EXPECT":
            expected.append((number, text))
        elif keyword in words:
            words[keyword] = tuple(text.split())
        elif keyword == "STOP":
            stop = _stop(source, number, text)
        else:
            raise TruthError(f"{source}:{number}: there is no comment {keyword}")
    expectations = _expectations(source, expected, marks)
    return Example(source, words["RUN"], words["CFLAGS"], *(stop or (None, None)), expectations)


def build(example: Example, directory: Path, optimise: str = "-O0") -> Path:
    """Compile the program as examples/c_leaks/Makefile does; the path of what came out."""
    program = directory / example.name
    compiler = ["g++", "-Wno-mismatched-new-delete"] if example.source.suffix == ".cpp" else ["gcc"]
    flags = ["-g", optimise, "-fno-omit-frame-pointer", "-Wall", "-Wextra", "-Werror", *example.cflags]
    subprocess.run([*compiler, *flags, "-o", program, example.source], check=True, timeout=60)
    return program


def answers_of(examples: Sequence[Example], profile: str, directory: Path) -> dict[str, tuple[int, dict[str, Any]]]:
    """By the name of each example: the exit code of a run of it under the profile, and its answer."""

    def measure(example: Example) -> tuple[int, dict[str, Any]]:
        stop = ("--for", f"{example.stop_after}s") if example.stop_after else ()
        run = directory / f"{example.name}.run"
        ran = leakrun("-p", profile, "-o", run, *stop, build(example, directory), *example.args)
        return ran.returncode, answer(run)

    with ThreadPoolExecutor(3) as pool:  # they sleep most of the time
        return dict(zip([each.name for each in examples], pool.map(measure, examples), strict=True))


def _stop(source: Path, number: int, text: str) -> tuple[str, float]:
    match = _STOP.fullmatch(text)
    if not match:
        raise TruthError(f"{source}:{number}: expected 'STOP: TERM after 5s', not {text!r}")
    return match[1], float(match[2])


def _expectations(source: Path, expected: list[tuple[int, str]], marks: list[int]) -> tuple[Expectation, ...]:
    """Pairs the functions, in the order in which they are first named, with the marks, in the order of the lines."""
    if not expected:
        raise TruthError(f"{source}:1: there is no EXPECT")
    if [text for _, text in expected] == ["clean"]:
        expected = []
    parsed = [(number, _parse(source, number, text)) for number, text in expected]
    functions = list(dict.fromkeys(match["function"] for _, match in parsed))
    if len(functions) != len(marks):
        raise TruthError(f"{source}:1: {len(functions)} functions are expected, and {len(marks)} lines are marked '// <- here'")
    line_of = dict(zip(functions, marks, strict=True))
    return tuple(_expectation(source, number, match, line_of[match["function"]]) for number, match in parsed)


def _parse(source: Path, number: int, text: str) -> re.Match[str]:
    match = _EXPECT.fullmatch(text)
    if not match or match["kind"] not in KINDS:
        raise TruthError(f"{source}:{number}: expected 'KIND at FUNCTION()' or 'clean', not {text!r}")
    return match


def _expectation(source: Path, number: int, match: re.Match[str], line: int) -> Expectation:
    kind, what, function = match["kind"], match["what"], match["function"]
    if kind == "error" and what and what.isalnum():
        return Expectation(kind, function, line, defect=what)
    if kind == "lost" and what:
        amounts = [_AMOUNT.fullmatch(part) for part in what.split(" + ")]
        if all(amounts):
            return _lost(function, line, [(int(a[1]), None if a[2] == "N" else int(a[2])) for a in amounts if a])
    if kind not in {"error", "lost"} and not what:
        return Expectation(kind, function, line)
    raise TruthError(f"{source}:{number}: {kind} can't be followed by {what!r}")


def _lost(function: str, line: int, amounts: list[tuple[int, int | None]]) -> Expectation:
    """The first amount is lost directly, each other one with it."""
    size, blocks = amounts[0]
    known = [size * count for size, count in amounts if count is not None]
    total = sum(known) if len(known) == len(amounts) else None
    return Expectation("lost", function, line, block_size=size, blocks=blocks, bytes=total)
