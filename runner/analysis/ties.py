"""Findings that grow by as much in step: an object, and what it is extended by. Who makes the object is to be asked first."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from runner.analysis.wording import place_text
from runner.model import AnswerFrame, Finding

_TIE = 0.1  # of the larger: so far two may be apart at any moment


def heads_first(findings: Sequence[Finding]) -> list[Finding]:
    """The same, most bytes first, but of those next to each other that grow in step the one nearer to their common caller.

    The other's evidence says so.
    """
    found: list[Finding] = []
    for finding in findings:
        place = len(found)
        while place and _extends(found[place - 1], finding):
            found[place - 1] = _told(found[place - 1], finding)
            place -= 1
        extension = place and _extends(finding, found[place - 1])
        found.insert(place, _told(finding, found[place - 1]) if extension else finding)
    return found


def _extends(finding: Finding, head: Finding) -> bool:
    """Whether it grows in step with the other, and stands farther from the function that calls both; all is called by main()."""
    if finding.kind is not head.kind or len(finding.stack) <= len(head.stack) or not _in_step(finding, head):
        return False
    common = _common(finding.stack, head.stack)
    return common > 0 and head.stack[-common].function != "main"


def _in_step(one: Finding, other: Finding) -> bool:
    """As many bytes, and blocks where they are counted, in each stretch of time."""
    if len(one.series) < 2 or [time for time, _ in one.series] != [time for time, _ in other.series]:
        return False
    if one.blocks is not None and other.blocks is not None and not _near(one.blocks, other.blocks):
        return False
    room = _TIE * max(one.bytes, other.bytes)
    first, second = one.series[0][1], other.series[0][1]
    pairs = zip(one.series, other.series, strict=True)
    return _near(one.bytes, other.bytes) and all(abs((a - first) - (b - second)) <= room for (_, a), (_, b) in pairs)


def _near(one: int, other: int) -> bool:
    return abs(one - other) <= _TIE * max(one, other)


def _common(one: Sequence[AnswerFrame], other: Sequence[AnswerFrame]) -> int:
    """How many functions, from the outermost on, both stacks have in common."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return sum(1 for _ in takewhile(lambda pair: _function(pair[0]) == _function(pair[1]), pairs))


def _function(frame: AnswerFrame) -> tuple[str | None, str | None, str | None]:
    return frame.function, frame.file, frame.module if frame.file is None else None


def _told(finding: Finding, head: Finding) -> Finding:
    where = place_text(head.function, head.file, head.line, head.module)
    text = f"it grows in step with {where}: perhaps a part of what is made there"
    told = any(text in each for each in finding.evidence)
    return finding if told else replace(finding, evidence=[*finding.evidence, text])
