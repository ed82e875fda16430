"""Several runs of one program, and the sites that they name: which of them are the same.

Sites are the same where function and file are (names as each tool spells them made equal), and their lines lie close together:
tools blame the first or the last line of a call, and name inlined frames with or without their class.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise

from runner.analysis.findings import is_lost_once
from runner.analysis.notes import INDIRECT
from runner.analysis.wording import place_text
from runner.model import Answer, AnswerFrame, Doubt, DoubtKind, Finding, FindingKind, Note

LOSSES = frozenset({FindingKind.LOST, FindingKind.SUSPECT})
GROWTHS = frozenset({FindingKind.GROWING, FindingKind.MAPPING_GROWTH, FindingKind.STACK_GROWTH})
HEAP_GROWTHS = GROWTHS - {FindingKind.STACK_GROWTH}
# What a site is called where tools call it differently: the first that any of them says.
PRECEDENCE = (
    FindingKind.LOST,
    FindingKind.GROWING,
    FindingKind.MAPPING_GROWTH,
    FindingKind.STACK_GROWTH,
    FindingKind.SUSPECT,
)
_IN_PAGES = 2  # times as much as was asked for: that much may go to whole pages
_NEAR = 5  # lines
_KIN = 4  # frames above or below the blamed one
_OFTEN = 2  # times as many moments at which it grew as blocks were lost: it grew in those that were there
_TEMPLATE = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True)
class Witness:
    """One run of the program.

    name      of its profile, for sentences
    sees      the kinds that its tool finds with its options
    sites     it names code; else only kinds of memory, as the kernel knows them, and code by chance
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
        """Whether it could have seen one of these kinds, and what it says of that one is whole."""
        return self.measured and any(kind in self.sees and not self.doubts_of(kind) for kind in kinds)

    def looked(self, kind: FindingKind) -> bool:
        """Whether it could have seen this kind, if not at each site."""
        doubts = [doubt for doubt in self.doubts_of(kind) if doubt.kind is not DoubtKind.SITE]
        return self.measured and kind in self.sees and not doubts

    def doubts_of(self, kind: FindingKind) -> list[Doubt]:
        """Why it can't rule the kind out: growth says nothing against what was lost, single sites nothing against stacks."""
        bearing = {DoubtKind.RUN}
        if kind not in LOSSES:
            bearing.add(DoubtKind.GROWTH)
            if kind is not FindingKind.STACK_GROWTH:
                bearing.add(DoubtKind.SITE)
        return [doubt for doubt in self.answer.doubts if doubt.kind in bearing]

    def judged_at(self, place: "Place") -> bool:
        """Whether what it says of that place is whole: what it can't tell of sites on no stack of it does not bear on it."""
        near = {place.key} | {_key_of(frame.function, frame.file) for _, finding in place.said for frame in finding.stack}
        bearing = [
            doubt
            for doubt in self.doubts_of(place.kind)
            if doubt.kind is not DoubtKind.SITE or doubt.function is None or _key_of(doubt.function, doubt.file) in near
        ]
        return self.measured and place.kind in self.sees and not bearing

    def is_unsure_of(self, place: "Place") -> bool:
        """Whether it saw that site rise, and can't say whether it goes on."""
        at_sites = [doubt for doubt in self.answer.doubts if doubt.kind is DoubtKind.SITE]
        return any(_is_at(doubt.function, doubt.file, doubt.line, place) for doubt in at_sites)

    def named(self) -> list[Finding]:
        """Its findings that name code."""
        return [finding for finding in self.answer.findings if self.sites or finding.file is not None]

    def unnamed(self) -> list[Finding]:
        """Its findings that name a kind of memory only."""
        return [finding for finding in self.answer.findings if not self.sites and finding.file is None]


Said = tuple[Witness, Finding]


@dataclass(slots=True)
class Place:
    """One site, and who named it. `container`: what was lost there was in use until the end, while what hangs on it grew."""

    key: tuple[str, str]
    line: int | None
    said: list[Said] = field(default_factory=list)
    container: bool = False

    def of(self, kinds: Iterable[FindingKind]) -> list[Said]:
        """What was said of these kinds: what has a name first, then most bytes."""
        wanted = set(kinds)
        return sorted(
            ((witness, finding) for witness, finding in self.said if finding.kind in wanted),
            key=lambda pair: (pair[1].function is None, -pair[1].bytes),
        )

    @property
    def kind(self) -> FindingKind:
        """The kind that the site has in the end. More is mapped than malloc gives where pages are no heap: a thread's stack."""
        kinds = {finding.kind for _, finding in self.said}
        kind = next(kind for kind in PRECEDENCE if kind in kinds)
        if kind is FindingKind.GROWING and self._most(FindingKind.MAPPING_GROWTH) > _IN_PAGES * self._most(kind):
            return FindingKind.MAPPING_GROWTH
        return kind

    def _most(self, kind: FindingKind) -> int:
        return max((finding.bytes for _, finding in self.said if finding.kind is kind), default=0)

    @property
    def first(self) -> Finding:
        """The finding of that kind with most bytes."""
        return self.of({self.kind})[0][1]

    @property
    def weight(self) -> int:
        """Bytes that it costs the process: what it grew by, or what it lost with all that only it pointed to.

        Of a container that was lost once what it grew by itself counts: what hangs on it has sites of its own.
        """
        own = [finding.bytes for _, finding in self.of(GROWTHS)] if self.container or is_lost_once(self.first) else []
        if self.container:
            own.append(self.first.bytes - self.first.indirect_bytes)
        return max(own or [finding.bytes for _, finding in self.said])

    @property
    def names(self) -> set[str]:
        """Who named it."""
        return {witness.name for witness, _ in self.said}

    def text(self) -> str:
        """The site in a sentence."""
        return text_of(self.first)


def text_of(finding: Finding) -> str:
    """A finding's place in a sentence."""
    return place_text(finding.function, finding.file, finding.line, finding.module)


def places(witnesses: Sequence[Witness]) -> list[Place]:
    """What all witnesses say by site. Those of one line come first, so that near ones join the nearest."""
    by_key: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for witness in witnesses:
        for finding in witness.named():
            _place_for(by_key[_key(finding)], finding).said.append((witness, finding))
    return [place for group in by_key.values() for place in _joined(group)]


def _key(finding: Finding) -> tuple[str, str]:
    """Function and file as all tools spell them: no template arguments, class or directory. Stacks as a whole are one place."""
    if finding.kind is FindingKind.STACK_GROWTH:
        return "", "stack"
    return _key_of(finding.function, finding.file or finding.module)


def _key_of(function: str | None, where: str | None) -> tuple[str, str]:
    return _bare(function), (where or "").rpartition("/")[2]


def _bare(name: str | None) -> str:
    """put for Cache<int, Page>::put: tools differ in all around it."""
    before, function = None, name or ""
    while before != function:
        before, function = function, _TEMPLATE.sub("", function)
    return function.rpartition("::")[2].rpartition(" ")[2]


def _place_for(group: list[Place], finding: Finding) -> Place:
    line = None if finding.kind is FindingKind.STACK_GROWTH else finding.line
    place = next((each for each in group if each.line == line), None)
    if place is None:
        place = Place(_key(finding), line)
        group.append(place)
    return place


def _joined(group: list[Place]) -> Iterator[Place]:
    """Places of one function whose lines lie close together become one, unless one tool tells them apart."""
    kept: list[Place] = []
    for place in sorted(group, key=lambda each: (-len(each.said), each.line or 0)):
        near = [each for each in kept if _close(each, place) and not each.names & place.names]
        if near:
            min(near, key=lambda each: abs((each.line or 0) - (place.line or 0))).said.extend(place.said)
        else:
            kept.append(place)
    yield from kept


def _close(one: Place, other: Place) -> bool:
    return one.line is None or other.line is None or abs(one.line - other.line) <= _NEAR


def without_wrappers(witnesses: Sequence[Witness]) -> list[Witness]:
    """What one tool blames a function for that another saw through to its caller is its callers' for both, whichever they are.

    Only a tool that sees what is freed can tell a wrapper by how its callers' blocks fare; memcheck sees what is lost alone.
    """
    return [
        replace(
            each,
            answer=replace(each.answer, findings=[_seen_through(finding, each, witnesses) for finding in each.answer.findings]),
        )
        for each in witnesses
    ]


def _seen_through(finding: Finding, witness: Witness, witnesses: Sequence[Witness]) -> Finding:
    for other in witnesses:
        for theirs in other.answer.findings if other.name != witness.name else ():
            passed_over = {_key_of(frame.function, frame.file) for frame in theirs.stack[: _blamed(theirs.stack, theirs)]}
            if caller := _caller_beyond(finding, passed_over):
                return _moved(finding, caller)
    return finding


def _caller_beyond(finding: Finding, passed_over: AbstractSet[tuple[str, str]]) -> AnswerFrame | None:
    """The next function outwards that is none of `passed_over`; None where it is not known, or the blamed one is none of them."""
    if _key(finding) not in passed_over:
        return None
    outwards = finding.stack[_blamed(finding.stack, finding) + 1 :]
    return next((frame for frame in outwards if _key_of(frame.function, frame.file) not in passed_over), None)


def in_their_files(witnesses: Sequence[Witness]) -> list[Witness]:
    """The same line of a function in two files is one: valgrind 3.19 gives some inlined code the file of what stands before it.

    It does so to 6 of 1,049 frames of -O2 code, for which it keeps the line. The other tool has it in the file of its caller.
    """
    right = {_spot(finding): finding for witness in witnesses for finding in witness.named() if _is_by_its_caller(finding)}
    return [
        replace(
            each,
            answer=replace(each.answer, findings=[_in_its_file(finding, right) for finding in each.answer.findings]),
        )
        for each in witnesses
    ]


def _in_its_file(finding: Finding, right: Mapping[tuple[str, int | None], Finding]) -> Finding:
    other = right.get(_spot(finding))
    at = _blamed(finding.stack, finding)
    if other is None or at == len(finding.stack) or not finding.stack[at].inlined or _is_by_its_caller(finding):
        return finding
    return replace(finding, file=other.file)


def _spot(finding: Finding) -> tuple[str, int | None]:
    return _bare(finding.function), finding.line


def _is_by_its_caller(finding: Finding) -> bool:
    """Whether the blamed frame and the next one lie in one file."""
    files = [frame.file for frame in finding.stack[_blamed(finding.stack, finding) :][:2]]
    return finding.line is not None and len(files) == 2 and None not in files and files[0] == files[1]


def _moved(finding: Finding, to: AnswerFrame) -> Finding:
    return replace(finding, function=to.function, signature=to.signature, file=to.file, line=to.line, module=to.module)


def containers(named: Sequence[Place], witnesses: Sequence[Witness]) -> list[Place]:
    """Places of lost blocks that were in use until the end, and lost their last pointer then, while what hangs on them grew.

    They are a few; or what grew did so at more moments than blocks were lost, so that it grew in those that were there, and
    none of it is in use.
    """
    parts = [place for place in named if place.kind in HEAP_GROWTHS and _held(place, witnesses) > _used(place, witnesses)]
    for_long = [place for place in parts if not _used(place, witnesses)]
    moments = max((_moments(finding) for place in for_long for _, finding in place.of(HEAP_GROWTHS)), default=0)
    lost = [place for place in named if parts and place.kind is FindingKind.LOST and place.first.indirect_bytes]
    return [place for place in lost if is_lost_once(place.first) or _holds_what_grew(place.first, moments)]


def _holds_what_grew(lost: Finding, moments: int) -> bool:
    return lost.indirect_bytes > lost.bytes / 2 and moments > _OFTEN * (lost.blocks or 0)


def _moments(finding: Finding) -> int:
    """At how many snapshots there was more of it than ever before."""
    sizes = [size for _, size in finding.series]
    highest = list(accumulate(sizes, max))
    return sum(later > before for before, later in pairwise(highest))


def is_held(place: Place, named: Sequence[Place], witnesses: Sequence[Witness]) -> bool:
    """Whether one that follows pointers found it lost with other blocks, of which alone it hangs, and no more of it in use.

    Blocks that are lost again and again, and weigh as much with what they hold: a container is not why there is ever more in it.
    """
    held = _held(place, witnesses)
    lost = [each.first for each in named if each.kind is FindingKind.LOST and not (each.container or is_lost_once(each.first))]
    return held > _used(place, witnesses) and sum(finding.bytes for finding in lost) >= held


def _held(place: Place, witnesses: Sequence[Witness]) -> int:
    """Bytes of it that hang on lost blocks alone."""
    return _noted(INDIRECT, place, witnesses)


def _used(place: Place, witnesses: Sequence[Witness]) -> int:
    """Bytes of it that were in use at the end."""
    return _noted("reachable-at-exit", place, witnesses)


def _noted(kind: str, place: Place, witnesses: Sequence[Witness]) -> int:
    notes = [note for witness in witnesses for note in witness.answer.notes if note.kind == kind and _speaks_of(note, place)]
    return sum(note.bytes or 0 for note in notes)


def _speaks_of(note: Note, place: Place) -> bool:
    return _is_at(note.function, note.file, note.line, place)


def _is_at(function: str | None, file: str | None, line: int | None, place: Place) -> bool:
    if file is None or _key_of(function, file) != place.key:
        return False
    return line is None or place.line is None or abs(line - place.line) <= _NEAR


def with_kin(group: Sequence[Place]) -> list[Place]:
    """Places that are one where one tool lost a frame: the function that it names stands next to the other's on its stack."""
    kept: list[Place] = []
    for place in sorted(group, key=lambda each: -each.weight):
        kin = next((each for each in kept if not each.names & place.names and _are_kin(each, place)), None)
        if kin is not None:
            kin.said.extend(place.said)
        else:
            kept.append(place)
    return kept


def _are_kin(one: Place, other: Place) -> bool:
    return _stands_by(one.first, other.first) or _stands_by(other.first, one.first)


def _stands_by(finding: Finding, other: Finding) -> bool:
    """Whether the function that `finding` names is among the next callers of the one that `other` names."""
    functions = [_bare(frame.function) for frame in other.stack]
    at = _blamed(other.stack, other)
    return bool(finding.function) and _bare(finding.function) in functions[at + 1 : at + 1 + _KIN]


def _blamed(stack: Sequence[AnswerFrame], finding: Finding) -> int:
    return next((at for at, frame in enumerate(stack) if frame.function == finding.function), len(stack))
