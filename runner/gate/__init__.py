"""What of the answers of some runs makes a build fail: kinds that were asked for, limits, a baseline, suppressions.

A run that could not measure what it was asked for is never passed.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from runner.analysis.wording import count_text, size_text
from runner.errors import ErrorKind, LeakrunError
from runner.gate.baseline import Identity, Known, matched
from runner.model import Answer, AnswerError, AnswerFrame, Finding, FindingKind, Verdict
from runner.paths import near

ERRORS = "errors"
KINDS = (*(kind.value for kind in FindingKind), ERRORS)
GROWTH = frozenset({FindingKind.GROWING, FindingKind.MAPPING_GROWTH, FindingKind.STACK_GROWTH})
# How much more than the baseline says is still the same: what is lost is counted exactly, growth is measured.
_TOLERANCE_OF_LOSSES = 0.0
_TOLERANCE_OF_GROWTH = 0.5


class Standing(StrEnum):
    """How an item stands in this gate; the first two fail it."""

    NEW = "new"
    WORSE = "worse"
    KNOWN = "known"
    WITHIN = "within the limits"
    UNASKED = "not asked for"
    SUPPRESSED = "suppressed"


class Outcome(Enum):
    """What the gate comes to."""

    CLEAN = "clean"
    FINDINGS = "findings"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for.

    kinds      of KINDS; None for all that the runs can see
    max_bytes  a site may have as many
    max_rate   a site may grow by as many bytes a second
    tolerance  how much more than the baseline, as a part of it, is not yet worse; None for the defaults
    """

    kinds: frozenset[str] | None = None
    max_bytes: int | None = None
    max_rate: float | None = None
    tolerance: float | None = None

    def asks_for(self, kind: str) -> bool:
        """Whether this kind (of KINDS) is asked for."""
        return self.kinds is None or kind in self.kinds


@dataclass(slots=True)
class Item:
    """One finding, or one error of use.

    kind    of KINDS
    label   what it is called: the kind of a finding, memcheck's name of an error
    text    what it is, in a sentence without its place
    before  what the baseline says of it
    """

    kind: str
    label: str
    text: str
    function: str | None
    file: str | None
    line: int | None
    module: str | None
    stack: Sequence[AnswerFrame]
    bytes: int | None = None
    blocks: int | None = None
    bytes_per_second: float | None = None
    standing: Standing = Standing.NEW
    before: Known | None = None

    @property
    def fails(self) -> bool:
        """Whether it makes the gate fail."""
        return self.standing in (Standing.NEW, Standing.WORSE)

    @property
    def identity(self) -> Identity:
        """What it is known by in a baseline."""
        file = near(self.file) if self.file is not None else None
        module = self.module.rsplit("/", 1)[-1] if self.module and file is None else None
        return Identity(self.label, self.function, file, module)


@dataclass(slots=True)
class CheckedRun:
    """One run, or some native files, before the gate.

    sees        of KINDS, what its tool can find
    doubts      why it can't be passed whatever it holds, a sentence each; that suspects may be kept on purpose is none
    suppressed  records that a suppression took out, by its name
    """

    name: str
    command: str
    verdict: Verdict
    sees: frozenset[str]
    doubts: list[str]
    items: list[Item]
    suppressed: Mapping[str, int] = field(default_factory=dict)

    @property
    def failures(self) -> list[Item]:
        """What makes it fail; a run that is inconclusive by more than its suspects fails as such."""
        undecided = self.verdict is Verdict.INCONCLUSIVE and self.doubts
        return [] if undecided else [item for item in self.items if item.fails]


@dataclass(slots=True)
class Result:
    """What the gate says.

    gone      entries of the baseline that these runs can see, and did not
    unseen    kinds that were asked for and that no tool of these runs can see
    compared  there is a baseline, so that "new" means that it does not know the finding
    """

    runs: list[CheckedRun]
    gone: list[Known] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    compared: bool = False

    @property
    def outcome(self) -> Outcome:
        """Findings outweigh doubts; nothing passes with a doubt."""
        if any(run.failures for run in self.runs):
            return Outcome.FINDINGS
        return Outcome.INCONCLUSIVE if any(run.doubts for run in self.runs) or not self.runs else Outcome.CLEAN


def kinds_of(text: str) -> frozenset[str]:
    """The kinds that `--fail-on` names, separated by commas; `growing` stands for growth of every kind.

    Raises LeakrunError(USAGE) for others.
    """
    words = [word.strip() for word in text.split(",")]
    if unknown := [word for word in words if word not in KINDS]:
        raise LeakrunError(
            ErrorKind.USAGE, f"--fail-on: there is no kind {unknown[0][:40]!r}", f"write some of {','.join(KINDS)}"
        )
    more = {kind.value for kind in GROWTH} if FindingKind.GROWING.value in words else set()
    return frozenset({*words, *more})


def items_of(answer: Answer) -> list[Item]:
    """All that an answer holds, findings first; none is judged yet."""
    return [*map(_finding, answer.findings), *map(_error, answer.errors)]


def doubts_of(answer: Answer) -> list[str]:
    """Why an answer can't be passed whatever it holds. Where suspects alone are in doubt, they are for the gate to judge."""
    undecided = answer.verdict is Verdict.INCONCLUSIVE and not answer.findings
    return [doubt.text for doubt in answer.doubts] or (answer.reasons if undecided else [])


def _finding(finding: Finding) -> Item:
    return Item(
        kind=finding.kind.value,
        label=finding.kind.value,
        text=_said(finding),
        function=finding.function,
        file=finding.file,
        line=finding.line,
        module=finding.module,
        stack=finding.stack,
        bytes=finding.bytes,
        blocks=finding.blocks,
        bytes_per_second=finding.bytes_per_second,
    )


def _said(finding: Finding) -> str:
    size = count_text(finding.bytes, "byte")
    blocks = f" in {count_text(finding.blocks, 'block')}" if finding.blocks is not None else ""
    rate = f", {size_text(finding.bytes_per_second)} a second" if finding.bytes_per_second is not None else ""
    match finding.kind:
        case FindingKind.LOST:
            return f"{size}{blocks} lost"
        case FindingKind.SUSPECT:
            return f"{size}{blocks} that only pointers into the blocks reach"
        case FindingKind.GROWING:
            return f"live memory grew by {size}{blocks}{rate}"
        case FindingKind.MAPPING_GROWTH:
            return f"mapped memory grew by {size}{blocks}{rate}"
        case FindingKind.STACK_GROWTH:
            return f"the stack grew by {size}{rate}"


def _error(error: AnswerError) -> Item:
    times = f" ({error.count:,} times)" if error.count > 1 else ""
    place = next((frame for frame in error.stack if frame.function == error.function), None)
    return Item(
        kind=ERRORS,
        label=error.kind,
        text=f"{error.message}{times}",
        function=error.function,
        file=error.file,
        line=error.line,
        module=place.module if place else None,
        stack=error.stack,
    )


def judge(runs: list[CheckedRun], terms: Terms, known: Sequence[Known] = ()) -> Result:
    """Give every item its standing, and every run its doubts. Items that are suppressed already stay so."""
    entries = matched((item.identity for run in runs for item in run.items), known)
    for run in runs:
        _judge_run(run, terms, entries)
    seen = frozenset[str]().union(*(run.sees for run in runs))
    unseen = sorted(terms.kinds - seen) if terms.kinds is not None else []
    used = {id(entry) for entry in entries.values()}
    gone = [entry for entry in known if id(entry) not in used and _kind_of(entry) in seen and terms.asks_for(_kind_of(entry))]
    return Result(runs, [] if any(run.doubts for run in runs) else gone, unseen, bool(known))


def _judge_run(run: CheckedRun, terms: Terms, entries: Mapping[Identity, Known]) -> None:
    if terms.kinds is not None and not terms.kinds & run.sees:
        run.doubts.append(f"its tool can't see what was asked for ({', '.join(sorted(terms.kinds))}): check a run under another")
    groups: dict[Identity, list[Item]] = defaultdict(list)
    for item in run.items:
        if item.standing is not Standing.SUPPRESSED:
            groups[item.identity].append(item)
    for identity, items in groups.items():
        entry = entries.get(identity)
        standing = _standing(items, entry, terms)
        for item in items:
            item.standing, item.before = standing, entry
            if not terms.asks_for(item.kind):
                item.standing = Standing.UNASKED
            elif item.fails and _is_within(item, terms):
                item.standing = Standing.WITHIN


def _standing(items: Sequence[Item], entry: Known | None, terms: Terms) -> Standing:
    if entry is None:
        return Standing.NEW
    return Standing.WORSE if _is_worse(figures(items), entry, terms) else Standing.KNOWN


def figures(items: Sequence[Item]) -> Known:
    """The items of one identity as a baseline keeps them: their sums. Errors have none: how often depends on the input."""
    if items[0].kind == ERRORS:
        return Known(*items[0].identity)
    rates = [
        item.bytes_per_second for item in items if item.bytes_per_second is not None and math.isfinite(item.bytes_per_second)
    ]
    blocks = [item.blocks for item in items if item.blocks is not None]
    return Known(
        *items[0].identity,
        bytes=sum(item.bytes or 0 for item in items),
        blocks=sum(blocks) if blocks else None,
        bytes_per_second=round(sum(rates), 1) if rates else None,
    )


def _is_worse(now: Known, before: Known, terms: Terms) -> bool:
    """By bytes and blocks; what grows by its rate where that is known, since bytes depend on how long the run was."""
    grows = now.kind in {kind.value for kind in GROWTH}
    default = _TOLERANCE_OF_GROWTH if grows else _TOLERANCE_OF_LOSSES
    room = 1 + (default if terms.tolerance is None else terms.tolerance)
    if grows and now.bytes_per_second is not None and before.bytes_per_second is not None:
        return now.bytes_per_second > before.bytes_per_second * room
    pairs = [(now.bytes, before.bytes)] if grows else [(now.bytes, before.bytes), (now.blocks, before.blocks)]
    return any(new is not None and old is not None and new > old * room for new, old in pairs)


def _is_within(item: Item, terms: Terms) -> bool:
    """Within every limit that speaks of it; without one that does, nothing is."""
    limits = []
    if terms.max_bytes is not None and item.bytes is not None:
        limits.append(item.bytes <= terms.max_bytes)
    if terms.max_rate is not None and item.kind in {kind.value for kind in GROWTH}:
        limits.append(item.bytes_per_second is not None and item.bytes_per_second <= terms.max_rate)
    return bool(limits) and all(limits)


def _kind_of(entry: Known) -> str:
    return entry.kind if entry.kind in KINDS else ERRORS


def updated(result: Result, known: Sequence[Known]) -> list[Known]:
    """The baseline as of these runs: all that fails or is known, and of what they could not see what was there before."""
    entries: dict[Identity, Known] = {}
    replaced = {id(entry) for entry in result.gone}
    for run in result.runs:
        groups: dict[Identity, list[Item]] = defaultdict(list)
        for item in run.items:
            if item.fails or item.standing is Standing.KNOWN:
                groups[item.identity].append(item)
                replaced.add(id(item.before))
        for identity, items in groups.items():
            entries[identity] = _larger(figures(items), entries.get(identity))
    return [*entries.values(), *(entry for entry in known if id(entry) not in replaced)]


def _larger(one: Known, other: Known | None) -> Known:
    return one if other is None or (one.bytes or 0) >= (other.bytes or 0) else other


def count(items: Iterable[Item], standing: Standing) -> int:
    """How many items stand so."""
    return sum(item.standing is standing for item in items)
