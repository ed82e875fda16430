"""Options that several verbs have, each declared once, and the settings that come of them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from runner import config
from runner.errors import ErrorKind, LeakrunError
from runner.quantities import shown

# All are texts or flags: `run` and `show` take their values as they were typed (application.TextCommand).
Program = Annotated[list[str], typer.Argument(help="The program and its arguments.", metavar="PROGRAM [ARGS]...")]
OutputDirectory = Annotated[str | None, typer.Option("-o", "--output", metavar="DIR", help="The run directory; must not exist.")]
RunsDir = Annotated[str | None, typer.Option(metavar="DIR", help="Where run directories are. [./leakrun-runs]")]
Every = Annotated[str | None, typer.Option(metavar="DURATION", help="Take a snapshot at this interval: 500ms, 30s, 5m.")]
Warmup = Annotated[str | None, typer.Option(metavar="DURATION", help="What the analysis of growth leaves out at the start.")]
Children = Annotated[
    str | None, typer.Option(metavar="all|none|NAME", help="Whose recordings matter: all, none or a program's name.")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One option of the profile: depth=60. Repeatable.")
]
Cwd = Annotated[str | None, typer.Option(metavar="DIR", help="The program's working directory.")]
Env = Annotated[list[str] | None, typer.Option(metavar="K=V", help="One variable of the program's environment. Repeatable.")]
Ready = Annotated[
    str | None,
    typer.Option(metavar="tcp:PORT|CMD", help="When the program counts as up: it answers there, or the command succeeds."),
]
Load = Annotated[str | None, typer.Option(metavar="CMD", help="A command to run against it then; its end stops the program.")]
ErrorExitcode = Annotated[str | None, typer.Option(metavar="N", help="Exit with this when the verdict is leaking or growing.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Nothing on stderr but errors.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="All findings, whole stacks, exact figures.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours.")]
ConfigFile = Annotated[str | None, typer.Option("--config", metavar="FILE", help="A file of these options.")]

# What is read, and where to write what is made of it.
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run: path, id, unique prefix, `last`.")]
RunInProgress = Annotated[str, typer.Argument(metavar="RUN", help="A run in progress: path, id, unique prefix, `last`.")]
RunOrFiles = Annotated[
    list[str], typer.Argument(metavar="RUN|FILE...", help="A run (path, id, unique prefix, `last`) or native outputs.")
]
Moment = Annotated[str, typer.Argument(metavar="RUN|FILE", help="RUN, FILE, RUN@N or RUN:PID@N.")]
Exe = Annotated[str | None, typer.Option(metavar="FILE", help="Where the program's binary is now.")]
SymbolPath = Annotated[list[str] | None, typer.Option(metavar="DIR", help="Where binaries and debug files are. Repeatable.")]
OutputFile = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="The file to write. [stdout]")]


def settings(
    config_file: str | None, *, quiet: bool = False, verbose: bool = False, no_color: bool = False, **texts: str | None
) -> config.Settings:
    """The settings that hold, by what was typed of them. Raises LeakrunError(USAGE)."""
    typed = {**texts, "quiet": quiet or None, "verbose": verbose or None, "color": False if no_color else None}
    return config.resolve(typed, os.environ, Path.cwd(), None if config_file is None else Path(config_file))


def search_path(exe: str | None, symbol_path: Sequence[str] | None) -> tuple[Path, ...]:
    """Where binaries and debug files are, by what was typed of it. Raises LeakrunError(USAGE) for what is not there."""
    typed = [*([("--exe", exe)] if exe is not None else ()), *(("--symbol-path", path) for path in symbol_path or ())]
    for option, path in typed:
        if not os.path.exists(path):  # noqa: PTH110  # Path.exists() raises for a name that is too long
            raise LeakrunError(ErrorKind.USAGE, f"{option} {shown(path)} is not there", "name a file or a directory that is")
    return tuple(Path(path) for _, path in typed)
