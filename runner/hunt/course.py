"""The course of a hunt: which profile next, for how long, and when the answer is sure."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from runner import answers, pipeline, supervise
from runner.analysis.agreement import Agreed
from runner.analysis.witnesses import GROWTHS, Witness
from runner.analysis.wording import seconds_text
from runner.errors import ErrorKind, LeakrunError
from runner.hunt.candidates import Candidate, candidates, finer
from runner.hunt.journal import Journal
from runner.kinds import FindingKind
from runner.model import Answer, Verdict
from runner.pipeline import Request
from runner.plan import Outcome
from runner.rundir import RunDirectory

BUDGET = 600.0  # seconds
ORDER = (FindingKind.GROWING, FindingKind.LOST, FindingKind.MAPPING_GROWTH, FindingKind.STACK_GROWTH)
SHORT_ORDER = (FindingKind.LOST, *(kind for kind in ORDER if kind is not FindingKind.LOST))
_ASKED_TO_END = frozenset({"interrupt", "terminate", "stop"})
_PART = 0.1  # of the budget: for a cheap run of a program that does not end; a dear one gets twice that
_DEAR = 5.0  # times slower
_LEAST = 1.0  # seconds: with less left of the budget no run is begun
_KILL_AFTER = 3.0  # seconds: a program that ends by no signal would hold up the hunt for ever
_PORT_PATIENCE = 30.0  # seconds until what the program listened on is free again

Say = Callable[[str], None]
Progress = Callable[[supervise.Progress], None]


@dataclass(slots=True)
class Hunted:
    """What a hunt left. `plain` is how the program ended when nothing slowed it; `last` how it did the last time."""

    run: RunDirectory
    answer: Answer
    plain: Outcome
    last: Outcome
    interrupted: bool = False


def hunt(program: Request, say: Say, progress: Progress | None = None, *, budget: float = BUDGET) -> Hunted:
    """Run the program under one tool after another until the answer is sure, or the budget (seconds) spent.

    Its profile is the hunt's to choose, as is the duration where none is asked for; its output is the hunt's own directory.
    Raises LeakrunError where the program can't be started, KeyboardInterrupt where it was not yet: no directory is left then.
    """
    run = RunDirectory.create(program.output, program.runs_dir, "hunt", program.argv[0], parts=("steps",))
    course = _Course(program, budget, run, say, progress)
    try:
        course.prepare()
        with _interruptible():
            course.follow()
    except (KeyboardInterrupt, LeakrunError) as error:
        if course.plain is None:
            shutil.rmtree(run.path)
        if course.plain is None or isinstance(error, LeakrunError):
            raise
        course.interrupted = True
        course.leave("the hunt was interrupted")
    return course.end()


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM between two runs ends the hunt as Ctrl-C does; while one is in progress the supervisor takes both."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


@dataclass(slots=True)
class _Course:
    """How far a hunt is."""

    program: Request
    budget: float
    run: RunDirectory
    say: Say
    progress: Progress | None
    interrupted: bool = False
    began: float = field(default_factory=time.monotonic)
    by_kind: dict[FindingKind, list[Candidate]] = field(default_factory=dict)
    tried: dict[str, float] = field(default_factory=dict)  # by profile, how long the program ran at most
    repeated: set[str] = field(default_factory=set)  # profiles that were asked once more after a crash
    witnesses: list[Witness] = field(default_factory=list)
    plain: Outcome | None = None
    last: Outcome | None = None
    forked: bool = False  # the program forks processes of its own name
    journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self.journal = Journal(self.run, self.program)

    def prepare(self) -> None:
        """See what there is to ask."""
        self.by_kind = candidates(self.program)

    def follow(self) -> None:
        """One run after another."""
        while not self.interrupted:
            step = self.next()
            if step is None:
                return
            if self.left() < _LEAST:
                self.leave(f"{step[0].profile.name} was not asked: the budget of {seconds_text(self.budget)} is spent")
                return
            self.take(*step)

    def left(self) -> float:
        """Seconds of the budget."""
        return self.budget - (time.monotonic() - self.began)

    def leave(self, why: str) -> None:
        """Say what was not done."""
        self.say(why)
        self.journal.left.append(why)

    # ---- which next

    def next(self) -> tuple[Candidate, float] | None:
        """The profile to ask now, and for how long at most; None where the answer is as sure as it gets."""
        if not self.tried:
            first = next(each for each in self.by_kind[FindingKind.MAPPING_GROWTH] if not each.backend.sites)
            return first, self.length(first)
        agreed = self.agreed()
        for kind in SHORT_ORDER if self.is_short() else ORDER:
            if self.is_due(kind, agreed) and (candidate := self.untried(kind)) is not None:
                return candidate, self.length(candidate)
        return self.second(agreed) or self.longer(agreed)

    def agreed(self) -> Agreed:
        """What is known by now."""
        return answers.hunted(self.run, self.journal.manifest("running"), self.witnesses)

    def is_due(self, kind: FindingKind, agreed: Agreed) -> bool:
        """Whether somebody must still be asked about this kind."""
        if kind in agreed.unnamed:
            return True
        found = {finding.kind for finding in agreed.answer.findings}
        if kind in (FindingKind.MAPPING_GROWTH, FindingKind.STACK_GROWTH):
            return kind in agreed.open and not found
        return kind not in found and kind in agreed.open

    def untried(self, kind: FindingKind) -> Candidate | None:
        """The cheapest that sees this kind, names code and was not asked yet; of one that forks those that follow it."""
        able = [each for each in self.by_kind[kind] if each.backend.sites]
        if self.forked:
            able.sort(key=lambda each: not each.backend.forks)
        if self.is_short():
            able = [finer(each) or each for each in able if not each.backend.clocked]
        return next((each for each in able if each.profile.name not in self.tried), None)

    def is_short(self) -> bool:
        """The program ends by itself before a clock has seen much of it."""
        return answers.is_short(self.journal.manifest("running"))

    def second(self, agreed: Agreed) -> tuple[Candidate, float] | None:
        """Another tool for what only one sees grow."""
        for kind in agreed.unconfirmed:
            candidate = self.untried(kind)
            if candidate is not None:
                return candidate, self.length(candidate)
        return None

    def longer(self, agreed: Agreed) -> tuple[Candidate, float] | None:
        """Once more, twice as long, where the program does not end by itself; else on a finer axis of time."""
        if agreed.answer.verdict is not Verdict.INCONCLUSIVE:
            return None
        kinds = agreed.open & GROWTHS
        doubtful = [each for kind in ORDER if kind in kinds for each in self.by_kind[kind] if each.profile.name in self.tried]
        if not self.endless():
            finest = (fine for each in doubtful if (fine := finer(each)) and fine.profile.name not in self.tried)
            return next(((each, self.left()) for each in finest), None)
        for each in doubtful:
            duration = 2 * self.tried[each.profile.name]
            if each.backend.sites and self.program.duration is None and duration <= self.left():
                return each, duration
        return None

    def endless(self) -> bool:
        """The program does not end by itself in the time that it was given, and no load ends it."""
        return self.plain is not None and self.plain.stopped_by == "for"

    def length(self, candidate: Candidate) -> float:
        """Seconds after which the program is stopped."""
        if self.program.duration is not None:
            return min(self.program.duration, self.left())
        if self.plain is not None and not self.endless():
            return self.left()
        part = _PART * (2 if candidate.backend.slowdown > _DEAR else 1)
        return min(part * self.budget, self.left())

    # ---- one step

    def take(self, candidate: Candidate, duration: float) -> None:
        """Run the program once, and hear what the tool says."""
        name = candidate.profile.name
        self.tried[name] = duration
        number = len(self.journal.steps) + 1
        path = self.run.steps / f"{number}-{name}"
        alone = " (of the first process: it does not follow forks)" if self.forked and not candidate.backend.forks else ""
        self.say(f"{number}. {name}: {_question(candidate)}{alone}")
        _rewind()
        with ExitStack() as ending:
            try:
                step, outcome = self.record(candidate, path, duration, ending)
            except LeakrunError as error:
                if self.plain is None or error.kind is not ErrorKind.UNMEASURED:
                    raise
                self.say(f"{name} is left out: {error.message}")
                self.journal.skip(name, error.message)
                return
            self.last = outcome
            self.plain = self.plain or outcome
            self.forked |= _forks(outcome)
            self.journal.add(candidate, step, outcome, self.slower(outcome))
            self.interrupted = outcome.stopped_by in _ASKED_TO_END
            answer = pipeline.finish(step)
        self.hear(candidate, step, outcome, answer)
        if self.crashed_here_only(outcome) and name not in self.repeated:
            self.repeated.add(name)
            self.say(f"{name}: the program crashed, as it does not alone: once more")
            self.take(candidate, duration)

    def crashed_here_only(self, outcome: Outcome) -> bool:
        """A signal ended it that neither we sent nor ended it when nothing slowed it: a probe of somebody else's, a race."""
        assert self.plain is not None
        return outcome.signum is not None and outcome.stopped_by is None and self.plain.signum != outcome.signum

    def record(self, candidate: Candidate, path: Path, duration: float, ending: ExitStack) -> tuple[RunDirectory, Outcome]:
        """One run. What the last one listened on may be taken for a moment longer."""
        stop = replace(candidate.profile.stop, kill_after=_KILL_AFTER)
        profile = replace(candidate.profile, stop=stop)
        request = self.program._replace(profile=profile, output=path, duration=duration)
        deadline = time.monotonic() + _PORT_PATIENCE
        while True:
            try:
                with (
                    ExitStack() as begun
                ):  # of a run that can't begin nothing stays: Ctrl-C is heard while the port is waited for
                    recorded = pipeline.record(request, begun, self.progress)
                    ending.push(begun.pop_all())
                    return recorded
            except LeakrunError as error:
                busy = error.kind is ErrorKind.USAGE and "answers already" in error.message
                if self.plain is None or not busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def hear(self, candidate: Candidate, step: RunDirectory, outcome: Outcome, answer: Answer) -> None:
        """Take what the tool says into account."""
        if pipeline.never_came_up(self.program, outcome):
            if outcome is self.plain:
                pipeline.check_came_up(self.program, step, outcome)
            self.journal.skip(candidate.profile.name, "the program never came up under it")
            self.say(f"{candidate.profile.name}: the program never came up")
            return
        self.witnesses.append(answers.witness_of(step, answer))
        self.journal.conclude(answer)
        self.say(f"{self.journal.steps[-1]['number']}. {candidate.profile.name}: {self.told(outcome)}: {answer.verdict.value}")
        if self.interrupted:
            self.leave("the hunt was ended before it was sure")

    def told(self, outcome: Outcome) -> str:
        """How long a run took, and against the plain one."""
        slower = self.slower(outcome)
        return seconds_text(outcome.seconds) + ("" if slower is None or outcome is self.plain else f", {_times(slower)}")

    def slower(self, outcome: Outcome) -> float | None:
        """How many times longer the program took than plain; None where a clock of ours ended either."""
        if self.plain is None or self.plain.seconds <= 0:
            return None
        if {self.plain.stopped_by, outcome.stopped_by} - {None, "load"}:
            return None
        return outcome.seconds / self.plain.seconds

    # ---- the end

    def end(self) -> Hunted:
        """Conclude, and close the directory."""
        assert self.plain is not None
        assert self.last is not None
        self.journal.plain = self.plain
        answer = self.agreed().answer
        self.journal.close(answer)
        return Hunted(self.run, answer, self.plain, self.last, self.interrupted)


def _forks(outcome: Outcome) -> bool:
    """Whether a process was seen that is called as its parent: forked, and not another program since."""
    names = {each.pid: each.name for each in outcome.processes}
    return any(each.name and names.get(each.parent_pid) == each.name for each in outcome.processes)


def _question(candidate: Candidate) -> str:
    if not candidate.backend.sites:
        return "which kind of memory grows, and how long it runs"
    words = {FindingKind.LOST: "what is lost", FindingKind.GROWING: "what grows on the heap"}
    words |= {FindingKind.MAPPING_GROWTH: "which mappings grow", FindingKind.STACK_GROWTH: "whether the stack grows"}
    return ", ".join(words[kind] for kind in ORDER if kind in candidate.sees)


def _times(slower: float) -> str:
    return "as fast as without" if slower < 1.1 else f"{slower:.1f} times slower" if slower < 10 else f"{slower:.0f} times slower"


def _rewind() -> None:
    """Each run reads its standard input from the start, where it is a file."""
    with suppress(OSError):
        os.lseek(0, 0, os.SEEK_SET)
