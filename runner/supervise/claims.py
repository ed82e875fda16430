"""Whose file is it: dumps that several processes write under the same name are taken away as each is closed, and given to one.

A fork without exec inherits the name under which a tool writes, and its counter: parent and children overwrite each other.
What was closed is renamed at once, so that the next of that name destroys nothing. It belongs to the process that was asked
for it, where others may have ended then if that has written as much meanwhile; else to the only one that could have written
it, else to the one that ended right after. What could be two processes' is nobody's.
"""

import fnmatch
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from runner.plan import EventKind, Proof, Trigger
from runner.supervise import proc
from runner.supervise.attempt import UNSURE, Sighting
from runner.supervise.closings import Closings
from runner.supervise.family import Family, Member
from runner.supervise.output import RawOutput
from runner.supervise.timeline import Timeline

_WAIT = 0.3  # seconds in which the end of the writer may follow what it wrote at its exit
_EARLIER = 0.02  # a process that ended so shortly before a request may have written at its exit what came just then
_STILL = 0.02  # so long it is looked whether it is closed once more: another may have opened it before it was taken away
_LEAST = 1000  # bytes: a dump ends with the process's mappings


@dataclass(slots=True)
class Arrival:
    """One file that was closed.

    original   the name under which it was written
    owner      the pid in that name
    wrote      who was seen to have written as much meanwhile, and is known to have written this
    wrote_not  who was asked for one, and has not written as much
    """

    name: str
    original: str
    owner: int | None
    proof: Proof
    time: float
    size: int
    changed: int
    whole: bool
    order: int
    wrote: int | None = None
    wrote_not: set[int] = field(default_factory=set)

    def sighting(self) -> Sighting:
        """As the attempt wants it."""
        return Sighting(self.name, self.size, self.changed, self.whole)


@dataclass(slots=True)
class _Seen:
    """A process that was there, and when it was found to be gone. `order` tells arrivals and departures apart that time can't.

    written  bytes that it had written when it was first seen, or last asked for a file, and of the files given to it since
    asked    when it was last asked for a file
    done     what it wrote at its end was given to it
    """

    member: Member
    written: int | None
    asked: float = float("inf")
    gone: float | None = None
    order: int = 0
    done: bool = False

    def has_written(self, size: int, *, exactly: bool = False) -> bool | None:
        """Whether it has written so many bytes beyond those, to whatever; None where that is not known.

        What threads wrote that have ended is not known; that a process with one thread had others before is not reckoned with.
        """
        total = None if self.gone is not None or self.written is None else proc.written(self.member.pid)
        if total is None or self.written is None:
            return None
        more = total - self.written
        if more == size or (more > size and not exactly):
            return True
        now = proc.stat(self.member.pid)
        return False if now is not None and now.threads == 1 else None


@dataclass(slots=True)
class Claims:
    """Takes the files away and gives each to a process. Does nothing where no trigger of the plan has a `keep_as`.

    count  how many were given to processes that had not been asked for them
    unsure how many nobody was given
    """

    triggers: tuple[Trigger, ...]
    family: Family
    output: RawOutput
    timeline: Timeline
    count: int = 0
    unsure: int = 0
    number_from: int = 0  # numbers up to this one may have been given before we took the run over
    _closings: Closings | None = None
    _pending: list[Arrival] = field(default_factory=list)
    _seen: dict[tuple[int, int], _Seen] = field(default_factory=dict)
    _programs: dict[int, str] = field(default_factory=dict)  # by pid: what it ran when it was seen last
    _taken: int = 0
    _lost_at: float = float("-inf")  # when a file last came of which two wrote one over the other
    _order: int = 0
    _given: dict[int, int] = field(default_factory=dict)
    _owners: set[int] = field(default_factory=set)  # pids that were seen to write under a name of their own

    @property
    def _proofs(self) -> list[Proof]:
        return [trigger.proof for trigger in self.triggers if trigger.proof.keep_as]

    @property
    def unsettled(self) -> bool:
        """Something has come of which it is not known yet whose it is: look at the processes often."""
        return bool(self._pending)

    def due(self, now: float) -> float:
        """When to look again at what came and who has gone, should no signal come before."""
        newest = max((arrival.time for arrival in self._pending), default=None)
        return float("inf") if newest is None else now + (0.001 if now - newest < _EARLIER else 0.01)

    def open(self) -> None:
        """Begin to watch; SIGIO must be held back already."""
        if self._proofs:
            self._closings = Closings(self.output.raw)

    def close(self, now: float) -> None:
        """All processes are gone: give away what is left."""
        self.look(now)
        for arrival in list(self._pending):
            self._resolve(arrival, now, last=True)
        if self._closings is not None:
            self._closings.close()
            self._closings = None
        if self.unsure:
            count, them = ("one file", "it") if self.unsure == 1 else (f"{self.unsure} files", "them")
            text = f"of {count} it is not known which process wrote {them}: given to none"
            self.timeline.tell(EventKind.NOTE, None, text)

    def look(self, now: float) -> None:
        """Take away what was closed, and notice who is there and who has gone."""
        if self._closings is None:
            return
        self._notice(now)
        closed = self._closings.take()
        for name, times in Counter(closed).items():  # a Counter keeps the order
            proof = next((one for one in self._proofs if fnmatch.fnmatchcase(name, one.pattern)), None)
            if proof is not None:
                self._take(name, proof, now, spoiled=times > 1)
            else:
                self._close_again([arrival for arrival in self._pending if arrival.name == name], now)

    def _notice(self, now: float) -> None:
        for member in self.family.members.values():  # one that was found when it had ended already may have written too
            if (member.pid, member.start_ticks) not in self._seen:
                self._seen[member.pid, member.start_ticks] = _Seen(member, proc.written(member.pid))
            self._programs[member.pid] = member.executable or self._programs.get(member.pid, "")
        self._order += 1
        for key, seen in list(self._seen.items()):
            if seen.gone is None and self._has_gone(seen.member):
                seen.gone, seen.order = now, self._order
            if seen.gone is not None and now - seen.gone > 2 * _WAIT and not self._pending:
                del self._seen[key]

    def _has_gone(self, member: Member) -> bool:
        """While somebody's end is waited for, what the last look at the family said is not new enough."""
        return not member.alive or (self.unsettled and not proc.lives(member.pid, member.start_ticks))

    def _close_again(self, arrivals: list[Arrival], now: float) -> None:
        """What was taken away was closed once more: another process had opened it before, and wrote over it.

        Where it was empty when it was taken away, the other had just cut it: what it holds now is all the other's.
        """
        self._lost_at = now
        for arrival in arrivals:
            state = self.output.state(arrival.name)
            if arrival.size or state is None:
                self._give_up(arrival)
                continue
            self.unsure, self._order = self.unsure + 1, self._order + 1
            arrival.time, arrival.order, (arrival.size, arrival.changed) = now, self._order, state
            arrival.whole = self.output.holds(arrival.name, arrival.proof.marker)

    def _take(self, name: str, proof: Proof, now: float, *, spoiled: bool) -> None:
        path = self.output.raw / name
        try:
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode):
                return
            kept = _named(proof, "unclaimed", self.number_from + self._taken + 1)
            path.rename(self.output.raw / kept)
        except OSError:  # gone: it was taken away between its closing and our hearing of that
            self._close_again([arrival for arrival in self._pending if arrival.original == name][-1:], now)
            return
        self._taken += 1
        whole = status.st_size > 0 and self.output.holds(kept, proof.marker)
        if spoiled:  # two wrote it one after the other, and the second's is what is left
            self.unsure, self._lost_at = self.unsure + 1, now
            return
        owner = _own_pid(proof, name)
        if owner is not None:
            self._owners.add(owner)
        self._order += 1
        self._pending.append(Arrival(kept, name, owner, proof, now, status.st_size, status.st_mtime_ns, whole, self._order))

    # ---- whose is it

    def writers(self, arrival: Arrival, since: float) -> Iterator[_Seen]:
        """Who could have written it: the process whose name it bears, and those that came from it without an exec.

        `since`: those count that were there at that time.
        """
        owner = self._owner(arrival)
        program = self._programs.get(owner, "")
        for seen in self._seen.values():
            if seen.done or (seen.gone is not None and seen.gone < since):
                continue
            pid = seen.member.pid
            if pid in arrival.wrote_not or arrival.wrote not in (None, pid):
                continue
            if pid == owner or (pid not in self._owners and self._programs.get(pid, "") == program):
                yield seen

    def _owner(self, arrival: Arrival) -> int:
        return self.family.main_pid if arrival.owner is None else arrival.owner

    def asked(self, member: Member, now: float) -> None:
        """The process is asked for a file now."""
        if (seen := self._seen_as(member)) is not None:
            seen.written, seen.asked = proc.written(member.pid), now

    def _seen_as(self, member: Member) -> _Seen | None:
        return self._seen.get((member.pid, member.start_ticks))

    def was_deaf(self, member: Member, signum: int) -> bool:
        """The process has taken the signal that it was asked by, is done with it, and has written less than any dump has."""
        seen = self._seen_as(member)
        return seen is not None and not proc.is_handling(member.pid, signum) and seen.has_written(_LEAST) is False

    def sight(self, member: Member, proof: Proof, began: float) -> Sighting | None:
        """What the process has written since it was asked at `began`.

        UNSURE where that could be another's: what came is given up then.
        """
        mine = [
            each for each in self._pending if each.proof is proof and each.time >= began and self._could_be(member, each, began)
        ]
        if not mine:
            return UNSURE if self._may_have_lost(member) else None
        found = next((each for each in mine if each.wrote == member.pid), mine[0])
        others = [seen for seen in self.writers(found, began - _EARLIER) if seen.member is not member]
        unsure = others and (len(mine) > 1 or any(seen.gone is not None for seen in others))
        return self._written_by(member, mine) if unsure or self._wrote_less(member, found) else found.sighting()

    def _wrote_less(self, member: Member, arrival: Arrival) -> bool:
        """Then it is of a process that lived too briefly to be seen."""
        seen = self._seen_as(member)
        return seen is not None and seen.has_written(arrival.size) is False

    def _may_have_lost(self, member: Member) -> bool:
        """Whether what it was asked for may be what another wrote over, or what was given up."""
        seen = self._seen_as(member)
        return seen is not None and self._lost_at >= seen.asked and seen.has_written(_LEAST) is True

    def _written_by(self, member: Member, arrivals: list[Arrival]) -> Sighting | None:
        """Which of them it wrote that others could have written too: told by how much it has written since it was asked.

        Where that is less than the only one, this is another's, and its own is yet to come.
        """
        seen, several = self._seen[member.pid, member.start_ticks], len(arrivals) > 1
        fit = [(each, seen.has_written(each.size, exactly=several)) for each in arrivals]
        its = [each for each, has in fit if has]
        if len(its) == 1:
            if several:  # else it may have written more than this, and its own be not closed yet
                its[0].wrote = member.pid
            return its[0].sighting()
        if not several and fit[0][1] is False:
            arrivals[0].wrote_not.add(member.pid)
            return None
        for each in arrivals:
            self._give_up(each)
        return UNSURE

    def _could_be(self, member: Member, arrival: Arrival, since: float) -> bool:
        return any(seen.member is member for seen in self.writers(arrival, since - _EARLIER))

    def settle(self, now: float, asked: list[Member]) -> None:
        """Give away what nobody was asked for. `asked`: who has been asked just now, and is waited for."""
        for arrival in list(self._pending):
            if now - arrival.time >= _STILL and not any(self._could_be(each, arrival, arrival.time) for each in asked):
                self._resolve(arrival, now)

    def _resolve(self, arrival: Arrival, now: float, *, last: bool = False) -> None:
        # Where nobody is left it was one that lived too briefly to be seen.
        able = [seen for seen in self.writers(arrival, arrival.time - _EARLIER) if seen.has_written(arrival.size) is not False]
        writer = able[0] if len(able) == 1 else self._left_next(arrival, able)
        if writer is not None:
            self._served(arrival, writer)
        elif last or now - arrival.time > _WAIT:
            self._give_up(arrival)

    def _left_next(self, arrival: Arrival, able: list[_Seen]) -> _Seen | None:
        """Who ended right after that, before anything else came; None where nobody did, or two at once."""
        gone = sorted(seen.order for seen in able if seen.gone is not None and seen.order > arrival.order)
        if not gone or gone[1:2] == gone[:1]:
            return None
        rival = any(
            each.order < gone[0] for each in self._pending if each is not arrival and self._owner(each) == self._owner(arrival)
        )
        return None if rival else next(seen for seen in able if seen.order == gone[0])

    def _served(self, arrival: Arrival, writer: _Seen) -> None:
        writer.done = writer.gone is not None or not proc.lives(writer.member.pid, writer.member.start_ticks)
        name = self.give(arrival.name, writer.member.pid)
        if arrival.whole:
            self.count += 1
            self.timeline.tell(EventKind.SNAPSHOT, writer.member.pid, "written by itself", name)

    def give(self, name: str, pid: int) -> str:
        """The file is that process's from now on: its new name."""
        arrival = next(each for each in self._pending if each.name == name)
        self._pending.remove(arrival)
        for seen in self._seen.values():
            if seen.member.pid == pid and seen.written is not None:
                seen.written += arrival.size
        number = self._given[pid] = self._given.get(pid, self.number_from) + 1
        kept = _named(arrival.proof, str(pid), number)
        try:
            (self.output.raw / name).rename(self.output.raw / kept)
        except OSError:
            return name
        self.output.deliver(kept)
        return kept

    def _give_up(self, arrival: Arrival) -> None:
        self._pending.remove(arrival)
        self.unsure += 1


def _named(proof: Proof, who: str, number: int) -> str:
    return (proof.keep_as or "").replace("{pid}", who).replace("{n}", f"{number:04d}")


def _own_pid(proof: Proof, name: str) -> int | None:
    """The pid that stands in the name, where the proof says how a process writes it that has a name of its own."""
    if proof.own is None:
        return None
    pattern = fnmatch.translate(proof.own.replace("{pid}", "PID")).replace("PID", r"(\d+)")
    found = re.match(pattern, name)
    return int(found[1]) if found else None
