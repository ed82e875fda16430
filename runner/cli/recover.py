"""`leakrun recover RUN`: a run whose leakrun was killed."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from runner import config
from runner.cli import screen


def recover(
    what: Annotated[str, typer.Argument(metavar="RUN", help="A run whose leakrun was killed: path, id, prefix, `last`.")],
    finish: Annotated[bool, typer.Option("--finish", help="Leave the program alone, and conclude from what is there.")] = False,
    runs_dir: Annotated[str | None, typer.Option(help="Where run directories are. [./leakrun-runs]")] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Nothing on stderr but errors.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="More of everything.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours.")] = False,
    config_file: Annotated[Path | None, typer.Option("--config", help="A file of these options.")] = None,
) -> int:
    """Take back a run whose leakrun was killed.

    Its program is watched to its end; or the run is finished from what is there.

    \b
      leakrun recover last                 goes on with it: snapshots, Ctrl-C, `leakrun stop` as before
      leakrun recover last --finish        never touches the program, and says what there is

    Exit code: 3 where nothing was measured, else 0; how a program ended that was taken back is not known.
    """
    typed = {
        "runs_dir": runs_dir,
        "quiet": quiet or None,
        "verbose": verbose or None,
        "color": False if no_color else None,
    }
    settings = config.resolve(typed, os.environ, Path.cwd(), config_file)
    from runner import pipeline, recovery, rundir

    run = rundir.find(what, settings.runs_dir)
    with screen.Progress(enabled=not settings.quiet) as progress:
        recovery.recover(run, finish=finish, progress=progress.show)
    answer = pipeline.finish(run)
    if not settings.quiet:
        screen.show_answer(answer, sys.stderr, color=settings.color, verbose=settings.verbose)
    return 0 if answer.run["measured"] else 3
