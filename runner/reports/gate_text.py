"""A gate's result as lines that compilers' users and editors know, `file:line:column: severity: message`, and its summary."""

from collections.abc import Iterator

from runner.analysis.wording import count_text
from runner.gate import CheckedRun, Item, Outcome, Result, Standing, count
from runner.paths import near
from runner.reports.plain import plain

_HIDDEN = (Standing.SUPPRESSED,)


def render(result: Result) -> str:
    """A line for each item that is not suppressed, and one for each reason why a run could not be judged.

    Columns are not known, and stand as 1. Where there is no file the module, or the run, stands in its place.
    """
    lines = []
    for run in result.runs:
        lines += [
            f"{_place(item, run)}: {severity(item, run)}: {message(item)}" for item in run.items if item.standing not in _HIDDEN
        ]
        lines += [f"{plain(run.name)}: error: inconclusive: {plain(doubt)}" for doubt in run.doubts]
    return "".join(f"{line}\n" for line in lines)


def severity(item: Item, run: CheckedRun) -> str:
    """error for what fails the gate; warning for what a run that could not be judged holds; note for the rest."""
    return "note" if not item.fails else "error" if item in run.failures else "warning"


def message(item: Item) -> str:
    """What it is, where, and how it stands, in one line."""
    where = f" in {plain(item.function)}" if item.function else ""
    return f"{plain(item.text)}{where} [{plain(item.label)}]{standing(item)}"


def standing(item: Item) -> str:
    """How it stands, where there is more to say than that it is new."""
    if item.standing is Standing.NEW:
        return ""
    before = item.before
    if item.standing is Standing.WORSE and before is not None and before.bytes is not None:
        blocks = f" in {count_text(before.blocks, 'block')}" if before.blocks is not None else ""
        return f" (worse: {count_text(before.bytes, 'byte')}{blocks} in the baseline)"
    return f" ({item.standing.value})"


def _place(item: Item, run: CheckedRun) -> str:
    if item.file is not None:
        return f"{plain(near(item.file))}:{item.line or 1}:1"
    return plain(near(item.module)) if item.module else plain(run.name)


def summary(result: Result, against: str = "") -> Iterator[str]:
    """What it comes to, in a line or a few; `against` is the baseline's name, where there is one."""
    items = [item for run in result.runs for item in run.items]
    parts = [f"{count(items, standing)} {standing.value}" for standing in Standing if count(items, standing)]
    parts += [f"{len(result.gone)} gone"] if result.gone else []
    where = f" against {plain(against)}" if against else ""
    yield f"{_verdict(result)}{where}: {', '.join(parts) or 'no findings'} in {count_text(len(result.runs), 'run')}"
    for entry in result.gone:
        place = " ".join(part for part in (entry.function, entry.file or entry.module) if part)
        yield f"gone: {entry.kind} at {plain(place)}"
    suppressed: dict[str, int] = {}
    for run in result.runs:
        for name, records in run.suppressed.items():
            suppressed[name] = suppressed.get(name, 0) + records
    for name, records in suppressed.items():
        yield f"suppressed: {count_text(records, 'record')} by {plain(name)}"
    if result.unseen:
        yield f"no tool of these runs can see: {', '.join(result.unseen)}"


def _verdict(result: Result) -> str:
    return {
        Outcome.CLEAN: "check passed",
        Outcome.FINDINGS: "check failed",
        Outcome.INCONCLUSIVE: "check could not be made, and so is not passed",
    }[result.outcome]
