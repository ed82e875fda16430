"""The scores as tables in Markdown, and the misses as lines."""

from collections.abc import Sequence
from itertools import pairwise

from tests.truth.score import HUNT, PROFILES, Score

_STEPS = (0.0, 0.5, 0.7, 0.8, 0.9, 1.01)  # of the confidence
_KINDS = ("lost", "growing", "mapping-growth", "stack-growth", "clean")


def tables(scores: Sequence[Score]) -> str:
    """For each profile what it said of what it can see, by kind; and of the clean programs."""
    leaks = [
        "| profile | kind | runs | first | in the first three | kind right | verdict right | inconclusive | findings elsewhere |"
    ]
    leaks.append("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    clean = ["| profile | clean programs | false alarms | clean | inconclusive |", "| --- | --- | --- | --- | --- |"]
    for profile in PROFILES:
        mine = [each for each in scores if each.profile == profile]
        for kind in _KINDS[:-1]:
            group = [each for each in mine if each.kind == kind]
            if group:
                leaks.append(_leak_row(profile, kind, group))
        group = [each for each in mine if each.clean]
        if group:
            clean.append(_clean_row(profile, group))
    return "\n".join([*_summary(scores), "", *leaks, "", *clean]) + "\n"


def _summary(scores: Sequence[Score]) -> list[str]:
    """For each profile, of all leaks it can see: how often the right line came first, and among the first three."""
    lines = [
        "| profile | leaks | first | in the first three | clean programs with a false alarm |",
        "| --- | --- | --- | --- | --- |",
    ]
    for profile in PROFILES:
        leaks = [each for each in scores if each.profile == profile and not each.clean]
        clean = [each for each in scores if each.profile == profile and each.clean]
        if leaks or clean:
            first = _part(sum(each.rank == 1 for each in leaks), len(leaks))
            three = _part(sum(each.rank is not None and each.rank <= 3 for each in leaks), len(leaks))
            lines.append(
                f"| {profile} | {len(leaks)} | {first} | {three} | {sum(bool(e.others) for e in clean)} of {len(clean)} |"
            )
    return lines


def _part(count: int, of: int) -> str:
    return f"{count} ({count / of:.0%})" if of else "-"


def reliability(scores: Sequence[Score]) -> str:
    """How often a finding of some confidence was at a right line, and the confidence that it was given on the average."""
    lines = ["| confidence | findings | right | share | said |", "| --- | --- | --- | --- | --- |"]
    pairs = [(confidence, right) for each in scores for confidence, right in each.pairs]
    for low, high in pairwise(_STEPS):
        some = [(confidence, right) for confidence, right in pairs if low <= confidence < high]
        if some:
            count, right = len(some), sum(right for _, right in some)
            said = sum(confidence for confidence, _ in some) / count
            upto = min(high, 1.0)
            lines.append(f"| {low:.1f} to {upto:.1f} | {count} | {right} | {right / count:.0%} | {said:.2f} |")
    return "\n".join(lines) + "\n"


def _leak_row(profile: str, kind: str, group: Sequence[Score]) -> str:
    right = "leaking" if profile == "memcheck" or (profile == HUNT and kind == "lost") else "growing"
    figures = [
        sum(each.rank == 1 for each in group),
        sum(each.rank is not None and each.rank <= 3 for each in group),
        sum(each.kind_ok for each in group),
        sum(each.verdict == right for each in group),
        sum(each.verdict == "inconclusive" for each in group),
        sum(each.others for each in group),
    ]
    return f"| {profile} | {kind} | {len(group)} | " + " | ".join(map(str, figures)) + " |"


def _clean_row(profile: str, group: Sequence[Score]) -> str:
    figures = [
        sum(bool(each.others) for each in group),
        sum(each.verdict == "clean" for each in group),
        sum(each.verdict == "inconclusive" for each in group),
    ]
    return f"| {profile} | {len(group)} | " + " | ".join(map(str, figures)) + " |"


def misses(scores: Sequence[Score]) -> list[str]:
    """A line for each run whose first finding was not the right one, and for each finding where nothing is wrong."""
    lines = []
    for each in scores:
        if each.problem:
            lines.append(f"{each.program} {each.part} {each.profile}: {each.problem}")
        elif each.clean and (each.others or each.verdict != "clean"):
            lines.append(f"{each.program} {each.part} {each.profile}: {each.verdict}; {each.first or each.reason}")
        elif not each.clean and (each.rank != 1 or each.others):
            what = f"rank {each.rank}, {each.others} elsewhere, first {each.first}" if each.first else each.reason
            lines.append(f"{each.program} {each.part} {each.profile}: {each.verdict}; {what}")
    return lines
