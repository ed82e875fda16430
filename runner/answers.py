"""The answer for what a person names: a run, a hunt with its steps, several runs of one program, or native files."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runner import backends, formats, profile, reading, rundir
from runner.analysis.agreement import Agreed, agree
from runner.analysis.repeats import without_repeats
from runner.analysis.witnesses import Witness
from runner.manifest import Manifest, outcome_of
from runner.model import Answer, Doubt, FindingKind, LossKind, Recording, Verdict
from runner.quantities import utc_text
from runner.reading import AS_IT_IS, Query
from runner.rundir import RunDirectory

DUE = frozenset(FindingKind) - {FindingKind.SUSPECT}  # what a hunt asks about
SHORT = 1.5  # seconds
LEAST_GROWTH = 4096  # bytes: less is not called growth anywhere


def answer_of(what: Sequence[str], runs_dir: Path, query: Query = AS_IT_IS) -> Answer:
    """One answer for all that is named. Runs of one program, and files of different tools, are held against each other.

    Raises LeakrunError(USAGE).
    """
    reading.refuse_streams(what)
    files = [Path(each) for each in what if reading.is_file(each)]
    runs = [rundir.find(each, runs_dir) for each in what if not reading.is_file(each)]
    recordings = formats.read_files(files)
    without_repeats(recordings)
    by_tool = _by_tool(recordings)
    if len(runs) + len(by_tool) == 1:
        return conclude(runs[0], query) if runs else reading.conclude_recordings(by_tool[0], files, query)
    witnesses = [witness for run in runs for witness in _witnesses(run, run.read_manifest(), query)]
    witnesses += [_of_files(reading.conclude_recordings(group, files, query)) for group in by_tool]
    together = agree(witnesses).answer
    together.run = _facts([witness.answer for witness in witnesses])
    return together


def conclude(run: RunDirectory, query: Query = AS_IT_IS) -> Answer:
    """What a run says, or a hunt."""
    manifest = run.read_manifest()
    if not rundir.is_hunt(manifest):
        return reading.conclude_run(run, query)
    return hunted(run, manifest, _witnesses(run, manifest, query)).answer


def _by_tool(recordings: Sequence[Recording]) -> list[list[Recording]]:
    groups: dict[str, list[Recording]] = defaultdict(list)
    for recording in recordings:
        groups[recording.tool].append(recording)
    return list(groups.values())


# ---- witnesses


def witness_of(run: RunDirectory, answer: Answer) -> Witness:
    """A run as one voice among several."""
    chosen = profile.load(str(run.profile), backends.options_for)
    backend = backends.get(chosen.backend)
    return Witness(chosen.name, backend.seen_with(chosen.options), answer, backend.sites)


def _witnesses(run: RunDirectory, manifest: Manifest, query: Query) -> list[Witness]:
    """A run as one voice; a hunt as one for each step."""
    runs = _heard(run, manifest) if rundir.is_hunt(manifest) else [run]
    return [witness_of(each, reading.conclude_run(each, query)) for each in runs]


def _of_files(answer: Answer) -> Witness:
    tool = str(answer.run.get("backend"))
    kinds = frozenset(FindingKind(kind) for kind in reading.seen_by(answer) if kind != "errors")
    return Witness(tool, kinds, answer, tool not in backends.names() or backends.get(tool).sites)


# ---- a hunt


def _heard(run: RunDirectory, manifest: Manifest) -> list[RunDirectory]:
    """Its runs, but those under which the program never came up."""
    skipped = {each["profile"] for each in manifest["skipped"]}
    return [step for step in rundir.steps_of(run) if step.id.partition("-")[2] not in skipped]


def hunted(run: RunDirectory, manifest: Manifest, witnesses: Sequence[Witness]) -> Agreed:
    """What the steps of a hunt say together. Of a profile that was asked again, for longer, the last word counts."""
    last = list({witness.name: witness for witness in witnesses}.values())
    due = DUE
    if is_short(manifest):
        due = DUE & {FindingKind.LOST, FindingKind.GROWING}
        last = [_of_a_short_run(witness) for witness in last if witness.sites or not witness.answer.doubts]
    agreed = agree(last, due)
    agreed.answer.run = {
        **_facts([witness.answer for witness in witnesses]),
        "id": run.id,
        "directory": str(run.path),
        "profile": "hunt",
        "backend": None,
        "command": manifest["command"],
        "started_at": utc_text(outcome_of(manifest).started_at),
        "seconds": manifest["seconds"],
        "exit": {key: manifest["exit"].get(key) for key in ("code", "signal", "stopped_by", "by_tool")},
        "steps": manifest["steps"],
        "skipped": manifest["skipped"],
    }
    _doubt(agreed.answer, manifest["left"])
    return agreed


def _doubt(answer: Answer, left: Sequence[str]) -> None:
    """What was left undone: with it nothing is clean."""
    answer.doubts += [Doubt(text) for text in left]
    if left and answer.verdict is Verdict.CLEAN:
        answer.verdict, answer.reasons = Verdict.INCONCLUSIVE, []
    if answer.verdict is Verdict.INCONCLUSIVE:
        answer.reasons += left


def is_short(manifest: Manifest) -> bool:
    """Whether the program ended by itself before a clock could see much of it. Its mappings and stacks ended with it then."""
    plain = next(iter(manifest["steps"]), None)
    return plain is not None and plain["stopped_by"] is None and plain["seconds"] < SHORT


def _of_a_short_run(witness: Witness) -> Witness:
    """A tool that saw next to nothing left at the end that is not surely lost has seen that nothing grows."""
    heap, leaks = witness.answer.heap_summary, witness.answer.leak_summary
    if heap is None or heap.in_use_at_exit is None or FindingKind.LOST not in witness.sees:
        return witness
    lost = sum(amount.bytes for kind, amount in (leaks or {}).items() if kind in (LossKind.DEFINITE, LossKind.INDIRECT))
    nothing = heap.in_use_at_exit.bytes - lost < LEAST_GROWTH
    return replace(witness, sees=witness.sees | {FindingKind.GROWING}) if nothing else witness


def _facts(answers: Sequence[Answer]) -> dict[str, object]:
    """What several runs have in common, and all their tools."""
    runs = [answer.run for answer in answers]
    return reading.facts(
        command=next((run["command"] for run in runs if run.get("command")), []),
        complete=bool(runs) and all(run.get("complete") for run in runs),
        measured=any(run.get("measured", True) for run in runs),
        snapshots=max((_number(run.get("snapshots")) for run in runs), default=0),
        misses=sum(_number(run.get("misses")) for run in runs),
        processes=next((run["processes"] for run in runs if run.get("processes")), []),
        tools=list(dict.fromkeys(_tools(runs))),
        runs=[str(run["id"]) for run in runs if run.get("id")],
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _tools(runs: Iterable[Mapping[str, object]]) -> Iterable[str]:
    for run in runs:
        several = run.get("tools")
        yield from several if isinstance(several, list) else [str(run.get("backend"))]
