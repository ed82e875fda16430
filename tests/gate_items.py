"""Answers made by hand, for tests of the gate and of its formats."""

from runner.gate import CheckedRun, items_of
from runner.model import Answer, AnswerError, AnswerFrame, Finding, FindingKind, Rate, Verdict


def frame(
    function: str | None, file: str | None = "/src/a.c", line: int | None = 7, module: str | None = "/bin/app"
) -> AnswerFrame:
    return AnswerFrame(function, function, file, line if file else None, module, "0x10", False)


def finding(function: str | None = "f", kind: FindingKind = FindingKind.LOST, size: int = 1000, **more) -> Finding:
    site = frame(function, **{key: more.pop(key) for key in ("file", "line", "module") if key in more})
    rate = more.pop("rate", None)
    return Finding(
        1, kind, function, function, site.file, site.line, site.module, size, more.pop("blocks", 3), rate,
        Rate(rate, "bytes/s") if rate is not None else None, 0.5, 0.9, ["seen"], [1], [frame("malloc", None), site],
    )  # fmt: skip


def error(function: str = "f", kind: str = "InvalidRead", count: int = 1) -> AnswerError:
    return AnswerError(kind, "Invalid read of size 4", function, "/src/a.c", 9, count, [frame(function, line=9)])


SEES = {
    "memcheck": frozenset({"lost", "suspect", "errors"}),
    "massif": frozenset({"growing"}),
}


def a_run(
    *held: Finding | AnswerError, tool: str = "memcheck", doubts: tuple[str, ...] = (), verdict: Verdict | None = None
) -> CheckedRun:
    findings = [each for each in held if isinstance(each, Finding)]
    errors = [each for each in held if isinstance(each, AnswerError)]
    answer = Answer(Verdict.LEAKING if findings else Verdict.CLEAN, ["because"], findings, errors)
    said = verdict or (Verdict.INCONCLUSIVE if doubts and not findings else answer.verdict)
    return CheckedRun("a-run", "./app --port 80", said, SEES[tool], list(doubts), items_of(answer))
