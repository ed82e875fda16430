"""`leakrun [OPTIONS] [--] PROGRAM [ARGS...]`: run a program under a profile, and say what it leaks."""

import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner import config
from runner.cli import options
from runner.errors import ErrorKind, LeakrunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.model import Answer
    from runner.pipeline import Request
    from runner.plan import Outcome
    from runner.profile import Profile

OURS = frozenset({"for", "load", "stop"})  # who stopped the program when leakrun did so by itself: that is success


def run(
    program: options.Program,
    profile: Annotated[
        str | None, typer.Option("-p", "--profile", metavar="NAME|FILE", help="A profile's name, or a YAML file. [memcheck]")
    ] = None,
    output: options.OutputDirectory = None,
    runs_dir: options.RunsDir = None,
    every: options.Every = None,
    for_: Annotated[str | None, typer.Option("--for", metavar="DURATION", help="Stop the program after this long.")] = None,
    grace: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long it may take to end after the stop signal.")
    ] = None,
    warmup: options.Warmup = None,
    children: options.Children = None,
    set_: options.Set = None,
    tool_arg: Annotated[
        list[str] | None, typer.Option(metavar="ARG", help="Passed to the native tool as it is. Repeatable.")
    ] = None,
    cwd: options.Cwd = None,
    env: options.Env = None,
    ready: options.Ready = None,
    load: options.Load = None,
    log_output: Annotated[
        bool, typer.Option("--log-output", help="Keep the head and the tail of the program's stdout and stderr.")
    ] = False,
    die_with_parent: Annotated[
        bool, typer.Option("--die-with-parent", help="When leakrun dies the program is to end too.")
    ] = False,
    error_exitcode: options.ErrorExitcode = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    no_color: options.NoColor = False,
    config_file: options.ConfigFile = None,
) -> int:
    """Run a program under a profile. `run` need not be typed.

    \b
      leakrun ./app --its-own-flag
      leakrun -p massif ./app args
      leakrun -p heapprofile --every 5s --for 2m ./server
      leakrun -p massif --set detailed_freq=5 -o out ./app
      leakrun -p massif --ready tcp:7000 --load './client 7000' ./server 7000
      leakrun --error-exitcode 9 ./test_suite        a gate for CI

    Exit code: 2 wrong usage, 126/127 the program can't be started, 3 it could not be measured, else the program's own.
    """
    settings = options.settings(
        config_file,
        profile=profile,
        runs_dir=runs_dir,
        every=every,
        for_=for_,
        grace=grace,
        warmup=warmup,
        children=children,
        error_exitcode=error_exitcode,
        quiet=quiet,
        verbose=verbose,
        no_color=no_color,
    )
    from runner import pipeline
    from runner.cli import screen

    for warning in settings.warnings if not settings.quiet else ():
        screen.say(warning)
    if settings.profile is None and not settings.quiet:
        screen.say("no profile was named: memcheck, which finds what is lost (`leakrun profiles` lists the others)")
    chosen = adapted(
        pipeline.load_profile(settings.profile if settings.profile is not None else "memcheck", set_ or (), tool_arg or ()),
        settings,
    )
    request = requested(program, chosen, settings, output, cwd=cwd, env=env, ready=ready, load=load)
    request = request._replace(die_with_parent=die_with_parent, log_output=log_output)
    return measured(request, settings)


def measured(request: "Request", settings: config.Settings) -> int:
    """Have it run, or attached to, and show the answer. Returns the exit code."""
    from runner import pipeline
    from runner.cli import screen

    with ExitStack() as ending:
        with screen.Progress(enabled=not settings.quiet) as progress:
            run_directory, outcome = pipeline.record(request, ending, progress.show)
        answer = pipeline.finish(run_directory)
    pipeline.check_came_up(request, run_directory, outcome)
    if outcome.load_failure and not settings.quiet:
        screen.say(outcome.load_failure)
    if not settings.quiet:
        screen.show_answer(answer, sys.stderr, color=settings.color, verbose=settings.verbose)
    return exit_code(outcome, answer, settings.error_exitcode)


def exit_code(outcome: "Outcome", answer: "Answer", error_exitcode: int | None) -> int:
    """The first exit code of docs/commands.md that applies to a run that took place."""
    from runner.model import Verdict

    if not answer.run["measured"]:
        return 3
    if outcome.exit_code and outcome.stopped_by not in OURS and not outcome.by_tool:
        return outcome.exit_code
    if error_exitcode is not None and answer.verdict in (Verdict.LEAKING, Verdict.GROWING):
        return error_exitcode
    return 0


def requested(
    program: "Sequence[str]",
    profile: "Profile",
    settings: config.Settings,
    output: str | None,
    *,
    cwd: str | None = None,
    env: "Sequence[str] | None" = None,
    ready: str | None = None,
    load: str | None = None,
) -> "Request":
    """A run as it was typed. Raises LeakrunError(USAGE)."""
    from runner.pipeline import Request
    from runner.supervise.workload import check_ready

    if ready is not None:
        check_ready(ready)
    return Request(
        argv=tuple(program),
        profile=profile,
        runs_dir=settings.runs_dir,
        output=Path(output) if output is not None else None,
        cwd=Path(cwd) if cwd else None,
        env=tuple(map(_pair, env or ())),
        duration=settings.for_,
        warmup=settings.warmup or 0.0,
        children=settings.children or "all",
        ready=ready,
        load=load,
    )


def adapted(profile: "Profile", settings: config.Settings) -> "Profile":
    """The profile with what the command line says of snapshots and of stopping."""
    changes: dict[str, Any] = {}
    if settings.every is not None:
        changes["snapshots"] = replace(profile.snapshots, every=settings.every, adaptive=False)
    if settings.grace is not None:
        changes["stop"] = replace(profile.stop, grace=settings.grace)
    return replace(profile, **changes)


def _pair(text: str) -> tuple[str, str]:
    """The two sides of --env K=V. Raises LeakrunError(USAGE)."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise LeakrunError(ErrorKind.USAGE, f"--env {text!r} is not K=V", "write it as --env NAME=VALUE")
    return name, value
