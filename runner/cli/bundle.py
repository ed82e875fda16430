"""`leakrun bundle RUN`: one archive of a run, to send."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from runner.cli import options, screen


def bundle(
    what: options.Run,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The archive: .tar.gz, .tar.zst or .tar. [ID.tar.gz here]"),
    ] = None,
    with_binaries: Annotated[
        bool, typer.Option("--with-binaries", help="The programs and libraries that ran go in too.")
    ] = False,
    runs_dir: options.RunsDir = None,
    config_file: options.ConfigFile = None,
) -> int:
    """Pack a run into one archive, to send it.

    Unpacked elsewhere, `leakrun show DIRECTORY` gives the same answer.

    \b
      leakrun bundle last
      leakrun bundle last --with-binaries -o crash.tar.zst
      tar xf crash.tar.zst && leakrun show memcheck-app-20260102T030405Z-1a2b

    What the profile's `redact` patterns find stays out, of the native files too. Prints the archive's path.
    """
    settings = options.settings(config_file, runs_dir=runs_dir)
    from runner import bundling, rundir

    run = rundir.find(what, settings.runs_dir)
    target = (output if output is not None else Path(f"{run.id}.tar.gz")).absolute()
    said = bundling.bundle(run, target, with_binaries=with_binaries)
    for sentence in said.left_out:
        screen.say(f"left out: {sentence}")
    binaries = f", {len(said.binaries)} of them programs and libraries" if said.binaries else ""
    screen.say(f"{said.files + len(said.binaries)} files{binaries}, {target.stat().st_size:,} bytes")
    sys.stdout.write(f"{target}\n")
    return 0
