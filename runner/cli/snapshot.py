"""`leakrun snapshot RUN`: take a snapshot now of a run in progress."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from runner import config
from runner.cli import screen


def snapshot(
    what: Annotated[str, typer.Argument(metavar="RUN", help="A run in progress: path, id, unique prefix, `last`.")],
    runs_dir: Annotated[str | None, typer.Option(help="Where run directories are. [./leakrun-runs]")] = None,
    config_file: Annotated[Path | None, typer.Option("--config", help="A file of these options.")] = None,
) -> int:
    """Take a snapshot now of a run in progress.

    Waits until it is confirmed, and prints its path.

    \b
      leakrun snapshot last
      leakrun snapshot heapprofile-server

    One of each of its processes. Exit code: 3 where one was missed.
    """
    settings = config.resolve({"runs_dir": runs_dir}, os.environ, Path.cwd(), config_file)
    from runner import live, rundir

    run = rundir.find(what, settings.runs_dir)
    taken = live.snapshot(run)
    for each in taken:
        if each.file:
            sys.stdout.write(f"{run.raw / each.file}\n")
        else:
            screen.say(f"no snapshot of process {each.pid}: {each.reason}")
    return 0 if all(each.file for each in taken) else 3
