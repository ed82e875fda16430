"""`leakrun top RUN|PID`: a run in progress on the screen."""

import sys
from typing import Annotated

import typer

from runner.cli import options
from runner.errors import ErrorKind, LeakrunError


def top(
    what: Annotated[
        str, typer.Argument(metavar="RUN|PID", help="A run in progress: path, id, unique prefix, `last`; or a process.")
    ] = "last",
    runs_dir: options.RunsDir = None,
    config_file: options.ConfigFile = None,
) -> int:
    """Watch a run in progress: memory over time, sites that grow.

    \b
      leakrun top
      leakrun top heapprofile-server
      leakrun top 4711

    Keys: s takes a snapshot, x twice stops the run with nothing lost, q leaves it running. Of a process that no leakrun
    watches there is its resident memory only. Needs textual: pip install 'leakrun[top]'.
    """
    settings = options.settings(config_file, runs_dir=runs_dir)
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
