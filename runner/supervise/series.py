"""The snapshots of one process by one trigger: when the next is due, and whether its gate is open."""

import os
from dataclasses import dataclass, field

from runner.plan import Trigger
from runner.supervise import proc
from runner.supervise.family import Member
from runner.supervise.gates import closed, lend
from runner.supervise.requests import Asked, Taken
from runner.supervise.schedule import checkpoint_interval, snapshot_interval

_FIRST_GATE = 0.005  # a young process opens its gate within milliseconds; an old one is asked ever more seldom
_LAST_GATE = 0.25
_BRIEF = 0.1  # seconds: a command that is done so soon may be run as often as was asked for
_REST = 1.0  # times as long as it took the program is left alone after a longer one: it has half of the time
_SETTLED = 3.0  # seconds; tools that make a program slow make its start slow too


@dataclass(slots=True)
class Series:
    """One process and one trigger. Times are seconds since the start."""

    trigger: Trigger
    member: Member
    number: int
    due: float
    opened: bool = False
    opened_in: str = ""  # the executable that the gate was last open in
    gate_wait: float = _FIRST_GATE
    taken: int = 0
    cost: float = 0.0  # seconds of processor time that the last CopyFile took
    mark: proc.Memory | None = None  # what the process had when its growth last was a reason
    why_closed: str = ""
    asked: list[Asked] = field(default_factory=list)  # who waits for the next one that begins

    def try_to_open(self, now: float, *, may_drop_user: bool) -> None:
        """Begin the series where the gate is open; else ask again ever more seldom."""
        if may_drop_user and self._may_yet_drop_user(now):
            self.due = now + _LAST_GATE
        elif self.gate_is_open():
            self.opened = True
            self.plan_next(now)
        else:
            self.due = now + self.gate_wait
            self.gate_wait = min(self.gate_wait * 1.2, _LAST_GATE)

    def _may_yet_drop_user(self, now: float) -> bool:
        """Servers do so at their start, their workers right after the fork; who does amid a snapshot is stuck in it."""
        return self.trigger.gate.at_home and os.geteuid() == 0 and now - self.member.found < _SETTLED

    def gate_is_open(self) -> bool:
        """Whether a snapshot may begin now; `why_closed` says why not, of a process that has ended what it was before."""
        if not proc.lives(self.member.pid, self.member.start_ticks):
            return False
        self.why_closed = closed(self.trigger.gate, self.member, self.opened_in == self.member.executable != "")
        if not self.why_closed:
            self.opened_in = self.member.executable
            lend(self.trigger.gate, self.member.pid)
        return not self.why_closed

    def plan_next(self, now: float) -> None:
        """Set when the timer is due next."""
        if self.trigger.every is None:
            self.due = float("inf")
            return
        if self.trigger.adaptive and self.trigger.keep_last is not None:
            interval = checkpoint_interval(self.trigger.every, self.taken)
        else:
            interval = snapshot_interval(self.trigger.every, self.trigger.adaptive, self.taken)
        if self.trigger.share is not None:
            interval = max(interval, self.cost / self.trigger.share)
        # From the time when it was due, so that delays don't add up; but never a burst for what was missed.
        self.due = max(self.due + interval, now + interval / 2)

    def leave_alone(self, now: float, took: float) -> bool:
        """A command, such as a debugger's, stops the program meanwhile: so often that it hardly ran, it would show nothing.

        Whether the next one is put off for that.
        """
        rested = now + _REST * took
        if took <= _BRIEF or self.due >= rested:
            return False
        self.due = rested
        return True

    def has_grown(self, memory: proc.Memory | None) -> bool:
        """The process has so much more than when this was last so that a snapshot is due."""
        if memory is None or (self.trigger.rss_step is None and self.trigger.stack_step is None):
            return False
        self.mark = self.mark or memory
        if not grown(self.trigger, self.mark, memory):
            return False
        self.mark = memory
        return True

    def settle(self, asked: list[Asked], file: str = "", reason: str = "") -> None:
        """Tell those who asked how it went."""
        waiting, asked[:] = list(asked), []
        for each in waiting:
            each.settle(Taken(self.member.pid, self.trigger.name, file, reason))


def grown(trigger: Trigger, before: proc.Memory, now: proc.Memory) -> bool:
    """The process's memory, or its stacks, are so much more that a snapshot is due."""
    if trigger.rss_step is not None and now.rss >= before.rss + trigger.rss_step:
        return True
    if trigger.stack_step is None:
        return False
    if now.stack >= before.stack + trigger.stack_step:
        return True
    return now.threads > 1 and now.rss >= before.rss + max(trigger.stack_step, before.rss // 4)
