"""Findings of all recordings, ranked by what they cost the process over time."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from runner.analysis.judgement import Growing, Growth
from runner.analysis.losses import Lost
from runner.analysis.sites import Site, shown_stack
from runner.analysis.ties import heads_first
from runner.analysis.wording import count_text, place_text, size_text
from runner.model import AnswerFrame, Finding, FindingKind, Frame, LossKind, Rate, TimeUnit

_SURE = 0.7  # confidence: growth by jumps of which the last may have been the last has less
_FEW_BLOCKS = 2  # so many lost blocks may be a container's, of which the program's end took the last pointer


def growth_findings(growths: Sequence[Growth]) -> list[Finding]:
    """One finding for each site and kind that grows in any recording; shares are parts of all growth."""
    groups: dict[tuple[FindingKind, Site | None], list[Growing]] = defaultdict(list)
    for growth in growths:
        for growing in growth.growing:
            groups[(growing.kind, growing.site)].append(growing)
    whole = sum(growing.bytes for group in groups.values() for growing in group)
    whole += round(sum(growth.risen_elsewhere for growth in growths))
    return [_growth_finding(group, whole) for group in groups.values()]


def _growth_finding(group: Sequence[Growing], whole: int) -> Finding:
    """Of several processes: figures are sums; stack, series and evidence are those of the one that grows most."""
    first = max(group, key=lambda growing: growing.bytes)
    unit = first.recording.time_unit
    slope = sum(growing.trend.slope for growing in group if growing.recording.time_unit is unit)
    size = sum(growing.bytes for growing in group)
    blocks = [growing.blocks for growing in group if growing.blocks is not None]
    evidence = [first.evidence]
    if len(group) > 1:
        evidence.append(f"it grows in {len(group)} processes; this is the one in which it grows most")
    finding = _finding(first.kind, first.site, first.frame, shown_stack(first.recording, first.stack_id))
    return replace(
        finding,
        bytes=size,
        blocks=sum(blocks) if blocks else None,
        bytes_per_second=slope if unit is TimeUnit.SECONDS else None,
        rate=Rate(slope, f"bytes/{unit.value}"),
        share=share_of(size, whole),
        confidence=round(max(growing.confidence for growing in group), 2),
        evidence=evidence,
        pids=sorted({growing.recording.pid for growing in group if growing.recording.pid is not None}),
        series=first.series,
    )


def loss_findings(losses: Sequence[Lost]) -> list[Finding]:
    """What is lost, and suspects; shares are parts of all definitely and possibly lost bytes."""
    whole = sum(lost.bytes for lost in losses if lost.kind in (LossKind.DEFINITE, LossKind.POSSIBLE))
    found = []
    for lost in losses:
        kind = lost.finding_kind()
        if kind is None or lost.heaviest is None:
            continue
        finding = _finding(kind, lost.site, lost.frame, shown_stack(*lost.heaviest))
        evidence = [lost.evidence()]
        if kind is FindingKind.SUSPECT:
            evidence.append("only pointers into the blocks are left, none to their start")
        found.append(
            replace(
                finding,
                bytes=lost.bytes,
                indirect_bytes=lost.indirect_bytes,
                blocks=lost.blocks,
                share=share_of(lost.bytes, whole),
                confidence=lost.confidence(),
                evidence=evidence,
                pids=sorted(lost.pids),
            )
        )
    return found


def may_be_kept(findings: Sequence[Finding]) -> list[str]:
    """What suspects may be, in a sentence, and how to tell; nothing without any."""
    suspects = [finding for finding in findings if finding.kind is FindingKind.SUSPECT]
    if not suspects:
        return []
    size, blocks = sum(each.bytes for each in suspects), sum(each.blocks or 0 for each in suspects)
    first = suspects[0]
    most = "" if len(suspects) == 1 else f"{count_text(len(suspects), 'site')}, most of it at "
    where = most + place_text(first.function, first.file, first.line, first.module)
    return [
        f"{size_text(size)} in {count_text(blocks, 'block')} at {where} are lost, or kept by an allocator or a type of string "
        "that points past a header of its own: `leakrun -p massif -- ...` says whether they grow"
    ]


class Weighed(NamedTuple):
    """A finding, the bytes that it costs the process over the run, and whether anybody saw it grow."""

    finding: Finding
    weight: int
    grows: bool


def ranked(findings: Sequence[Finding]) -> list[Finding]:
    """The findings of one tool in their order, with their ranks."""
    weighed = [Weighed(each, each.bytes, each.kind not in (FindingKind.LOST, FindingKind.SUSPECT)) for each in findings]
    return [replace(finding, rank=rank) for rank, finding in enumerate(ordered(weighed), 1)]


def ordered(weighed: Sequence[Weighed]) -> list[Finding]:
    """By cost, suspects last; what is not sure under what is, a lost block or two that do not grow under everything that does.

    Of those that grow in step, the object before what belongs to it.
    """
    something_grows = any(each.grows for each in weighed)

    def group(each: Weighed) -> tuple[bool, bool, bool]:
        finding = each.finding
        once = is_lost_once(finding) and not each.grows
        return finding.kind is FindingKind.SUSPECT, finding.confidence < _SURE, once and something_grows

    by_cost = sorted(weighed, key=lambda each: (group(each), -each.weight))
    return [found for _, each in groupby(by_cost, group) for found in heads_first([one.finding for one in each])]


def is_lost_once(finding: Finding) -> bool:
    """Whether it is a lost block or two, as a container is that was in use until the end: what hangs on it may be a leak."""
    return finding.kind is FindingKind.LOST and (finding.blocks or 0) <= _FEW_BLOCKS


def share_of(part: int, whole: int) -> float:
    """The part, from 0 to 1, with four digits; what is there is never nothing."""
    return max(round(part / whole, 4), 0.0001) if part > 0 and whole > 0 else 0.0


def _finding(kind: FindingKind, site: Site | None, frame: Frame | None, stack: list[AnswerFrame]) -> Finding:
    """A finding with its place only."""
    return Finding(
        rank=0,
        kind=kind,
        function=site.function if site else None,
        signature=frame.signature if frame else None,
        file=site.file if site else None,
        line=site.line if site else None,
        module=frame.module if frame else None,
        bytes=0,
        blocks=None,
        bytes_per_second=None,
        rate=None,
        share=0.0,
        confidence=0.0,
        evidence=[],
        pids=[],
        stack=stack,
    )
