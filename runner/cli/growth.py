"""`leakrun growth RUN|FILE...`: all sites that hold memory, ranked by growth over the snapshots."""

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from runner import config

SHOWN = 20  # sites, where --top says nothing


def growth(
    what: Annotated[
        list[str], typer.Argument(metavar="RUN|FILE...", help="A run (path, id, unique prefix, `last`) or native outputs.")
    ],
    json: Annotated[bool, typer.Option("--json", help="As JSON (leakrun.growth/1), all sites unless --top says less.")] = False,
    top: Annotated[int | None, typer.Option(min=1, help=f"So many sites. [{SHOWN}]")] = None,
    warmup: Annotated[str | None, typer.Option(help="What is left out at the start.")] = None,
    children: Annotated[str | None, typer.Option(help="Whose recordings matter: all, none or a program's name.")] = None,
    exe: Annotated[Path | None, typer.Option(help="Where the program's binary is now.")] = None,
    symbol_path: Annotated[list[Path] | None, typer.Option(help="Where binaries and debug files are. Repeatable.")] = None,
    runs_dir: Annotated[str | None, typer.Option(help="Where run directories are. [./leakrun-runs]")] = None,
    config_file: Annotated[Path | None, typer.Option("--config", help="A file of these options.")] = None,
) -> int:
    """Rank all sites that hold memory by growth.

    \b
      leakrun growth last
      leakrun growth last --top 3 --warmup 10s
      leakrun growth heap.*.heap --exe ./app
      leakrun growth last --json | jq '.sites[] | [.shape, .rise, .function]'
    """
    typed = {"runs_dir": runs_dir, "warmup": warmup, "children": children}
    settings = config.resolve(typed, os.environ, Path.cwd(), config_file)
    from runner import reading
    from runner.analysis.ranking import rank
    from runner.reports import document, growth_table

    search = (*([exe] if exe else ()), *(symbol_path or ()))
    evidence = reading.evidence_of(what, settings.runs_dir, warmup=settings.warmup, children=settings.children, search=search)
    ranking = rank(evidence.recordings, evidence.wrappers, evidence.warmup)
    notes = [evidence.nothing] if evidence.nothing else []
    if any(recording.losses for recording in evidence.recordings):
        notes.append("what was lost when it ended is another matter: `leakrun show` says it")
    if json:
        document.write(growth_table.to_dict(ranking, evidence.name, notes, top), sys.stdout)
    else:
        width = min(shutil.get_terminal_size((100, 24)).columns, 120)
        growth_table.render(ranking, sys.stdout, name=evidence.name, notes=notes, top=top or SHOWN, width=width)
    return 0
