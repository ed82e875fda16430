"""`leakrun stop RUN`: end a run in progress, with nothing lost."""

import sys

from runner.cli import options


def stop(
    what: options.RunInProgress,
    runs_dir: options.RunsDir = None,
    config_file: options.ConfigFile = None,
) -> int:
    """End a run in progress, with nothing lost.

    As its own Ctrl-C would: the last snapshot, the stop signal, and time to write.

    \b
      leakrun stop last

    Waits until the run is complete, and prints its directory.
    """
    settings = options.settings(config_file, runs_dir=runs_dir)
    from runner import live, rundir

    run = rundir.find(what, settings.runs_dir)
    live.stop(run)
    sys.stdout.write(f"{run.path}\n")
    return 0
