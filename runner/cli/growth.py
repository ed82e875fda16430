"""`leakrun growth RUN|FILE...`: all sites that hold memory, ranked by growth over the snapshots."""

import shutil
import sys
from typing import Annotated

import typer

from runner.cli import options

SHOWN = 20  # sites, where --top says nothing


def growth(
    what: options.RunOrFiles,
    json: Annotated[bool, typer.Option("--json", help="As JSON (leakrun.growth/1), all sites unless --top says less.")] = False,
    top: Annotated[int | None, typer.Option(min=1, help=f"So many sites. [{SHOWN}]")] = None,
    warmup: options.Warmup = None,
    children: options.Children = None,
    exe: options.Exe = None,
    symbol_path: options.SymbolPath = None,
    runs_dir: options.RunsDir = None,
    config_file: options.ConfigFile = None,
) -> int:
    """Rank all sites that hold memory by growth.

    \b
      leakrun growth last
      leakrun growth last --top 3 --warmup 10s
      leakrun growth heap.*.heap --exe ./app
      leakrun growth last --json | jq '.sites[] | [.shape, .rise, .function]'
    """
    settings = options.settings(config_file, runs_dir=runs_dir, warmup=warmup, children=children)
    from runner import reading
    from runner.analysis.ranking import rank
    from runner.reports import document, growth_table

    query = reading.Query(warmup=settings.warmup, children=settings.children, search=options.search_path(exe, symbol_path))
    evidence = reading.evidence_of(what, settings.runs_dir, query)
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
