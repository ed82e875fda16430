"""Notes: what is worth knowing and nobody's fault."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from runner.analysis.blame import HIDDEN, Blamer
from runner.analysis.judgement import Growth, Standing, Trend, describe
from runner.analysis.losses import Lost
from runner.analysis.sites import Site, site_of
from runner.analysis.wording import count_text, size_text
from runner.model import LossKind, Note, Recording

INDIRECT = "indirectly-lost"
_LARGEST = 3  # sites named of each kind
_MOST_INDIRECT = 10  # a structure has as many kinds of parts
_WORTH_NAMING = 0.05  # of what lives: a plateau of less is not spoken of


def plateau_notes(growths: Sequence[Growth]) -> list[Note]:
    """The largest sites that rose and have levelled off."""
    found = []
    for growth in growths:
        large = [plateau for plateau in growth.plateaus if plateau.bytes >= _WORTH_NAMING * growth.total]
        found += [(growth, plateau) for plateau in large[:_LARGEST]]
    return [
        _note(
            "plateau",
            standing.site,
            f"{standing.site.text()}: rose from {size_text(trend.first)} to {size_text(trend.last)} and has levelled off{also}",
            standing.bytes,
        )
        for _, standing, trend, also in _once(found)
    ]


def undecided_notes(growths: Sequence[Growth]) -> list[Note]:
    """The largest sites that rise, but not such that they must go on."""
    found = [(growth, standing) for growth in growths for standing in growth.undecided[:_LARGEST]]
    return [
        _note(
            "live",
            standing.site,
            f"{standing.site.text()}: {describe(trend, growth.recording.time_unit)}{also}; {_what_tells(trend)}",
            standing.bytes,
        )
        for growth, standing, trend, also in _once(found)
    ]


def _what_tells(trend: Trend) -> str:
    return "a load up to the end will tell" if trend.by == "rest" else "twice as long a run will tell"


def _once(found: Sequence[tuple[Growth, Standing]]) -> Iterator[tuple[Growth, Standing, Trend, str]]:
    """Each site once, with its figures in the process that has most of it, and in how many processes it is."""
    groups: dict[Site, list[tuple[Growth, Standing]]] = defaultdict(list)
    for growth, standing in found:
        groups[standing.site].append((growth, standing))
    for group in groups.values():
        growth, most = max(group, key=lambda each: each[1].bytes)
        if most.trend is not None:
            yield growth, most, most.trend, f" (in {len(group)} processes; this is the one with most)" if len(group) > 1 else ""


def live_notes(growths: Sequence[Growth]) -> list[Note]:
    """The largest sites of recordings whose growth can't be judged; one that several processes have is one note.

    Where less was left in the last snapshot they say of both moments what the site held; the note's bytes are the peak's.
    """
    held: Counter[Site] = Counter()
    left: Counter[Site] = Counter()
    processes: Counter[Site] = Counter()
    unjudged = [growth for growth in growths if growth.unjudged]
    for standing in (each for growth in unjudged for each in growth.largest):
        held[standing.site] += standing.bytes
        left[standing.site] += standing.bytes if standing.left is None else standing.left
        processes[standing.site] += 1
    whole = sum(growth.total for growth in unjudged)
    rest = sum(growth.total if growth.left is None else growth.left for growth in unjudged)
    at_exit = all(growth.at_exit for growth in unjudged if growth.left is not None)
    later = "at the end" if at_exit else "in the last snapshot that lists sites"
    notes = []
    for site, size in held.items():
        where = f" in {processes[site]} processes" if processes[site] > 1 else ""
        if any(growth.left is not None for growth in unjudged):
            said = f"held {_part(size, whole)} at the peak, and {_part(left[site], rest)} {later}{where}"
        else:
            said = f"holds {size_text(size)}{where}" + (f", {size / whole:.0%} of all" if whole else "")
        notes.append(_note("live", site, f"{site.text()} {said}", size))
    return notes


def _part(size: int, whole: int) -> str:
    return f"{size_text(size)} ({size / whole:.0%} of all)" if size and whole else "nothing"


def loss_notes(losses: Sequence[Lost]) -> list[Note]:
    """What is reachable, possibly lost in few blocks, lost by the C library, or lost with its head; the largest of each."""
    left = [lost for lost in losses if lost.finding_kind() is None]
    reachable = [lost for lost in left if lost.kind is LossKind.REACHABLE]
    possible = [lost for lost in left if lost.kind is LossKind.POSSIBLE]
    held = [lost for lost in left if lost.kind is LossKind.INDIRECT]
    system = [lost for lost in left if lost.kind is LossKind.DEFINITE]
    return [
        *_named("reachable-at-exit", reachable, "still reachable at exit"),
        *_named("possibly-lost", possible, "possibly lost"),
        *_named("possibly-lost", system, "lost by the system's libraries, none of the program's code on the stack"),
        *_named(INDIRECT, held, "that only lost blocks point to", most=_MOST_INDIRECT),
    ]


def remark_notes(recordings: Sequence[Recording], blamers: Sequence[Blamer]) -> list[Note]:
    """What the tool remarks on, by kind the sites with most of it."""
    folded: dict[tuple[str, str], dict[Site, int]] = defaultdict(lambda: defaultdict(int))
    for recording, blamer in zip(recordings, blamers, strict=True):
        for remark in recording.remarks:
            if blamer.positions[remark.stack_id] != HIDDEN:
                site = site_of(blamer.frame(remark.stack_id))
                folded[remark.kind, remark.text][site] += remark.bytes
    return [
        _note(kind, site, f"{site.text()}: {size_text(size)} {text}", size)
        for (kind, text), sites in folded.items()
        for site, size in sorted(sites.items(), key=lambda item: -item[1])[:_LARGEST]
    ]


def _named(kind: str, losses: Sequence[Lost], what: str, most: int = _LARGEST) -> Iterable[Note]:
    for lost in losses[:most]:
        yield _note(kind, lost.site, f"{lost.site.text()}: {_amount(lost.bytes, lost.blocks)} {what}", lost.bytes)
    rest = losses[most:]
    if rest:
        amount = _amount(sum(lost.bytes for lost in rest), sum(lost.blocks for lost in rest))
        yield Note(kind, f"{amount} {what} at {count_text(len(rest), 'other site')}")


def _amount(size: int, blocks: int) -> str:
    return f"{size_text(size)} in {count_text(blocks, 'block')}"


def limit_notes(recordings: Sequence[Recording], more: Iterable[str] = ()) -> list[Note]:
    """What bounds what could be seen, each once."""
    limits = [limit for recording in recordings for limit in recording.limits]
    return [Note("limit", text) for text in dict.fromkeys([*limits, *more])]


def _note(kind: str, site: Site, text: str, size: int) -> Note:
    return Note(kind, text, function=site.function, file=site.file, line=site.line, bytes=size)
