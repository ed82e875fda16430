"""Several runs of one program as one answer: what their tools agree on, and what one sees that another should see too.

Sites are the same where function and file are (names as each tool spells them made equal), and their lines lie close together:
tools blame the first or the last line of a call, and name inlined frames with or without their class.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from runner.analysis.wording import count_text, place_text, size_text
from runner.model import Answer, AnswerError, Finding, FindingKind, Note, Verdict

LOSSES = frozenset({FindingKind.LOST, FindingKind.SUSPECT})
GROWTHS = frozenset({FindingKind.GROWING, FindingKind.MAPPING_GROWTH, FindingKind.STACK_GROWTH})
_HEAP_GROWTHS = GROWTHS - {FindingKind.STACK_GROWTH}
# What a site is called where tools call it differently: the first that any of them says.
_PRECEDENCE = (
    FindingKind.LOST,
    FindingKind.GROWING,
    FindingKind.MAPPING_GROWTH,
    FindingKind.STACK_GROWTH,
    FindingKind.SUSPECT,
)
_ASKED = {
    FindingKind.LOST: "lost memory",
    FindingKind.GROWING: "growth of the heap",
    FindingKind.MAPPING_GROWTH: "growth of mappings",
    FindingKind.STACK_GROWTH: "growth of the stacks",
    FindingKind.SUSPECT: "memory that only interior pointers reach",
}
_NEAR = 5  # lines
_TEMPLATE = re.compile(r"<[^<>]*>")
_SUREST = 0.99
_FEW_BLOCKS = 2  # so many lost blocks that do not grow rank under everything that grows
_EXPLAINED = 0.3  # of what the kernel sees grow: named code that grows by as much is the cause


@dataclass(frozen=True, slots=True)
class Witness:
    """One run of the program.

    name      of its profile, for sentences
    sees      the kinds that its tool finds with its options
    sites     it names code; else only kinds of memory, as the kernel knows them
    """

    name: str
    sees: frozenset[FindingKind]
    answer: Answer
    sites: bool = True

    @property
    def measured(self) -> bool:
        """Whether it can be asked anything."""
        return bool(self.answer.run.get("measured", True))

    def judged(self, kinds: Iterable[FindingKind]) -> bool:
        """Whether it could have seen any of these kinds, and its evidence is whole."""
        return self.measured and bool(self.sees & set(kinds)) and not self.answer.doubts


@dataclass(slots=True)
class Agreed:
    """What the witnesses say together.

    answer       one answer; its `run` is left empty
    open         kinds that no witness could rule out or find: why is in the answer's doubts
    unnamed      kinds that grow as the kernel sees it, while no tool names the code
    unconfirmed  findings of growth that rest on one tool alone
    """

    answer: Answer
    open: frozenset[FindingKind]
    unnamed: frozenset[FindingKind]
    unconfirmed: list[Finding]


@dataclass(slots=True)
class _Place:
    """One site, and who named it."""

    key: tuple[str, str]
    line: int | None
    said: list[tuple[Witness, Finding]] = field(default_factory=list)

    def of(self, kinds: Iterable[FindingKind]) -> list[tuple[Witness, Finding]]:
        """What was said of these kinds, most bytes first."""
        wanted = set(kinds)
        return sorted(((w, f) for w, f in self.said if f.kind in wanted), key=lambda pair: -pair[1].bytes)

    @property
    def kind(self) -> FindingKind:
        """The kind that the site has in the end."""
        kinds = {finding.kind for _, finding in self.said}
        return next(kind for kind in _PRECEDENCE if kind in kinds)

    @property
    def weight(self) -> int:
        """Bytes that it costs the process: what it grew by where it grew, since that was seen at nearer to full speed."""
        return max(finding.bytes for _, finding in self.of(GROWTHS) or self.said)


def agree(witnesses: Sequence[Witness], due: frozenset[FindingKind] = frozenset()) -> Agreed:
    """One answer out of those of several runs. Findings of growth that another tool should have seen and did not are notes.

    `due`: the kinds that somebody must have been asked about, for "clean" to be said.
    """
    by_code = [witness for witness in witnesses if witness.sites]
    kernel = [witness for witness in witnesses if not witness.sites]
    places = _places(by_code)
    disputed = [place for place in places if _disputed(place, by_code)]
    idle = [place for place in places if _idle(place, by_code)]
    standing = [place for place in places if place not in disputed and place not in idle]
    unexplained = _unexplained(kernel, standing)
    findings = _ranked(standing, by_code, kernel) + _of_the_kernel(unexplained, by_code)
    doubts, still_open = _doubts(witnesses, due)
    doubts += [_dispute(place, by_code) for place in disputed]
    findings = [replace(finding, rank=rank) for rank, finding in enumerate(findings, 1)]
    verdict = _verdict(findings, doubts, witnesses)
    return Agreed(
        Answer(
            verdict=verdict,
            reasons=_reasons(verdict, findings, doubts, witnesses),
            findings=findings,
            errors=_errors(witnesses),
            notes=_notes(witnesses, disputed, idle, standing),
            heap_summary=next((w.answer.heap_summary for w in witnesses if w.answer.heap_summary), None),
            leak_summary=next((w.answer.leak_summary for w in witnesses if w.answer.leak_summary), None),
            doubts=doubts,
        ),
        still_open,
        frozenset(finding.kind for _, finding in unexplained),
        [_finding(place, by_code, kernel) for place in standing if _rests_on_one(place)],
    )


# ---- sites


def _places(witnesses: Sequence[Witness]) -> list[_Place]:
    """The findings of all witnesses by site. Those of one line first, so that near ones join the nearest."""
    places: dict[tuple[str, str], list[_Place]] = defaultdict(list)
    for witness in witnesses:
        for finding in witness.answer.findings:
            _place_for(places[_key(finding)], finding).said.append((witness, finding))
    return [place for group in places.values() for place in _joined(group)]


def _key(finding: Finding) -> tuple[str, str]:
    """Function and file as all tools spell them: no template arguments, class or directory. Stacks as a whole are one place."""
    if finding.kind is FindingKind.STACK_GROWTH:
        return "", "stack"
    where = finding.file or finding.module or ""
    return _bare(finding.function or ""), where.rpartition("/")[2]


def _bare(function: str) -> str:
    """put for Cache<int, Page>::put: tools differ in all around it."""
    before = None
    while before != function:
        before, function = function, _TEMPLATE.sub("", function)
    return function.rpartition("::")[2].rpartition(" ")[2]


def _place_for(group: list[_Place], finding: Finding) -> _Place:
    line = None if finding.kind is FindingKind.STACK_GROWTH else finding.line
    place = next((each for each in group if each.line == line), None)
    if place is None:
        place = _Place(_key(finding), line)
        group.append(place)
    return place


def _joined(group: list[_Place]) -> Iterator[_Place]:
    """Places of one function whose lines lie close together become one, unless one tool tells them apart."""
    kept: list[_Place] = []
    for place in sorted(group, key=lambda each: (-len(each.said), each.line or 0)):
        near = [each for each in kept if _close(each, place) and not _told_apart(each, place)]
        if near:
            min(near, key=lambda each: abs((each.line or 0) - (place.line or 0))).said.extend(place.said)
        else:
            kept.append(place)
    yield from kept


def _close(one: _Place, other: _Place) -> bool:
    return one.line is None or other.line is None or abs(one.line - other.line) <= _NEAR


def _told_apart(one: _Place, other: _Place) -> bool:
    names = {witness.name for witness, _ in one.said}
    return any(witness.name in names for witness, _ in other.said)


# ---- what stands


def _disputed(place: _Place, witnesses: Sequence[Witness]) -> bool:
    """Another tool judged growth and does not see it here; what memcheck calls lost needs no second."""
    return place.kind in _HEAP_GROWTHS and bool(_dissenters(place, witnesses))


def _idle(place: _Place, witnesses: Sequence[Witness]) -> bool:
    """Only interior pointers reach it, and it does not grow, as another tool saw: somebody keeps it so on purpose."""
    alone = {finding.kind for _, finding in place.said} == {FindingKind.SUSPECT}
    return alone and any(witness.judged({FindingKind.GROWING}) for witness in witnesses)


def _dissenters(place: _Place, witnesses: Sequence[Witness]) -> list[Witness]:
    named = {witness.name for witness, _ in place.of(GROWTHS)}
    return [witness for witness in witnesses if witness.name not in named and witness.judged({place.kind})]


def _rests_on_one(place: _Place) -> bool:
    return place.kind in _HEAP_GROWTHS and len({witness.name for witness, _ in place.of(GROWTHS)}) == 1


def _ranked(places: Sequence[_Place], witnesses: Sequence[Witness], kernel: Sequence[Witness]) -> list[Finding]:
    """By what each costs, suspects that do not grow last; a lost block or two under everything that grows."""
    some_grow = any(place.of(GROWTHS) for place in places)

    def cost(place: _Place) -> tuple[bool, bool, int]:
        blocks = max((finding.blocks or 0 for _, finding in place.said), default=0)
        few = place.kind is FindingKind.LOST and not place.of(GROWTHS) and blocks <= _FEW_BLOCKS
        return place.kind is FindingKind.SUSPECT, few and some_grow, -place.weight

    whole = sum(place.weight for place in places) or 1
    return [
        replace(_finding(place, witnesses, kernel), share=round(place.weight / whole, 4)) for place in sorted(places, key=cost)
    ]


def _finding(place: _Place, witnesses: Sequence[Witness], kernel: Sequence[Witness]) -> Finding:
    """The finding of the kind that the site has in the end, with the figures of growth beside those of loss."""
    _, first = place.of({place.kind})[0]
    grown = [finding for _, finding in place.of(GROWTHS)]
    rate = next((finding for finding in grown if finding.bytes_per_second is not None), grown[0] if grown else first)
    return replace(
        first,
        bytes_per_second=rate.bytes_per_second,
        rate=rate.rate,
        series=first.series or rate.series,
        confidence=_confidence(place),
        evidence=[_agreement(place, witnesses), *_words(place), *_seen_by_the_kernel(place, kernel)],
    )


def _confidence(place: _Place) -> float:
    """Independent tools: all of them would have to be wrong. Of one tool that ran twice the surer run counts."""
    surest: dict[str, float] = defaultdict(float)
    for witness, finding in place.said:
        surest[witness.name] = max(surest[witness.name], finding.confidence)
    return round(min(_SUREST, 1 - prod(1 - each for each in surest.values())), 2)


def _agreement(place: _Place, witnesses: Sequence[Witness]) -> str:
    """Who names the site, out of how many that could, and what each of them can't see."""
    naming = list(dict.fromkeys(witness.name for witness, _ in place.said))
    kinds = {finding.kind for _, finding in place.said}
    able = {witness.name for witness in witnesses if witness.judged(kinds)} | set(naming)
    _, first = place.of({place.kind})[0]
    where = place_text(first.function, first.file, first.line, first.module)
    text = f"{len(naming)} of {count_text(len(able), 'tool')} {'names' if len(naming) == 1 else 'name'} {where}: "
    heard = [witness for witness in witnesses if witness.name in able or not witness.answer.doubts]
    blind = [*_blind(heard, LOSSES, "lost"), *_blind(heard, GROWTHS, "growth")]
    return text + ", ".join(naming) + (f"; {', '.join(blind)}" if blind else "")


def _blind(witnesses: Sequence[Witness], kinds: frozenset[FindingKind], word: str) -> list[str]:
    names = list(dict.fromkeys(witness.name for witness in witnesses if witness.sees and not witness.sees & kinds))
    return [f"{' and '.join(filter(None, (', '.join(names[:-1]), names[-1])))} cannot see {word}"] if names else []


def _words(place: _Place) -> list[str]:
    """Each tool's own evidence."""
    return [f"{witness.name}: {text}" for witness, finding in place.of(_PRECEDENCE) for text in finding.evidence[:2] if text]


def _seen_by_the_kernel(place: _Place, kernel: Sequence[Witness]) -> list[str]:
    if place.kind is FindingKind.STACK_GROWTH or not place.of(GROWTHS):
        return []
    seen = [finding for witness in kernel for finding in witness.answer.findings if finding.kind is not FindingKind.STACK_GROWTH]
    return [f"the kernel sees {finding.function} grow by {size_text(finding.bytes)}" for finding in seen[:2]]


# ---- what the kernel sees


def _unexplained(kernel: Sequence[Witness], places: Sequence[_Place]) -> list[tuple[Witness, Finding]]:
    """Growth in the kernel's eyes for which no named code is the cause."""
    named = sum(place.weight for place in places if place.kind is not FindingKind.STACK_GROWTH)
    stacks = any(place.kind is FindingKind.STACK_GROWTH for place in places)

    def is_explained(finding: Finding) -> bool:
        return stacks if finding.kind is FindingKind.STACK_GROWTH else named >= _EXPLAINED * finding.bytes

    return [(witness, finding) for witness in kernel for finding in witness.answer.findings if not is_explained(finding)]


def _of_the_kernel(unexplained: Sequence[tuple[Witness, Finding]], witnesses: Sequence[Witness]) -> list[Finding]:
    """Its findings as they are, where no tool that names code could judge that kind."""
    return [
        replace(finding, evidence=[f"{witness.name}: {text}" for text in finding.evidence])
        for witness, finding in unexplained
        if not any(each.judged({finding.kind}) for each in witnesses)
    ]


# ---- the verdict


def _doubts(witnesses: Sequence[Witness], due: frozenset[FindingKind]) -> tuple[list[str], frozenset[FindingKind]]:
    """Why a kind can't be ruled out, and the kinds."""
    doubts: list[str] = []
    left = []
    for kind in _PRECEDENCE:
        able = [witness for witness in witnesses if kind in witness.sees]
        if any(witness.judged({kind}) for witness in able) or not (able or kind in due):
            continue
        left.append(kind)
        doubts += [f"{witness.name}: {doubt}" for witness in able for doubt in witness.answer.doubts]
        if not able:
            doubts.append(f"no tool was asked about {_ASKED[kind]}")
    return list(dict.fromkeys(doubts)), frozenset(left)


def _dispute(place: _Place, witnesses: Sequence[Witness]) -> str:
    names = ", ".join(witness.name for witness in _dissenters(place, witnesses))
    naming = ", ".join(dict.fromkeys(witness.name for witness, _ in place.of(GROWTHS)))
    _, first = place.of(GROWTHS)[0]
    where = place_text(first.function, first.file, first.line, first.module)
    return f"{naming} sees {where} grow by {size_text(first.bytes)}, {names} does not: run it longer"


def _verdict(findings: Sequence[Finding], doubts: Sequence[str], witnesses: Sequence[Witness]) -> Verdict:
    kinds = {finding.kind for finding in findings}
    if kinds & LOSSES:
        return Verdict.LEAKING
    if kinds:
        return Verdict.GROWING
    return Verdict.INCONCLUSIVE if doubts or not witnesses else Verdict.CLEAN


def _reasons(verdict: Verdict, findings: Sequence[Finding], doubts: Sequence[str], witnesses: Sequence[Witness]) -> list[str]:
    if verdict is Verdict.INCONCLUSIVE:
        return list(doubts) or ["nothing was measured"]
    if verdict is Verdict.CLEAN:
        return list(dict.fromkeys(f"{w.name}: {reason}" for w in witnesses if not w.answer.doubts for reason in w.answer.reasons))
    first = findings[0]
    what = {
        FindingKind.LOST: f"{size_text(first.bytes)} in {count_text(first.blocks or 0, 'block')} are lost at",
        FindingKind.SUSPECT: f"{size_text(first.bytes)} that only pointers into the blocks reach are from",
        FindingKind.GROWING: f"live memory grows by {size_text(first.bytes)} at",
        FindingKind.MAPPING_GROWTH: f"mapped memory grows by {size_text(first.bytes)} at",
        FindingKind.STACK_GROWTH: f"the stack grows by {size_text(first.bytes)} in",
    }[first.kind]
    where = place_text(first.function, first.file, first.line, first.module) if first.function or first.file else "the program"
    more = f", and {count_text(len(findings) - 1, 'more finding')}" if len(findings) > 1 else ""
    return [f"{what} {where}{more}"]


def _errors(witnesses: Sequence[Witness]) -> list[AnswerError]:
    """Each error of use once, as the run has it that saw it most often."""
    found: dict[tuple[object, ...], AnswerError] = {}
    for witness in witnesses:
        for error in witness.answer.errors:
            key = (error.kind, error.function, error.file, error.line)
            if key not in found or found[key].count < error.count:
                found[key] = error
    return list(found.values())


def _notes(
    witnesses: Sequence[Witness], disputed: Sequence[_Place], idle: Sequence[_Place], standing: Sequence[_Place]
) -> list[Note]:
    """Those of sites that are no findings in the end; then all tools' own, each once, limits last; none of a site that is one."""
    notes = [_note("disputed", *pair, "grow: ") for place in disputed for pair in place.of(GROWTHS)]
    notes += [_note("possibly-lost", *pair, "and it does not grow: ") for place in idle for pair in place.said]
    found = {(finding.function, finding.file, finding.line) for place in standing for _, finding in place.said}
    for witness in witnesses:
        for note in witness.answer.notes:
            if note.file is None or (note.function, note.file, note.line) not in found:
                notes.append(replace(note, text=f"{witness.name}: {note.text}"))
    unique = {(note.kind, note.text): note for note in notes}
    return sorted(unique.values(), key=lambda note: note.kind == "limit")


def _note(kind: str, witness: Witness, finding: Finding, what: str) -> Note:
    where = place_text(finding.function, finding.file, finding.line, finding.module)
    text = f"{witness.name} sees {where} {what}{', '.join(finding.evidence[:1])}"
    return Note(kind, text, finding.function, finding.file, finding.line, finding.bytes)
