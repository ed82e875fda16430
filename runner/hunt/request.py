"""What the user asked to have hunted."""

from pathlib import Path
from typing import NamedTuple

from runner.pipeline import Request
from runner.profile import Profile

BUDGET = 600.0  # seconds


class Hunt(NamedTuple):
    """A program, and how it is to be run each time. Times are seconds.

    duration  the program is stopped after so long, each time; None: the hunt chooses
    budget    for the hunt as a whole
    """

    argv: tuple[str, ...]
    runs_dir: Path
    output: Path | None = None
    cwd: Path | None = None
    env: tuple[tuple[str, str], ...] = ()
    duration: float | None = None
    warmup: float = 0.0
    children: str = "all"
    ready: str | None = None
    load: str | None = None
    budget: float = BUDGET

    def request(self, profile: Profile, output: Path, duration: float) -> Request:
        """One run of it."""
        return Request(
            argv=self.argv,
            profile=profile,
            runs_dir=self.runs_dir,
            output=output,
            cwd=self.cwd,
            env=self.env,
            duration=duration,
            warmup=self.warmup,
            children=self.children,
            ready=self.ready,
            load=self.load,
        )
