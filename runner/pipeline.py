"""The only place that composes: record() a run, then read, resolve and analyse it; the same from the disk for a bare file."""

import gc
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runner import backends, profile, rundir, sanitizers, supervise
from runner.attaching import check_attaches
from runner.backends.base import Backend
from runner.errors import ErrorKind, LeakrunError
from runner.manifest import Manifest
from runner.plan import Event, EventKind, LaunchPlan, Outcome, RunCommand, Target, ToolStatus
from runner.profile import Profile
from runner.rundir import RunDirectory
from runner.supervise import proc

if TYPE_CHECKING:  # nothing that only reading needs is imported on the way to the launch
    from runner.model import Answer


class Request(NamedTuple):
    """What the user asked to have run, once all the options are resolved. Times are seconds.

    target   a process to attach to; None where `argv` is to be launched
    """

    argv: tuple[str, ...]
    profile: Profile
    runs_dir: Path
    output: Path | None = None
    cwd: Path | None = None
    env: tuple[tuple[str, str], ...] = ()
    duration: float | None = None
    warmup: float = 0.0
    children: str = "all"
    die_with_parent: bool = False
    ready: str | None = None
    load: str | None = None
    log_output: bool = False
    target: Target | None = None


def load_profile(name: str, overrides: Sequence[str] = (), tool_args: Sequence[str] = ()) -> Profile:
    """A shipped profile or a file of one's own, validated with its backend's options. Raises LeakrunError(USAGE)."""
    return profile.load(name, backends.options_for, overrides, tool_args)


def record(
    request: Request, ending: ExitStack, progress: Callable[[supervise.Progress], None] | None = None
) -> tuple[RunDirectory, Outcome]:
    """Run the program under its profile until it ends, or attach to it; all that it left is in the run directory.

    Until `ending` is closed, which is for after finish(), what asks for the end is not heard: it has come.
    Raises LeakrunError where the program can't be started or the tool can't see into it; then no directory is left behind.
    """
    backend = backends.get(request.profile.backend)
    rundir.check_free(request.output)
    target = request.target or inspect(request, backend)
    if target.pid is not None:
        check_attaches(request.profile.name, backend)
    tool = probed(backend, request.profile)
    run = RunDirectory.create(request.output, request.runs_dir, request.profile.name, request.argv[0])
    try:
        if target.pid is None:
            run.make_spool()
        run.make_reserve()
        plan = backend.plan(target, tool, _with_environment(request), run.spool or run.raw)
        plan = plan._replace(
            children=request.children,
            keep=request.profile.snapshots.keep,
            die_with_parent=request.die_with_parent,
        )
        run.write_profile(profile.dump(request.profile))
        journal = partial(_journal, run, request, plan, tool)
        places = supervise.Places(
            run.raw, run.maps, run.samples, run.requests, run.spool, run.output if request.log_output else None
        )
        gc.freeze()  # what was imported until now is not looked through again and again
        gc.enable()
        work = supervise.Work(run.load_log, request.ready, request.load) if request.ready or request.load else None
    except LeakrunError:
        _discard(run)
        raise
    ending.enter_context(supervise.deaf())
    try:
        outcome = supervise.run(plan, places, journal, duration=request.duration, progress=progress, work=work)
    except LeakrunError:
        _discard(run)
        raise
    _settle(run, plan, outcome)
    tidy(plan, backend, run)
    outcome.by_tool = backend.ended_by_tool(run.raw, outcome)
    if not backend.sanitized:
        sanitizers.note(outcome.processes, run.maps, target.cwd)
    journal(outcome, "stopping")
    return run, outcome


def _discard(run: RunDirectory) -> None:
    """Nothing ran: there is nothing to lose."""
    for path in filter(None, (run.path, run.spool)):
        shutil.rmtree(path)


def _settle(run: RunDirectory, plan: LaunchPlan, outcome: Outcome) -> None:
    """Bring what the tool wrote to where the run directory is now. Raises LeakrunError(UNMEASURED) where it was deleted."""
    if not run.follow():
        where = f"what is left of it is in {run.spool}" if run.spool else "leave it in its place until the run has ended"
        raise LeakrunError(ErrorKind.UNMEASURED, f"{run.path} was deleted while the program ran: its recording is lost", where)
    if run.spool is not None:
        supervise.empty_spool(run.spool, run.raw, plan.litter)
        supervise.remove_spool(run.spool)
    gather_output(run, outcome)
    outcome.files = supervise.written_at(run.raw, outcome.started_at)


def gather_output(run: RunDirectory, outcome: Outcome) -> None:
    """Make of the head and the tail of what the program wrote one file each, where they were kept (--log-output)."""
    if not run.output.is_dir():
        return
    from runner.supervise.passing import gather

    try:
        lost = gather(run.output)
        text = f"{lost:,} bytes of the program's output could not be passed on to where it was to go" if lost else ""
    except OSError as error:
        text = f"the copy of the program's output stays in parts: {error}"
    if text:
        outcome.timeline.append(Event(outcome.seconds, EventKind.NOTE, None, None, text))


def inspect(request: Request, backend: Backend) -> Target:
    """The program that would run. Raises LeakrunError where it can't."""
    from runner.symbols.target import inspect_target

    if request.cwd is not None and not request.cwd.is_dir():
        raise LeakrunError(ErrorKind.USAGE, f"--cwd {request.cwd} is not a directory", "name one that is there")
    environment = {**os.environ, **_with_environment(request).env}
    target = inspect_target(request.argv, request.cwd or Path.cwd(), environment, backend.marks)
    return target._replace(preload=environment.get("LD_PRELOAD", ""))


def _with_environment(request: Request) -> Profile:
    """The profile with the variables of the command line, which come before its own."""
    return replace(request.profile, env={**request.profile.env, **dict(request.env)})


def probed(backend: Backend, chosen: Profile) -> ToolStatus:
    """The native tool as it is here. Raises LeakrunError(UNMEASURED) where it is missing."""
    tool = backend.probe(chosen.options)
    if tool.path is None:
        raise LeakrunError(
            ErrorKind.UNMEASURED,
            f"profile {chosen.name} needs {tool.lacks or f'{tool.name}, which is not found here'}",
            tool.install if tool.lacks else f"install it: {tool.install}",
        )
    return tool


def _journal(run: RunDirectory, request: Request, plan: LaunchPlan, tool: ToolStatus, outcome: Outcome, state: str) -> None:
    """Write what is known of the run so far."""
    run.follow()
    run.write_manifest(manifest(run, request, plan, tool, outcome, state))


def manifest(run: RunDirectory, request: Request, plan: LaunchPlan, tool: ToolStatus, outcome: Outcome, state: str) -> Manifest:
    """What is known of the run so far; this process is its supervisor."""
    return rundir.manifest_of(
        plan,
        outcome,
        state,
        run_id=run.id,
        command=request.argv,
        profile=request.profile,
        tool=tool,
        warmup=request.warmup,
        children=request.children,
        duration=request.duration,
        supervisor=myself(),
        spool=str(run.spool) if run.spool else None,
    )


def myself() -> dict[str, int]:
    """This process, so that a run whose supervisor died is known as such."""
    stat = proc.stat(os.getpid())
    return {"pid": os.getpid(), "start_ticks": stat.start_ticks if stat else 0}


def tidy(plan: LaunchPlan, backend: Backend, run: RunDirectory) -> None:
    """Remove what the tool left behind and nobody needs, print what it wrote in its own words, and free the reserve."""
    for pattern in plan.litter:
        for path in run.raw.glob(pattern):
            path.unlink(missing_ok=True)
    for rendition in backend.renditions(run.raw):
        _render(rendition, run.raw)
    run.reserve.unlink(missing_ok=True)


def _render(rendition: RunCommand, raw: Path) -> None:
    """Keep what the command prints. It is a convenience: where it fails there is no such file, and nothing is lost."""
    assert rendition.stdout is not None
    path = raw / rendition.stdout
    try:
        with path.open("wb") as stream:
            subprocess.run(
                rendition.argv,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.DEVNULL,
                timeout=rendition.timeout,
                check=True,
            )
    except (OSError, subprocess.SubprocessError):
        path.unlink(missing_ok=True)


def never_came_up(request: Request, outcome: Outcome) -> bool:
    """Whether leakrun stopped the program before it counted as up (--ready): what was asked for was not measured then."""
    return outcome.stopped_by == "ready" or (outcome.stopped_by == "for" and request.ready is not None and outcome.ready is None)


def check_came_up(request: Request, run: RunDirectory, outcome: Outcome) -> None:
    """Raise LeakrunError(UNMEASURED) where the program was stopped before it had come up."""
    if never_came_up(request, outcome):
        message = f"the program never came up (--ready {request.ready}), and was stopped"
        raise LeakrunError(ErrorKind.UNMEASURED, message, f"leakrun show {run.path} -v")


def finish(run: RunDirectory) -> "Answer":
    """Name what the run recorded while the binaries are at hand, conclude, and close the run directory."""
    from runner import reading

    answer = reading.conclude_run(run, ended=True)
    shutil.rmtree(run.requests, ignore_errors=True)
    manifest = run.read_manifest()
    run.write_manifest({**manifest, "state": "complete" if answer.run["measured"] else "incomplete"})
    reading.write_answer(run, answer)
    return answer
