"""`leakrun check RUN...`: a gate for builds: 0 when nothing is wrong, 1 for findings, 3 when it can't be said."""

import re
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner import config
from runner.cli import options
from runner.cli.screen import say
from runner.errors import ErrorKind, LeakrunError

if TYPE_CHECKING:
    from runner.formats.suppressions import Suppression
    from runner.gate import CheckedRun, Result, Terms
    from runner.gate.baseline import Known

_RATE = re.compile(r"(.+)/(s|m|h)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class Format(StrEnum):
    """How the findings are told."""

    TEXT = "text"
    SARIF = "sarif"
    JUNIT = "junit"
    GITLAB = "gitlab"
    GITHUB = "github"


def check(
    what: Annotated[list[str], typer.Argument(metavar="RUN|FILE...", help="Runs (path, id, prefix, `last`), or native outputs.")],
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="KINDS", help="Comma-separated: lost, suspect, growing, mapping-growth, stack-growth, errors. [all]"
        ),
    ] = None,
    max_bytes: Annotated[str | None, typer.Option(metavar="SIZE", help="Let a site have so much: 4096, 64K, 1M.")] = None,
    max_rate: Annotated[str | None, typer.Option(metavar="RATE", help="Let a site grow by so much: 10K/s, 1M/h.")] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Findings that are known: only new and worse ones fail.")
    ] = None,
    update_baseline: Annotated[bool, typer.Option("--update-baseline", help="Write the baseline anew, and pass.")] = False,
    tolerance: Annotated[
        int | None, typer.Option(min=0, help="Per cent more than the baseline that is not yet worse. [0; growth 50]")
    ] = None,
    suppressions: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A file of suppressions, valgrind's or LSan's. Repeatable.")
    ] = None,
    format_: Annotated[Format, typer.Option("-f", "--format", help="How findings are told.")] = Format.TEXT,
    output: options.OutputFile = None,
    warmup: options.Warmup = None,
    children: options.Children = None,
    exe: options.Exe = None,
    symbol_path: options.SymbolPath = None,
    runs_dir: options.RunsDir = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No summary on stderr.")] = False,
    config_file: options.ConfigFile = None,
) -> int:
    """Fail a build when something leaks.

    Exit code: 0 clean, 1 findings, 3 inconclusive.

    \b
      leakrun check last
      leakrun check memcheck-run massif-run --fail-on lost,growing
      leakrun check last --max-bytes 4K --max-rate 1K/s
      leakrun check last --baseline leaks.json --update-baseline     what is there now is known
      leakrun check last --baseline leaks.json                       what is new or worse fails
      leakrun check last -f sarif -o leaks.sarif

    A run that could not measure what it was asked for is never passed.
    """
    settings = options.settings(config_file, runs_dir=runs_dir, warmup=warmup, children=children, quiet=quiet)
    if update_baseline and baseline is None:
        raise LeakrunError(ErrorKind.USAGE, "--update-baseline needs the file to write", "--baseline FILE --update-baseline")
    terms = _terms(fail_on, max_bytes, max_rate, tolerance)
    known = _known(baseline, may_be_missing=update_baseline)
    entries = [entry for path in suppressions or () for entry in _suppressions(path)]
    from runner import gate, reading

    search = options.search_path(exe, symbol_path)
    _refuse_unreadable(what)
    groups = [what] if all(map(reading.is_file, what)) else [[word] for word in what]
    runs = [_checked(group, settings, search, entries) for group in groups]
    result = gate.judge(runs, terms, known)
    if update_baseline and baseline is not None and not any(run.doubts for run in runs):
        _update(result, known, baseline)
    _write(result, format_, output)
    if not settings.quiet:
        _summarise(result, baseline if baseline and baseline.exists() else None)
    return {gate.Outcome.CLEAN: 0, gate.Outcome.FINDINGS: 1, gate.Outcome.INCONCLUSIVE: 3}[result.outcome]


def _refuse_unreadable(what: Sequence[str]) -> None:
    """Raise LeakrunError(USAGE) for a file that can't be read: `show` leaves it out beside others, a gate must not."""
    from runner import formats, reading

    reading.refuse_streams(what)
    for word in filter(reading.is_file, what):
        with formats.opened(Path(word)):
            pass


def _terms(fail_on: str | None, max_bytes: str | None, max_rate: str | None, tolerance: int | None) -> "Terms":
    from runner.gate import Terms, kinds_of

    return Terms(
        kinds=None if fail_on is None else kinds_of(fail_on),
        max_bytes=None if max_bytes is None else _size("--max-bytes", max_bytes),
        max_rate=None if max_rate is None else _rate(max_rate),
        tolerance=None if tolerance is None else tolerance / 100,
    )


def _size(option: str, text: str) -> int:
    from runner.quantities import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        raise LeakrunError(ErrorKind.USAGE, f"{option}: {error}") from None


def _rate(text: str) -> float:
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise LeakrunError(ErrorKind.USAGE, f"--max-rate: {text[:40]!r} is no rate", "write 10K/s, 1M/m or 5M/h")
    return _size("--max-rate", match[1]) / _SECONDS[match[2]]


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LeakrunError(
            ErrorKind.USAGE, f"the {what} {str(path)!r} can't be read: {reason}", "name a file that is there"
        ) from None


def _known(path: Path | None, *, may_be_missing: bool) -> "list[Known]":
    from runner.gate import baseline

    if path is None or (may_be_missing and not path.exists()):
        return []
    if not path.exists():
        raise LeakrunError(ErrorKind.USAGE, f"there is no baseline {str(path)!r}", "--update-baseline writes it")
    return baseline.read(_text(path, "baseline"), str(path))


def _suppressions(path: Path) -> "list[Suppression]":
    from runner.formats import suppressions

    return suppressions.read(_text(path, "suppression file"), str(path))


def _checked(
    what: Sequence[str], settings: config.Settings, search: Sequence[Path], entries: "Sequence[Suppression]"
) -> "CheckedRun":
    """One run, read and concluded without what is suppressed."""
    from runner import answers, gate, reading
    from runner.gate import suppressed

    used: Counter[str] = Counter()
    answer = answers.answer_of(
        what,
        settings.runs_dir,
        reading.Query(
            warmup=settings.warmup,
            children=settings.children,
            search=search,
            leave_out=(lambda recording: suppressed.leave_out(recording, entries, used)) if entries else None,
        ),
    )
    items = gate.items_of(answer)
    suppressed.mark(items, entries, used)
    command = answer.run.get("command")
    return gate.CheckedRun(
        name=str(answer.run.get("id") or ", ".join(what)),
        command=" ".join(map(str, command)) if isinstance(command, list) else "",
        verdict=answer.verdict,
        sees=reading.seen_by(answer),
        doubts=gate.doubts_of(answer),
        items=items,
        suppressed=used,
    )


def _write(result: "Result", format_: Format, output: Path | None) -> None:
    from runner.cli.output import writing
    from runner.reports import gate_text, github, gitlab, junit, sarif

    writer = {
        Format.TEXT: gate_text.render,
        Format.SARIF: sarif.render,
        Format.JUNIT: junit.render,
        Format.GITLAB: gitlab.render,
        Format.GITHUB: github.render,
    }[format_]
    with writing(output) as stream:
        stream.write(writer(result).encode("utf-8", "replace"))


def _summarise(result: "Result", baseline: Path | None) -> None:
    from runner.reports import gate_text

    for line in gate_text.summary(result, against=str(baseline) if baseline else ""):
        say(line)


def _update(result: "Result", known: "Sequence[Known]", path: Path) -> None:
    """Write the baseline: from then on what it holds is known. Never from runs that could not measure."""
    from runner import gate
    from runner.cli.output import writing
    from runner.gate import baseline

    entries = gate.updated(result, known)
    with writing(path) as stream:
        stream.write(baseline.text_of(entries).encode())
    for run in result.runs:
        for item in run.items:
            item.standing = gate.Standing.KNOWN if item.fails else item.standing
