"""From recordings to an answer: findings, notes, and a verdict with its reasons.

leaking       something is lost
growing       something that is still referenced, a mapping or a stack keeps growing
clean         nothing of it, and the evidence is whole: every recording read to its end, the run measured, and what the
              backend sees was really judged
inconclusive  everything else, with what to do: also where only interior pointers reach many blocks, which may be lost or kept
              so on purpose; and always where the run as a whole could not measure
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.analysis.blame import blame
from runner.analysis.defects import fold_defects
from runner.analysis.findings import growth_findings, loss_findings, may_be_kept, ranked
from runner.analysis.judgement import Growth, Standing
from runner.analysis.losses import Lost, fold_losses, loss_turnover
from runner.analysis.notes import limit_notes, live_notes, loss_notes, plateau_notes, remark_notes, undecided_notes
from runner.analysis.wording import count_text, longer, place_text, size_text, span_text
from runner.model import Answer, AnswerError, Doubt, DoubtKind, Finding, FindingKind, Metric, Note, Recording, TimeUnit, Verdict

if TYPE_CHECKING:
    from runner.analysis.footprint import Sampled

_GROWS = {
    FindingKind.GROWING: "live memory grows",
    FindingKind.MAPPING_GROWTH: "mapped memory grows",
    FindingKind.STACK_GROWTH: "the stack grows",
}
_BESIDE_THE_HEAP = {FindingKind.MAPPING_GROWTH: "mappings", FindingKind.STACK_GROWTH: "stacks"}
_GROWTH_KINDS = frozenset(_GROWS)
_LOSS_KINDS = frozenset({FindingKind.LOST, FindingKind.SUSPECT})
_LOSSES = {Metric.LEAKED_BYTES, Metric.LEAKED_BLOCKS}
_NAMED = 5  # processes of those of which one thing is said
_SHORT_LIVED = 0.1  # of the main recording's span: a child seen for less is a limit, not a reason to doubt


@dataclass(frozen=True, slots=True)
class Scope:
    """What the recordings can be asked.

    sees       the kinds of finding that the backend can see
    wrappers   the project's own allocation functions, as the profile names them (shell patterns)
    warmup     seconds at the start that growth leaves out
    unfinished why the target did not run to its end, or to a stop of ours that left it time, and what to do: a sentence; empty
               where it did
    reasons    why the run as a whole could not measure: a sentence each; any makes the verdict inconclusive
    doubts     what was not seen, so that nothing found does not mean clean: a sentence each
    limits     what was not seen and need not be
    advice     of a module without debug information: what brings the lines
    resident   by pid, resident memory over time, where that is the program's own and not the tool's
    """

    sees: frozenset[FindingKind]
    wrappers: tuple[str, ...] = ()
    warmup: float = 0.0
    unfinished: str = ""
    reasons: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    advice: Callable[[str], str] = lambda _: "build it with -g, or get its -dbgsym"
    resident: "Mapping[int, Sampled]" = field(default_factory=dict)


def conclude(recordings: list[Recording], scope: Scope) -> Answer:
    """What the recordings say; the main process stands first among them. `run` of the answer is left empty."""
    if any(recording.snapshots for recording in recordings):
        from runner.analysis.growth import judge_all  # numpy, only where there is something to rank

        blamers, growths = judge_all(recordings, scope.wrappers, scope.warmup)
        growths = [growth for growth in growths if not _knows_only_losses(growth.recording)]
    else:
        blamers, growths = blame(recordings, [loss_turnover(recording) for recording in recordings], scope.wrappers), []
    losses = fold_losses(recordings, blamers)
    errors = fold_defects(recordings, blamers)
    findings = ranked([*growth_findings(growths), *loss_findings(losses)])
    doubts = _doubts(recordings, scope, growths)
    verdict = _verdict(findings, scope, doubts)
    reasons = [*(doubt.text for doubt in doubts), *may_be_kept(findings)]
    if verdict is not Verdict.INCONCLUSIVE:
        reasons = _grounds(verdict, findings, recordings, growths, losses, scope.sees)
    main = recordings[0] if recordings else None
    return Answer(
        verdict=verdict,
        reasons=[*reasons, *_of_errors(errors), *_distortions(verdict, recordings)],
        findings=findings,
        errors=errors,
        notes=[
            *_notes(growths, losses),
            *_footprint(recordings, scope),
            *remark_notes(recordings, blamers),
            *limit_notes(
                recordings,
                [
                    *_unsaid(verdict, doubts, _distortions(verdict, recordings)),
                    *_asides(recordings, scope, growths),
                    *_lineless(findings, recordings, scope),
                ],
            ),
        ],
        heap_summary=main.heap_summary if main else None,
        leak_summary=main.leak_summary if main else None,
        doubts=doubts,
    )


def _distortions(verdict: Verdict, recordings: Sequence[Recording]) -> list[str]:
    """Why the figures can't be taken at their face value, where the verdict stands all the same."""
    distorted = [] if verdict is Verdict.INCONCLUSIVE else [recording for recording in recordings if recording.distorted]
    return [flaw for recording in distorted for flaw in recording.flaws]


def _unsaid(verdict: Verdict, doubts: Sequence[Doubt], said: Sequence[str]) -> list[str]:
    """What is wrong with the evidence, where the verdict stands all the same, and its reasons do not speak of it."""
    unsaid = [] if verdict is Verdict.INCONCLUSIVE else [doubt.text for doubt in doubts if doubt.kind is DoubtKind.RUN]
    return [text for text in unsaid if text not in said]


def _verdict(findings: Sequence[Finding], scope: Scope, doubts: Sequence[Doubt]) -> Verdict:
    kinds = {finding.kind for finding in findings}
    if scope.reasons:
        return Verdict.INCONCLUSIVE
    if FindingKind.LOST in kinds:
        return Verdict.LEAKING
    if kinds & _GROWTH_KINDS:
        return Verdict.GROWING
    return Verdict.INCONCLUSIVE if doubts or kinds else Verdict.CLEAN


def _doubts(recordings: Sequence[Recording], scope: Scope, growths: Sequence[Growth]) -> list[Doubt]:
    """Why "clean" can't be said, and what to do: none twice."""
    doubts = [Doubt(text) for text in (*scope.reasons, *scope.doubts, *_of_the_run(recordings, scope))]
    if scope.sees & _GROWTH_KINDS and not scope.sees & _LOSS_KINDS and recordings and not growths:
        doubts.append(Doubt(f"no snapshots were taken: {longer(recordings[0])}", DoubtKind.GROWTH))
    measured = [growth for growth in growths if not _allocated_nothing(growth.recording, recordings)]
    unjudged: dict[str, list[Recording]] = defaultdict(list)
    for growth in measured:
        if growth.unjudged and not _is_aside(growth, growths[0], scope):
            unjudged[growth.unjudged].append(growth.recording)
    for why, each in unjudged.items():
        who = "" if len(each) == 1 and each[0] is growths[0].recording else _processes(each)
        doubts.append(Doubt(f"{who}growth can't be judged: {why}", DoubtKind.GROWTH))
    for growth in measured:
        if not growth.unjudged:
            doubts += _of_growth(growth, growths[0])
    return list(dict.fromkeys(doubts))


def _of_the_run(recordings: Sequence[Recording], scope: Scope) -> Iterator[str]:
    """What is wrong with the evidence as a whole."""
    if not recordings and not scope.reasons:
        yield "nothing was recorded: see what the tool said, and run it again"
    if scope.unfinished:
        yield scope.unfinished
    for recording in recordings:
        if _allocated_nothing(recording, recordings):
            continue
        yield from recording.flaws
        if any(defect.kind == "FatalSignal" for defect in recording.defects) and (
            not scope.unfinished or recording is not recordings[0]
        ):
            yield f"{_process(recording)}it crashed, and was not seen to its end: mend that first"
        if not recording.complete and not recording.flaws:
            yield f"{_process(recording)}the output of {recording.tool} is not whole: run it again"


def _allocated_nothing(recording: Recording, recordings: Sequence[Recording]) -> bool:
    """A process that was seen whole and asked for no memory: no flaw where others of the run did, since there the tool works.

    Where the backend says that its allocations were not seen (a malloc of its own), that stands.
    """
    whole = recording.complete and not recording.flaws
    return whole and not _measured(recording) and any(_measured(other) for other in recordings)


def _measured(recording: Recording) -> bool:
    return bool(recording.losses) or any(snapshot.totals.get(Metric.LIVE_BYTES) for snapshot in recording.snapshots)


def _knows_only_losses(recording: Recording) -> bool:
    """Its snapshots say what was lost by then, and nothing of what lives: there is no growth to judge."""
    return all(snapshot.totals.keys() <= _LOSSES for snapshot in recording.snapshots)


def _of_growth(growth: Growth, main: Growth) -> list[Doubt]:
    who = _process(growth.recording) if growth is not main else ""
    rising = [_of_a_site(who, standing) for standing in growth.undecided[:2]]
    if growth.total_grows and not growth.growing and not rising:
        text = "live memory as a whole grows, but no one site does: run it longer, with more snapshots"
        rising.append(Doubt(who + text, DoubtKind.SITE))
    return rising


def _of_a_site(who: str, standing: Standing) -> Doubt:
    site = standing.site
    rested = standing.trend is not None and standing.trend.by == "rest"
    why = (
        "until the program came to rest: keep the load up to the end" if rested else "and may yet level off: run it twice as long"
    )
    text = f"{who}{site.text()} rose to {size_text(standing.bytes)} {why}"
    return Doubt(text, DoubtKind.SITE, site.function, site.file, site.line)


def _is_aside(growth: Growth, main: Growth, scope: Scope) -> bool:
    """Growth that is not judged, and need not be: of a child that lived briefly, or by a tool that is asked what is lost."""
    if not scope.sees & _GROWTH_KINDS and scope.sees & _LOSS_KINDS:
        return True
    return growth is not main and not main.unjudged and growth.span <= _SHORT_LIVED * main.span


def _asides(recordings: Sequence[Recording], scope: Scope, growths: Sequence[Growth]) -> list[str]:
    """Limits that the run and the analysis set."""
    said = list(scope.limits)
    unjudged: dict[str, list[Recording]] = defaultdict(list)
    for growth in growths:
        if growth.unjudged and _is_aside(growth, growths[0], scope):
            unjudged[growth.unjudged].append(growth.recording)
    said += [f"{_processes(each)}growth was not judged, as {why}" for why, each in unjudged.items()]
    if idle := [each for each in recordings if _allocated_nothing(each, recordings)]:
        said.append(f"{_processes(idle)}allocated nothing")
    said += [f"{growth.unlisted:,} more sites grow, each by less" for growth in growths if growth.unlisted]
    if scope.warmup and any(recording.snapshots and recording.time_unit is not TimeUnit.SECONDS for recording in recordings):
        said.append("the warm-up could not be left out: the snapshots are not timed in seconds")
    return said


def _lineless(findings: Sequence[Finding], recordings: Sequence[Recording], scope: Scope) -> list[str]:
    """What brings the lines of findings that have none, by module; not where the names' own limits say it."""
    modules = dict.fromkeys(each.module for each in findings if each.file is None and each.module)
    said = [limit for recording in recordings for limit in recording.limits]
    return [
        f"{module} has no debug information, lines are not known: {scope.advice(module)}"
        for module in modules
        if not any(limit.startswith(f"{module} ") for limit in said)
    ]


def _process(recording: Recording) -> str:
    return "" if recording.pid is None else f"process {recording.pid}: "


def _processes(recordings: Sequence[Recording]) -> str:
    """Of one as above; of several their number, and the first of them."""
    if len(recordings) == 1:
        return _process(recordings[0])
    pids = [str(each.pid) for each in recordings if each.pid is not None]
    named = f" ({', '.join(pids[:_NAMED])}{' ...' if len(pids) > _NAMED else ''})" if pids else ""
    return f"{len(recordings)} processes{named}: "


def _grounds(
    verdict: Verdict,
    findings: Sequence[Finding],
    recordings: Sequence[Recording],
    growths: Sequence[Growth],
    losses: Sequence[Lost],
    sees: AbstractSet[FindingKind],
) -> list[str]:
    """What the verdict rests on, in figures."""
    if verdict is Verdict.CLEAN:
        return _grounds_for_clean(recordings, growths, sees)
    grounds = []
    lost = [finding for finding in findings if finding.kind is FindingKind.LOST]
    if lost:
        size, blocks = sum(finding.bytes for finding in lost), sum(finding.blocks or 0 for finding in lost)
        held = " and what they point to" if any(each.indirect_bytes for each in losses if _is_lost(each)) else ""
        amount = f"{count_text(size, 'byte')} in {count_text(blocks, 'block')}{held}"
        grounds.append(f"{amount} are lost at {count_text(len(lost), 'site')}{_most(lost)}")
    for kind, what in _GROWS.items():
        grown = [finding for finding in findings if finding.kind is kind]
        if grown:
            risen = size_text(sum(finding.bytes for finding in grown))
            where = (
                ""
                if grown[0].function is None and grown[0].file is None
                else f" at {count_text(len(grown), 'site')}{_most(grown)}"
            )
            grounds.append(f"{what} by {risen} over the run{where}")
    return [*grounds, *may_be_kept(findings)]


def _is_lost(lost: Lost) -> bool:
    return lost.finding_kind() is FindingKind.LOST


def _most(found: Sequence[Finding]) -> str:
    """The first of several, which need not be the one with most bytes: an object stands before what belongs to it."""
    first = found[0]
    what = "most of it at" if first.bytes == max(each.bytes for each in found) else "first to be asked is"
    return f", {what} {place_text(first.function, first.file, first.line, first.module)}"


def _grounds_for_clean(recordings: Sequence[Recording], growths: Sequence[Growth], sees: AbstractSet[FindingKind]) -> list[str]:
    grounds = []
    if growths and not growths[0].unjudged:
        main = growths[0]
        span = span_text(main.span, main.recording.time_unit)
        grounds.append(
            f"in {count_text(main.snapshots, 'snapshot')} over {span} no site keeps growing by 4 KiB or more{_blind(sees)}"
        )
    unjudged = [growth.recording for growth in growths if growth.unjudged]
    checked = [each for each in recordings if _knows_only_losses(each) or any(each is other for other in unjudged)]
    if checked and (sees & _LOSS_KINDS or not grounds):  # of a child that lived briefly massif knows neither
        grounds.append(
            f"{checked[0].tool} saw the program to its end, and nothing is lost; what is still referenced and grows it cannot see"
        )
    return grounds


def _blind(sees: AbstractSet[FindingKind]) -> str:
    """What may grow beside the heap, unseen by a tool of the heap."""
    if FindingKind.GROWING not in sees:
        return ""
    unseen = [word for kind, word in _BESIDE_THE_HEAP.items() if kind not in sees]
    return f"; what {' and '.join(unseen)} do it cannot see" if unseen else ""


def _of_errors(errors: Sequence[AnswerError]) -> list[str]:
    if not errors:
        return []
    kinds = ", ".join(dict.fromkeys(error.kind for error in errors))
    return [f"besides, {count_text(sum(error.count for error in errors), 'error')} of use: {kinds}"]


def _notes(growths: Sequence[Growth], losses: Sequence[Lost]) -> list[Note]:
    return [*plateau_notes(growths), *undecided_notes(growths), *live_notes(growths), *loss_notes(losses)]


def _footprint(recordings: Sequence[Recording], scope: Scope) -> list[Note]:
    if not scope.resident or not any(recording.snapshots for recording in recordings):
        return []
    from runner.analysis.footprint import footprint_notes  # numpy, as above

    return list(footprint_notes(recordings, scope.resident))
