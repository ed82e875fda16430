"""Carries out what the stop sequence decides: last snapshots, signals, and for an attached process only letting go."""

import os
import signal
import time
from collections.abc import Callable

from runner.plan import EventKind, StopPlan
from runner.supervise import proc, signals
from runner.supervise.family import Family, Member
from runner.supervise.output import RawOutput
from runner.supervise.shots import Snapshots
from runner.supervise.stop import Deed, Rung, StopSequence
from runner.supervise.timeline import Timeline


class Ending:
    """One run's end. `last_look` is called right before the last snapshots; `lets_go`: the target is never to be ended."""

    def __init__(
        self,
        plan: StopPlan,
        family: Family,
        snapshots: Snapshots,
        output: RawOutput,
        timeline: Timeline,
        last_look: Callable[[], None],
        *,
        lets_go: bool = False,
    ) -> None:
        self.released = False  # the target was let go: there is nothing left to do for it
        self._plan, self._sequence = plan, StopSequence(plan)
        self._family, self._snapshots, self._output, self._timeline = family, snapshots, output, timeline
        self._last_look, self._lets_go = last_look, lets_go
        self._active_at = 0.0  # when anything that outlived the main process last used the processor
        self._activity = -1
        self._killed: set[tuple[int, int]] = set()

    @property
    def begun(self) -> bool:
        """Somebody asked for the end, or what outlived the main process is being ended."""
        return self._sequence.begun

    @property
    def by(self) -> str | None:
        """Who asked first."""
        return self._sequence.by

    @property
    def due(self) -> float:
        """When tick() may have something to do."""
        return self._sequence.due(self._written_at)

    @property
    def _written_at(self) -> float:
        """When the output last grew, where that says that the tool is at its last write."""
        return float("-inf") if self._plan.streams else self._output.grown_at

    def all_killed(self) -> bool:
        """Whatever is left was killed, and does not go (it hangs in the kernel)."""
        left = self._family.alive()
        return self._sequence.rung == Rung.KILLED and all((m.pid, m.start_ticks) in self._killed for m in left)

    def ask(self, by: str, now: float, *, delivered: bool = False) -> None:
        """Someone asks for the end. `delivered`: the program has had the signal already."""
        self._output.look_for_growth(now)
        self._do(self._sequence.ask(now, by, delivered=delivered, grown_at=self._written_at), now)

    def main_ended(self, now: float) -> None:
        """The main process is gone."""
        self._active_at = now
        if self._lets_go:
            self.released = True
            return
        living = self._family.alive()
        if living and not self.begun:
            self._note(None, f"the program ended and left {_counted(living)} behind, watched to the end")
        self._do(self._sequence.main_ended(now), now)

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._family.main is None and not self.begun:
            self._end_idle_rest(now)
        busy, main_alive = self._snapshots.busy, self._family.main is not None
        self._do(self._sequence.tick(now, snapping=busy, grown_at=self._written_at, main_alive=main_alive), now)

    def _end_idle_rest(self, now: float) -> None:
        """What outlives the main process goes on while it works; one in a session of its own (a daemon) as long as it likes.

        What only hangs there (a fork of a profiled thread can) is ended after a grace.
        """
        living = self._family.alive()
        activity = sum(member.cpu_ticks for member in living)
        daemon = any(member.session != os.getsid(0) for member in living)
        if activity != self._activity or daemon:
            self._activity, self._active_at = activity, now
        if living and now - max(self._active_at, self._written_at) >= self._plan.grace:
            self._note(None, f"{_counted(living)} outlived the program and did nothing for {self._plan.grace:g} s: ended now")
            self._do(self._sequence.end_rest(now), now)

    def _do(self, deeds: list[Deed], now: float) -> None:
        for deed in deeds:
            if deed is Deed.SNAPSHOT:
                self._last_look()
                self._snapshots.want_last(now)
            elif deed is Deed.SIGNAL:
                self._snapshots.drop_wanted()
                if self._lets_go:
                    self.released = True
                    return
                self._signal(self._plan.signum, now)
            elif deed is Deed.INTERRUPT:
                self._signal(signal.SIGINT, now)
            elif deed is Deed.TELL:
                self._tell_that_it_stays()
                self._snapshots.hear_again()
            elif deed is Deed.SPARE:
                self._note(None, "not killed yet: it may still be writing; ask again in some seconds")
            elif deed is Deed.KILL:
                self.kill_what_is_left()

    def _tell_that_it_stays(self) -> None:
        asked = " and ".join(dict.fromkeys(map(signals.name_of, (self._plan.signum, signal.SIGINT))))
        limit = self._plan.kill_after
        then = "Ctrl-C or `leakrun stop` once more kills it, and next time --set stop.kill_after=30s"
        then = then if limit is None else f"it is killed in {limit:g} s, or when it is asked for"
        self._timeline.warn(f"the program does not end on {asked}: {then}")

    def _signal(self, signum: int, now: float) -> None:
        main = self._family.main
        if main is not None and proc.ignores(main.pid, signum):
            self._note(main.pid, f"the program ignores {signals.name_of(signum)}")
            self._do(self._sequence.refused(now), now)
            return
        for member in [main] if main is not None else self._family.alive():
            self.send(member, signum)

    def kill_what_is_left(self) -> None:
        """Once the ladder is used up: kill each process that is found, once."""
        if self._sequence.rung < Rung.KILLED or self._lets_go:
            return
        for member in self._family.alive():
            if (member.pid, member.start_ticks) not in self._killed:
                self._killed.add((member.pid, member.start_ticks))
                self.send(member, signal.SIGKILL)

    def send(self, member: Member, signum: int) -> None:
        """Send a signal, wake a stopped process for it, and note it."""
        try:
            sent = signals.send(member.pid, signum, member.start_ticks)
            stat = proc.stat(member.pid)
            if sent and stat is not None and stat.stopped and signum != signal.SIGKILL:
                signals.send(member.pid, signal.SIGCONT, member.start_ticks)
        except PermissionError:
            self._note(member.pid, f"{signals.name_of(signum)} is not permitted: it runs as another user")
            return
        if sent:
            self._timeline.tell(EventKind.SIGNAL, member.pid, f"sent {signals.name_of(signum)}")

    def end_all(self) -> None:
        """After a normal run there is nothing left to end; after an error of ours the program must not be orphaned."""
        left = True
        for signum, patience in ((self._plan.signum, self._plan.grace), (signal.SIGKILL, 5.0)):
            deadline = time.monotonic() + patience
            self._family.look(self._timeline.now())
            for member in self._family.alive():
                self.send(member, signum)
            while left and time.monotonic() < deadline:
                ended, left = self._family.reap(self._timeline.now())
                time.sleep(0 if ended else 0.01)

    def _note(self, pid: int | None, text: str) -> None:
        self._timeline.tell(EventKind.NOTE, pid, text)


def _counted(processes: list[Member]) -> str:
    return f"{len(processes)} process{'' if len(processes) == 1 else 'es'}"
