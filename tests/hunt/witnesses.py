"""What tools said of a program, made by hand."""

from typing import Any

from runner.analysis.agreement import Agreed
from runner.analysis.witnesses import Witness
from runner.model import Answer, AnswerFrame, Doubt, DoubtKind, Finding, FindingKind, Rate, Verdict

LOST, GROWING, SUSPECT = FindingKind.LOST, FindingKind.GROWING, FindingKind.SUSPECT
MAPPING, STACK = FindingKind.MAPPING_GROWTH, FindingKind.STACK_GROWTH
# In words that no rule can know: what a doubt bears on is data.
UNJUDGED = Doubt("x", DoubtKind.GROWTH)
OF_A_SITE = Doubt("y", DoubtKind.SITE, "get", "/src/cache.c", 9)


def frame(function: str) -> AnswerFrame:
    return AnswerFrame(function, function, "/src/a.c", 1, None, None, False)


def finding(
    kind: FindingKind,
    function: str | None = "put",
    line: int | None = 7,
    size: int = 100_000,
    file: str | None = "/src/cache.c",
    **more: Any,
) -> Finding:
    rate = None if kind in (LOST, SUSPECT) else Rate(1000.0, "bytes/s")
    values = {"blocks": 100, "stack": [], "confidence": 0.9, "module": None, **more}
    return Finding(
        rank=1,
        kind=kind,
        function=function,
        signature=function,
        file=file,
        line=line,
        bytes=size,
        bytes_per_second=None if rate is None else 1000.0,
        rate=rate,
        share=1.0,
        evidence=["figures"],
        pids=[1],
        **values,
    )


def witness(name: str, sees: set[FindingKind], *findings: Finding, doubts: tuple[Doubt, ...] = (), **more: Any) -> Witness:
    kinds = {each.kind for each in findings}
    verdict = Verdict.LEAKING if LOST in kinds else Verdict.GROWING if kinds else Verdict.CLEAN
    notes = more.pop("notes", [])
    return Witness(name, frozenset(sees), Answer(verdict, ["a reason"], list(findings), doubts=list(doubts), notes=notes), **more)


def massif(*findings: Finding, **more: Any) -> Witness:
    return witness("massif", {GROWING}, *findings, **more)


def heapprofile(*findings: Finding, **more: Any) -> Witness:
    return witness("heapprofile", {GROWING}, *findings, **more)


def memcheck(*findings: Finding, **more: Any) -> Witness:
    return witness("memcheck", {LOST, SUSPECT}, *findings, **more)


def pmap(*findings: Finding, **more: Any) -> Witness:
    return witness("pmap", {MAPPING, STACK}, *findings, sites=False, **more)


def sites(agreed: Agreed) -> list[tuple[str, str | None, int | None]]:
    return [(each.kind.value, each.function, each.line) for each in agreed.answer.findings]
