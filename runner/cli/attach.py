"""`leakrun attach PID`: measure a process that runs already, and let it go."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from runner import config
from runner.cli import screen
from runner.cli.run import adapted, exit_code

DEFAULT = "pmap"


def attach(
    pid: Annotated[int, typer.Argument(metavar="PID", help="The process.")],
    profile: Annotated[str | None, typer.Option("-p", "--profile", help=f"A profile that can attach. [{DEFAULT}]")] = None,
    output: Annotated[str | None, typer.Option("-o", "--output", help="The run directory; must not exist.")] = None,
    runs_dir: Annotated[str | None, typer.Option(help="Where run directories go. [./leakrun-runs]")] = None,
    every: Annotated[str | None, typer.Option(help="Take a snapshot at this interval: 500ms, 30s, 5m.")] = None,
    for_: Annotated[str | None, typer.Option("--for", help="Let go after this long.")] = None,
    warmup: Annotated[str | None, typer.Option(help="What the analysis of growth leaves out at the start.")] = None,
    children: Annotated[str | None, typer.Option(help="Whose recordings matter: all, none or a program's name.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="One option of the profile: KEY=VALUE. Repeatable.")] = None,
    error_exitcode: Annotated[str | None, typer.Option(help="Exit with this when the verdict is leaking or growing.")] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Nothing on stderr but errors.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="More of everything.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours.")] = False,
    config_file: Annotated[str | None, typer.Option("--config", help="A file of these options.")] = None,
) -> int:
    """Measure a process that runs already, and let it go.

    \b
      leakrun attach 4711                            which kind of memory grows; Ctrl-C lets go
      leakrun attach $(pidof redis-server) --every 5s --for 10m
      leakrun attach 4711 -p bpf --for 30s           which code allocates and does not free (root)
      leakrun attach 4711 -p heaptrack --for 5m      the same, with every allocation counted

    It is neither restarted nor ever ended: Ctrl-C, `leakrun stop` and --for let it go.
    Exit code: 0, or 3 where nothing was measured.
    """
    typed = {
        "profile": profile,
        "runs_dir": runs_dir,
        "every": every,
        "for": for_,
        "warmup": warmup,
        "children": children,
        "error_exitcode": error_exitcode,
        "quiet": quiet or None,
        "verbose": verbose or None,
        "color": False if no_color else None,
    }
    settings = config.resolve(typed, os.environ, Path.cwd(), Path(config_file) if config_file else None)
    from runner import attaching, pipeline

    for warning in settings.warnings if not settings.quiet else ():
        screen.say(warning)
    target = attaching.inspect_process(pid)
    request = pipeline.Request(
        argv=target.argv,
        profile=adapted(pipeline.load_profile(settings.profile or DEFAULT, set_ or ()), settings),
        runs_dir=settings.runs_dir,
        output=Path(output) if output else None,
        duration=settings.for_,
        warmup=settings.warmup or 0.0,
        children=settings.children or "all",
        target=target,
    )
    with screen.Progress(enabled=not settings.quiet) as progress:
        run_directory, outcome = pipeline.record(request, progress.show)
    answer = pipeline.finish(run_directory)
    if not settings.quiet:
        screen.show_answer(answer, sys.stderr, color=settings.color, verbose=settings.verbose)
    return exit_code(outcome, answer, settings.error_exitcode)
