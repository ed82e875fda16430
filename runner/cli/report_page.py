"""What `report -f html` puts together: runs and files as the page's data, and the sources that are found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from runner import answers, formats, moments, reading
from runner.analysis.diff import Side, compare
from runner.errors import ErrorKind, LeakrunError
from runner.formats import samples
from runner.model import Answer
from runner.moments import Reference
from runner.reports.page import document, html
from runner.reports.page.compare import Compared
from runner.reports.page.document import Page, PageRun
from runner.reports.page.excerpts import Source

_LARGEST_SOURCE = 4 << 20  # bytes; no person wrote a larger one
_HUGE_RUNS = 20


@dataclass(slots=True)
class Sources:
    """Finds source files: as the debug info names them, in the runs' working directories, and where --symbol-path says.

    started   when the first run began, in seconds since the epoch; None where that is not known
    """

    directories: Sequence[Path] = ()
    started: float | None = None
    _known: dict[str, Source | None] = field(default_factory=dict)

    def find(self, file: str) -> Source | None:
        """The source, or None where it is not here or is no text of a usual size."""
        if file not in self._known:
            places = (
                Path(file),
                *(place for root in self.directories for place in (root / file.lstrip("/"), root / Path(file).name)),
            )
            self._known[file] = next((found for found in map(self._read, places) if found is not None), None)
        return self._known[file]

    def _read(self, path: Path) -> Source | None:
        try:
            if not path.is_file() or path.stat().st_size > _LARGEST_SOURCE:
                return None
            content = path.read_bytes()
            changed = path.stat().st_mtime
        except (OSError, ValueError):
            return None
        if b"\0" in content:
            return None
        return Source(content.decode("utf-8", "replace").splitlines(), self.started is not None and changed > self.started)


def write(
    what: Sequence[str], base: str | None, chosen: Mapping[str, Any], runs_dir: Path, search: tuple[Path, ...], stream: BinaryIO
) -> None:
    """Write the page of these runs and files. Raises LeakrunError for what is not there, or without the page's script."""
    references = [moments.parse(text, runs_dir) for text in ([base] if base is not None else []) + list(what)]
    for reference in references:
        if reference.number is not None or reference.pid is not None:
            moments.one(reference.text, runs_dir, search)  # refuses a process or a snapshot that is not there
    groups = _groups(references)
    if len(groups) > _HUGE_RUNS:
        raise LeakrunError(ErrorKind.USAGE, f"{len(groups)} runs are too many for one page", f"name at most {_HUGE_RUNS}")
    runs = [_run(group, runs_dir, search) for group in groups]
    comparisons = [_compared(groups[0], group, runs_dir, search) for group in groups[1:]]
    started = [run.manifest["started_at"] for run in runs if run.manifest and isinstance(run.manifest.get("started_at"), float)]
    directories = [Path(run.manifest["cwd"]) for run in runs if run.manifest and run.manifest.get("cwd")]
    sources = Sources([*(place for place in search if place.is_dir()), *directories], min(started, default=None))
    page = Page(runs, comparisons, {**_opening(groups, base), **chosen}, sources.find)
    html.write(document.to_dict(page), _title(runs), stream)


def _groups(references: Sequence[Reference]) -> list[list[Reference]]:
    """What makes one run of the page: a run, or the files of one series; a run that is named twice is one.

    Files that can't be read are with the first that can: `show` leaves them out, and says so, too.
    """
    files = [each for each in references if reading.is_file(each.what)]
    series = {
        id(files[number]): at for at, group in enumerate(formats.grouped([Path(each.what) for each in files])) for number in group
    }
    groups: dict[object, list[Reference]] = {}
    for each in references:
        groups.setdefault(series.get(id(each), 0 if each in files else each.what), []).append(each)
    return list(groups.values())


def _last(group: Sequence[Reference]) -> str:
    """The last of a series, of those files that can be read; a run."""
    if not reading.is_file(group[-1].what):
        return group[-1].text
    return group[formats.grouped([Path(each.what) for each in group])[-1][-1]].text


def _words(group: Sequence[Reference]) -> list[str]:
    return list(dict.fromkeys(reference.what for reference in group))


def _run(group: Sequence[Reference], runs_dir: Path, search: tuple[Path, ...]) -> PageRun:
    words = _words(group)
    query = reading.Query(search=search)
    evidence = reading.evidence_of(words, runs_dir, query)
    answer = answers.answer_of(words, runs_dir, query)
    if evidence.nothing and not evidence.recordings and evidence.nothing not in answer.reasons:
        answer.reasons.append(evidence.nothing)
    run = evidence.run
    name = evidence.name if len(words) == 1 else f"{words[0]} and {len(words) - 1} more"
    made = PageRun(name, answer, evidence.recordings, evidence.wrappers, evidence.warmup)
    if run is not None:
        made.manifest, made.samples = run.read_manifest(), samples.read_file(run.samples)
    return made


def _compared(first: Sequence[Reference], other: Sequence[Reference], runs_dir: Path, search: tuple[Path, ...]) -> Compared:
    """The change from the first run to another one. Files of a series are compared by their last."""
    before, after = _last(first), _last(other)
    try:
        had, has = moments.both(before, after, runs_dir, search)
    except LeakrunError as error:
        return Compared(before, after, None, error.message)
    before_side, after_side = (Side(each.recordings, each.number) for each in (had, has))
    wrappers = tuple(dict.fromkeys((*had.evidence.wrappers, *has.evidence.wrappers)))
    return Compared(before, after, compare(before_side, after_side, wrappers), notes=list(moments.notes(had, has)))


def _opening(groups: Sequence[Sequence[Reference]], base: str | None) -> dict[str, Any]:
    """What the page shows first: the run that was not the base; the snapshots that were numbered."""
    shown = groups[0] if base is None else groups[-1]
    found: dict[str, Any] = {"run": 0 if base is None else len(groups) - 1, "pid": shown[-1].pid}
    numbers = [reference.number for reference in shown]
    if base is not None and len(groups) == 1 and numbers[0] is not None:
        found["from"] = numbers.pop(0)
    elif base is None and len(numbers) > 1:
        found["from"] = numbers[0]
    if numbers:
        found["to"] = numbers[-1]
    return found


def _title(runs: Sequence[PageRun]) -> str:
    """For the browser's tab: what the first run says."""
    return f"{_verdict(runs[0].answer)}: {' and '.join(run.name for run in runs[:2])}{' ...' if len(runs) > 2 else ''}"


def _verdict(answer: Answer) -> str:
    first = answer.findings[0] if answer.findings else None
    place = f" at {first.function}" if first and first.function else ""
    return f"{answer.verdict.value}{place}"
