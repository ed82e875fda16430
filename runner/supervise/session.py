"""One supervised run: a single thread that waits for signals and deadlines, and puts the parts together."""

import os
import resource
import signal
import time
from collections.abc import Callable
from functools import partial

from runner.errors import ErrorKind, LeakrunError
from runner.plan import EventKind, LaunchPlan, Outcome
from runner.supervise import proc, requests, signals
from runner.supervise.beside import Beside
from runner.supervise.copies import Copies
from runner.supervise.ending import Ending
from runner.supervise.family import Family, subreaper
from runner.supervise.keep import MapsKeeper, Sampler
from runner.supervise.launch import launch
from runner.supervise.memory_limit import MemoryLimit
from runner.supervise.notes import Notes
from runner.supervise.output import RawOutput
from runner.supervise.schedule import Pace, look_interval
from runner.supervise.shots import Snapshots
from runner.supervise.signals import Held
from runner.supervise.telling import Teller
from runner.supervise.terminal import Terminal
from runner.supervise.terms import Journal, Places, Progress
from runner.supervise.timeline import Timeline
from runner.supervise.workload import Work, Workload

_RSS_MARGIN = 2 << 20  # bytes that a forked Python may have above its parent's peak before exec
_GROWTH_LOOK = 0.1  # seconds between two looks at the sizes below raw/ while the run is being stopped
_MOST_NAMED = 10


def run(
    plan: LaunchPlan,
    places: Places,
    journal: Journal,
    *,
    duration: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    former: Outcome | None = None,
    work: Work | None = None,
) -> Outcome:
    """Start the plan's program, watch it to its end or to ours, and say how it went. Call it from the main thread.

    A plan with a pid is for a process that runs already, and is let go at the end. `former` is what a supervisor that died knew
    of its run: its program is taken back. `work`: when the program counts as up, and what to run against it then.

    `journal` is given the outcome so far and the state, "starting", "running" or "stopping", at every change and soon
    after every snapshot. `duration`: stop the program after so many seconds.
    Raises LeakrunError when the program can't be started; nothing runs then. Nothing runs either when it returns.
    """
    terminal = Terminal()
    if former is None and plan.pid is None:
        terminal.open()
    with signals.hold(terminal.signals) as held, subreaper():
        session = _Session(plan, places, journal, duration, progress, work, terminal)
        if former is not None:
            session.take_back(former)
        elif plan.pid is not None:
            session.attach(plan.pid)
        else:
            session.start(held)
        try:
            session.watch(held)
        finally:
            session.end()
            terminal.close()
        return session.outcome


class _Session:
    """The parts of one run and the loop over them. Times are seconds since the start."""

    def __init__(
        self,
        plan: LaunchPlan,
        places: Places,
        journal: Journal,
        duration: float | None,
        progress: Callable[[Progress], None] | None,
        work: Work | None,
        terminal: Terminal,
    ) -> None:
        self.plan = plan
        self.outcome = Outcome()
        self.terminal = terminal
        self.timeline = Timeline()
        self.output = RawOutput(places.spool or places.raw, places.raw)
        self.sampler = Sampler(places.samples)
        self.inbox = requests.Inbox(places.requests)
        self.copies = Copies(places.output)
        self.family = Family(0, plan.loaded, self.timeline, tool_words=plan.tool_words)
        self.snapshots = Snapshots(plan.triggers, self.family, self.output, self.timeline, plan.children, plan.keep)
        self.beside = Beside(plan.sidecar, self.family, self.output, self.timeline)
        self.ending = Ending(
            plan.stop, self.family, self.snapshots, self.output, self.timeline, self._last_look, lets_go=plan.pid is not None
        )
        self.workload = Workload(work, places.raw, self.timeline)
        self.teller = Teller(self.timeline, journal, progress, self._current_outcome, self._current_progress)
        self.notes = Notes(self.family, MapsKeeper(places.maps), self.sampler, self.teller, plan.sample_every)
        self._journal = journal
        self._duration = duration
        self._children_left = True
        self._look = Pace(0.002)
        self._growth_due = 0.0
        self._adopted_ended = False
        self.memory_limit: MemoryLimit | None = None

    # ---- start and end

    def start(self, held: Held) -> None:
        """Write what is to be known before the program starts, and start it."""
        self.workload.check_free()
        self.outcome.started_at = time.time()
        self.outcome.boot_id, self.outcome.pid_namespace = proc.boot_id(), proc.pid_namespace()
        self._open()
        self._journal(self.outcome, self.teller.state)
        self.family.own_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + _RSS_MARGIN
        self.outcome.started_at = time.time()
        self.timeline.origin = time.monotonic()
        self.outcome.pid = self.family.main_pid = self._launch(held)
        self.terminal.give(self.outcome.pid)
        self.memory_limit = MemoryLimit(self.outcome.pid)
        self.timeline.tell(EventKind.STARTED, self.outcome.pid, "")
        self.outcome.processes, self.outcome.timeline = self.family.records, self.timeline.events

    def _launch(self, held: Held) -> int:
        try:
            self.teller.write("output/", self.copies.start)
            return launch(self.plan, held, own_group=self.terminal.ours, streams=self.copies.ends)
        finally:
            self.copies.close_ends()
            self.family.helpers |= self.copies.pids

    def attach(self, pid: int) -> None:
        """Take a process that runs already under watch. Raises LeakrunError(USAGE) when it is gone."""
        stat = proc.stat(pid)
        if stat is None or stat.ended:
            raise LeakrunError(ErrorKind.USAGE, f"there is no process {pid}", "it may have ended: look with ps")
        self._open()
        self.outcome.started_at = time.time()
        self.outcome.boot_id, self.outcome.pid_namespace = proc.boot_id(), proc.pid_namespace()
        self.family.adopted = {pid: stat.start_ticks}
        self.outcome.pid = self.family.main_pid = pid
        self.timeline.origin = time.monotonic()
        self.timeline.tell(EventKind.STARTED, pid, "attached")
        self.outcome.processes, self.outcome.timeline = self.family.records, self.timeline.events

    def take_back(self, former: Outcome) -> None:
        """Go on with a run whose supervisor died. Its times go on too: seconds since the program's start."""
        self._open()
        main = next(each for each in former.processes if each.pid == former.pid)
        self.outcome, self.timeline.events, self.family.records = former, former.timeline, former.processes
        self.timeline.origin = time.monotonic() - (time.clock_gettime(time.CLOCK_BOOTTIME) - main.start_ticks / proc.TICK)
        self.family.main_pid = main.pid
        self.family.adopted = {each.pid: each.start_ticks for each in former.processes if each.ended is None}
        self.output.refresh()
        self.beside.give_up()
        # Each number that was given stands in a line of the timeline, or, if it came too late for that, in a file's name.
        self.snapshots.claims.number_from = len(former.timeline) + len(self.output.names())
        self.timeline.tell(EventKind.NOTE, None, f"the leakrun of this run was killed; process {os.getpid()} has taken it back")

    def _open(self) -> None:
        self.sampler.open()
        self.snapshots.claims.open()
        self.teller.write("requests/", self.inbox.open)

    def end(self) -> None:
        """Leave nothing running, whatever happened, and complete the outcome."""
        self.beside.kill()
        if not self.family.adopted:  # those lived without us before
            self.ending.end_all()
        self.workload.kill()
        self.snapshots.claims.close(self.timeline.now())
        left = self.output.deliver_all(self.plan.litter)
        if left and self.output.final.is_dir():  # else it was moved, and they go after it
            text = f"{len(left)} files could not be moved to raw/ and stay in {self.output.raw}: {', '.join(left[:_MOST_NAMED])}"
            self.timeline.tell(EventKind.NOTE, None, text)
        self.sampler.close()
        self._tell_what_is_missing()
        self._current_outcome()
        self.outcome.detached = self.plan.pid is not None and self.family.main is not None
        self.workload.close(self.outcome)
        self.outcome.ready, self.outcome.load_failure = self.workload.ready_at, self.workload.failure
        self.outcome.files = self.output.written_at(self.outcome.started_at)

    def _tell_what_is_missing(self) -> None:
        self.snapshots.note_unsnapped()
        if self.snapshots.retention.dropped:
            self.timeline.tell(EventKind.NOTE, None, self.snapshots.retention.text())
        if self.family.unlisted:
            self.timeline.tell(EventKind.NOTE, None, f"{self.family.unlisted} more processes are not listed")
        drift = time.time() - self.outcome.started_at - self.timeline.now()
        if abs(drift) > 1:
            self.timeline.tell(
                EventKind.NOTE, None, f"the date was set by {drift:+.1f} s meanwhile: times of files are off by up to that"
            )

    # ---- the loop

    def watch(self, held: Held) -> None:
        """Until nothing of the run is left."""
        loading = self.family.watch_loading()
        self.family.look(self.timeline.now())
        self.family.take_loading(loading)
        self.teller.change_state("running")
        while True:
            now = self.timeline.now()
            self.snapshots.claims.look(now)  # before anything that takes time: the next dump of that name overwrites it
            self._reap(now)
            self.terminal.look()
            self._observe(now)
            self.snapshots.tick(now, self.sampler.memory_by_pid)
            self._decide(now)
            self._drive_workload(now)
            self._drive_sidecar(now)
            self.teller.report(now)
            if self._over():
                return
            info = held.wait(self._next(now) - self.timeline.now())
            if info is not None and info.si_signo in self.terminal.signals:
                self.terminal.hear(info.si_signo)
            elif info is not None and info.si_signo not in signals.WAKING:
                self._asked_by_signal(info)

    def _over(self) -> bool:
        living = self.family.alive()
        if self.ending.released or not (self._children_left or (self.family.adopted and living)):
            return self.beside.stop(self.timeline.now())
        if self.family.main is not None or living:
            return self.ending.all_killed() and self.timeline.now() > self._growth_due + 5
        for helper in self.snapshots.helpers.values():
            helper.kill()
        self.beside.stop(self.timeline.now())
        return False

    def _next(self, now: float) -> float:
        """When there is something to do again, should no signal come before."""
        deadlines = [self._look.due, self.snapshots.due(now), self.ending.due, self.workload.due(), self.teller.due]
        deadlines.append(self.beside.due(now))
        if not self.ending.begun:
            deadlines.append(self._time_is_up)
        if self.ending.begun or self.family.main is None:
            deadlines.append(self._growth_due)
        return min(deadlines)

    def _reap(self, now: float) -> None:
        ended, self._children_left = self.family.reap(now)
        for pid, status in ended.items():
            if pid in self.snapshots.helpers:
                self.snapshots.reaped(pid, status)
            elif pid == self.beside.pid:
                self.beside.reaped(status)
            elif pid in self.copies.pids:
                self.copies.pids.discard(pid)
                self.family.helpers.discard(pid)
            elif pid in self.workload.pids:
                self.family.helpers.discard(pid)
                self.workload.reaped(pid, status)
            elif pid == self.outcome.pid and self.outcome.code is None and self.outcome.signum is None:
                self._main_ended(status, now)
        if ended:
            self._look.due = now

    def _main_ended(self, status: int, now: float) -> None:
        code = os.waitstatus_to_exitcode(status)
        self.outcome.code, self.outcome.signum = (code, None) if code >= 0 else (None, -code)
        text = f"by {signals.name_of(-code)}" if code < 0 else f"with code {code}"
        self.timeline.tell(EventKind.ENDED, self.outcome.pid, text)
        self.family.look(now)
        if code == -signal.SIGKILL and self.memory_limit is not None and self.memory_limit.has_killed():
            self.outcome.out_of_memory = self.memory_limit.text()
            text = f"the kernel killed it for want of memory: {self.outcome.out_of_memory}"
            self.timeline.tell(EventKind.NOTE, self.outcome.pid, text)
        self._main_is_gone(now)

    def _main_is_gone(self, now: float) -> None:
        self.ending.main_ended(now)
        if not self.family.alive():  # else a daemon goes on with the work
            self.teller.change_state("stopping")

    def _see_the_adopted_end(self, now: float) -> None:
        if not self._adopted_ended and self.family.adopted and self.family.main is None:
            self._adopted_ended = True
            text = "how is not known: it was not leakrun's child"
            self.timeline.tell(EventKind.ENDED, self.outcome.pid, text)
            self._main_is_gone(now)

    def _observe(self, now: float) -> None:
        if now >= self._look.due or self.snapshots.claims.unsettled:
            began = time.thread_time()
            self.family.look(now)
            self._see_the_adopted_end(now)
            self.ending.kill_what_is_left()
            interval = 0.002 if self.family.young(now) else look_interval(now, self.plan.sample_every)
            self._look.done(now, time.thread_time() - began, interval)
            self.notes.take(now)
            self._hear_requests(now)
        if now >= self._growth_due and (self.ending.begun or self.family.main is None):
            self.output.look_for_growth(now)
            self._growth_due = now + _GROWTH_LOOK

    # ---- the stop

    def _asked_by_signal(self, info: signal.struct_siginfo) -> None:
        now = self.timeline.now()
        if self.family.main is None and not self.family.alive():
            self.copies.kill()  # nothing else is left to wait for
        from_terminal = info.si_code == signals.SI_KERNEL
        sender = "the terminal" if from_terminal else f"process {info.si_pid}"
        self.timeline.tell(EventKind.SIGNAL, None, f"leakrun got {signals.name_of(info.si_signo)} from {sender}")
        # A hangup is another matter: the kernel tells the session's leader alone.
        delivered = from_terminal and info.si_signo != signal.SIGHUP and self._in_our_group()
        self._ask(signals.STOPPED_BY[info.si_signo], now, delivered=delivered)

    def _in_our_group(self) -> bool:
        main = self.family.main
        stat = proc.stat(main.pid) if main is not None else None
        return stat is not None and stat.group == os.getpgrp()

    def _ask(self, by: str, now: float, *, delivered: bool = False) -> None:
        self.ending.ask(by, now, delivered=delivered)
        self.outcome.stopped_by = self.outcome.stopped_by or self.ending.by
        self.teller.change_state("stopping")

    @property
    def _time_is_up(self) -> float:
        """When the duration ends, which begins when a sidecar is ready."""
        if self._duration is None or self.beside.awaited:
            return float("inf")
        return self._duration + (self.beside.ready_at or 0.0)

    def _decide(self, now: float) -> None:
        if now >= self._time_is_up and not self.ending.begun:
            self._ask("for", now)
        self.ending.tick(now)

    def _drive_workload(self, now: float) -> None:
        if self.ending.begun or self.family.main is None:
            self.workload.end(now)
        reason = self.workload.tick(now)
        self.family.helpers |= self.workload.pids
        if reason is not None and not self.ending.begun:
            self._ask(reason, now)

    def _drive_sidecar(self, now: float) -> None:
        self.beside.tick(now)
        if self.beside.failed and self.plan.pid is not None and not self.ending.begun:
            self._ask("sidecar", now)  # without it there is nothing to be attached for

    def _last_look(self) -> None:
        self.family.look(self.timeline.now())
        self.notes.read_maps()

    # ---- what others ask

    def _hear_requests(self, now: float) -> None:
        for identity, ask in self.inbox.new():
            if ask == requests.STOP:
                self.inbox.answer_stop(identity)
                self._ask("stop", now)
            else:
                asked = requests.Asked(partial(self.inbox.answer_snapshot, identity))
                self.snapshots.want_now(now, asked)

    # ---- what others are told

    def _current_outcome(self) -> Outcome:
        usage = self.family.usage
        self.outcome.seconds = round(self.timeline.now(), 3)
        self.outcome.user_seconds, self.outcome.system_seconds = usage.user_seconds, usage.system_seconds
        self.outcome.max_rss_bytes = usage.max_rss_bytes
        return self.outcome

    def _current_progress(self, state: str, note: str, warning: str) -> Progress:
        shots, sampler, living = self.snapshots, self.sampler, len(self.family.alive())
        return Progress(
            self.timeline.now(),
            sampler.rss,
            sampler.slope,
            shots.confirmed,
            shots.missed,
            living,
            state,
            note,
            warning,
            self.terminal.lent,
        )
