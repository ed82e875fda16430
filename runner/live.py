"""A run in progress, seen from another process: who supervises it, and what can be asked of that one."""

import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner import rundir
from runner.errors import ErrorKind, LeakrunError
from runner.manifest import Manifest
from runner.rundir import RunDirectory
from runner.supervise import proc, requests
from runner.supervise.requests import Taken
from runner.supervise.signals import send

ENDED = ("complete", "incomplete")
_POLL = 0.02  # seconds
_ANSWERED_WITHIN = 10.0  # seconds in which a living supervisor takes a request in; it looks twice a second


@dataclass(frozen=True, slots=True)
class Process:
    """A process that can't be mistaken for a later one with the same pid."""

    pid: int
    start_ticks: int

    def state(self) -> str:
        """Its state's letter in /proc/PID/stat (T is stopped); empty when it is gone."""
        stat = proc.stat(self.pid)
        return stat.state if stat is not None and stat.start_ticks == self.start_ticks and not stat.ended else ""


def process_of(entry: object) -> Process | None:
    """A process as a manifest names it; None where it names none."""
    if not isinstance(entry, Mapping):
        return None
    pid, ticks = entry.get("pid"), entry.get("start_ticks")
    return Process(pid, ticks) if isinstance(pid, int) and isinstance(ticks, int) and pid > 0 and ticks > 0 else None


def is_of_this_boot(manifest: Manifest) -> bool:
    """Pids of the manifest mean something here and now."""
    return bool(manifest["process"]["boot_id"]) and manifest["process"]["boot_id"] == proc.boot_id()


def is_hidden(manifest: Manifest) -> bool:
    """The run's pids are of a pid namespace (a container's, or the host's) of which nothing can be seen from here."""
    return is_of_this_boot(manifest) and _namespace(manifest) not in ("", proc.pid_namespace()) and not proc.all_namespaces_seen()


def named_here(manifest: Manifest, entry: object) -> Process | None:
    """A process as a manifest names it, by the pid that it has here; None where it names none, or none that is seen from here."""
    named = process_of(entry) if is_of_this_boot(manifest) else None
    pid = proc.pid_here(named.pid, named.start_ticks, _namespace(manifest)) if named is not None else None
    return Process(pid, named.start_ticks) if named is not None and pid is not None else None


def _namespace(manifest: Manifest) -> str:
    return str(manifest["process"].get("pid_namespace") or "")


def supervisor_of(manifest: Manifest) -> Process | None:
    """The leakrun that supervises the run now; None where there is none (any more), or none that is seen from here."""
    named = named_here(manifest, manifest.get("supervisor"))
    return named if named is not None and named.state() else None


def snapshot(run: RunDirectory) -> list[Taken]:
    """Have a snapshot taken now of each process of the run, and wait until each is confirmed or missed.

    Raises LeakrunError: USAGE where the run is not running, UNMEASURED where it takes no snapshots.
    """
    answer = _asked(run, requests.SNAPSHOT)
    if answer is None:
        raise LeakrunError(ErrorKind.UNMEASURED, f"{run.id} ended before a snapshot was confirmed", f"leakrun show {run.id}")
    if answer.get("refused"):
        raise LeakrunError(
            ErrorKind.UNMEASURED, f"no snapshot of {run.id}: {answer['refused']}", f"`leakrun show {run.id}` has what there is"
        )
    return [Taken(**each) for each in answer["taken"]]


def stop(run: RunDirectory) -> Manifest:
    """End the run so that nothing is lost, and wait until its directory is complete; the manifest then.

    Raises LeakrunError(USAGE) where the run is not running.
    """
    manifest = run.read_manifest()
    if rundir.is_hunt(manifest):  # it has no run of its own to ask; the one in progress is ended with it
        supervisor = _reachable(run, manifest)
        send(supervisor.pid, signal.SIGTERM, supervisor.start_ticks)
    else:
        _asked(run, requests.STOP)
    while True:
        manifest = run.read_manifest()
        if manifest["state"] in ENDED:
            return manifest
        if supervisor_of(manifest) is None and run.read_manifest()["state"] not in ENDED:
            raise _lost(run, manifest)
        time.sleep(_POLL)


def _asked(run: RunDirectory, ask: str) -> dict[str, Any] | None:
    """Put a request, and wait for its answer; None when the run ended without one."""
    manifest = run.read_manifest()
    supervisor = _reachable(run, manifest)
    if rundir.is_hunt(manifest):
        raise LeakrunError(ErrorKind.USAGE, f"{run.id} is a hunt: it takes its snapshots by itself", f"name one of {run.steps}")
    identity = f"{os.getpid()}-{os.urandom(4).hex()}"
    request, answer = (run.requests / f"{identity}{ending}" for ending in (requests.ASK, requests.ANSWER))
    try:
        requests.put(request, {"ask": ask})
        # A stop that comes too late to be heard is no failure: the run is about to be complete.
        deadline = time.monotonic() + (_ANSWERED_WITHIN if ask == requests.SNAPSHOT else float("inf"))
        while True:
            try:
                return dict(json.loads(answer.read_bytes()))
            except FileNotFoundError:
                pass
            if run.read_manifest()["state"] in ENDED:
                return None
            if request.exists():
                _check_taken(run, supervisor, deadline)
            elif not supervisor.state():
                raise _lost(run, run.read_manifest())
            time.sleep(_POLL)
    except FileNotFoundError:  # the directory of requests goes when the run is complete
        return None
    except PermissionError:
        raise LeakrunError(
            ErrorKind.USAGE, f"{run.requests} can't be written: it is another user's run", "ask as the user who runs it"
        ) from None
    except OSError as error:
        raise LeakrunError(
            ErrorKind.UNMEASURED, f"{run.requests} can't be written: {error.strerror}", "make room there"
        ) from None
    finally:
        for path in (request, answer):
            _remove(path)


def _remove(path: "os.PathLike[str]") -> None:
    try:
        os.unlink(path)  # noqa: PTH108
    except OSError:
        return  # it is gone, or the directory is


def _check_taken(run: RunDirectory, supervisor: Process, deadline: float) -> None:
    state = supervisor.state()
    if not state:
        raise _lost(run, run.read_manifest())
    if state in "Tt":
        raise LeakrunError(
            ErrorKind.USAGE, f"the leakrun of {run.id}, process {supervisor.pid}, is stopped", f"kill -CONT {supervisor.pid}"
        )
    if time.monotonic() > deadline:
        raise LeakrunError(
            ErrorKind.USAGE,
            f"the leakrun of {run.id}, process {supervisor.pid}, does not take the request",
            "the program has ended, and its output is being read: wait for it",
        )


def _reachable(run: RunDirectory, manifest: Manifest) -> Process:
    """Who supervises the run. Raises LeakrunError(USAGE) where nobody does, and says what became of it."""
    if manifest["state"] in ENDED:
        raise LeakrunError(ErrorKind.USAGE, f"{run.id} is not running: it is {manifest['state']}", f"leakrun show {run.id}")
    supervisor = supervisor_of(manifest)
    if supervisor is None:
        raise _lost(run, manifest)
    return supervisor


def _lost(run: RunDirectory, manifest: Manifest) -> LeakrunError:
    """The error for a run whose leakrun is gone."""
    if is_hidden(manifest):
        return LeakrunError(
            ErrorKind.USAGE, f"{run.id} was started in another pid namespace (a container, or the host)", "ask there"
        )
    target = named_here(manifest, manifest.get("process"))
    if target is not None and target.state():
        return LeakrunError(
            ErrorKind.USAGE,
            f"the leakrun of {run.id} was killed; its program, process {target.pid}, still runs",
            f"`leakrun recover {run.id}` takes it back",
        )
    return LeakrunError(
        ErrorKind.USAGE,
        f"the leakrun of {run.id} was killed, and its program has ended",
        f"`leakrun recover {run.id} --finish` makes of it what there is",
    )
