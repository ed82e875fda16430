"""The runs that are there, as far as their directories say: what `runs` lists, and `runs --prune` removes."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from runner import live, rundir
from runner.errors import ErrorKind, LeakrunError
from runner.kinds import Verdict
from runner.manifest import Manifest, outcome_of
from runner.reports.run_list import Listed
from runner.rundir import RunDirectory
from runner.supervise import proc

LOST = "lost"  # neither the program nor its supervisor runs any more, and nobody has closed the run
ENDED = ("complete", "incomplete")
_YEAR_10000 = 253_402_300_800.0  # Unix time: what is damaged may be anything
_BLOCK = 512  # st_blocks counts these, whatever the file system's own are


def listed(runs_dir: Path) -> tuple[list[Listed], list[str]]:
    """The runs below `runs_dir`, the newest last, and a sentence for each directory there that is not, or can't be read.

    Raises LeakrunError(USAGE) where `runs_dir` is a file, or closed to us.
    """
    if runs_dir.exists() and not runs_dir.is_dir():
        raise LeakrunError(ErrorKind.USAGE, f"{runs_dir} is not a directory", "name one with --runs-dir")
    found: list[Listed] = []
    problems: list[str] = []
    known = rundir.runs(runs_dir)
    for run in known:
        try:
            found.append(_listed(run, problems))
        except LeakrunError as error:
            named = str(run.path) in error.message
            problems.append(error.message if named else f"{run.path}: {error.message}")
    return found, [*problems, *_foreign(runs_dir, {run.id for run in known})]


def _foreign(runs_dir: Path, known: set[str]) -> Iterator[str]:
    """A sentence for each directory that is no run."""
    if not runs_dir.is_dir():
        return
    for path in sorted(runs_dir.iterdir()):
        if path.name not in known and path.is_dir() and not rundir.SPOOL.fullmatch(path.name):
            yield f"{path} is not a run directory: it has no manifest.json"


def _listed(run: RunDirectory, problems: list[str]) -> Listed:
    """What is known of a run. Raises LeakrunError(USAGE) for a manifest that is damaged, or of a newer leakrun."""
    manifest = run.read_manifest()
    outcome = outcome_of(manifest)
    command = manifest.get("command")
    if not isinstance(command, list):
        raise run.damaged("its command is no list")
    started = outcome.started_at if 0 < outcome.started_at < _YEAR_10000 else None
    return Listed(
        id=run.id,
        directory=str(run.path),
        state=state_of(manifest),
        verdict=_verdict(run, problems),
        started_at=started,
        age=None if started is None else max(0.0, time.time() - started),
        size=size_on_disk(run.path),
        profile=str(manifest.get("profile")),
        command=[str(word) for word in command],
    )


def _verdict(run: RunDirectory, problems: list[str]) -> str | None:
    """What answer.json says; None where there is none yet."""
    try:
        answer = json.loads(run.answer.read_bytes())
        return Verdict(answer["verdict"]).value
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        problems.append(f"{run.answer} can't be read ({type(error).__name__}): `leakrun show {run.id}` has the answer")
        return None


def state_of(manifest: Manifest) -> str:
    """The state as it is now: "lost" for a run in progress of which no process is left, or which another boot began."""
    state = str(manifest["state"])
    if state in ENDED:
        return state
    boot = manifest["process"]["boot_id"]
    if boot and boot != proc.boot_id():
        return LOST
    if live.is_hidden(manifest):
        return state  # for all that can be seen from here
    # The supervisor works on after the program has ended: it prints, names and concludes.
    entries = (manifest["process"], manifest.get("supervisor"))
    named = (live.named_here(manifest, each) if boot else live.process_of(each) for each in entries)
    return state if any(each.state() for each in named if each is not None) else LOST


def size_on_disk(directory: Path) -> int:
    """Bytes that the directory and all below it take up; what vanishes meanwhile, or is closed to us, counts nothing."""
    total = 0
    for place, _, names in os.walk(directory):
        for path in (place, *(os.path.join(place, name) for name in names)):  # noqa: PTH118  # a Path for each costs half of it
            try:
                total += os.lstat(path).st_blocks * _BLOCK
            except OSError:
                continue
    return total
