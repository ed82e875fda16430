"""`leakrun hunt [OPTIONS] -- PROGRAM [ARGS...]`: from cheap to dear tools until the answer is sure."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli import options
from runner.cli.run import exit_code, requested
from runner.errors import ErrorKind, LeakrunError

if TYPE_CHECKING:
    from runner.hunt import Hunted


def hunt(
    program: options.Program,
    budget: Annotated[str, typer.Option(metavar="DURATION", help="How long the hunt may take as a whole.")] = "10m",
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="DIR", help="The hunt's directory; must not exist.")
    ] = None,
    runs_dir: options.RunsDir = None,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="Stop the program after this long, each time. [it depends]")
    ] = None,
    warmup: options.Warmup = None,
    children: options.Children = None,
    cwd: options.Cwd = None,
    env: options.Env = None,
    ready: options.Ready = None,
    load: options.Load = None,
    error_exitcode: options.ErrorExitcode = None,
    json: Annotated[
        bool, typer.Option("--json", help="The answer on stdout (leakrun.answer/1); what the program prints goes to stderr.")
    ] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    no_color: options.NoColor = False,
    config_file: options.ConfigFile = None,
) -> int:
    """Try one tool after another until it is sure what leaks.

    \b
      leakrun hunt -- ./app args
      leakrun hunt --budget 30m --ready tcp:7000 --load './client 7000' -- ./server 7000
      leakrun hunt --for 20s --json -- ./daemon | jq .findings

    It runs the program several times, under cheap tools first.
    Each run is an ordinary run directory below steps/. Exit codes are those of `leakrun run`.
    """
    settings = options.settings(
        config_file,
        runs_dir=runs_dir,
        for_=for_,
        warmup=warmup,
        children=children,
        error_exitcode=error_exitcode,
        quiet=quiet,
        verbose=verbose,
        no_color=no_color,
    )
    from runner import pipeline
    from runner.cli import screen
    from runner.hunt import hunt as go

    first = pipeline.load_profile("pmap")
    request = requested(program, first, settings, output, cwd=cwd, env=env, ready=ready, load=load)
    seconds = _budget(budget)
    with screen.Progress(enabled=not settings.quiet) as progress, _stdout_to_stderr(wanted=json):
        say = (lambda _: None) if settings.quiet else progress.say
        for warning in settings.warnings:
            say(warning)
        say(f"{program[0]} will be run several times, one after another, within {budget} (--budget)")
        hunted = go(request, say, progress.show, budget=seconds)
    if json:
        from runner.reports import answer_json

        answer_json.write(hunted.answer, sys.stdout)
    elif not settings.quiet:
        screen.show_answer(hunted.answer, sys.stderr, color=settings.color, verbose=settings.verbose)
    return _exit_code(hunted, settings.error_exitcode)


def _budget(text: str) -> float:
    from runner.quantities import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise LeakrunError(ErrorKind.USAGE, f"--budget: {error}", "write 30s, 10m, 1h") from None
    if seconds < 1:
        raise LeakrunError(ErrorKind.USAGE, f"--budget {text} is too short", "give it a second at least; 10m is the default")
    return seconds


@contextmanager
def _stdout_to_stderr(*, wanted: bool) -> Iterator[None]:
    """While the program runs, what it prints goes to stderr, so that stdout has the answer alone."""
    if not wanted:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _exit_code(hunted: "Hunted", error_exitcode: int | None) -> int:
    """The program's own code is that of the run that nothing slowed; after Ctrl-C that of the last one."""
    return exit_code(hunted.last if hunted.interrupted else hunted.plain, hunted.answer, error_exitcode)
