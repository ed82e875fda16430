"""Runs generated programs under profiles, holds the answers against the truth, and sums up."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.truth.generate import Program
from tests.truth.parts import Place

SECONDS = 4
_HEAP = ("massif", "heapprofile")
_MAPPINGS = ("massif-pages", "heapprofile-mmap")
HUNT = "hunt"  # the command, not a profile
SEEN_BY = {
    "lost": ("memcheck", *_HEAP, HUNT),
    "growing": (*_HEAP, HUNT),
    "mapping-growth": (*_MAPPINGS, HUNT),
    "stack-growth": ("massif-stacks", HUNT),
    "clean": ("memcheck", *_HEAP, HUNT),
}
PROFILES = ("memcheck", *_HEAP, *_MAPPINGS, "massif-stacks", HUNT)
LIST = "scores.jsonl"  # a line for each run that is over
_TEMPLATE = re.compile(r"<[^<>]*>")


@dataclass
class Score:
    """What one profile said of one program.

    rank     of the first finding at a line that may be named, from 1; None where there is none
    kind_ok  that finding has the right kind
    others   findings elsewhere: each is a false alarm
    pairs    for each finding its confidence, and whether it is at a line that may be named
    first    what the first finding named
    problem  why there is no answer
    """

    program: str
    part: str
    kind: str
    profile: str
    verdict: str = ""
    rank: int | None = None
    kind_ok: bool = False
    others: int = 0
    first: str = ""
    reason: str = ""
    pairs: list[tuple[float, bool]] = field(default_factory=list)
    snapshots: int = 0
    problem: str = ""

    @property
    def clean(self) -> bool:
        """Whether there is nothing to find."""
        return self.kind == "clean"


def profiles_for(program: Program, wanted: Sequence[str]) -> list[str]:
    """The profiles that can see the kind; some clean programs (told by their number) are run under all."""
    seen = PROFILES if program.clean and int(program.name[1:]) % 5 == 0 else SEEN_BY[program.kind]
    return [profile for profile in wanted if profile in seen and profile != program.blind]


def run(program: Path, profile: str, seconds: float = SECONDS) -> str:
    """Run it under a profile, into its directory; why that did not work, else nothing."""
    output = program.parent / f"run-{profile}"
    how = [HUNT, "-q"] if profile == HUNT else ["-q", "-p", profile]
    command = [sys.executable, "-m", "runner", *how, "-o", str(output), "--", "./program", str(seconds)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEAKRUN_")}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parent.parent.parent)
    try:
        done = subprocess.run(
            command,
            cwd=program.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=(6 if profile == HUNT else 1) * (60 + 10 * seconds),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "it did not end"
    return "" if done.returncode == 0 else f"exit code {done.returncode}: {done.stderr.strip()[-200:]}"


def score(program: Program, profile: str, answer: dict[str, Any]) -> Score:
    """Hold one answer against the truth."""
    found = Score(program.name, program.part, program.kind, profile, answer["verdict"])
    found.snapshots = answer["run"].get("snapshots") or 0
    found.reason = answer["reasons"][0] if answer["reasons"] else ""
    for finding in answer["findings"]:
        right = _right(finding, program)
        found.pairs.append((finding["confidence"], right))
        if not right:
            found.others += 1
        elif found.rank is None:
            found.rank = finding["rank"]
            found.kind_ok = finding["kind"] in _kinds(program.kind, profile)
    if answer["findings"]:
        first = answer["findings"][0]
        found.first = f"{first['kind']} {first['function']} {first['file']}:{first['line']}"
    return found


def _kinds(kind: str, profile: str) -> tuple[str, ...]:
    """What a profile that can't follow pointers says of lost memory is that it grows."""
    if kind != "lost":
        return (kind,)
    return ("lost", "suspect") if profile in ("memcheck", HUNT) else ("growing",)


def _right(finding: dict[str, Any], program: Program) -> bool:
    return any(_names(finding, place) for place in program.places)


def _names(finding: dict[str, Any], place: Place) -> bool:
    file = (finding["file"] or "").rpartition("/")[2]
    # Of a stack that grows it is the function that counts: any of its lines may be the call that goes deeper.
    if file != place.file or (finding["line"] != place.line and finding["kind"] != "stack-growth"):
        return False
    return _last(finding["function"]) == _last(place.function)  # valgrind's inlined frames are bare


def _last(function: str | None) -> str:
    return _plain(function).rpartition("::")[2]


def _plain(function: str | None) -> str:
    """Without template arguments."""
    text, before = function or "", ""
    while text != before:
        text, before = _TEMPLATE.sub("", text), text
    return text.rpartition(" ")[2]  # a template's function stands behind what it returns


@dataclass(frozen=True)
class Bench:
    """How the runs are made: how many at once, how long each; where to note what is over; only judge anew what is there."""

    jobs: int = 2
    seconds: float = SECONDS
    notes: Path | None = None
    again: bool = False

    def scores(self, built: Iterable[tuple[Program, Path]], profiles: Sequence[str]) -> list[Score]:
        """Run each program under each profile that can see its kind; those that are noted are not run once more."""
        over = (
            {} if self.again or self.notes is None else {(each.program, each.profile): each for each in read_scores(self.notes)}
        )
        tasks = [(program, path, profile) for program, path in built for profile in profiles_for(program, profiles)]
        left = [task for task in tasks if (task[0].name, task[2]) not in over]
        with ThreadPoolExecutor(max_workers=self.jobs) as pool:
            fresh = list(pool.map(lambda task: self._noted(self._score_one(*task)), left))
        wanted = {(program.name, profile) for program, _, profile in tasks}
        return [*(each for key, each in over.items() if key in wanted), *fresh]

    def _noted(self, found: Score) -> Score:
        if self.notes is not None and not self.again and not found.problem:
            with self.notes.open("a") as notes:
                notes.write(json.dumps(asdict(found)) + "\n")
        return found

    def _score_one(self, program: Program, path: Path, profile: str) -> Score:
        output = path.parent / f"run-{profile}"
        if not self.again:
            shutil.rmtree(output, ignore_errors=True)  # of a run that was broken off
        problem = "" if self.again else run(path, profile, self.seconds)
        if not problem and not (output / "answer.json").exists():
            problem = "there is no answer"
        if problem:
            return Score(program.name, program.part, program.kind, profile, problem=problem)
        if self.again:
            _judge_again(output)
        return score(program, profile, json.loads((output / "answer.json").read_text()))


def _judge_again(output: Path) -> None:
    from runner import answers, reading
    from runner.rundir import RunDirectory

    run_directory = RunDirectory(output)
    reading.write_answer(run_directory, answers.conclude(run_directory))


def read_scores(path: Path) -> list[Score]:
    """What earlier runs noted; a line that was cut off is left out."""
    if not path.exists():
        return []
    return [Score(**json.loads(line)) for line in path.read_text().splitlines() if line.endswith("}")]


def write_scores(found: Sequence[Score], path: Path) -> None:
    """Note all scores anew."""
    path.write_text("".join(json.dumps(asdict(each)) + "\n" for each in found))
