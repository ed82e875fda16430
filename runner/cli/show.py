"""`leakrun show RUN|FILE...`: the answer, of a run or of native outputs that no run of leakrun made."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from runner import config


def show(
    what: Annotated[
        list[str], typer.Argument(metavar="RUN|FILE...", help="A run (path, id, unique prefix, `last`) or native outputs.")
    ],
    json: Annotated[bool, typer.Option("--json", help="The answer as JSON (leakrun.answer/1).")] = False,
    graph: Annotated[bool, typer.Option("--graph", help="Draw memory over time below the answer.")] = False,
    warmup: Annotated[str | None, typer.Option(help="What the analysis of growth leaves out at the start.")] = None,
    children: Annotated[str | None, typer.Option(help="Whose recordings matter: all, none or a program's name.")] = None,
    exe: Annotated[Path | None, typer.Option(help="Where the program's binary is now.")] = None,
    symbol_path: Annotated[list[Path] | None, typer.Option(help="Where binaries and debug files are. Repeatable.")] = None,
    runs_dir: Annotated[str | None, typer.Option(help="Where run directories are. [./leakrun-runs]")] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="All findings, whole stacks, exact figures.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours.")] = False,
    config_file: Annotated[Path | None, typer.Option("--config", help="A file of these options.")] = None,
) -> int:
    """Show the answer of a run, or of native outputs.

    \b
      leakrun show last
      leakrun show massif.out.4711
      leakrun show heap.0001.heap heap.0002.heap heap.0003.heap --exe ./app
      leakrun show last --graph
      leakrun show last --json | jq .findings
    """
    typed = {
        "runs_dir": runs_dir,
        "warmup": warmup,
        "children": children,
        "verbose": verbose or None,
        "color": False if no_color else None,
    }
    settings = config.resolve(typed, os.environ, Path.cwd(), config_file)
    from runner import answers

    search = (*([exe] if exe else ()), *(symbol_path or ()))
    answer = answers.answer_of(what, settings.runs_dir, warmup=settings.warmup, children=settings.children, search=search)
    if json:
        from runner.reports import answer_json

        answer_json.write(answer, sys.stdout)
    else:
        from runner.cli import screen

        screen.show_answer(answer, sys.stdout, color=settings.color, verbose=settings.verbose)
        if graph:
            from runner.cli.graph import show_graph

            show_graph(what, settings, search, sys.stdout)
    return 0
