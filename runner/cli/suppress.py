"""`leakrun suppress RUN RANK`: a suppression for a finding that is known and not to be reported."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli import options
from runner.errors import ErrorKind, LeakrunError

if TYPE_CHECKING:
    from runner.model import Answer, Finding


class Format(StrEnum):
    """Whose file it is for."""

    VALGRIND = "valgrind"
    LSAN = "lsan"


def suppress(
    what: Annotated[str, typer.Argument(metavar="RUN|FILE", help="A run (path, id, prefix, `last`) or a native output.")],
    rank: Annotated[int, typer.Argument(metavar="RANK", min=1, help="The finding's number in `leakrun show`.")],
    format_: Annotated[Format, typer.Option("-f", "--format", help="Whose file it is for.")] = Format.VALGRIND,
    output: options.OutputFile = None,
    exe: options.Exe = None,
    symbol_path: options.SymbolPath = None,
    runs_dir: options.RunsDir = None,
    config_file: options.ConfigFile = None,
) -> int:
    """Write a suppression for a finding.

    For valgrind's --suppressions, or LeakSanitizer's LSAN_OPTIONS.

    \b
      leakrun suppress last 1 >> known.supp
      leakrun -p memcheck --set suppressions=known.supp ./app
      leakrun check last --suppressions known.supp
      leakrun suppress last 1 -f lsan >> lsan.supp

    It stands for every leak in that function that comes about in the same way, whichever line it is in.
    """
    settings = options.settings(config_file, runs_dir=runs_dir)
    from runner import answers, reading
    from runner.cli.output import writing

    query = reading.Query(search=options.search_path(exe, symbol_path))
    finding = _finding(answers.answer_of([what], settings.runs_dir, query), rank)
    with writing(output) as stream:
        stream.write(_entry(finding, format_).encode("utf-8", "backslashreplace"))
    return 0


def _finding(answer: "Answer", rank: int) -> "Finding":
    found = next((finding for finding in answer.findings if finding.rank == rank), None)
    if found is None:
        count = len(answer.findings)
        raise LeakrunError(
            ErrorKind.USAGE,
            f"there is no finding {rank}",
            f"`leakrun show` lists them: 1 to {count}" if count else "the answer has no findings: nothing is to be suppressed",
        )
    return found


def _entry(finding: "Finding", format_: Format) -> str:
    from runner.analysis.wording import place_text
    from runner.formats.writers.suppressions import lsan_entry, valgrind_entry
    from runner.model import FindingKind

    places = [(frame.function, frame.file, frame.line) for frame in finding.stack]
    place = (finding.function, finding.file, finding.line)
    if place not in places or (finding.function is None and finding.module is None):
        raise LeakrunError(
            ErrorKind.USAGE, f"finding {finding.rank} names no function to suppress it by", "build with -g, and run again"
        )
    title = f"{finding.kind.value}: {place_text(finding.function, finding.file, finding.line, finding.module)}"
    blamed = places.index(place)
    if format_ is Format.LSAN:
        return lsan_entry(title, finding.stack[blamed])
    kinds = {FindingKind.LOST: "definite", FindingKind.SUSPECT: "possible"}
    return valgrind_entry(title, kinds.get(finding.kind, "reachable"), finding.stack, blamed)
