"""dhat: valgrind's DHAT: what each place allocates in all and holds at the peak; what is never read, or lives briefly."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from runner.backends import _valgrind
from runner.backends.base import ToolOptions
from runner.errors import ErrorKind, LeakrunError
from runner.kinds import FindingKind, Metric
from runner.plan import LaunchPlan, Outcome, Target, ToolStatus
from runner.profile import Profile

if TYPE_CHECKING:  # what only reading needs is imported when it reads
    from runner.model import Recording


class DhatOptions(_valgrind.ValgrindOptions):
    """Options of valgrind's core; DHAT's own only option, its mode, stays at heap."""


class Dhat(_valgrind.ValgrindBackend):
    """Drives valgrind's DHAT."""

    name = "dhat"
    measures = frozenset({Metric.LIVE_BYTES, Metric.LIVE_BLOCKS, Metric.ALLOCATED_BYTES, Metric.ALLOCATED_BLOCKS})
    sees: ClassVar[frozenset[FindingKind]] = frozenset()  # two moments tell no growth, and it follows no pointers
    cost = "10 to 60 times slower"
    Options: ClassVar[type[ToolOptions]] = DhatOptions

    def probe(self, options: ToolOptions) -> ToolStatus:
        """Find valgrind. That vgdb may be missing does not matter here."""
        return super().probe(options)._replace(limits=())

    def plan(self, target: Target, tool: ToolStatus, profile: Profile, out: Path) -> LaunchPlan:
        """One file for each process, at its end. Refuses snapshots: DHAT writes nothing while the program runs."""
        if profile.snapshots.every is not None or profile.snapshots.rss_step is not None:
            raise LeakrunError(
                ErrorKind.USAGE,
                "dhat takes no snapshots: it writes nothing until the program ends",
                "leave out --every, or use --profile massif",
            )
        place = _valgrind.escaped(out)
        output = [f"--dhat-out-file={place}/dhat.%p.json", f"--log-file={place}/valgrind.%p.log"]
        return _valgrind.plan("dhat", output, "dhat.*.json", (), target, tool, profile, out)

    def read(self, out: Path, profile: Profile, outcome: Outcome) -> "list[Recording]":
        """The file of each process."""
        from runner.formats import dhat as dhat_format

        recordings = []
        for path in sorted(out.glob("dhat.*.json"), key=lambda path: (_valgrind.pid_of(path) != outcome.pid, path.name)):
            with path.open("rb") as stream:
                recording = dhat_format.read(stream, path.name)
            recording.pid = _valgrind.pid_of(path)
            recordings.append(recording)
        if len(recordings) > 1:
            recordings[0].limits.append("a child that was forked counts what its parent had allocated until then as its own too")
        return recordings
