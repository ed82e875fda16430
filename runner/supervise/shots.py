"""All snapshots of a run: which process is due, whether its gate is open, and each attempt until it is proven or missed."""

import fnmatch
import re
from dataclasses import dataclass, field

from runner.plan import CopyFile, EventKind, RunCommand, SendSignal, Trigger
from runner.supervise import helper, proc, signals
from runner.supervise.attempt import Attempt, Move, Sighting
from runner.supervise.claims import Claims
from runner.supervise.copying import copy
from runner.supervise.family import Family, Member
from runner.supervise.gates import left_home
from runner.supervise.helper import Helper, fill
from runner.supervise.output import RawOutput
from runner.supervise.requests import Asked
from runner.supervise.retention import Retention
from runner.supervise.series import Series
from runner.supervise.timeline import Timeline

_POLL = 0.005  # seconds between two looks at a snapshot under way
_SLOW_POLL = 0.05  # after it has been under way for a second
_DEAF = 0.2  # seconds after which a signal is sent once more that the process took and did nothing for: tcmalloc's lock was held
_MOST_NAMED = 10
_MOST_KEPT = 1000  # series of processes that have ended


@dataclass(slots=True)
class Shot:
    """One attempt under way."""

    series: Series
    attempt: Attempt
    number: int
    pattern: re.Pattern[str]
    first_arrival: int
    began: float
    helper: Helper | None = None
    seen: Sighting | None = None
    patience: float = _DEAF  # seconds since it was asked last,
    deaf_at: float = 0.0  # and when these are over: if it has done nothing by then, it did not hear
    asked: list[Asked] = field(default_factory=list)


@dataclass(slots=True)
class Snapshots:
    """Drives every trigger of a plan; the timeline gets each confirmed snapshot and each miss."""

    triggers: tuple[Trigger, ...]
    family: Family
    output: RawOutput
    timeline: Timeline
    children: str = "all"  # whose snapshots are taken beside the main process's
    keep: int | str = "all"
    claims: Claims = field(init=False)
    retention: Retention = field(init=False)
    confirmed: int = 0
    missed: int = 0
    helpers: dict[int, Helper] = field(default_factory=dict)
    _series: dict[tuple[int, int, str], Series] = field(default_factory=dict)
    _numbers: dict[tuple[int, str], int] = field(default_factory=dict)
    _under_way: dict[int, Shot] = field(default_factory=dict)
    _wanted: list[Series] = field(default_factory=list)
    _claimed: set[str] = field(default_factory=set)
    _timers_on: bool = True
    _hears: bool = True  # what others ask for

    def __post_init__(self) -> None:
        self.claims = Claims(self.triggers, self.family, self.output, self.timeline)
        self.retention = Retention(self.output, self.timeline, self.keep)

    @property
    def busy(self) -> bool:
        """Something is under way or asked for."""
        return bool(self._under_way or self._wanted)

    def want_last(self, now: float) -> None:
        """From now on only the snapshots before the stop are taken, one of each process."""
        self._timers_on = self._hears = False
        for series in self._all_series(now):
            if series.trigger.before_stop:
                self._wanted.append(series)

    def hear_again(self) -> None:
        """The program stays, perhaps for hours: what others ask for is taken again."""
        self._hears = True

    def want_now(self, now: float, asked: Asked) -> None:
        """On request: one of each process, begun from now on; `asked` is told how they went."""
        wanted = [series for series in self._all_series(now) if series.trigger.on_request]
        if not self._hears or not wanted:
            asked.refuse("the run is being stopped" if not self._hears else "this profile takes no snapshots while it runs")
            return
        asked.open = len(wanted)
        for series in wanted:
            series.asked.append(asked)
            if series not in self._wanted:
                self._wanted.append(series)

    def drop_wanted(self) -> None:
        """The user is in a hurry: forget what was not begun and what is under way."""
        self._timers_on = self._hears = False
        for series in self._wanted:
            series.settle(series.asked, reason="given up: the stop was asked for again")
        self._wanted.clear()
        for shot in self._under_way.values():
            shot.series.settle(shot.asked, reason="given up: the stop was asked for again")
            if shot.helper is not None and shot.helper.status is None:
                shot.helper.kill()
            self._note(shot.series, "a snapshot under way was given up: the stop was asked for again")
        self._under_way.clear()

    def tick(self, now: float, memory_by_pid: dict[int, proc.Memory]) -> None:
        """Go on with all that is under way, and begin what is due."""
        for running in self.helpers.values():
            running.check(now)
        self.claims.look(now)
        if self._under_way:
            self.output.refresh()
        for pid, shot in list(self._under_way.items()):
            if self._go_on(shot, now):
                del self._under_way[pid]
        self.claims.settle(now, [shot.series.member for shot in self._under_way.values()])
        self._begin_wanted(now)
        if self._timers_on:
            for series in self._all_series(now):
                if self._is_due(series, now, memory_by_pid):
                    self._begin(series, now)

    def reaped(self, pid: int, status: int) -> None:
        """One of our commands has ended, with that status as waitpid gives it."""
        ended = self.helpers.pop(pid)
        ended.status = status
        self.family.helpers.discard(pid)
        if all(shot.helper is not ended for shot in self._under_way.values()):
            ended.finish()

    def due(self, now: float) -> float:
        """When tick() may have something to do."""
        if self._under_way or self._wanted:
            return min((self._next_look(shot, now) for shot in self._under_way.values()), default=now + _POLL)
        if self.claims.unsettled:
            return self.claims.due(now)
        return min((series.due for series in self._series.values()), default=float("inf")) if self._timers_on else float("inf")

    def _next_look(self, shot: Shot, now: float) -> float:
        """Often while a file is waited for; once more when one that is there has stood still long enough."""
        if shot.seen is not None and shot.seen.whole and shot.helper is None:
            return max(shot.attempt.settled_at, now + 0.001)
        return now + min(max(_POLL, (now - shot.began) / 10), _SLOW_POLL)

    def note_unsnapped(self) -> None:
        """Note of each process of which not one snapshot could be begun why that is; the timeline has the first of them."""
        closed = [series for series in self._series.values() if not series.taken and series.why_closed]
        for series in closed:
            series.member.record.unsnapped = series.member.record.unsnapped or series.why_closed
        for series in closed[:_MOST_NAMED]:
            self._note(series, f"never possible: {series.why_closed}")

    def _all_series(self, now: float) -> list[Series]:
        living = [member for member in self.family.alive() if self._matters(member)]
        wanted: dict[tuple[int, int, str], Series] = {}
        for member in living:
            for trigger in self.triggers:
                key = (member.pid, member.start_ticks, trigger.name)
                wanted[key] = self._series.get(key) or Series(trigger, member, 0, now)
        for key, series in self._series.items():
            if key not in wanted and not series.taken and series.why_closed and len(wanted) < _MOST_KEPT:
                wanted[key] = series  # kept for note_unsnapped()
                series.due = float("inf")
        self._series = wanted
        return [series for series in wanted.values() if series.member.alive]

    def _matters(self, member: Member) -> bool:
        if self.children == "all" or member.pid == self.family.main_pid:
            return True
        return self.children != "none" and member.record.name == self.children

    def _is_due(self, series: Series, now: float, memory_by_pid: dict[int, proc.Memory]) -> bool:
        if series.member.pid in self._under_way:
            return False
        if not series.opened:
            if now >= series.due:  # that the gate is open for the first time is alone no reason for a snapshot
                series.try_to_open(now, may_drop_user=series.member.pid != self.family.main_pid or series.trigger.gate.may_leave)
            return False
        if series.has_grown(memory_by_pid.get(series.member.pid)):
            return self._may_begin(series, now)
        if series.trigger.every is None or now < series.due:
            return False
        series.plan_next(now)
        return self._may_begin(series, now)

    def _may_begin(self, series: Series, now: float) -> bool:
        return series.gate_is_open() and not self.retention.lacks_room(series.member.pid, series.trigger, now)

    def _begin_wanted(self, now: float) -> None:
        for series in list(self._wanted):
            if series.member.pid in self._under_way or self._crowded(series):
                continue
            self._wanted.remove(series)
            if not series.member.alive:
                series.settle(series.asked, reason="the process has ended")
                continue
            if series.gate_is_open():
                series.opened = True
                self._begin(series, now)
            else:
                why = series.why_closed or "the process has ended"
                self._note(series, f"no {'snapshot' if series.asked else 'last snapshot'}: {why}")
                series.settle(series.asked, reason=why)

    def _crowded(self, series: Series) -> bool:
        """Without {pid} in the proof, two at once could not be told apart."""
        if "{pid}" in series.trigger.proof.pattern:
            return False
        return any(shot.series.trigger is series.trigger for shot in self._under_way.values())

    def _begin(self, series: Series, now: float) -> None:
        if self._crowded(series):
            if series not in self._wanted:
                self._wanted.append(series)
            return
        key = (series.member.pid, series.trigger.name)
        series.number = self._numbers[key] = self._numbers.get(key, self.claims.number_from) + 1
        self.output.refresh()
        glob = fill(series.trigger.proof.pattern, series.member.pid, series.number)
        pattern = re.compile(fnmatch.translate(glob))
        shot = Shot(series, Attempt(series.trigger), series.number, pattern, len(self.output.arrivals), now)
        shot.asked, series.asked = series.asked, []
        self._under_way[series.member.pid] = shot
        if self._settle(shot, Move.ACT, now):
            del self._under_way[series.member.pid]

    def _go_on(self, shot: Shot, now: float) -> bool:
        """True when the attempt is over."""
        alive = shot.series.member.alive
        if shot.helper is not None:
            if shot.helper.status is None:
                if not alive or self._has_left_home(shot):
                    shot.helper.shorten(now + 1.0)
            else:
                failure = shot.helper.finish()
                shot.helper = None
                if failure:
                    return self._settle(shot, shot.attempt.failed(failure) if alive else Move.VOID, now)
        shot.seen = self._sight(shot)
        if shot.seen is None and now >= shot.deaf_at:
            self._ask_the_deaf(shot, now)
        move = shot.attempt.see(now, shot.seen, acting=shot.helper is not None, alive=alive)
        return self._settle(shot, move, now)

    def _ask_the_deaf(self, shot: Shot, now: float) -> None:
        """Ever more seldom: one that has a handler of its own is not to be pestered."""
        action = shot.series.trigger.action
        if isinstance(action, SendSignal) and self.claims.was_deaf(shot.series.member, action.signum):
            shot.patience *= 2
            shot.deaf_at = now + shot.patience
            self._act(shot, now)

    def _has_left_home(self, shot: Shot) -> bool:
        """In the middle of the snapshot, which will come to nothing."""
        return shot.series.trigger.gate.at_home and bool(left_home(shot.series.member.pid))

    def _settle(self, shot: Shot, move: Move, now: float) -> bool:
        while move is Move.ACT:
            failure = self._act(shot, now)
            shot.attempt.acted(now)
            shot.patience, shot.deaf_at = _DEAF, now + _DEAF
            move = shot.attempt.failed(failure) if failure else Move.WAIT
        if move is Move.WAIT:
            return False
        pid = shot.series.member.pid
        if move is Move.CONFIRMED and shot.seen is not None and self._may_be_cut(shot):
            self.output.remove(shot.seen.name)  # or the tool's own write at its end would have no room either
            shot.attempt.reason, move = "the disk was full", Move.MISSED
        if move is Move.CONFIRMED and shot.seen is not None:
            name = self._kept(shot, shot.seen.name)
            self._claimed.add(name)
            self.confirmed += 1
            shot.series.taken += 1
            self.timeline.tell(EventKind.SNAPSHOT, pid, shot.series.trigger.name, name)
            self._leave_alone(shot, now)
            if not shot.asked:  # who asked for one is told its name
                self.retention.keep(pid, shot.series.trigger, name)
            shot.series.settle(shot.asked, file=name)
        elif move is Move.MISSED:
            self.missed += 1
            shot.series.taken += 1
            self.timeline.tell(EventKind.MISS, pid, f"{shot.series.trigger.name}: {shot.attempt.reason}")
            shot.series.settle(shot.asked, reason=shot.attempt.reason)
        else:
            self._note(shot.series, "a snapshot was under way when the process ended")
            shot.series.settle(shot.asked, reason="the process ended first")
        return True

    def _may_be_cut(self, shot: Shot) -> bool:
        """Nothing in the file says that it is whole, and the disk had no room for more of it."""
        return not shot.series.trigger.proof.marker and self.output.is_full()

    def _leave_alone(self, shot: Shot, now: float) -> None:
        series, took = shot.series, now - shot.began
        if not isinstance(series.trigger.action, RunCommand) or not series.leave_alone(now, took):
            return
        record = series.member.record
        if not record.rested:
            self._note(series, f"each takes {took:.1f} s: they come less often than asked for, so that the program gets on")
        record.rested = max(record.rested, round(took, 3))

    def _kept(self, shot: Shot, name: str) -> str:
        """The name that a proven file has from now on, in its place."""
        if shot.series.trigger.proof.keep_as:
            return self.claims.give(name, shot.series.member.pid)
        self.output.deliver(name)
        return name

    def _act(self, shot: Shot, now: float) -> str:
        """Do the trigger's action; the reason when that was not possible."""
        action, member = shot.series.trigger.action, shot.series.member
        try:
            if isinstance(action, SendSignal):
                self.claims.asked(member, now)
                gone = not signals.send(member.pid, action.signum, member.start_ticks)
                return "the process is gone" if gone else ""
            if isinstance(action, CopyFile):
                shot.series.cost = copy(action, member.pid, shot.number, self.output.raw)
                return ""
            shot.helper = helper.start(action, member.pid, shot.number, self.output.raw, now)
        except (OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        self.helpers[shot.helper.pid] = shot.helper
        self.family.helpers.add(shot.helper.pid)
        return ""

    def _sight(self, shot: Shot) -> Sighting | None:
        proof = shot.series.trigger.proof
        if proof.keep_as:
            return self.claims.sight(shot.series.member, proof, shot.began)
        for name in reversed(self.output.arrivals[shot.first_arrival :]):
            if name in self._claimed or not shot.pattern.match(name):
                continue
            state = self.output.state(name)
            if state is None:
                continue
            before = shot.seen
            same = before is not None and (before.name, before.size, before.changed) == (name, *state)
            whole = before.whole if same and before else self.output.holds(name, shot.series.trigger.proof.marker)
            return Sighting(name, *state, whole)
        return None

    def _note(self, series: Series, text: str) -> None:
        self.timeline.tell(EventKind.NOTE, series.member.pid, f"{series.trigger.name}: {text}")
