"""`leakrun report RUN|FILE -f FORMAT`: pprof's call graph of one moment."""

import re
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli import options
from runner.cli.screen import say
from runner.errors import ErrorKind, LeakrunError

if TYPE_CHECKING:
    from runner.analysis.callgraph import CallGraph, Counted, Limits
    from runner.formats.writers.sheet import Sheet
    from runner.moments import Moment
    from runner.reports.graph_labels import Heading


class Format(StrEnum):
    """What can be drawn."""

    HTML = "html"
    SVG = "svg"
    PDF = "pdf"
    DOT = "dot"
    TEXT = "text"


class Sample(StrEnum):
    """What is counted, as pprof calls it; each is a metric of the model."""

    INUSE_SPACE = "inuse_space"
    INUSE_OBJECTS = "inuse_objects"
    ALLOC_SPACE = "alloc_space"
    ALLOC_OBJECTS = "alloc_objects"


_METRICS = {
    Sample.INUSE_SPACE: "live_bytes",
    Sample.INUSE_OBJECTS: "live_blocks",
    Sample.ALLOC_SPACE: "allocated_bytes",
    Sample.ALLOC_OBJECTS: "allocated_blocks",
}
_FRACTION = {"min": 0.0, "max": 1.0}


def report(
    what: Annotated[
        list[str], typer.Argument(metavar="RUN|FILE...", help="RUN, FILE, RUN@N or RUN:PID@N; html: one or more of them.")
    ],
    format_: Annotated[Format, typer.Option("-f", "--format", help="What to write. svg and pdf need graphviz, html a browser.")],
    output: options.OutputFile = None,
    base: Annotated[str | None, typer.Option(metavar="A", help="What to subtract: RUN, FILE, RUN@N or RUN:PID@N.")] = None,
    lines: Annotated[bool, typer.Option("--lines/--functions", help="A node for each line, or each function.")] = False,
    sample: Annotated[Sample, typer.Option(help="What to count.")] = Sample.INUSE_SPACE,
    focus: Annotated[
        str | None, typer.Option(metavar="REGEX", help="Only stacks where this is in a function or file:line.")
    ] = None,
    ignore: Annotated[str | None, typer.Option(metavar="REGEX", help="No stacks where this is.")] = None,
    nodecount: Annotated[int | None, typer.Option(min=1, help="At most so many nodes. [80; text: all]")] = None,
    nodefraction: Annotated[float | None, typer.Option(**_FRACTION, help="No nodes below this part. [.005; text: all]")] = None,
    edgefraction: Annotated[float | None, typer.Option(**_FRACTION, help="No edges below this part. [.001]")] = None,
    show_bytes: Annotated[bool, typer.Option("--show-bytes", help="Text in bytes, not MB.")] = False,
    exe: options.Exe = None,
    symbol_path: options.SymbolPath = None,
    runs_dir: options.RunsDir = None,
    config_file: options.ConfigFile = None,
) -> int:
    """Draw where the memory goes: a page, or pprof's call graph.

    \b
      leakrun report last -f html -o report.html              one file: findings, timeline, flame graph, sites
      leakrun report before after -f html -o both.html        two runs: their difference and their agreement
      leakrun report last -f svg -o heap.svg                  the last snapshot, or what memcheck found in use at the end
      leakrun report last -f text --lines                     what google-pprof --text --lines prints
      leakrun report last@-1 --base last@0 -f pdf -o grown.pdf      what came since the first snapshot
      leakrun report heap.0007.heap --exe ./app -f svg --focus cache > cache.svg

    In a graph boxes are as large as what the function allocated itself (flat), arrows as wide as what came through the call.
    """
    settings = options.settings(config_file, runs_dir=runs_dir)
    search = options.search_path(exe, symbol_path)
    patterns = _pattern("--focus", focus), _pattern("--ignore", ignore)
    if format_ is Format.HTML:
        _refuse_limits(nodecount, nodefraction, edgefraction, show_bytes or None)
        chosen = {"sample": _METRICS[sample], "lines": lines, "search": focus, "hide": ignore}
        return _write_page(what, base, chosen, settings.runs_dir, search, output)
    drawn = _only(what)
    from runner import moments
    from runner.analysis.callgraph import EDGE_FRACTION, NODE_FRACTION, NODES, Choice, Limits, call_graph
    from runner.cli.output import refuse_terminal, writing
    from runner.reports import graph_text
    from runner.reports.graph_labels import Heading

    if format_ is Format.PDF:
        refuse_terminal(output)
    sides = [moments.one(drawn, settings.runs_dir, search)] if base is None else _both(drawn, base, settings.runs_dir, search)
    for note in moments.notes(*reversed(sides)) if len(sides) == 2 else moments.notes_of(sides[0]):
        say(note)
    choice = Choice(lines, len(sides) == 2 and sides[0].recordings[0] is not sides[1].recordings[0], *patterns)
    sheets = [_sheet(side) for side in sides]
    graph = call_graph([_counted(*each, sample) for each in zip(sheets, (1, -1), strict=False)], choice)
    heading = Heading(sheets[0].name, sample.value, sample.value.endswith("objects"), base or "", focus or "", ignore or "")
    limits = Limits(
        NODES if nodecount is None else nodecount,
        NODE_FRACTION if nodefraction is None else nodefraction,
        EDGE_FRACTION if edgefraction is None else edgefraction,
    )
    _check_focus(graph, heading)
    with writing(output) as stream:
        if format_ is Format.TEXT:
            wanted = None if nodecount is nodefraction is None else limits
            text = StringIO()
            graph_text.render(graph, text, heading, lines=lines, limits=wanted, in_bytes=show_bytes)
            stream.write(text.getvalue().encode())
        else:
            stream.write(_picture(graph, heading, limits, format_))
    return 0


def _only(what: list[str]) -> str:
    """The one that is drawn. Raises LeakrunError(USAGE) for several."""
    if len(what) > 1:
        raise LeakrunError(
            ErrorKind.USAGE, f"a graph is of one run, and {len(what)} are named", "use -f html, or --base for one of two"
        )
    return what[0]


def _refuse_limits(*limits: object) -> None:
    """Raise LeakrunError(USAGE) for what only bounds a drawing or a table."""
    if any(limit is not None for limit in limits):
        names = "--nodecount, --nodefraction, --edgefraction and --show-bytes"
        raise LeakrunError(
            ErrorKind.USAGE, f"{names} are not for -f html", "leave them out: the page has all nodes, and finds its own units"
        )


def _write_page(
    what: list[str], base: str | None, chosen: dict[str, object], runs_dir: Path, search: tuple[Path, ...], output: Path | None
) -> int:
    from runner.cli import report_page
    from runner.cli.output import refuse_terminal, writing

    refuse_terminal(output)
    with writing(output) as stream:
        report_page.write(what, base, chosen, runs_dir, search, stream)
    return 0


def _pattern(option: str, text: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text is not None else None
    except (re.error, OverflowError, RecursionError) as error:
        message = f"{option} is no regular expression: {str(error).splitlines()[0]}"
        raise LeakrunError(ErrorKind.USAGE, message, "put a \\ before ( [ * + ? where they stand for themselves") from None


def _both(what: str, base: str, runs_dir: Path, search: tuple[Path, ...]) -> "list[Moment]":
    """What is drawn, and what is subtracted from it; each with stacks."""
    from runner import moments

    before, after = moments.both(base, what, runs_dir, search)
    for side in (after, before):
        if side.snapshot is not None and side.number is not None:
            moments.one(side.reference.text, runs_dir, search)  # refuses one that has totals only
    return [after, before]


def _sheet(moment: "Moment") -> "Sheet":
    from runner.formats.writers.sheet import sheet_of_losses, sheet_of_snapshot

    name, main = moment.evidence.name, moment.recordings[0]
    if moment.snapshot is None or moment.number is None:
        return sheet_of_losses(name, moment.recordings)
    return sheet_of_snapshot(f"{name}@{moment.number}", main, moment.number)


def _counted(sheet: "Sheet", sign: int, sample: Sample) -> "Counted":
    """The stacks of a sheet. Raises LeakrunError(USAGE) for a sample that was not measured."""
    from runner.analysis.callgraph import Counted
    from runner.model import Metric

    metric = Metric(_METRICS[sample])
    if metric not in sheet.metrics:
        there = ", ".join(name for name, each in _METRICS.items() if each in sheet.metrics)
        raise LeakrunError(ErrorKind.USAGE, f"{sheet.name}: its tool does not count {sample.value}", f"it has {there}")
    return Counted(sheet.table, [(row.stack_id, sign * amount) for row, amount in sheet.column(metric)])


def _check_focus(graph: "CallGraph", heading: "Heading") -> None:
    """Say that there is nothing to show. Raises LeakrunError(USAGE) where that is due to --focus or --ignore."""
    if graph.paths:
        return
    if heading.focus or heading.ignore:
        message = f"--focus and --ignore leave nothing of {heading.name}"
        raise LeakrunError(ErrorKind.USAGE, message, "`-f text` without them lists what is there")
    say(f"{heading.name}: {heading.sample} is 0, there is nothing to draw")


def _picture(graph: "CallGraph", heading: "Heading", limits: "Limits", format_: Format) -> bytes:
    from runner.analysis.callgraph import drawn
    from runner.reports import graph_dot, graphviz

    text = StringIO()
    graph_dot.render(graph, drawn(graph, limits), text, heading)
    return text.getvalue().encode() if format_ is Format.DOT else graphviz.picture(text.getvalue(), format_.value)
