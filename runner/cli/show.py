"""`leakrun show RUN|FILE...`: the answer, of a run or of native outputs that no run of leakrun made."""

import sys
from typing import Annotated

import typer

from runner.cli import options


def show(
    what: options.RunOrFiles,
    json: Annotated[bool, typer.Option("--json", help="The answer as JSON (leakrun.answer/1).")] = False,
    graph: Annotated[bool, typer.Option("--graph", help="Draw memory over time below the answer.")] = False,
    warmup: options.Warmup = None,
    children: options.Children = None,
    exe: options.Exe = None,
    symbol_path: options.SymbolPath = None,
    runs_dir: options.RunsDir = None,
    verbose: options.Verbose = False,
    no_color: options.NoColor = False,
    config_file: options.ConfigFile = None,
) -> int:
    """Show the answer of a run, or of native outputs.

    \b
      leakrun show last
      leakrun show massif.out.4711
      leakrun show heap.0001.heap heap.0002.heap heap.0003.heap --exe ./app
      leakrun show last --graph
      leakrun show last --json | jq .findings
    """
    settings = options.settings(
        config_file, runs_dir=runs_dir, warmup=warmup, children=children, verbose=verbose, no_color=no_color
    )
    from runner import answers, reading

    query = reading.Query(warmup=settings.warmup, children=settings.children, search=options.search_path(exe, symbol_path))
    answer = answers.answer_of(what, settings.runs_dir, query)
    if json:
        from runner.reports import answer_json

        answer_json.write(answer, sys.stdout)
    else:
        from runner.cli import screen

        screen.show_answer(answer, sys.stdout, color=settings.color, verbose=settings.verbose)
        if graph:
            from runner.cli.graph import show_graph

            show_graph(what, settings.runs_dir, query, sys.stdout)
    return 0
