"""Several runs of one program as one answer: what their tools agree on, and what one sees that another should see too."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod

from runner.analysis.findings import Weighed, may_be_kept, ordered, share_of
from runner.analysis.witnesses import (
    GROWTHS,
    HEAP_GROWTHS,
    LOSSES,
    PRECEDENCE,
    Place,
    Said,
    Witness,
    containers,
    in_their_files,
    is_held,
    places,
    text_of,
    with_kin,
    without_wrappers,
)
from runner.analysis.wording import count_text, size_text
from runner.model import Answer, AnswerError, Doubt, DoubtKind, Finding, FindingKind, Note, Verdict

_WHAT = {
    FindingKind.LOST: "lost memory",
    FindingKind.GROWING: "growth of the heap",
    FindingKind.MAPPING_GROWTH: "growth of mappings",
    FindingKind.STACK_GROWTH: "growth of the stacks",
    FindingKind.SUSPECT: "memory that only interior pointers reach",
}
_SUREST = 0.99
# Kinds of memory, as smaps' reader calls them, of which an allocator keeps what was freed. Nobody keeps a stack of a thread so.
KEPT_BY_ALLOCATORS = frozenset({"[heap]", "[malloc arenas]", "[anonymous mappings]"})
# Of these also allocators other than malloc: an interpreter's, a pool's. It maps much at once, and its blocks no tool sees.
_OF_OWN_ALLOCATORS = "[anonymous mappings]"
# So does a static array of an executable or a library ("app data"): it is as large as it was built, and comes into use.
_OF_AN_IMAGE, _OF_A_FILE = " data", "file "
_EXPLAINED = 0.3  # of what the kernel sees grow: named code that grows by as much is the cause


@dataclass(slots=True)
class Agreed:
    """What the witnesses say together.

    answer       one answer; its `run` is left empty
    open         kinds that no witness could rule out or find: why is in the answer's doubts
    unnamed      kinds that grow as the kernel sees it, while no tool names the code
    unconfirmed  kinds of growth at sites for which one tool alone stands
    """

    answer: Answer
    open: frozenset[FindingKind]
    unnamed: frozenset[FindingKind]
    unconfirmed: list[FindingKind]


def agree(witnesses: Sequence[Witness], due: frozenset[FindingKind] = frozenset()) -> Agreed:
    """One answer out of those of several runs. Growth that another tool should have seen and did not is a note.

    `due`: the kinds that somebody must have been asked about, for "clean" to be said.
    """
    witnesses = without_wrappers(in_their_files(witnesses))
    court = _Court(witnesses)
    doubts, still_open = _doubts(witnesses, due)
    doubts += [*(court.dispute(place) for place in court.disputed), *court.own_allocators()]
    findings = court.findings()
    verdict = _verdict(findings, doubts, witnesses)
    answer = Answer(
        verdict=verdict,
        reasons=_reasons(verdict, findings, doubts, witnesses),
        findings=findings,
        errors=_errors(witnesses),
        notes=court.notes(),
        heap_summary=next((each.answer.heap_summary for each in witnesses if each.answer.heap_summary), None),
        leak_summary=next((each.answer.leak_summary for each in witnesses if each.answer.leak_summary), None),
        doubts=doubts,
    )
    unnamed = frozenset(finding.kind for _, finding in court.unexplained)
    return Agreed(answer, still_open, unnamed, [place.kind for place in court.standing if _rests_on_one(place)])


class _Court:
    """Which sites stand, and why.

    standing     they are findings
    disputed     one tool sees them grow, and another that judged does not
    held         they are lost with other blocks, under which they stand
    idle         only interior pointers reach them, and they do not grow
    unexplained  what the kernel sees grow, for which no named code is the cause
    """

    def __init__(self, witnesses: Sequence[Witness]) -> None:
        self._witnesses = witnesses
        self._by_code = [each for each in witnesses if each.sites]
        self._kernel = [(each, finding) for each in witnesses for finding in each.unnamed()]
        self._blind = self._blind_to_mappings()
        named = places(witnesses)
        self.idle = [place for place in named if self._is_idle(place)]
        for place in containers(named, witnesses):
            place.container = True
        self.held = [place for place in named if place.kind is FindingKind.GROWING and is_held(place, named, witnesses)]
        left = [place for place in named if place not in self.idle and place not in self.held]
        self.standing = [place for place in left if not self._dissenters(place)]
        heard = with_kin([place for place in left if self._dissenters(place)])
        self.disputed = [place for place in heard if self._dissenters(place)]
        self.standing += [place for place in heard if place not in self.disputed]
        self.unexplained = [(each, finding) for each, finding in self._kernel if not self._is_explained(finding)]

    def _blind_to_mappings(self) -> set[str]:
        """Who sees no mapping grow where the kernel does, of what no allocator keeps: what libc maps for itself passes it by."""
        if not any(_is_mapped_for_good(finding) for _, finding in self._kernel):
            return set()
        seeing = {each.name for each in self._by_code for finding in each.named() if finding.kind is FindingKind.MAPPING_GROWTH}
        return {each.name for each in self._by_code if FindingKind.MAPPING_GROWTH in each.sees and each.name not in seeing}

    def _is_idle(self, place: Place) -> bool:
        """Only interior pointers reach it, and it does not grow, as another tool saw: somebody keeps it so on purpose."""
        alone = {finding.kind for _, finding in place.said} == {FindingKind.SUSPECT}
        return alone and any(each.looked(FindingKind.GROWING) for each in self._by_code)

    def _dissenters(self, place: Place) -> list[str]:
        """Who judged growth and does not see it here. What memcheck calls lost needs no second.

        Those who can't decide count where nobody saw it grow in time: by bytes allocated, a container always does.
        """
        if place.kind not in HEAP_GROWTHS:
            return []
        blind = self._blind if place.kind is FindingKind.MAPPING_GROWTH else set()
        others = [each for each in self._by_code if each.name not in place.names | blind]
        against = [each.name for each in others if each.judged_at(place) or _saw_it_level_off(each, place)]
        if all(finding.bytes_per_second is None for _, finding in place.said):
            against += [each.name for each in others if each.name not in against and each.is_unsure_of(place)]
        return against

    def _is_explained(self, finding: Finding) -> bool:
        if finding.kind is FindingKind.STACK_GROWTH:
            return any(place.kind is FindingKind.STACK_GROWTH for place in self.standing)
        named = sum(place.weight for place in self.standing if place.kind is not FindingKind.STACK_GROWTH)
        return named >= _EXPLAINED * finding.bytes

    # ---- findings

    def findings(self) -> list[Finding]:
        """Those that name code as all findings are ranked, then the kernel's."""
        whole = sum(place.weight for place in self.standing) or 1
        weighed = [
            Weighed(replace(self._finding(each), share=share_of(each.weight, whole)), each.weight, bool(each.of(GROWTHS)))
            for each in self.standing
        ]
        return [replace(finding, rank=rank) for rank, finding in enumerate(ordered(weighed) + self._of_the_kernel(), 1)]

    def _finding(self, place: Place) -> Finding:
        """The finding of the kind that the site has in the end, with the figures of growth beside those of loss."""
        first, grown = place.first, [finding for _, finding in place.of(GROWTHS)]
        rate = next((finding for finding in grown if finding.bytes_per_second is not None), grown[0] if grown else first)
        return replace(
            first,
            bytes_per_second=rate.bytes_per_second,
            rate=rate.rate,
            series=first.series or rate.series,
            confidence=_confidence(place),
            evidence=[self._agreement(place), *_words(place), *self._seen_by_the_kernel(place)],
        )

    def _agreement(self, place: Place) -> str:
        """Who names the site, out of how many that could, and what each of them can't see."""
        naming = list(dict.fromkeys(witness.name for witness, _ in place.said))
        kinds = {finding.kind for _, finding in place.said}
        heard = [each for each in self._by_code if each.name in naming or each.judged(kinds) or each.judged(PRECEDENCE)]
        able = {each.name for each in heard if each.sees & kinds} | set(naming)
        what = f"{len(naming)} of {count_text(len(able), 'tool')} {'names' if len(naming) == 1 else 'name'} {place.text()}"
        blind = [*_blind(heard, LOSSES, "lost"), *_blind(heard, GROWTHS, "growth")]
        return f"{what}: {_list(naming)}" + (f"; {', '.join(blind)}" if blind else "")

    def _seen_by_the_kernel(self, place: Place) -> list[str]:
        if place.kind is FindingKind.STACK_GROWTH or not place.of(GROWTHS):
            return []
        seen = [finding for _, finding in self._kernel if finding.kind is not FindingKind.STACK_GROWTH]
        return [f"the kernel sees {finding.function} grow by {size_text(finding.bytes)}" for finding in seen[:2]]

    def _of_the_kernel(self) -> list[Finding]:
        """Its findings as they are, where no tool that names code has another word for them, or can't yet say."""
        return [
            replace(finding, evidence=[f"{witness.name}: {text}" for text in finding.evidence])
            for witness, finding in self.unexplained
            if not self._is_answered(finding) and not self._is_undecided(finding)
        ]

    # ---- notes

    def dispute(self, place: Place) -> Doubt:
        """Why one can't be sure of a site."""
        first, grown = place.first, [witness.name for witness, _ in place.of(GROWTHS)]
        dissent = f"{_list(self._dissenters(place))} did not: run it longer"
        text = f"{_list(grown)} saw {place.text()} grow by {size_text(first.bytes)}, {dissent}"
        return Doubt(text, DoubtKind.SITE, first.function, first.file, first.line)

    def own_allocators(self) -> list[Doubt]:
        """Pages that the kernel sees come into use one after another, where no tool that names code sees who fills them."""
        unseen = [finding for _, finding in self.unexplained if _may_be_filled(finding) and self._is_answered(finding)]
        return [
            Doubt(
                f"the kernel sees {finding.function} grow by {size_text(finding.bytes)}, and no tool says for whom: perhaps an "
                "allocator of the program's own (have it use malloc: PYTHONMALLOC=malloc, USE_ZEND_ALLOC=0), or a static array; "
                "run it longer",
                DoubtKind.GROWTH,
            )
            for finding in unseen
        ]

    def notes(self) -> list[Note]:
        """Those of sites that are no findings in the end; then all tools' own, each once, limits last; none of a finding's."""
        notes = [_note("disputed", said, "grow") for place in self.disputed for said in place.of(GROWTHS)]
        notes += [_note("possibly-lost", said, "and it does not grow") for place in self.idle for said in place.said]
        notes += [self._as_kept(finding) for _, finding in self.unexplained if self._is_answered(finding)]
        found = {(finding.function, finding.file, finding.line) for place in self.standing for _, finding in place.said}
        for witness in self._witnesses:
            for note in witness.answer.notes:
                if note.file is None or (note.function, note.file, note.line) not in found:
                    notes.append(replace(note, text=f"{witness.name}: {note.text}"))
        unique = {(note.kind, note.text): note for note in notes}
        return sorted(unique.values(), key=lambda note: note.kind == "limit")

    def _is_answered(self, finding: Finding) -> bool:
        """A tool that names code sees nothing grow there, and it is memory that can be kept without being in use."""
        return not _is_mapped_for_good(finding) and any(each.judged({finding.kind}) for each in self._by_code)

    def _is_undecided(self, finding: Finding) -> bool:
        """An allocator has it, and a tool that names code saw a site of that heap rise, and can't say whether it goes on."""
        doubts = (doubt for each in self._by_code if each.measured for doubt in each.answer.doubts)
        return finding.function in KEPT_BY_ALLOCATORS and any(doubt.kind is DoubtKind.SITE for doubt in doubts)

    def _as_kept(self, finding: Finding) -> Note:
        stack = finding.kind is FindingKind.STACK_GROWTH
        kept = "an allocator keeps it, or it is being filled" if _may_be_filled(finding) else "the allocator keeps it"
        why = "a stack keeps the pages that it once used" if stack else kept
        text = f"the kernel sees {finding.function} grow by {size_text(finding.bytes)}, which no site does: {why}"
        return Note("fragmentation", text, bytes=finding.bytes)


def _is_mapped_for_good(finding: Finding) -> bool:
    kept = finding.function in KEPT_BY_ALLOCATORS or _may_be_filled(finding)
    return finding.kind is FindingKind.MAPPING_GROWTH and not kept


def _may_be_filled(finding: Finding) -> bool:
    what = finding.function or ""
    of_an_image = what.endswith(_OF_AN_IMAGE) and not what.startswith(_OF_A_FILE)
    return finding.kind is FindingKind.MAPPING_GROWTH and (of_an_image or what == _OF_OWN_ALLOCATORS)


def _rests_on_one(place: Place) -> bool:
    return place.kind in HEAP_GROWTHS and len({witness.name for witness, _ in place.of(GROWTHS)}) == 1


def _saw_it_level_off(witness: Witness, place: Place) -> bool:
    """A tool of pages has no say in what grows on a heap: that comes by many pages at once, with rests between."""
    if place.kind not in witness.sees:
        return False
    where = (place.first.function, place.first.file)
    return any(note.kind == "plateau" and (note.function, note.file) == where for note in witness.answer.notes)


def _confidence(place: Place) -> float:
    """Independent tools: all of them would have to be wrong. Of one tool that ran twice the surer run counts."""
    surest: dict[str, float] = defaultdict(float)
    for witness, finding in place.said:
        surest[witness.name] = max(surest[witness.name], finding.confidence)
    return round(min(_SUREST, 1 - prod(1 - each for each in surest.values())), 2)


def _blind(witnesses: Sequence[Witness], kinds: frozenset[FindingKind], word: str) -> list[str]:
    names = [each.name for each in witnesses if not each.sees & kinds]
    return [f"{_list(names)} cannot see {word}"] if names else []


def _list(names: Iterable[str]) -> str:
    """a, b and c."""
    *some, last = dict.fromkeys(names)
    return f"{', '.join(some)} and {last}" if some else last


def _words(place: Place) -> list[str]:
    """Each tool's own evidence."""
    return [f"{witness.name}: {text}" for witness, finding in place.of(PRECEDENCE) for text in finding.evidence[:2] if text]


def _note(kind: str, said: Said, what: str) -> Note:
    witness, finding = said
    text = f"{witness.name} sees {text_of(finding)} {what}: {', '.join(finding.evidence[:1])}"
    return Note(kind, text, finding.function, finding.file, finding.line, finding.bytes)


# ---- the verdict


def _doubts(witnesses: Sequence[Witness], due: frozenset[FindingKind]) -> tuple[list[Doubt], frozenset[FindingKind]]:
    """Why a kind can't be ruled out, and the kinds."""
    doubts: list[Doubt] = []
    left = []
    for kind in PRECEDENCE:
        able = [witness for witness in witnesses if kind in witness.sees]
        if any(witness.judged({kind}) for witness in able) or not (able or kind in due):
            continue
        left.append(kind)
        doubts += [doubt._replace(text=f"{each.name}: {doubt.text}") for each in able for doubt in each.doubts_of(kind)]
        if not able:
            doubts.append(Doubt(f"no tool was asked about {_WHAT[kind]}"))
    return list(dict.fromkeys(doubts)), frozenset(left)


def _verdict(findings: Sequence[Finding], doubts: Sequence[Doubt], witnesses: Sequence[Witness]) -> Verdict:
    kinds = {finding.kind for finding in findings}
    if FindingKind.LOST in kinds:
        return Verdict.LEAKING
    if kinds & GROWTHS:
        return Verdict.GROWING
    return Verdict.INCONCLUSIVE if doubts or kinds or not witnesses else Verdict.CLEAN


def _reasons(verdict: Verdict, findings: Sequence[Finding], doubts: Sequence[Doubt], witnesses: Sequence[Witness]) -> list[str]:
    if verdict is Verdict.INCONCLUSIVE:
        return [*(doubt.text for doubt in doubts), *may_be_kept(findings)] or ["nothing was measured"]
    if verdict is Verdict.CLEAN:
        said = [f"{each.name}: {text}" for each in witnesses if not each.answer.doubts for text in each.answer.reasons]
        said += [f"{each.name}: nothing is lost" for each in witnesses if each.answer.doubts and each.judged({FindingKind.LOST})]
        return list(dict.fromkeys(said))
    first = findings[0]
    what = {
        FindingKind.LOST: f"{size_text(first.bytes)} in {count_text(first.blocks or 0, 'block')} are lost at",
        FindingKind.GROWING: f"live memory grows by {size_text(first.bytes)} at",
        FindingKind.MAPPING_GROWTH: f"mapped memory grows by {size_text(first.bytes)} at",
        FindingKind.STACK_GROWTH: f"the stack grows by {size_text(first.bytes)} in",
    }[first.kind]
    where = text_of(first) if first.function or first.file else "the program"
    more = f", and {count_text(len(findings) - 1, 'more finding')}" if len(findings) > 1 else ""
    return [f"{what} {where}{more}", *(_loss_below(findings) if verdict is Verdict.LEAKING else [])]


def _loss_below(findings: Sequence[Finding]) -> list[str]:
    """Why it is called leaking, where something that grows stands first."""
    worst = next(finding for finding in findings if finding.kind is FindingKind.LOST)
    amount = f"{size_text(worst.bytes)} in {count_text(worst.blocks or 0, 'block')}"
    held = f", {size_text(worst.indirect_bytes)} of it what they point to" if worst.indirect_bytes else ""
    return [] if worst is findings[0] else [f"{amount} are lost at {text_of(worst)}{held}"]


def _errors(witnesses: Sequence[Witness]) -> list[AnswerError]:
    """Each error of use once, as the run has it that saw it most often."""
    found: dict[tuple[object, ...], AnswerError] = {}
    for witness in witnesses:
        for error in witness.answer.errors:
            key = (error.kind, error.function, error.file, error.line)
            if key not in found or found[key].count < error.count:
                found[key] = error
    return list(found.values())
