"""The answer on a terminal: the verdict, what to fix, and the evidence for it, on a screen's height."""

import shlex
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TextIO

from runner.analysis.frames import is_machinery
from runner.analysis.wording import count_text, place_text, rate_text, seconds_text, share_text, size_text
from runner.formats import smaps
from runner.model import Amount, Answer, AnswerError, AnswerFrame, Finding, LossKind, Note, TimeUnit, Verdict
from runner.reports.plain import encodable, file_line, fitted, near, plain, sparkline

_BOLD, _DIM, _RED, _GREEN, _YELLOW, _CYAN = "1", "2", "31", "32", "33", "36"
_VERDICT_STYLES = {
    Verdict.LEAKING: (_BOLD, _RED),
    Verdict.GROWING: (_BOLD, _YELLOW),
    Verdict.CLEAN: (_BOLD, _GREEN),
    Verdict.INCONCLUSIVE: (_BOLD, _CYAN),
}
_IN_FULL = 2  # findings with callers and series; the others take two lines
_FINDINGS = 5
_ERRORS = 4
_NOTES = 4
_CALLERS = 3
_INDENT = 6
_NARROWEST = 30
_SPARK = 20

Link = Callable[[str, int | None], str]  # the URL of a file's line; empty where none leads there


def no_link(_file: str, _line: int | None) -> str:
    """For what is no terminal that follows links."""
    return ""


def render(answer: Answer, stream: TextIO, *, width: int, color: bool, verbose: bool, link: Link = no_link) -> None:
    """Write the answer for a person.

    width    in columns; no line is longer, but for paths and commands at the end, which are there to be copied
    verbose: all findings, errors and notes, whole stacks, exact bytes
    link     where a click on a place leads (OSC 8)

    Control characters in names are shown, not sent; what the stream's encoding lacks is replaced.
    """
    page = _Page(max(width, _NARROWEST), color, verbose, link)
    stream.write(encodable("\n".join(page.lines(answer)) + "\n", stream))


class _Page:
    """Lays out one answer."""

    def __init__(self, width: int, color: bool, verbose: bool, link: Link) -> None:
        self._width, self._color, self._verbose, self._link = width, color, verbose, link
        self._program = ""

    def lines(self, answer: Answer) -> Iterator[str]:
        """All lines, styled."""
        command = answer.run.get("command")
        self._program = str(command[0]) if isinstance(command, list) and command else ""
        yield self._head(answer)
        for reason in answer.reasons:
            yield from self._prose(reason, 2)
        yield from self._findings(answer.findings)
        yield from self._errors(answer.errors)
        yield from self._notes(answer.notes, _is_hunt(answer) and bool(answer.findings))
        yield from self._summaries(answer)
        yield from self._foot(answer)

    def _style(self, text: str, *codes: str) -> str:
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self._color and text else text

    def _line(self, text: str, indent: int, *codes: str) -> str:
        room = self._width - indent
        return " " * indent + self._style(fitted(plain(text), room), *codes)

    def _linked(self, text: str, file: str | None, line: int | None) -> str:
        """`text` as a link to the place, an escape sequence that takes no columns."""
        url = self._link(file, line) if file is not None else ""
        return f"\x1b]8;;{url}\x1b\\{text}\x1b]8;;\x1b\\" if url else text

    def _frame_line(self, frame: AnswerFrame, indent: int, said: str = "") -> str:
        return self._linked(self._line(said + _frame(frame), indent, _DIM), frame.file, frame.line)

    def _prose(self, text: str, indent: int, *codes: str) -> Iterator[str]:
        """A sentence, wrapped."""
        for line in textwrap.wrap(plain(text), self._width - indent, break_on_hyphens=False) or [""]:
            yield " " * indent + self._style(line, *codes)

    def _head(self, answer: Answer) -> str:
        verdict = answer.verdict.value
        facts = ", ".join(_facts(answer.run))
        rest = fitted(plain(f"  {facts}"), self._width - len(verdict)) if facts else ""
        return self._style(verdict, *_VERDICT_STYLES[answer.verdict]) + self._style(rest, _DIM)

    def _findings(self, findings: Sequence[Finding]) -> Iterator[str]:
        chosen = findings if self._verbose else findings[:_FINDINGS]
        for number, finding in enumerate(chosen):
            yield ""
            yield from self._finding(finding, in_full=self._verbose or number < _IN_FULL)
        if len(findings) > len(chosen):
            yield ""
            yield self._line(f"and {count_text(len(findings) - len(chosen), 'more finding')}: -v shows all", 2, _DIM)

    def _finding(self, finding: Finding, *, in_full: bool) -> Iterator[str]:
        where = place_text(finding.function, near(finding.file) if finding.file else None, None, finding.module)
        amount = f"{finding.bytes:,} bytes" if self._verbose else size_text(finding.bytes)
        parts = [amount]
        if finding.blocks is not None and finding.kind.value in ("lost", "suspect"):
            parts.append(f"in {count_text(finding.blocks, 'block')}")
        if (rate := _rate(finding)) is not None:
            parts.append(rate)
        parts.append(f"{share_text(finding.share)} of all")
        yield self._place(finding, where)
        yield self._line(f"{finding.kind.value}: {', '.join(parts)}", _INDENT)
        if not in_full:
            return
        if spark := sparkline(finding.series, min(_SPARK, self._width - _INDENT)):
            yield " " * _INDENT + self._style(spark, _CYAN)
        for evidence in finding.evidence:
            yield from self._prose(evidence, _INDENT, _DIM)
        yield from self._stack(finding)

    def _place(self, finding: Finding, where: str) -> str:
        """The line that a person looks for: rank, function, file and line, the last two never shortened if it can be helped."""
        number = f"{finding.rank:3}. "
        if finding.function is None and finding.file is None and finding.module is None:
            return number + self._style(
                "the stack as a whole" if finding.kind.value == "stack-growth" else "an unnamed place", _BOLD
            )
        if finding.file is None:
            return number + self._style(fitted(plain(where), self._width - len(number)), _BOLD)
        place = fitted(plain(file_line(finding.file, finding.line)), self._width - len(number) - 8)
        name = fitted(plain(finding.function or "an unnamed function"), self._width - len(number) - len(place) - 2)
        return f"{number}{self._style(name, _BOLD)}  {self._linked(self._style(place, _BOLD, _CYAN), finding.file, finding.line)}"

    def _stack(self, finding: Finding) -> Iterator[str]:
        """The callers of the blamed frame; with -v the whole stack, leaf first."""
        if self._verbose:
            yield from (self._frame_line(frame, _INDENT + 2) for frame in finding.stack)
            return
        callers = [frame for frame in finding.stack[_blamed(finding) + 1 :] if not is_machinery(frame, self._program)]
        for frame in callers[:_CALLERS]:
            yield self._frame_line(frame, _INDENT, "called by ")
        if len(callers) > _CALLERS:
            yield self._line(f"... {count_text(len(callers) - _CALLERS, 'more caller')}", _INDENT, _DIM)

    def _errors(self, errors: Sequence[AnswerError]) -> Iterator[str]:
        if not errors:
            return
        yield ""
        yield self._style("errors of use", _BOLD)
        chosen = errors if self._verbose else errors[:_ERRORS]
        for error in chosen:
            times = f" ({error.count:,} times)" if error.count > 1 else ""
            place = place_text(error.function, near(error.file) if error.file else None, error.line)
            yield self._linked(self._line(f"{error.message or error.kind}{times} in {place}", 2), error.file, error.line)
            if self._verbose:
                yield from (self._frame_line(frame, _INDENT) for frame in error.stack)
                for text, stack in error.auxiliary:
                    yield self._line(text, 4)
                    yield from (self._frame_line(frame, _INDENT) for frame in stack)
        if len(errors) > len(chosen):
            yield self._line(f"and {len(errors) - len(chosen)} more: -v shows all", 2, _DIM)

    def _notes(self, notes: Sequence[Note], answered: bool) -> Iterator[str]:
        """`answered`: where one tool can't look another did, and it was found: what bounds each is for who asks."""
        if not notes:
            return
        yield ""
        if not self._verbose and answered and all(note.kind == "limit" for note in notes):
            yield self._line(f"what bounds the sight of the tools: -v shows {count_text(len(notes), 'note')}", 0, _DIM)
            return
        yield self._style("notes", _BOLD)
        chosen = notes if self._verbose else [note for note in notes if not answered or note.kind != "limit"][:_NOTES]
        for note in chosen:
            yield from self._prose(f"{note.kind}: {note.text}", 2, _DIM)
        if len(notes) > len(chosen):
            yield self._line(f"and {len(notes) - len(chosen)} more: -v shows all", 2, _DIM)

    def _summaries(self, answer: Answer) -> Iterator[str]:
        heap, leaks = answer.heap_summary, answer.leak_summary
        processes = answer.run.get("processes")
        whose = " of the main process" if isinstance(processes, list) and len(processes) > 1 else ""
        parts = []
        if heap and heap.in_use_at_exit:
            parts.append(f"in use at exit {_amount(heap.in_use_at_exit)}")
        if heap and heap.allocations is not None:
            parts.append(
                f"{heap.allocations:,} allocs, {heap.frees:,} frees" if heap.frees is not None else f"{heap.allocations:,} allocs"
            )
        if parts or leaks:
            yield ""
        if parts:
            yield from self._prose(f"heap{whose}: {', '.join(parts)}", 0)
        if leaks:
            yield from self._prose(f"leaks{whose}: {', '.join(_leaks(leaks)) or 'none'}", 0)

    def _foot(self, answer: Answer) -> Iterator[str]:
        directory = answer.run.get("directory")
        place = near(directory) if isinstance(directory, str) and directory else ""
        if place:
            yield ""
            yield plain(f"run:  {place}")
        for command in _next_commands(answer, place, self._verbose):
            yield plain(f"next: {command}")


def _facts(run: Mapping[str, object]) -> Iterable[str]:
    """What was run, in the head line; what is not known is left out."""
    profile, command, seconds, snapshots = (run.get(key) for key in ("profile", "command", "seconds", "snapshots"))
    if profile:
        yield str(profile)
    if isinstance(seconds, int | float) and seconds:
        yield seconds_text(seconds)
    if isinstance(snapshots, int) and snapshots:
        yield count_text(snapshots, "snapshot")
    if isinstance(command, list) and command:
        yield shlex.join(str(word) for word in command)


def _rate(finding: Finding) -> str | None:
    if finding.bytes_per_second is not None:
        return f"{size_text(finding.bytes_per_second)}/s"
    if finding.rate is None:
        return None
    return rate_text(finding.rate.value, TimeUnit(finding.rate.unit.removeprefix("bytes/")))


def _frame(frame: AnswerFrame) -> str:
    name = frame.function or frame.address or "???"
    where = file_line(frame.file, frame.line) if frame.file else frame.module or ""
    return f"{name}  {where}" + (" (inlined)" if frame.inlined else "")


def _blamed(finding: Finding) -> int:
    """Where in the stack the blamed frame is; -1 where it is not."""
    key = (finding.function, finding.file, finding.line)
    return next((at for at, frame in enumerate(finding.stack) if (frame.function, frame.file, frame.line) == key), -1)


def _amount(amount: Amount) -> str:
    return f"{size_text(amount.bytes)} in {count_text(amount.blocks, 'block')}"


def _leaks(leaks: Mapping[LossKind, Amount]) -> Iterable[str]:
    return (f"{_amount(leaks[kind])} {kind.value}" for kind in LossKind if kind in leaks and leaks[kind].blocks)


def _next_commands(answer: Answer, place: str, verbose: bool) -> Iterator[str]:
    """One or two things to do now. `place` is the run directory's path: its id alone is known only where RUNS is the default."""
    top = answer.findings[0] if answer.findings else None
    if top is not None and top.function is not None and top.line is None and top.module is not None:
        yield "build the program with -g to see the line"
    command = answer.run.get("command")
    asked = _is_hunt(answer) or answer.run.get("backend") == "memcheck"
    if top is not None and answer.verdict is Verdict.GROWING and isinstance(command, list) and command and not asked:
        yield from _next_tool(answer.run, [str(word) for word in command], top)
    if place and not verbose:
        yield f"leakrun show {shlex.quote(place)} -v   (whole stacks, all notes)"


def _next_tool(run: Mapping[str, object], command: Sequence[str], top: Finding) -> Iterator[str]:
    """The command that says more of what grows: by which code, or whether it is lost; none where it can't be run."""
    pid, named = _runs_on(run), top.file is not None or top.module is not None
    if pid is not None and not named:
        profile = "bpf-mmap" if (top.function or "").startswith(("file ", smaps.SHARED)) else "bpf"
        yield f"leakrun attach {pid} -p {profile} --for 30s   (which code asks for it? as root)"
    elif not _is_title(command):
        what, why = ("-p memcheck", "is it lost, or still referenced?") if named else ("hunt", "which code asks for it?")
        yield f"leakrun {what} -- {shlex.join(command)}   ({why})"


def _is_title(command: Sequence[str]) -> bool:
    """A process that was attached to may show a title ("redis-server *:6379", "nginx: worker process") in its command's place."""
    return any(letter.isspace() for letter in command[0].partition("/")[0])


def _runs_on(run: Mapping[str, object]) -> object:
    """The pid of a process that leakrun was attached to and let go; None of all others."""
    ended, processes = run.get("exit"), run.get("processes")
    if not isinstance(ended, dict) or not isinstance(processes, list) or not processes:
        return None
    return (
        processes[0].get("pid") if (ended.get("code"), ended.get("signal")) == (None, None) and ended.get("stopped_by") else None
    )


def _is_hunt(answer: Answer) -> bool:
    return isinstance(answer.run.get("steps"), list)
