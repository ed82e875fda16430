"""Findings that grow in step: an object, and what belongs to it. Who makes the object is to be asked first."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from runner.analysis.wording import place_text
from runner.model import AnswerFrame, Finding

_Code = tuple[str | None, str | None, int | None]  # function, file, line

_TIE = 0.1  # of what they grow by: so far two may be apart at any moment


def heads_first(findings: Sequence[Finding]) -> list[Finding]:
    """The same, most bytes first, but of those that grow in step the one nearer to their common caller before the others.

    The others' evidence says so.
    """
    found: list[int] = []
    told, heads, parts = list(findings), defaultdict(list), defaultdict(list)
    for part, head in _pairs(findings):
        heads[part].append(head)
        parts[head].append(part)
    for number, finding in enumerate(findings):
        before = [part for part in parts[number] if part < number]
        for part in before:
            told[part] = _told(told[part], finding)
        above = min((found.index(head) for head in heads[number] if head < number), default=None)
        if above is not None:
            told[number] = _told(told[number], findings[found[above]])
        found.insert(min(map(found.index, before), default=len(found)), number)
    return [told[number] for number in found]


def _pairs(findings: Sequence[Finding]) -> list[tuple[int, int]]:
    """Each finding that belongs to another, with that, by their numbers.

    Not every two are compared: lost memory may have thousands of sites.
    """
    named: dict[_Code, list[int]] = defaultdict(list)
    for number, finding in enumerate(findings):
        named[finding.function, finding.file, finding.line].append(number)
    growing = [number for number, finding in enumerate(findings) if finding.series]
    pairs = []
    for part, finding in enumerate(findings):
        callers = {head for code in map(_code, finding.stack) if code in named for head in named[code]}
        heads = callers.union(growing if finding.series else ())
        pairs += [(part, head) for head in sorted(heads) if _belongs(finding, findings[head])]
    return pairs


def _belongs(finding: Finding, head: Finding) -> bool:
    """Whether it grows in step with the other, and stands farther from the function that calls both; all is called by main().

    Of what a constructor allocates, which the very line calls that makes the object, the bytes may be more, or fewer.
    """
    if finding.kind is not head.kind or len(finding.stack) <= len(head.stack):
        return False
    common = _common(finding.stack, head.stack)
    if not common or head.stack[-common].function == "main":
        return False
    counted = finding.blocks is not None and head.blocks is not None
    if counted and not _near(finding.blocks or 0, head.blocks or 0):
        return False
    part = _is_made_at(head, finding.stack)
    if not finding.series and not head.series:
        return counted and part
    return _in_step(finding, head) and (part or _near(finding.bytes, head.bytes))


def _in_step(one: Finding, other: Finding) -> bool:
    """The same part of what they grow by in each stretch of time."""
    if min(one.bytes, other.bytes) <= 0 or min(len(one.series), len(other.series)) < 2:
        return False
    if [time for time, _ in one.series] != [time for time, _ in other.series]:
        return False
    return all(abs(a - b) <= _TIE for a, b in zip(_course(one), _course(other), strict=True))


def _course(finding: Finding) -> list[float]:
    """What it had grown by at each moment, in units of what it grew by."""
    start = finding.series[0][1]
    return [(size - start) / finding.bytes for _, size in finding.series]


def _is_made_at(head: Finding, stack: Sequence[AnswerFrame]) -> bool:
    """Whether the line that makes the head calls what this is the stack of."""
    return (head.function, head.file, head.line) in map(_code, stack)


def _near(one: int, other: int) -> bool:
    return abs(one - other) <= _TIE * max(one, other)


def _common(one: Sequence[AnswerFrame], other: Sequence[AnswerFrame]) -> int:
    """How many functions, from the outermost on, both stacks have in common."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return sum(1 for _ in takewhile(lambda pair: _function(pair[0]) == _function(pair[1]), pairs))


def _function(frame: AnswerFrame) -> tuple[str | None, str | None, str | None]:
    return frame.function, frame.file, frame.module if frame.file is None else None


def _code(frame: AnswerFrame) -> _Code:
    return frame.function, frame.file, frame.line


def _told(finding: Finding, head: Finding) -> Finding:
    where = place_text(head.function, head.file, head.line, head.module)
    text = f"it grows in step with {where}: perhaps a part of what is made there"
    told = any(text in each for each in finding.evidence)
    return finding if told else replace(finding, evidence=[*finding.evidence, text])
