"""`leakrun top RUN|PID`: a run in progress on the screen."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from runner import config
from runner.errors import ErrorKind, LeakrunError


def top(
    what: Annotated[
        str, typer.Argument(metavar="RUN|PID", help="A run in progress: path, id, unique prefix, `last`; or a process.")
    ] = "last",
    runs_dir: Annotated[str | None, typer.Option(help="Where run directories are. [./leakrun-runs]")] = None,
    config_file: Annotated[Path | None, typer.Option("--config", help="A file of these options.")] = None,
) -> int:
    """Watch a run in progress: memory over time, sites that grow.

    \b
      leakrun top
      leakrun top heapprofile-server
      leakrun top 4711

    Keys: s takes a snapshot, x twice stops the run with nothing lost, q leaves it running. Of a process that no leakrun
    watches there is its resident memory only. Needs textual: pip install 'leakrun[top]'.
    """
    settings = config.resolve({"runs_dir": runs_dir}, os.environ, Path.cwd(), config_file)
    try:
        from runner.top.app import Top
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise LeakrunError(
            ErrorKind.UNMEASURED, "`leakrun top` needs textual, which is not installed", "pip install 'leakrun[top]'"
        ) from None
    from runner.top import watching

    watch = watching.find(what, settings.runs_dir)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise LeakrunError(ErrorKind.USAGE, "`leakrun top` needs a terminal", f"leakrun show {what} --graph")
    Top(watch).run()
    return 0
