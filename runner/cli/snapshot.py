"""`leakrun snapshot RUN`: take a snapshot now of a run in progress."""

import sys

from runner.cli import options, screen


def snapshot(
    what: options.RunInProgress,
    runs_dir: options.RunsDir = None,
    config_file: options.ConfigFile = None,
) -> int:
    """Take a snapshot now of a run in progress.

    Waits until it is confirmed, and prints its path.

    \b
      leakrun snapshot last
      leakrun snapshot heapprofile-server

    One of each of its processes. Exit code: 3 where one was missed.
    """
    settings = options.settings(config_file, runs_dir=runs_dir)
    from runner import live, rundir

    run = rundir.find(what, settings.runs_dir)
    taken = live.snapshot(run)
    for each in taken:
        if each.file:
            sys.stdout.write(f"{run.raw / each.file}\n")
        else:
            screen.say(f"no snapshot of process {each.pid}: {each.reason}")
    return 0 if all(each.file for each in taken) else 3
