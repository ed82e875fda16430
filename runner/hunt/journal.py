"""A hunt's manifest: its steps, what was left out and why, and how the program ended when nothing slowed it."""

import time
from typing import Any

from runner import reading, rundir
from runner.hunt.candidates import Candidate
from runner.manifest import Manifest
from runner.model import Answer
from runner.pipeline import Request, myself
from runner.plan import LaunchPlan, Outcome, ToolStatus
from runner.profile import Profile, ToolOptions
from runner.rundir import RunDirectory
from runner.supervise import proc


class Journal:
    """What is written down as the hunt goes on.

    steps    a mapping each: number, profile, backend, sees (kinds), names_code, directory (below the hunt's), seconds,
             stopped_by, slower (times, against plain; None where a clock ended either), verdict
    skipped  a mapping each: profile, why
    left     what was not done, a sentence each
    plain    how the program ended when nothing slowed it
    """

    def __init__(self, run: RunDirectory, program: Request) -> None:
        self._run, self._program = run, program
        self.steps: list[dict[str, Any]] = []
        self.skipped: list[dict[str, str]] = []
        self.left: list[str] = []
        self.plain = Outcome(started_at=time.time(), boot_id=proc.boot_id(), pid_namespace=proc.pid_namespace())
        self._began, self._started = time.monotonic(), time.time()
        self._write("running")

    def add(self, candidate: Candidate, step: RunDirectory, outcome: Outcome, slower: float | None) -> None:
        """A run that took place."""
        self.steps.append(
            {
                "number": len(self.steps) + 1,
                "profile": candidate.profile.name,
                "backend": candidate.backend.name,
                "sees": sorted(candidate.sees),
                "names_code": candidate.backend.sites,
                "directory": str(step.path.relative_to(self._run.path)),
                "seconds": outcome.seconds,
                "stopped_by": outcome.stopped_by,
                "slower": slower,
                "verdict": None,
            }
        )
        self._write("running")

    def conclude(self, answer: Answer) -> None:
        """What the last run said."""
        self.steps[-1]["verdict"] = answer.verdict.value
        self._write("running")

    def skip(self, profile: str, why: str) -> None:
        """A profile that could not be asked."""
        self.skipped.append({"profile": profile, "why": why})
        self._write("running")

    def close(self, answer: Answer) -> None:
        """The end: the answer, and a manifest that is not written again."""
        self._write("complete" if answer.run["measured"] else "incomplete")
        answer.run["seconds"] = self._run.read_manifest()["seconds"]  # so that the answer is the same when it is asked for again
        reading.write_answer(self._run, answer)

    @property
    def seconds(self) -> float:
        """Since the hunt began."""
        return round(time.monotonic() - self._began, 3)

    def manifest(self, state: str) -> Manifest:
        """What is known so far."""
        outcome = Outcome(
            started_at=self._started,
            boot_id=proc.boot_id(),
            pid_namespace=proc.pid_namespace(),
            seconds=self.seconds,
            code=self.plain.code,
            signum=self.plain.signum,
            stopped_by=self.plain.stopped_by,
            by_tool=self.plain.by_tool,
        )
        return rundir.manifest_of(
            LaunchPlan(argv=self._program.argv, cwd=self._program.cwd),
            outcome,
            state,
            run_id=self._run.id,
            command=self._program.argv,
            profile=Profile(name="hunt", backend="", options=ToolOptions()),
            tool=ToolStatus("hunt", None),
            backend=None,
            steps=self.steps,
            skipped=self.skipped,
            left=self.left,
            supervisor=myself(),
        )

    def _write(self, state: str) -> None:
        self._run.follow()
        self._run.write_manifest(self.manifest(state))
