"""What a backend is: the driver of one native tool. One Python file here and one YAML file in profiles/ make one."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from runner.errors import ErrorKind, LeakrunError
from runner.kinds import FindingKind, Metric
from runner.plan import LaunchPlan, Outcome, RunCommand, Target, ToolStatus
from runner.profile import Profile
from runner.profile import ToolOptions as ToolOptions

if TYPE_CHECKING:  # what only reading needs is imported when it reads
    from runner.model import Recording


class Backend(ABC):
    """Drives one native tool. Instances hold no state; the calls come in the order probe, plan, (the run), read."""

    name: ClassVar[str]  # the module's name, and `backend:` in the YAML
    measures: ClassVar[frozenset[Metric]]
    sees: ClassVar[frozenset[FindingKind]]
    defects: ClassVar[bool] = False  # it finds errors of use too: invalid reads, mismatched frees ...
    cost: ClassVar[str]  # what it does to the program's speed, in a few words
    slowdown: ClassVar[float] = 25.0  # how many times slower the program is, roughly: `hunt` asks the cheap ones first
    accounts: ClassVar[bool] = True  # it counts every block, at its whole stack: `hunt` asks no other, but one that is linked in
    sites: ClassVar[bool] = True  # it names code; else only the kind of memory
    clocked: ClassVar[bool] = False  # it tells growth by the wall clock alone: nothing of a program that ends at once
    forks: ClassVar[bool] = True  # it measures forked processes too
    attaches: ClassVar[bool] = False
    sanitized: ClassVar[bool] = True  # a program that was built with a sanitizer runs under it
    marks: ClassVar[tuple[bytes, ...]] = ()  # bytes by which an executable shows that the tool is linked into it
    Options: ClassVar[type[ToolOptions]]

    @abstractmethod
    def probe(self, options: ToolOptions) -> ToolStatus:
        """Look for the tool on this machine. May run it for its version; never raises for a tool that is missing."""

    @abstractmethod
    def plan(self, target: Target, tool: ToolStatus, profile: Profile, out: Path) -> LaunchPlan:
        """What to launch so that the tool writes below `out`. Pure: starts nothing, touches no file.

        Raises LeakrunError(UNMEASURED) where this tool can't see into this target.
        """

    @abstractmethod
    def read(self, out: Path, profile: Profile, outcome: Outcome) -> "list[Recording]":
        """What the files below `out` say, one recording for each process, the main process first.

        Reads files only. Frames may be left as addresses. A file that is missing or cut becomes a flaw of its recording.
        """

    def seen_with(self, options: ToolOptions) -> frozenset[FindingKind]:
        """What it finds with these options: those of `sees` that the options don't turn off."""
        return self.sees

    def linked_in(self, target: Target) -> bool:
        """Whether the program has the tool in it already, so that it is measured as it is."""
        return False

    def own_processes(self, out: Path, outcome: Outcome) -> frozenset[int]:
        """The pids of those processes of the outcome that are the tool's own, beside the program's."""
        return frozenset()

    def ended_by_tool(self, out: Path, outcome: Outcome) -> bool:
        """Whether the outcome's exit code is the tool's, put in the place of the program's own, which then is not known."""
        return False

    def renditions(self, out: Path) -> list[RunCommand]:
        """Commands that print the files below `out` in the tool's own words, each into its `stdout` below `out`."""
        return []


LOADED = "it is loaded into the program"


def refuse_args(profile: Profile, why: str = "", instead: str = "") -> None:
    """Raise LeakrunError(USAGE) for the profile's `args`: `why` the tool has no command line, and what to do `instead`."""
    if profile.args:
        refusal = f"{profile.backend} has no command line for {profile.args[0]!r}"
        message = ": ".join(filter(None, (refusal, why)))
        raise LeakrunError(ErrorKind.USAGE, message, "; ".join(filter(None, ("leave out `args` and --tool-arg", instead))))
