"""What one moment has and another has not: sites matched by function and file, since lines and addresses move between builds.

A file that only lies elsewhere (two checkouts) is the same file where nothing else of its name and function is there. Memory
that the tool did not list by stack stands as one change of its own, so that the changes always add up to the totals'.
Needs numpy.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePosixPath
from typing import NamedTuple

from runner.analysis.blame import HIDDEN, Blamer
from runner.analysis.growth import blamers_of
from runner.analysis.losses import fold_losses
from runner.analysis.moved import moved
from runner.analysis.sites import Site, site_of
from runner.analysis.timeline import timeline
from runner.analysis.wording import place_text
from runner.model import Frame, LossKind, Metric, Recording, Snapshot

UNLISTED = "(not listed by the tool)"


class Way(Enum):
    """How a site changed."""

    NEW = "new"
    GROWN = "grown"
    SAME = "same"
    SHRUNK = "shrunk"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared: a snapshot of the first recording by its number, or (None) what all of them lost."""

    recordings: Sequence[Recording]
    snapshot: int | None = None

    def moment(self) -> Snapshot | None:
        """The snapshot; None where losses are compared."""
        return None if self.snapshot is None else self.recordings[0].snapshots[self.snapshot]


class Key(NamedTuple):
    """What two sites must share to be the same one.

    kind     of a loss; None for what lives
    module   a file name, only where there is no source file
    listed   False for all that the tool did not list by stack
    """

    kind: LossKind | None
    function: str | None
    file: str | None
    module: str | None
    listed: bool = True


_REST = Key(None, None, None, None, listed=False)


@dataclass(slots=True)
class Held:
    """What a site holds on one side. `blocks` is None where the tool does not count them.

    site, frame, recording, stack_id   of the stack that holds most of it; None for what is not listed
    """

    bytes: int = 0
    blocks: int | None = None
    site: Site | None = None
    frame: Frame | None = None
    recording: Recording | None = None
    stack_id: int | None = None
    most: int = -1


@dataclass(frozen=True, slots=True)
class Change:
    """One site on both sides; None where it is not there."""

    key: Key
    before: Held | None
    after: Held | None

    @property
    def shown(self) -> Held:
        """The side that its place is told from: the later one, if it is there."""
        held = self.after or self.before
        assert held is not None
        return held

    @property
    def bytes(self) -> int:
        """After less before."""
        return _bytes(self.after) - _bytes(self.before)

    @property
    def blocks(self) -> int | None:
        """After less before; None where one of them is not counted."""
        return difference(_blocks(self.before), _blocks(self.after))

    @property
    def way(self) -> Way:
        """By bytes; by blocks where the bytes are the same."""
        if self.before is None or self.after is None:
            return Way.NEW if self.before is None else Way.GONE
        by = self.bytes or self.blocks or 0
        return Way.GROWN if by > 0 else Way.SHRUNK if by < 0 else Way.SAME

    def place(self) -> str:
        """Where it is, in a sentence."""
        site = self.shown.site
        return place_text(site.function, site.file, site.line, site.module) if site else UNLISTED


@dataclass(slots=True)
class Total:
    """The sum of one side; `blocks` is None where the tool does not count them."""

    bytes: int
    blocks: int | None


@dataclass(slots=True)
class Difference:
    """`changes` in order: what came first, what went last. Their bytes add up to those of `after` less those of `before`."""

    before: Total
    after: Total
    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def count(self, way: Way) -> int:
        """How many sites changed in this way."""
        return sum(change.way is way and change.key.listed for change in self.changes)


def compare(before: Side, after: Side, wrappers: Sequence[str] = ()) -> Difference:
    """What `after` has and `before` has not. Both are snapshots, or both are losses.

    `wrappers` are the project's own allocation functions. Blame is worked out for both together, so that a wrapper that only
    one side gives away is looked through on both.
    """
    recordings = list({id(each): each for each in (*before.recordings, *after.recordings)}.values())
    blamers = blamers_of(recordings, [timeline(each, 0.0) for each in recordings], wrappers)
    blamer_of = {id(recording): blamer for recording, blamer in zip(recordings, blamers, strict=True)}
    had, has = (_held(side, [blamer_of[id(each)] for each in side.recordings]) for side in (before, after))
    notes = []
    if not all(_is_listed(side) for side in (before, after)):
        notes.append("one of them has totals only, without stacks: no site can be compared")
        had, has = _merged(had), _merged(has)
    had = _moved(had, has)
    changes = [Change(key, had.get(key), has.get(key)) for key in {**has, **had}]
    changes.sort(key=lambda change: (-change.bytes, -(change.blocks or 0), change.key.file or "", change.key.function or ""))
    return Difference(_total(had), _total(has), changes, notes)


def difference(before: int | None, after: int | None) -> int | None:
    """After less before; None where one is not known."""
    return None if before is None or after is None else after - before


def _bytes(held: Held | None) -> int:
    return held.bytes if held else 0


def _blocks(held: Held | None) -> int | None:
    return held.blocks if held else 0


def has_stacks(snapshot: Snapshot) -> bool:
    """Whether it says which stacks hold the memory: with none of it there is nothing to say."""
    return Metric.LIVE_BYTES in snapshot.columns or snapshot.totals.get(Metric.LIVE_BYTES) == 0


def _is_listed(side: Side) -> bool:
    moment = side.moment()
    return moment is None or has_stacks(moment)


def _held(side: Side, blamers: Sequence[Blamer]) -> dict[Key, Held]:
    moment = side.moment()
    return _lost(side.recordings, blamers) if moment is None else _live(side.recordings[0], moment, blamers[0])


def _key(site: Site, kind: LossKind | None = None) -> Key:
    module = PurePosixPath(site.module).name if site.module and site.file is None else None
    return Key(kind, site.function, site.file, module)


def _lost(recordings: Sequence[Recording], blamers: Sequence[Blamer]) -> dict[Key, Held]:
    held: dict[Key, Held] = defaultdict(Held)
    for lost in fold_losses(recordings, blamers):
        if lost.heaviest is not None and lost.kind is not LossKind.INDIRECT:  # those bytes are their heads'
            source = Held(lost.bytes, lost.blocks, lost.site, lost.frame, *lost.heaviest)
            _add(held[_key(lost.site, lost.kind)], source, lost.largest)
    return dict(held)


def _live(recording: Recording, snapshot: Snapshot, blamer: Blamer) -> dict[Key, Held]:
    column, counts = snapshot.columns.get(Metric.LIVE_BYTES), snapshot.columns.get(Metric.LIVE_BLOCKS)
    blocks = dict(counts.items()) if counts is not None else None
    held: dict[Key, Held] = defaultdict(Held)
    listed, listed_blocks = 0, 0
    for stack_id, size in column.items() if column is not None else ():
        count = None if blocks is None else blocks.get(stack_id, 0)
        if not (size or count) or blamer.positions[stack_id] == HIDDEN:
            continue
        listed, listed_blocks = listed + size, listed_blocks + (count or 0)
        frame = blamer.frame(stack_id)
        site = site_of(frame)
        _add(held[_key(site)], Held(size, count, site, frame, recording, stack_id), size)
    rest = snapshot.totals.get(Metric.LIVE_BYTES, listed) - listed
    if rest > 0:
        whole = snapshot.totals.get(Metric.LIVE_BLOCKS)
        held[_REST] = Held(rest, None if whole is None else max(0, whole - listed_blocks))
    return dict(held)


def _add(held: Held, more: Held, most: int) -> None:
    """Add one stack to a site; its place is that of the stack that holds most."""
    held.bytes += more.bytes
    held.blocks = more.blocks if held.most < 0 else None if held.blocks is None else held.blocks + (more.blocks or 0)
    if most > held.most:
        held.most = most
        held.site, held.frame, held.recording, held.stack_id = more.site, more.frame, more.recording, more.stack_id


def _merged(held: Mapping[Key, Held]) -> dict[Key, Held]:
    """All as one: the tool lists nothing of the other side."""
    total = _total(held)
    return {_REST: Held(total.bytes, total.blocks)} if held else {}


def _total(held: Mapping[Key, Held]) -> Total:
    blocks = [each.blocks for each in held.values()]
    counted = [count for count in blocks if count is not None]
    return Total(sum(each.bytes for each in held.values()), sum(counted) if len(counted) == len(blocks) else None)


def _moved(had: dict[Key, Held], has: Mapping[Key, Held]) -> dict[Key, Held]:
    """`had` with the keys of `has` for files that only lie elsewhere."""
    elsewhere = moved(set(had) - set(has), set(has) - set(had))
    return {elsewhere.get(key, key): held for key, held in had.items()}
