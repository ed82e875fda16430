"""Old runs are removed: which, and how. Never one that somebody still runs, or whose program does."""

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from runner import live
from runner.errors import LeakrunError
from runner.manifest import Manifest
from runner.rundir import SPOOL, RunDirectory


def prunable(runs: Sequence[RunDirectory], older_than: float | None, keep: int | None) -> list[RunDirectory]:
    """Of the runs, oldest first, those that may go: ended more than `older_than` seconds ago, and none of the `keep` newest.

    One that can't be read stays: it may be of a newer leakrun, or somebody else's.
    """
    return [run for run in runs[: len(runs) - (keep or 0)] if _may_go(run, older_than)]


def _may_go(run: RunDirectory, older_than: float | None) -> bool:
    try:
        manifests = [run.read_manifest(), *_of_steps(run)]
        ended = max(float(each["started_at"]) + float(each["seconds"]) for each in manifests)
        return not any(map(_lives, manifests)) and (older_than is None or time.time() - ended > older_than)
    except (LeakrunError, KeyError, TypeError, ValueError):
        return False


def _of_steps(run: RunDirectory) -> list[Manifest]:
    """The manifests of the runs that lie in this one: a run of several."""
    return [RunDirectory(path.parent).read_manifest() for path in run.path.glob("steps/*/manifest.json")]


def _lives(manifest: Manifest) -> bool:
    """A process of the run runs still, or the leakrun that watches it."""
    if not live.is_of_this_boot(manifest) or manifest["exit"].get("detached"):
        return False
    if live.is_hidden(manifest) and manifest["state"] not in live.ENDED:
        return True  # for all that can be seen from here
    named = [*manifest["processes"]]
    if manifest["state"] not in live.ENDED:  # else its supervisor is at other things, if it is there
        named += [manifest.get("process"), manifest.get("supervisor")]
    return any(process.state() for each in named if (process := live.named_here(manifest, each)) is not None)


def remove(run: RunDirectory) -> None:
    """Remove the run, and what its leakrun left outside of it. Raises OSError.

    The manifest goes last: what could not be removed is still a run.
    """
    spools = [spool for each in (run.read_manifest(), *_of_steps(run)) if (spool := _spool_of(each, run.path)) is not None]
    for spool in spools:
        shutil.rmtree(spool)
    for path in run.path.iterdir():
        if path != run.manifest:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    run.manifest.unlink()
    run.path.rmdir()


def _spool_of(manifest: Manifest, run: Path) -> Path | None:
    """The directory outside that the tool wrote to, if it is there and of leakrun's own making: the manifest may be anybody's."""
    named = manifest.get("spool")
    if not isinstance(named, str):
        return None
    spool = Path(named)
    if not SPOOL.fullmatch(spool.name) or spool.parent not in (run.parent, Path("/var/tmp"), Path("/tmp")):
        return None
    with suppress(OSError):
        if spool.lstat().st_uid == run.lstat().st_uid and spool.is_dir() and not spool.is_symlink():
            return spool
    return None
