"""The processes of a run: the main one and whatever came from it, found through /proc and reaped as they end."""

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from runner.plan import EventKind, ProcessOutcome
from runner.supervise import proc
from runner.supervise.signals import name_of
from runner.supervise.timeline import Timeline

_SET_CHILD_SUBREAPER, _GET_CHILD_SUBREAPER = 36, 37  # prctl(2)
_MOST_LISTED = 2000  # a script can start a hundred thousand commands; the manifest must stay readable
_LOADING = 0.03  # seconds at most
_YOUTH = 0.05  # seconds in which the loader does its work: looked at often, maps not yet kept


@dataclass(slots=True)
class Member:
    """One process. `start_ticks` tells it from a later one with the same pid."""

    record: ProcessOutcome
    start_ticks: int
    session: int
    found: float
    executable: str = ""
    alive: bool = True
    stopped: bool = False
    cpu_ticks: int = 0
    maps_text: bytes = b""
    maps_read: int = 0
    maps_kept: bool = False
    virtual: int = 0
    maps_virtual: int = -1  # `virtual` when its maps were read last

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.record.pid


@dataclass(slots=True)
class Usage:
    """Of all that was reaped: seconds of processor time, and the most that one process had resident."""

    user_seconds: float = 0.0
    system_seconds: float = 0.0
    max_rss_bytes: int = 0


@dataclass(slots=True)
class Family:
    """All processes below this one, except our own helpers; and those that were adopted, with what is below them.

    adopted   pid and start_ticks of processes that are not our children: they are seen to end, and not how
    departed  what has ended and was not yet taken notice of by the caller, who empties it
    own_peak  bytes: a child's ru_maxrss is never under what leakrun had when it forked, so that smaller figures say nothing
    """

    main_pid: int
    loaded: str | None
    timeline: Timeline
    members: dict[int, Member] = field(default_factory=dict)
    records: list[ProcessOutcome] = field(default_factory=list)
    helpers: set[int] = field(default_factory=set)
    departed: list[Member] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    own_peak: int = 0
    unlisted: int = 0
    tool_words: tuple[str, ...] = ()
    adopted: dict[int, int] = field(default_factory=dict)

    @property
    def main(self) -> Member | None:
        """The main process while it lives."""
        member = self.members.get(self.main_pid)
        return member if member is not None and member.alive else None

    def alive(self) -> list[Member]:
        """Everything that runs, in the order in which it was found."""
        return [member for member in self.members.values() if member.alive]

    def look(self, now: float) -> None:
        """Find what is new, notice what ended and what turned into another program."""
        present: set[int] = set()
        waiting = [(pid, os.getpid()) for pid in proc.children(os.getpid()) if pid not in self.helpers]
        waiting += [(pid, 0) for pid, start_ticks in self.adopted.items() if proc.lives(pid, start_ticks)]
        while waiting:
            pid, parent = waiting.pop()
            if pid in present:
                continue
            present.add(pid)
            self._look_at(pid, parent, now)
            waiting.extend((child, pid) for child in proc.children(pid))
        for pid, member in list(self.members.items()):
            if pid not in present and not self._still_there(member):
                self._gone(member, now)
                del self.members[pid]

    def _still_there(self, member: Member) -> bool:
        """The kernel's list of children can skip one while its sibling ends."""
        return proc.lives(member.pid, member.start_ticks)

    def _look_at(self, pid: int, parent: int, now: float) -> None:
        stat = proc.stat(pid)
        if stat is None:
            return
        member = self.members.get(pid)
        if member is not None and member.start_ticks != stat.start_ticks:
            self._gone(member, now)
            member = None
        if member is None:
            member = self._add(pid, parent, stat, now)
        member.stopped, member.session, member.cpu_ticks = stat.stopped, stat.session, stat.cpu_ticks
        member.virtual = stat.virtual
        if stat.ended:
            self._gone(member, now)
        elif member.alive:
            self._look_at_program(member, now)

    def _add(self, pid: int, parent: int, stat: proc.Stat, now: float) -> Member:
        known = next((each for each in self.records if (each.pid, each.start_ticks) == (pid, stat.start_ticks)), None)
        parent = parent or stat.parent_pid
        record = known or ProcessOutcome(pid, parent, self._command(pid), started=round(now, 3), start_ticks=stat.start_ticks)
        member = Member(record, stat.start_ticks, stat.session, found=now)
        self.members[pid] = member
        if known is not None:
            return member  # taken back after its supervisor had died
        if len(self.records) < _MOST_LISTED:
            self.records.append(record)
            if pid != self.main_pid:
                self.timeline.tell(EventKind.PROCESS, pid, f"started by {parent}: {' '.join(record.command)[:200]}")
        else:
            self.unlisted += 1
        return member

    def _look_at_program(self, member: Member, now: float) -> None:
        executable = proc.executable(member.pid)
        if not executable:
            return  # it is ending, and has no program any more
        young = now - member.found < _YOUTH
        if executable != member.executable or young:
            if executable != member.executable and member.executable:
                member.record.loaded = False  # exec: what the last program had loaded says nothing of this one
                member.found, member.maps_read = now, 0
            member.executable = executable
            member.record.command = self._command(member.pid) or member.record.command
        if young or (self.loaded is not None and not member.record.loaded and member.maps_read < 20):
            self.read_maps(member)

    def _command(self, pid: int) -> list[str]:
        """Its command line without what the tool put before it."""
        words, before = proc.command(pid), len(self.tool_words)
        return words[before:] if before and words[1:before] == list(self.tool_words[1:]) and words[before:] else words

    def read_maps(self, member: Member) -> bool:
        """Read its maps, and see whether the tool is there. False where they can't be read or it has none left."""
        member.maps_read += 1
        member.maps_virtual = member.virtual
        try:
            text = proc.maps(member.pid)
        except PermissionError:
            return False
        if not text:
            return False
        member.maps_text = text
        # As it is now: under a tool that is the executable itself another program may run.
        member.record.loaded = self._is_loaded(text)
        member.record.command = self._command(member.pid) or member.record.command
        return True

    def watch_loading(self) -> bytes:
        """Right after the start: the maps with the tool in them, or the last that there were.

        Before anything slow is done, since some programs end in milliseconds; one that ends sooner than we get to run is missed.
        """
        last = b""
        while self.loaded is not None and (now := self.timeline.now()) < _LOADING:
            try:
                text = proc.maps(self.main_pid)
            except PermissionError:
                break
            last = text or last
            if not text or self._is_loaded(text):
                break
            time.sleep(0 if now < _LOADING / 10 else 0.0003)
        return last

    def take_loading(self, text: bytes) -> None:
        """Note what watch_loading() saw."""
        main = self.members.get(self.main_pid)
        if main is not None and text:
            main.maps_text = main.maps_text or text
            main.record.loaded = main.record.loaded or self._is_loaded(text)

    def _is_loaded(self, text: bytes) -> bool:
        if self.loaded is None:
            return False
        needle = os.fsencode(self.loaded)
        return needle in text and any(needle in path for path in proc.mapped_paths(text))

    def young(self, now: float) -> bool:
        """Some process has just begun, and is worth looking at often."""
        return any(member.alive and now - member.found < _YOUTH for member in self.members.values())

    def _gone(self, member: Member, now: float) -> None:
        if member.alive:
            member.alive = False
            self.departed.append(member)
            member.record.ended = round(now, 3) if member.record.ended is None else member.record.ended

    def reap(self, now: float) -> tuple[dict[int, int], bool]:
        """Take in every child that has ended: statuses as waitpid gives them, by pid; and whether children are left."""
        ended: dict[int, int] = {}
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return ended, False
            if pid == 0:
                return ended, True
            ended[pid] = status
            if pid in self.helpers:
                continue
            self.usage.user_seconds += usage.ru_utime
            self.usage.system_seconds += usage.ru_stime
            if usage.ru_maxrss * 1024 > self.own_peak:
                self.saw_rss(usage.ru_maxrss * 1024)
            self._reaped(pid, status, now)

    def saw_rss(self, size: int) -> None:
        """A process was seen with that many bytes resident."""
        self.usage.max_rss_bytes = max(self.usage.max_rss_bytes, size)

    def _reaped(self, pid: int, status: int, now: float) -> None:
        member = self.members.get(pid)
        if member is None:
            return  # an orphan that came and went between two looks
        code = os.waitstatus_to_exitcode(status)
        record = member.record
        record.code, record.signum = (code, None) if code >= 0 else (None, -code)
        self._gone(member, now)
        if pid != self.main_pid and self.unlisted == 0:
            self.timeline.tell(EventKind.PROCESS, pid, f"ended by {name_of(-code)}" if code < 0 else f"ended with code {code}")
        del self.members[pid]


@contextmanager
def subreaper() -> Iterator[None]:
    """Children whose parent ends become ours, not init's: prctl(2), PR_SET_CHILD_SUBREAPER."""
    libc = ctypes.CDLL(None)
    former = ctypes.c_int(0)
    libc.prctl(_GET_CHILD_SUBREAPER, ctypes.byref(former), 0, 0, 0)
    libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_SET_CHILD_SUBREAPER, former.value, 0, 0, 0)
