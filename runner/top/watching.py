"""What is known of a run in progress, or of a process that no leakrun watches, at this moment.

A glance is cheap, and is taken twice a second; the sites are read from the native output, and only when a snapshot is new.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from runner import live, reading, rundir
from runner.analysis.curve import Curve, Point, curves
from runner.analysis.ranking import Ranked, rank
from runner.errors import ErrorKind, LeakrunError
from runner.formats import samples
from runner.model import TimeUnit
from runner.plan import EventKind
from runner.rundir import RunDirectory
from runner.supervise import proc

_MOST_POINTS = 1000  # of a curve: then every second one goes
_SITES = 50


@dataclass(frozen=True, slots=True)
class Glance:
    """How it stands.

    elapsed    seconds
    snapshots  those that were confirmed
    lost       why nobody watches it any more; empty where somebody does
    """

    name: str
    state: str
    elapsed: float
    processes: int
    snapshots: int
    misses: int
    rss: Curve | None
    lost: str = ""

    @property
    def ended(self) -> bool:
        """Nothing more will come."""
        return self.state in (*live.ENDED, "ended") or bool(self.lost)


@dataclass(frozen=True, slots=True)
class Sites:
    """What the snapshots so far say.

    heap     of the process that has most, over time
    ranked   the sites, those that grow most first
    nothing  why growth can't be judged yet
    """

    heap: Curve | None
    ranked: Sequence[Ranked] = ()
    nothing: str = ""


class Watch(Protocol):
    """Something that can be looked at again and again."""

    def glance(self) -> Glance:
        """How it stands now."""
        ...

    def sites(self) -> Sites:
        """What its snapshots say now; slow."""
        ...


@dataclass(slots=True)
class RunWatch:
    """A run, in progress or ended."""

    run: RunDirectory
    _read: int = 0  # bytes of samples.csv
    _at: dict[float, int] = field(default_factory=dict)  # the rss of all processes by the time of the sample

    def glance(self) -> Glance:
        """From the manifest and the samples. Raises LeakrunError where the run is not there any more."""
        manifest = self.run.read_manifest()
        kinds = [entry["kind"] for entry in manifest["timeline"]]
        ended = manifest["state"] in live.ENDED
        lost = "" if ended or live.supervisor_of(manifest) else f"its leakrun was killed: leakrun recover {self.run.id}"
        elapsed = float(manifest["seconds"]) if ended else max(0.0, time.time() - float(manifest["started_at"]))
        living = sum(entry["ended"] is None for entry in manifest["processes"])
        return Glance(
            name=self.run.id,
            state=str(manifest["state"]),
            elapsed=elapsed,
            processes=living or len(manifest["processes"]),
            snapshots=kinds.count(EventKind.SNAPSHOT.value),
            misses=kinds.count(EventKind.MISS.value),
            rss=self._rss(),
            lost=lost,
        )

    def sites(self) -> Sites:
        """From the native output, as far as it is written."""
        evidence = reading.evidence_of_run(self.run)
        if not evidence.recordings:
            return Sites(None, nothing=evidence.nothing)
        drawn = list(curves(evidence.recordings))
        ranking = rank(evidence.recordings, evidence.wrappers, evidence.warmup)
        unjudged = next((each.unjudged for each in ranking.processes if each.unjudged), "")
        return Sites(max(drawn, key=_largest, default=None), ranking.sites[:_SITES], unjudged)

    def _rss(self) -> Curve | None:
        try:
            with self.run.samples.open("rb") as file:
                file.seek(self._read)
                fresh = file.read()
        except OSError:
            fresh = b""
        whole = fresh[: fresh.rfind(b"\n") + 1]  # the last line may be half written
        self._read += len(whole)
        for process in samples.read(whole.decode("ascii", "replace").splitlines(keepends=True)).values():
            for moment, rss in zip(process.times, process.rss, strict=True):
                self._at[moment] = self._at.get(moment, 0) + (rss or 0)
        while len(self._at) > _MOST_POINTS:
            self._at = dict(list(self._at.items())[::2])
        return _curve(sorted(self._at.items()), "rss", None)


@dataclass(slots=True)
class ProcessWatch:
    """A process that no leakrun watches: its resident memory, and no more."""

    pid: int
    began: float = field(default_factory=time.monotonic)
    _seen: list[tuple[float, int]] = field(default_factory=list)

    def glance(self) -> Glance:
        """From /proc."""
        now = time.monotonic() - self.began
        memory, stat = proc.memory(self.pid), proc.stat(self.pid)
        if memory is None or stat is None:
            return Glance(f"process {self.pid}", "ended", now, 0, 0, 0, self._rss())
        self._seen.append((now, memory.rss))
        if len(self._seen) > _MOST_POINTS:
            self._seen = self._seen[::2]
        return Glance(f"process {self.pid}", "running", now, 1, 0, 0, self._rss())

    def sites(self) -> Sites:
        """None: nobody takes snapshots."""
        return Sites(None, nothing=f"no profiler is in this process: leakrun attach {self.pid}")

    def _rss(self) -> Curve | None:
        return _curve(self._seen, "rss", self.pid)


def _curve(seen: Sequence[tuple[float, int]], what: str, pid: int | None) -> Curve | None:
    if len(seen) < 2 or seen[-1][0] <= seen[0][0]:
        return None
    points = [Point(moment, size) for moment, size in seen]
    return Curve(what, "as sampled", pid, TimeUnit.SECONDS, points, points[-1].time, "sample")


def _largest(curve: Curve) -> int:
    return max(point.size for point in curve.points)


def find(reference: str, runs_dir: Path) -> Watch:
    """The run of that name, the run whose program has that pid, or the process itself. Raises LeakrunError(USAGE)."""
    if not reference.isascii() or not reference.isdigit():
        return RunWatch(rundir.find(reference, runs_dir))
    pid = int(reference)
    for run in reversed(rundir.runs(runs_dir)):
        try:
            manifest = run.read_manifest()
        except LeakrunError:
            continue
        named = live.named_here(manifest, manifest["process"])
        if named is not None and named.pid == pid and named.state():
            return RunWatch(run)
    if any(run.id.startswith(reference) for run in rundir.runs(runs_dir)):
        return RunWatch(rundir.find(reference, runs_dir))
    if proc.stat(pid) is None:
        raise LeakrunError(
            ErrorKind.USAGE, f"there is no process {pid}, and no run of that name", "`leakrun runs` lists the runs"
        )
    return ProcessWatch(pid)
