"""`leakrun runs`: the runs that are there, the newest last."""

import sys
from typing import Annotated

import typer

from runner.cli import options, screen
from runner.errors import ErrorKind, LeakrunError


def runs(
    json: Annotated[bool, typer.Option("--json", help="As JSON (leakrun.runs/1).")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove the runs that --older-than and --keep let go.")] = False,
    older_than: Annotated[
        str | None, typer.Option(metavar="DURATION", help="With --prune: only those that ended so long ago: 12h, 7d.")
    ] = None,
    keep: Annotated[int | None, typer.Option(min=0, help="With --prune: the newest so many stay.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --prune: only say what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="With --prune: don't ask.")] = False,
    runs_dir: options.RunsDir = None,
    config_file: options.ConfigFile = None,
) -> int:
    """List the runs that are there, or remove old ones.

    The newest is last: state, verdict, age, size on disk, program.

    \b
      leakrun runs
      leakrun runs --runs-dir /var/tmp/leakrun-runs
      leakrun runs --json | jq -r '.runs[] | select(.verdict == "growing") | .id'
      leakrun runs --prune --older-than 7d --keep 10

    A run is starting, running, stopping, complete, incomplete (nothing was measured), or lost: its leakrun died.
    """
    settings = options.settings(config_file, runs_dir=runs_dir)
    if prune:
        from runner.cli import prune as pruning

        return pruning.prune(settings.runs_dir, pruning.Wanted(older_than, keep, dry_run, yes), json=json)
    if older_than is not None or keep is not None or dry_run or yes:
        raise LeakrunError(ErrorKind.USAGE, "--older-than, --keep, --dry-run and --yes say what --prune is to do", "add --prune")
    from runner.cli.listing import listed
    from runner.reports import document, run_list

    found, problems = listed(settings.runs_dir)
    for problem in problems:
        screen.say(problem)
    if json:
        document.write(run_list.to_dict(found, str(settings.runs_dir), problems), sys.stdout)
    elif found:
        run_list.render(found, sys.stdout)
    else:
        screen.say(f"there is no run in {settings.runs_dir} yet: `leakrun PROGRAM` makes one")
    return 0
