"""`leakrun diff A B`: what B has and A has not."""

import shutil
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli import options

if TYPE_CHECKING:
    from runner.moments import Moment
    from runner.reports.diff_table import Named

SHOWN = 20  # sites, where --top says nothing


def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="RUN, FILE, RUN@N or RUN:PID@N.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    json: Annotated[bool, typer.Option("--json", help="As JSON (leakrun.diff/1), all sites.")] = False,
    top: Annotated[int, typer.Option(min=1, help="So many sites.")] = SHOWN,
    exe: options.Exe = None,
    symbol_path: options.SymbolPath = None,
    runs_dir: options.RunsDir = None,
    config_file: options.ConfigFile = None,
) -> int:
    """Say what B has and A has not.

    Of two runs, two native files, or two snapshots of a run.

    \b
      leakrun diff last@0 last@-1                    the first snapshot and the last
      leakrun diff before-the-fix after-the-fix      two runs: their last snapshots, or (memcheck) what they lost
      leakrun diff last:4711@2 last:4711@9           of one process of several
      leakrun diff massif.out.17 massif.out.18

    N counts a run's snapshots in the order of time, from 0; -1 is the last. Sites are matched by function and file.
    """
    settings = options.settings(config_file, runs_dir=runs_dir)
    from runner import moments
    from runner.analysis.diff import Side, compare
    from runner.reports import diff_table, document

    search = options.search_path(exe, symbol_path)
    sides = moments.both(before, after, settings.runs_dir, search)
    wrappers = sorted({wrapper for side in sides for wrapper in side.evidence.wrappers})
    old, new = (Side(side.recordings, side.number) for side in sides)
    found = compare(old, new, wrappers)
    found.notes = list(dict.fromkeys([*found.notes, *moments.notes(*sides)]))
    names = [_named(side) for side in sides]
    if json:
        document.write(diff_table.to_dict(found, *names), sys.stdout)
    else:
        width = min(shutil.get_terminal_size((100, 24)).columns, 120)
        diff_table.render(found, sys.stdout, *names, top=top, width=width)
    return 0


def _named(side: "Moment") -> "Named":
    from runner.reports.diff_table import Named

    main, snapshot = side.recordings[0], side.snapshot
    return Named(
        name=side.reference.text,
        run=side.evidence.run.id if side.evidence.run else None,
        tool=main.tool,
        pid=main.pid,
        snapshot=side.number,
        snapshots=None if side.number is None else len(main.snapshots),
        time=None if snapshot is None else snapshot.time,
        unit=main.time_unit,
        processes=max(1, len(side.added_up)),
    )
