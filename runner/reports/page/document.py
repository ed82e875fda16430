"""All that a page shows as plain data (schema leakrun.page/1): a table of strings, and columns of numbers that refer to it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner import __version__
from runner.formats.samples import FIELDS, Samples
from runner.model import Answer, AnswerFrame, Recording
from runner.reports import answer_json
from runner.reports.page.compare import Compared, agreement, difference_dict
from runner.reports.page.dataset import datasets
from runner.reports.page.excerpts import Excerpts, Source
from runner.reports.page.tables import Tables

SCHEMA = "leakrun.page/1"
_MOST_FINDINGS, _MOST_ERRORS, _MOST_NOTES, _MOST_EVENTS = 100, 200, 200, 200
_MOST_SAMPLES = 600  # of one process
_LISTED_FRAMES = 200  # of a finding's stack


@dataclass(slots=True)
class PageRun:
    """One run, or native files.

    samples    by pid
    manifest   the run's, in which secrets are redacted already; None for bare files
    """

    name: str
    answer: Answer
    recordings: Sequence[Recording]
    wrappers: Sequence[str] = ()
    warmup: float = 0.0
    samples: Mapping[int, Samples] = field(default_factory=dict)
    manifest: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Page:
    """What a page is made of.

    chosen   what is shown first: run, pid, from, to (snapshots' numbers), sample, lines, search, hide
    source   the lines of a source file, where it is found
    """

    runs: Sequence[PageRun]
    comparisons: Sequence[Compared] = ()
    chosen: Mapping[str, Any] = field(default_factory=dict)
    source: Callable[[str], Source | None] = lambda _: None


def to_dict(page: Page) -> dict[str, Any]:
    """The page's data."""
    tables, excerpts = Tables(), Excerpts(page.source)
    runs = [_run(run, tables, excerpts) for run in page.runs]
    several = len(page.runs) > 1
    return {
        "schema": SCHEMA,
        "leakrun": __version__,
        "chosen": dict(page.chosen),
        "runs": runs,
        "comparisons": [difference_dict(each, tables) for each in page.comparisons],
        "agreement": agreement([run.answer for run in page.runs], tables) if several else [],
        "source": excerpts.to_dict(),
        **tables.to_dict(),
    }


def _run(run: PageRun, tables: Tables, excerpts: Excerpts) -> dict[str, Any]:
    made = datasets(run.recordings, run.wrappers, run.warmup, tables)
    answer = _answer(run.answer)
    for stack in _stacks_of(run.answer):
        excerpts.want_frames(stack)
    for each in made:
        excerpts.want_sites(each["sites"], tables)
    return {
        "name": run.name,
        "answer": answer,
        "datasets": made,
        "samples": {str(pid): _samples(each) for pid, each in run.samples.items()},
        "facts": _facts(run.manifest),
    }


def _answer(answer: Answer) -> dict[str, Any]:
    """The answer, and how many of its entries there are altogether where these are very many."""
    found = answer_json.to_dict(answer)
    for name, most in (("findings", _MOST_FINDINGS), ("errors", _MOST_ERRORS), ("notes", _MOST_NOTES)):
        found[f"all_{name}"] = len(found[name])
        found[name] = found[name][:most]
    for each in (*found["findings"], *found["errors"]):
        each["stack"] = each["stack"][:_LISTED_FRAMES]
    return found


def _stacks_of(answer: Answer) -> list[list[AnswerFrame]]:
    """The stacks that are worth their source, the most worth first."""
    errors = [stack for error in answer.errors[:20] for stack in (error.stack, *(frames for _, frames in error.auxiliary))]
    return [*(finding.stack for finding in answer.findings[:20]), *errors]


def _samples(samples: Samples) -> dict[str, list[Any]]:
    every = max(1, -(-len(samples.times) // _MOST_SAMPLES))
    return {"time": samples.times[::every], **{name: _filled(getattr(samples, name), every) for name in FIELDS}}


def _filled(column: Sequence[int | None], every: int) -> list[int | None]:
    """Every so many-th figure, or the next that is there before the one after it: pss is sampled less often."""
    parts = (column[at : at + every] for at in range(0, len(column), every))
    return [next((figure for figure in part if figure is not None), None) for part in parts]


def _facts(manifest: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What the manifest says of how the run went."""
    if manifest is None:
        return None
    events = [event for event in manifest["timeline"] if event["kind"] != "snapshot"]
    names = ("state", "tool", "argv", "environment", "cwd", "loaded", "started_at", "ready", "usage", "processes")
    return {**{name: manifest.get(name) for name in names}, "events": events[:_MOST_EVENTS], "all_events": len(events)}
