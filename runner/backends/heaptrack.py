"""heaptrack: every allocation and every free with its whole stack, as they happen; of a program started here, or attached to.

Its library is loaded without heaptrack's script, and writes its raw record straight to a file: no pipe that would break, no
process between that could be ended, and the names are found by leakrun as for every other tool.
"""

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from runner.backends import _gdb, _preload, _shim
from runner.backends.base import LOADED, Backend, ToolOptions, refuse_args
from runner.errors import ErrorKind, LeakrunError
from runner.kinds import FindingKind, Metric
from runner.plan import LaunchPlan, Outcome, Sidecar, Target, ToolStatus
from runner.profile import NextToFile, Profile

if TYPE_CHECKING:  # what only reading needs is imported when it reads
    from runner.model import Recording

INSTALL = "apt-get install heaptrack  (dnf install heaptrack, pacman -S heaptrack, conda install -c conda-forge heaptrack)"
SHIM = Path(__file__).with_name("_heaptrack_shim.c")
ATTACH = Path(__file__).with_name("_heaptrack_attach.py")
PRELOAD, INJECT = "libheaptrack_preload.so", "libheaptrack_inject.so"
# Beside heaptrack's own place, which its script's leads to.
DIRECTORIES = ("/usr/lib/heaptrack", "/usr/lib64/heaptrack", "/usr/local/lib/heaptrack", "/usr/lib/*/heaptrack")
RECORD = re.compile(r"heaptrack\.(\d+)\.(\d+)\.raw")
LONGEST_ATTACH = 60.0  # seconds
UNWRITTEN = (
    5.0  # seconds: heaptrack writes 4 KiB at a time, and notes the time and the size every 10 ms: about 4 s of nothing else
)

NO_SHIM = (
    "there is no C compiler to build leakrun's shim with: the last 4 KiB of the record are lost where a signal or _exit() ends "
    "the program, and programs that it starts are not followed"
)
NO_GDB = "gdb is not here: it can't attach"
FORKS = "heaptrack does not follow a process that was forked, until that becomes another program by exec"


class HeaptrackOptions(ToolOptions):
    """heaptrack has none of its own.

    library   the libheaptrack_preload.so to load; found by itself where it is not given
    """

    library: Annotated[str, NextToFile()] | None = None


class Heaptrack(Backend):
    """Preloads heaptrack's library, or has gdb load it into a process that runs already."""

    name = "heaptrack"
    measures = frozenset(
        {Metric.LIVE_BYTES, Metric.LIVE_BLOCKS, Metric.ALLOCATED_BYTES, Metric.ALLOCATED_BLOCKS, Metric.RSS_BYTES}
    )
    sees = frozenset({FindingKind.GROWING})
    attaches = True
    cost = "0.2 to 1 us for each malloc and free; about 20 bytes on the disk for each"
    slowdown = 4.0
    clocked = True
    forks = False
    sanitized = False
    Options: ClassVar[type[ToolOptions]] = HeaptrackOptions

    def probe(self, options: ToolOptions) -> ToolStatus:
        """Find heaptrack's library, and leakrun's shim; the first time, build it."""
        assert isinstance(options, HeaptrackOptions)
        library = Path(options.library) if options.library else find_library()
        if library is None or not library.is_file():
            return ToolStatus(f"heaptrack ({options.library})" if options.library else "heaptrack", None, install=INSTALL)
        shim = _built_shim()
        limits = [] if shim else [NO_SHIM]
        if shutil.which("gdb") is None:
            limits.append(NO_GDB)
        return ToolStatus("heaptrack", library, _version(), tuple(limits), INSTALL, shim)

    def plan(self, target: Target, tool: ToolStatus, profile: Profile, out: Path) -> LaunchPlan:
        """Environment only; the argv stays the user's. To attach, gdb at the start and at the end."""
        refuse_args(profile, LOADED)
        if target.pid is not None:
            return _attaching(target, tool, profile, out)
        preload = _preload.preloaded(target, tool.path)
        if tool.shim is not None:
            preload = f"{tool.shim}:{preload}"
        env: dict[str, str | None] = dict(profile.env)
        env |= {
            "LD_PRELOAD": preload,
            "DUMP_HEAPTRACK_OUTPUT": f"{out}/heaptrack.$$.0.raw",
            "LEAKRUN_HEAPTRACK": str(out),
            "LEAKRUN_HEAPTRACK_PRELOAD": preload,
            "LEAKRUN_HEAPTRACK_N": "0",
        }
        return LaunchPlan(
            argv=target.argv,
            env=env,
            cwd=target.cwd,
            stop=profile.stop_plan(streams=True),
            outputs=("heaptrack.*.raw",),
            loaded=PRELOAD,
        )

    def read(self, out: Path, profile: Profile, outcome: Outcome) -> "list[Recording]":
        """The record of each process; of one that became another program by exec, that of its last program stands first."""
        records = _shim.records(out, RECORD, outcome.pid)
        # What a fork had done before its exec is not worth a word where that was not enough to be written.
        worth = [each for each in records if each.latest or each.path.stat().st_size]
        recordings = [_read(each.path, each.pid, each.latest, outcome) for each in worth]
        if recordings:
            recordings[0].limits += _unseen_children(outcome, {each.pid for each in records})
        return recordings


def _attaching(target: Target, tool: ToolStatus, profile: Profile, out: Path) -> LaunchPlan:
    """gdb loads heaptrack into the process, and ends its record when the run ends; the process goes on."""
    if NO_GDB in tool.limits:
        raise LeakrunError(
            ErrorKind.UNMEASURED, "heaptrack is loaded into a running process by gdb, which is not here", "apt-get install gdb"
        )
    assert tool.path is not None
    library = tool.path.with_name(INJECT)
    argv = (sys.executable, str(ATTACH), "{pid}", str(library), f"{out}/heaptrack.{{pid}}.0.raw", *_gdb.COMMAND)
    return LaunchPlan(
        argv=(),
        stop=profile.stop_plan(streams=True),
        outputs=("heaptrack.*.raw",),
        pid=target.pid,
        sidecar=Sidecar(name="heaptrack", argv=argv, stdout="heaptrack.{pid}.log", ready=b"recording", timeout=LONGEST_ATTACH),
    )


def find_library() -> Path | None:
    """libheaptrack_preload.so: beside heaptrack's script, or where distributions put it."""
    script = shutil.which("heaptrack")
    beside = [str(Path(script).resolve().parents[1] / lib / "heaptrack") for lib in ("lib", "lib64")] if script else []
    for pattern in (*beside, *DIRECTORIES):
        found = sorted(Path("/").glob(f"{pattern.lstrip('/')}/{PRELOAD}"))
        if found:
            return found[0]
    return None


@cache
def _version() -> tuple[int, ...]:
    """From `heaptrack 1.4.0`, as its script says; empty where it is not here."""
    try:
        said = subprocess.run(["heaptrack", "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


def _built_shim() -> Path | None:
    try:
        return _shim.built(SHIM)
    except _shim.ShimError:
        return None


def _read(path: Path, pid: int, latest: bool, outcome: Outcome) -> "Recording":
    from runner.formats import heaptrack as heaptrack_format

    with path.open("rb") as stream:
        recording = heaptrack_format.read(stream, path.name)
    recording.pid = pid
    process = next((each for each in outcome.processes if each.pid == pid), None)
    if not latest:
        recording.limits.append(f"process {pid} became another program by exec: {path.name} is what it was before")
    ended = process.ended if process is not None and process.ended is not None else outcome.seconds
    missing = ended - outcome.files.get(path.name, ended)
    if latest and not outcome.detached and missing > UNWRITTEN:
        recording.flaws.append(f"{path.name}: it ends {missing:.0f} s before the process did: is the disk full?")
    else:
        _excuse_the_cut(recording, f"{path.name}: {heaptrack_format.CUT}")
    recording.complete = not recording.flaws
    return recording


def _excuse_the_cut(recording: "Recording", cut: str) -> None:
    """heaptrack writes 4 KiB at a time: whoever is killed, or becomes another program, leaves the record cut, and that is all."""
    if cut in recording.flaws:
        recording.flaws.remove(cut)
        recording.limits.append("heaptrack had not yet written the last 4 KiB of its record when the process ended")


def _unseen_children(outcome: Outcome, seen: set[int]) -> list[str]:
    unseen = [each for each in outcome.processes if each.pid not in seen and each.pid != outcome.pid]
    return [f"{len(unseen)} child processes were not recorded: {FORKS}"] if unseen else []
