"""A run whose leakrun was killed: its program is taken back under care, or what is there is made an answer of."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from runner import backends, live, pipeline, profile, rundir, supervise
from runner.errors import ErrorKind, LeakrunError
from runner.manifest import Manifest, outcome_of
from runner.pipeline import Request
from runner.plan import Event, EventKind, LaunchPlan, Outcome, Target, ToolStatus
from runner.profile import Profile
from runner.rundir import RunDirectory
from runner.supervise import proc

# What was true when the program was started, and what to look for since: a plan made anew knows less of it.
_AS_IT_WAS = ("command", "argv", "environment", "cwd", "outputs", "loaded", "tool")


def recover(
    run: RunDirectory,
    ending: ExitStack,
    *,
    finish: bool = False,
    progress: Callable[[supervise.Progress], None] | None = None,
) -> Outcome:
    """Watch the program of the run to its end, as the leakrun that was killed would have; `finish` leaves the program alone.

    Where the program has ended too, or with `finish`, the outcome is what is there. What is left to do is pipeline.finish(),
    and closing `ending` then: until that what asks for the end is not heard, and nobody else recovers the run.
    Raises LeakrunError(USAGE) where there is nothing to recover.
    """
    ending.enter_context(_alone(run))
    ending.enter_context(supervise.deaf())
    manifest = run.read_manifest()
    _check(run, manifest)
    outcome = outcome_of(manifest)
    living = _living(manifest, outcome)
    chosen = profile.load(str(run.profile), backends.options_for)
    run.spool = _spool(manifest)
    plan, tool = _planned(run, manifest, chosen)
    journal = partial(_journal, run, manifest, plan, tool, chosen)
    if finish or not living:
        _note_the_end(outcome, living)
        if run.spool is not None:
            supervise.empty_spool(run.spool, run.raw, () if living else plan.litter)
        outcome.files = supervise.written_at(run.raw, outcome.started_at)
    else:
        _check_main(run, outcome, living)
        places = supervise.Places(run.raw, run.maps, run.samples, run.requests, run.spool)
        outcome = supervise.run(plan, places, journal, progress=progress, former=outcome, duration=_duration(manifest))
        living = []
    if not living:
        pipeline.gather_output(run, outcome)
    if run.spool is not None and not living:
        supervise.remove_spool(run.spool)
    pipeline.tidy(plan._replace(litter=() if living else plan.litter), backends.get(chosen.backend), run)
    journal(outcome, "stopping")
    return outcome


@contextmanager
def _alone(run: RunDirectory) -> Iterator[None]:
    """Two that recover one run at once would both take it: a lock on the directory, which goes with the process."""
    directory = os.open(run.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise LeakrunError(ErrorKind.USAGE, f"{run.id} is being recovered already", "leakrun runs") from None
    finally:
        os.close(directory)


def _check(run: RunDirectory, manifest: Manifest) -> None:
    if manifest["state"] in live.ENDED:
        raise LeakrunError(
            ErrorKind.USAGE, f"{run.id} is {manifest['state']}: there is nothing to recover", f"leakrun show {run.id}"
        )
    supervisor = live.supervisor_of(manifest)
    if supervisor is not None:
        raise LeakrunError(
            ErrorKind.USAGE,
            f"{run.id} is in progress, and process {supervisor.pid} supervises it",
            f"`leakrun stop {run.id}` ends it",
        )
    if live.is_hidden(manifest):
        raise LeakrunError(
            ErrorKind.USAGE, f"{run.id} was started in another pid namespace (a container, or the host)", "recover it there"
        )
    if rundir.is_hunt(manifest):
        last = next(iter(reversed(rundir.steps_of(run))), run)
        raise LeakrunError(
            ErrorKind.USAGE,
            f"{run.id} is a hunt: what its runs recorded stands, `leakrun show {run.id}`",
            f"`leakrun recover {last.path}` takes back the program of its last run",
        )
    if not isinstance(manifest["process"].get("pid"), int):
        raise LeakrunError(
            ErrorKind.USAGE, f"{run.id}: its program was never started: there is nothing to recover", f"rm -r {run.path}"
        )


def _duration(manifest: Manifest) -> float | None:
    """What --for said: seconds since the program's start, of which those when nobody watched it are a part."""
    duration = manifest.get("duration")
    return float(duration) if isinstance(duration, int | float) else None


def _living(manifest: Manifest, outcome: Outcome) -> list[int]:
    """The processes of the run that still run."""
    entries = [{"pid": each.pid, "start_ticks": each.start_ticks} for each in outcome.processes if each.start_ticks]
    named = [live.named_here(manifest, each) for each in entries]
    return [each.pid for each in named if each is not None and each.state()]


def _check_main(run: RunDirectory, outcome: Outcome, living: list[int]) -> None:
    if outcome.pid_namespace not in ("", proc.pid_namespace()):
        raise LeakrunError(
            ErrorKind.USAGE,
            f"{run.id}: its program, process {living[0]} here, runs in another pid namespace (a container)",
            f"recover it there; `leakrun recover {run.id} --finish` leaves the program alone",
        )
    if all(each.pid != outcome.pid for each in outcome.processes):
        raise LeakrunError(
            ErrorKind.USAGE,
            f"{run.id}: its leakrun was killed before it had written what its program is",
            f"`leakrun recover {run.id} --finish` leaves the program alone",
        )


def _spool(manifest: Manifest) -> Path | None:
    """Where the tool writes, while that is there."""
    spool = manifest.get("spool")
    return Path(spool) if isinstance(spool, str) and Path(spool).is_dir() else None


def _planned(run: RunDirectory, manifest: Manifest, chosen: Profile) -> tuple[LaunchPlan, ToolStatus]:
    """The plan that the run was started with, as far as it still matters: triggers, and how to stop."""
    backend = backends.get(chosen.backend)
    tool = pipeline.probed(backend, chosen)
    children = str(manifest.get("children") or "all")
    return backend.plan(_target(manifest, chosen), tool, chosen, run.spool or run.raw)._replace(
        children=children, keep=chosen.snapshots.keep
    ), tool


def _target(manifest: Manifest, chosen: Profile) -> Target:
    """The program as it was; where it is not there any more, as much of it as the manifest says."""
    command = tuple(manifest["command"])
    cwd = Path(manifest.get("cwd") or "/")
    try:
        return pipeline.inspect(Request(command, chosen, Path(), cwd=cwd), backends.get(chosen.backend))
    except LeakrunError:
        return Target(command, Path(command[0]), cwd)


def _journal(
    run: RunDirectory,
    former: Manifest,
    plan: LaunchPlan,
    tool: ToolStatus,
    chosen: Profile,
    outcome: Outcome,
    state: str,
) -> None:
    request = Request(
        argv=tuple(former["command"]),
        profile=chosen,
        runs_dir=run.path.parent,
        warmup=float(former.get("warmup") or 0.0),
        children=str(former.get("children") or "all"),
        duration=_duration(former),
    )
    manifest = pipeline.manifest(run, request, plan, tool, outcome, state)
    run.write_manifest({**manifest, **{key: former[key] for key in _AS_IT_WAS if key in former}})


def _note_the_end(outcome: Outcome, living: list[int]) -> None:
    """Say in the timeline how the run came to its end."""
    last = outcome.timeline[-1].time if outcome.timeline else 0.0
    text = "the leakrun of this run was killed: what happened after that was not seen"
    if living:
        text += f"; process {living[0]} still ran when the run was finished"
    outcome.timeline.append(Event(last, EventKind.NOTE, None, None, text))
