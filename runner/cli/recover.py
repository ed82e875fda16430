"""`leakrun recover RUN`: a run whose leakrun was killed."""

import sys
from contextlib import ExitStack
from typing import Annotated

import typer

from runner.cli import options, screen


def recover(
    what: Annotated[str, typer.Argument(metavar="RUN", help="A run whose leakrun was killed: path, id, prefix, `last`.")],
    finish: Annotated[bool, typer.Option("--finish", help="Leave the program alone, and conclude from what is there.")] = False,
    runs_dir: options.RunsDir = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    no_color: options.NoColor = False,
    config_file: options.ConfigFile = None,
) -> int:
    """Take back a run whose leakrun was killed.

    Its program is watched to its end; or the run is finished from what is there.

    \b
      leakrun recover last                 goes on with it: snapshots, Ctrl-C, `leakrun stop` as before
      leakrun recover last --finish        never touches the program, and says what there is

    Exit code: 3 where nothing was measured, else 0; how a program ended that was taken back is not known.
    """
    settings = options.settings(config_file, runs_dir=runs_dir, quiet=quiet, verbose=verbose, no_color=no_color)
    from runner import pipeline, recovery, rundir

    run = rundir.find(what, settings.runs_dir)
    with ExitStack() as ending:
        with screen.Progress(enabled=not settings.quiet) as progress:
            recovery.recover(run, ending, finish=finish, progress=progress.show)
        answer = pipeline.finish(run)
    if not settings.quiet:
        screen.show_answer(answer, sys.stderr, color=settings.color, verbose=settings.verbose)
    return 0 if answer.run["measured"] else 3
