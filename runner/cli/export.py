"""`leakrun export RUN|FILE -f FORMAT`: what a run recorded, for other people's programs."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from runner.cli import options
from runner.cli.screen import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.formats.writers.sheet import Sheet
    from runner.moments import Moment


class Format(StrEnum):
    """What can be written."""

    PPROF = "pprof"
    FOLDED = "folded"
    SPEEDSCOPE = "speedscope"
    MASSIF = "massif"
    CALLGRIND = "callgrind"
    CSV = "csv"
    JSON = "json"


def export(
    what: options.Moment,
    format_: Annotated[Format, typer.Option("-f", "--format", help="What to write.")],
    output: options.OutputFile = None,
    exe: options.Exe = None,
    symbol_path: options.SymbolPath = None,
    runs_dir: options.RunsDir = None,
    config_file: options.ConfigFile = None,
) -> int:
    """Write what a run recorded in a format that other programs read.

    \b
      leakrun export last -f pprof -o heap.pb.gz          go tool pprof -http : heap.pb.gz
      leakrun export last@3 -f folded | flamegraph.pl > heap.svg
      leakrun export last -f speedscope -o heap.speedscope.json
      leakrun export last -f massif -o massif.out         ms_print, massif-visualizer: the whole timeline
      leakrun export last -f callgrind -o callgrind.out   callgrind_annotate, KCachegrind
      leakrun export last -f json                         the answer, with all stacks (docs/answer.schema.json)

    It is the last snapshot that is written, or what memcheck found in use at the end; RUN@N is snapshot N, from 0.
    Of several processes it is what they hold together; in massif's format the main one's timeline, or RUN:PID's.
    """
    settings = options.settings(config_file, runs_dir=runs_dir)
    from runner import moments
    from runner.cli.output import refuse_terminal, writing

    if format_ is Format.PPROF:
        refuse_terminal(output)
    search = options.search_path(exe, symbol_path)
    moment = moments.one(what, settings.runs_dir, search, alone=format_ is Format.MASSIF)
    for note in moments.notes_of(moment):
        say(note)
    with writing(output) as stream:
        if format_ is Format.JSON:
            _write_json(moment, settings.runs_dir, search, stream)
        else:
            write(moment, format_, stream)
    return 0


def write(moment: "Moment", format_: Format, stream: BinaryIO) -> None:
    """Write what was recorded in any format but JSON, which holds the answer too."""
    if format_ is Format.MASSIF:
        _write_timeline(moment, stream)
    else:
        _writer(format_)(_sheet(moment), stream)


def _writer(format_: Format) -> "Callable[[Sheet, BinaryIO], None]":
    from runner.formats.writers import callgrind, csv_rows, folded, pprof, speedscope

    return {
        Format.PPROF: pprof.write,
        Format.FOLDED: folded.write,
        Format.SPEEDSCOPE: speedscope.write,
        Format.CALLGRIND: callgrind.write,
        Format.CSV: csv_rows.write,
    }[format_]


def _sheet(moment: "Moment") -> "Sheet":
    from runner.formats.writers.sheet import sheet_of_losses, sheet_of_snapshot
    from runner.manifest import outcome_of
    from runner.model import TimeUnit

    name, main = moment.evidence.name, moment.recordings[0]
    run = moment.evidence.run
    started = outcome_of(run.read_manifest()).started_at if run else None
    if moment.snapshot is None or moment.number is None:
        sheet = sheet_of_losses(name, moment.recordings)
    else:
        # What several processes held when each ended is no snapshot that RUN@N would name.
        sheet = sheet_of_snapshot(name if moment.added_up else f"{name}@{moment.number}", main, moment.number)
        if main.time_unit is TimeUnit.SECONDS:
            sheet.time = moment.snapshot.time
    sheet.taken_at = None if started is None else started + (sheet.time or 0.0)
    return sheet


def _write_timeline(moment: "Moment", stream: BinaryIO) -> None:
    """massif's file holds all snapshots of one process; only the one that was named, where one was."""
    from runner.formats.writers import massif
    from runner.formats.writers.sheet import recording_of

    if moment.snapshot is None:
        massif.write(recording_of(_sheet(moment)), stream)
    else:
        chosen = None if moment.reference.number is None else [moment.snapshot]
        massif.write(moment.recordings[0], stream, chosen)


def _write_json(moment: "Moment", runs_dir: Path, search: tuple[Path, ...], stream: BinaryIO) -> None:
    """The answer, with the stacks of the moment under a key of its own."""
    from runner import answers, reading
    from runner.formats.writers import stacks
    from runner.reports import answer_json

    answer = answers.answer_of([moment.reference.what], runs_dir, reading.Query(search=search))
    document = {**answer_json.to_dict(answer), "moment": stacks.to_dict(_sheet(moment))}
    stream.write(answer_json.text_of(document).encode())
