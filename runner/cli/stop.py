"""`leakrun stop RUN`: end a run in progress, with nothing lost."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from runner import config


def stop(
    what: Annotated[str, typer.Argument(metavar="RUN", help="A run in progress: path, id, unique prefix, `last`.")],
    runs_dir: Annotated[str | None, typer.Option(help="Where run directories are. [./leakrun-runs]")] = None,
    config_file: Annotated[Path | None, typer.Option("--config", help="A file of these options.")] = None,
) -> int:
    """End a run in progress, with nothing lost.

    As its own Ctrl-C would: the last snapshot, the stop signal, and time to write.

    \b
      leakrun stop last

    Waits until the run is complete, and prints its directory.
    """
    settings = config.resolve({"runs_dir": runs_dir}, os.environ, Path.cwd(), config_file)
    from runner import live, rundir

    run = rundir.find(what, settings.runs_dir)
    live.stop(run)
    sys.stdout.write(f"{run.path}\n")
    return 0
