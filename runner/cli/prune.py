"""`leakrun runs --prune`: remove old runs, and say which."""

import sys
from pathlib import Path
from typing import NamedTuple

import typer

from runner import pruning, rundir
from runner.analysis.wording import size_text
from runner.cli import screen
from runner.cli.listing import listed, size_on_disk
from runner.errors import ErrorKind, LeakrunError
from runner.quantities import parse_duration
from runner.rundir import RunDirectory


class Wanted(NamedTuple):
    """What the user said beside --prune."""

    older_than: str | None
    keep: int | None
    dry_run: bool
    yes: bool


def prune(runs_dir: Path, wanted: Wanted, *, json: bool) -> int:
    """Remove what may go, one line for each. A terminal is asked before; 1 where something could not be removed.

    Raises LeakrunError(USAGE) where nothing says which runs are old.
    """
    if json:
        raise LeakrunError(ErrorKind.USAGE, "--prune has no --json", "`leakrun runs --json` lists what is left")
    if wanted.older_than is None and wanted.keep is None:
        raise LeakrunError(ErrorKind.USAGE, "which runs may go?", "--older-than 7d, --keep 10 or both: then each must allow it")
    older_than = _seconds(wanted.older_than)
    for problem in listed(runs_dir)[1]:
        screen.say(f"{problem}; it stays")
    going = pruning.prunable(rundir.runs(runs_dir), older_than, wanted.keep)
    sizes = {run.id: size_on_disk(run.path) for run in going}
    if not going:
        screen.say(f"there is nothing to remove in {runs_dir}")
        return 0
    if not wanted.dry_run and not wanted.yes and not _agreed(going, sum(sizes.values())):
        screen.say("nothing was removed")
        return 0
    failed = 0
    for run in going:
        try:
            if not wanted.dry_run:
                pruning.remove(run)
        except OSError as error:
            failed = 1
            screen.say(f"{error.filename or run.path} can't be removed: {error.strerror}")
        else:
            sys.stdout.write(f"{'would remove' if wanted.dry_run else 'removed'} {run.path} ({size_text(sizes[run.id])})\n")
    return failed


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise LeakrunError(ErrorKind.USAGE, f"--older-than: {error}", "write it as 12h or 7d") from None


def _agreed(going: list[RunDirectory], size: int) -> bool:
    """What a person at a terminal says; a script has said enough by naming what may go."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    for run in going:
        sys.stderr.write(f"  {run.path}\n")
    return typer.confirm(f"leakrun: remove {len(going)} run{'' if len(going) == 1 else 's'}, {size_text(size)}?", err=True)
