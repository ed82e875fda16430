"""mtrace: glibc's own trace of malloc, in programs that were not made for it: every allocation and every free, by caller."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from runner.backends import _preload, _shim
from runner.backends.base import LOADED, Backend, ToolOptions, refuse_args
from runner.kinds import FindingKind, Metric
from runner.plan import LaunchPlan, Outcome, Target, ToolStatus
from runner.profile import Profile

if TYPE_CHECKING:  # what only reading needs is imported when it reads
    from runner.model import Recording

SOURCE = Path(__file__).with_name("_mtrace_shim.c")
SPLIT = (2, 34)  # of glibc: from here on tracing is in a library of its own
OTHER_PLACE = "set XDG_CACHE_HOME, where the shim is built, to another directory"
DEBUG_LIBRARY = "libc_malloc_debug.so.0"
DIRECTORIES = ("/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64", "/usr/lib", "/lib")
LOG = re.compile(r"mtrace\.(\d+)\.(\d+)\.log")


class MtraceOptions(ToolOptions):
    """mtrace has no options."""


class Mtrace(Backend):
    """Preloads a small library that calls mtrace(3) in each process."""

    name = "mtrace"
    measures = frozenset({Metric.LIVE_BYTES, Metric.LIVE_BLOCKS, Metric.ALLOCATED_BYTES, Metric.ALLOCATED_BLOCKS})
    sees = frozenset({FindingKind.GROWING})
    cost = "1.2 to 6 times slower, and a line of log for each malloc and free"
    slowdown = 3.0
    accounts = False  # the log has one frame of each call
    sanitized = False
    Options: ClassVar[type[ToolOptions]] = MtraceOptions

    def probe(self, options: ToolOptions) -> ToolStatus:
        """Find glibc's tracing, and the shim; the first time, build it."""
        version = glibc_version()
        if not version:
            return ToolStatus(
                "mtrace", None, lacks="glibc, and this system has another C library", install="use --profile memcheck"
            )
        if version >= SPLIT and not _has_debug_library():
            return ToolStatus(
                DEBUG_LIBRARY, None, version, install="apt-get install libc6  (dnf install glibc-utils, pacman -S glibc)"
            )
        try:
            return ToolStatus("mtrace", _shim.built(SOURCE), version, install=_shim.INSTALL)
        except _shim.ShimError as missing:
            return ToolStatus(str(missing), None, version, install=_shim.INSTALL)

    def plan(self, target: Target, tool: ToolStatus, profile: Profile, out: Path) -> LaunchPlan:
        """Environment only; the argv stays the user's. No snapshots: the log has every event, and snapshots are made of it."""
        refuse_args(profile, LOADED)
        tracing = DEBUG_LIBRARY if tool.version >= SPLIT else ""
        behind = ":".join(filter(None, (tracing, target.preload)))
        env: dict[str, str | None] = dict(profile.env)
        # The shim comes first: it takes muntrace()'s place.
        env["LD_PRELOAD"] = _preload.preloaded(target._replace(preload=behind), tool.path, OTHER_PLACE)
        env["LEAKRUN_MTRACE"] = str(out)
        return LaunchPlan(
            argv=target.argv,
            env=env,
            cwd=target.cwd,
            stop=profile.stop_plan(streams=True),
            outputs=("mtrace.*.log",),
            loaded=tool.path.name if tool.path else None,
        )

    def read(self, out: Path, profile: Profile, outcome: Outcome) -> "list[Recording]":
        """The log of each process; of one that became another program by exec, that of its last program stands first."""
        return [_read(each.path, each.pid, each.latest, outcome) for each in _shim.records(out, LOG, outcome.pid)]


def _read(path: Path, pid: int, latest: bool, outcome: Outcome) -> "Recording":
    from runner.formats import mtrace as mtrace_format

    process = next((each for each in outcome.processes if each.pid == pid), None)
    ended = process.ended if process and process.ended is not None else outcome.seconds
    with path.open("rb") as stream:
        recording = mtrace_format.read(stream, path.name, outcome.started_at + ended if latest else None)
    recording.pid = pid
    if not latest:
        recording.limits.append(f"process {pid} became another program by exec: {path.name} is what it was before")
    _excuse_the_cut(recording, path.name, ended_by_itself=pid == outcome.pid and latest and _exited(outcome))
    return recording


def _exited(outcome: Outcome) -> bool:
    return outcome.code is not None and outcome.stopped_by is None


def _excuse_the_cut(recording: "Recording", name: str, *, ended_by_itself: bool) -> None:
    """glibc writes 512 bytes at a time: whoever ends by a signal, _exit() or exec leaves the log cut, and that is all."""
    from runner.formats.mtrace import CUT

    cut = f"{name}: {CUT}"
    if cut not in recording.flaws:
        return
    at = recording.flaws.index(cut)
    if ended_by_itself:
        recording.flaws[at] = f"{cut}, though the program ended by itself: is the disk full, or did it end by _exit()?"
        return
    del recording.flaws[at]
    recording.complete = not recording.flaws
    recording.limits.append("glibc had not yet written the last few events when the process ended")


def glibc_version() -> tuple[int, ...]:
    """The version of the C library that runs this Python; empty where it is not glibc."""
    try:
        named = re.fullmatch(r"glibc (\d+)\.(\d+).*", os.confstr("CS_GNU_LIBC_VERSION") or "")
    except (ValueError, OSError):
        return ()
    return (int(named[1]), int(named[2])) if named else ()


def _has_debug_library() -> bool:
    """Whether it is where distributions put it, or where the loader says."""
    if any(Path(directory, DEBUG_LIBRARY).exists() for directory in DIRECTORIES):
        return True
    return next(_preload.libraries(DEBUG_LIBRARY), None) is not None
