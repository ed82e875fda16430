"""Writes docs/leakrun.1, the man page, from the commands themselves; with --check it only says whether the page is current."""

import re
import sys
from pathlib import Path

from typer.main import get_command

from runner.cli.application import VERBS, app, verb

PAGE = Path(__file__).resolve().parent / "leakrun.1"

VALUE = re.compile(r"<(?:list\[)?([\w|]+)\]?>")
VALUES = {"int": "N", "float": "N"}

EXIT_STATUS = """\
.TP
.B 0
it was measured, whatever was found (but see \\-\\-error\\-exitcode, and check)
.TP
.B 1
check: there are findings
.TP
.B 2
wrong usage, a bad profile, an output directory that exists
.TP
.B 3
it could not be measured: a tool is missing, nothing was instrumented, output was lost
.TP
.B 126, 127
the program can't be started, or is not there
.TP
.B other
the program's own, 128+n where signal n ended it; or that of \\-\\-error\\-exitcode
"""
FILES = """\
.TP
.I leakrun\\-runs/<profile>\\-<program>\\-<time>\\-<4 hex>
the directory of a run, unless \\-o or \\-\\-runs\\-dir says otherwise
.TP
.I .leakrun.yml
settings, the nearest in this directory or one above it; and ~/.config/leakrun/config.yml
"""
ENVIRONMENT = """\
.TP
.B LEAKRUN_PROFILE, LEAKRUN_RUNS_DIR, LEAKRUN_EVERY ...
an option's value where the command line has none
.TP
.B NO_COLOR
no colours; a pipe and CI=true are respected too
.TP
.B FORCE_HYPERLINK
1: places in the answer are links that can be clicked; 0: they are not
"""


def page() -> str:
    """The whole page, in man(7)'s macros. It has no date: it changes when the commands do."""
    root = get_command(app)
    parts = [
        '.TH LEAKRUN 1 "" leakrun "User Commands"',
        ".SH NAME",
        "leakrun \\- run a native program under a memory profiler, and say which line leaks",
        ".SH SYNOPSIS",
        ".B leakrun",
        "[\\fIOPTIONS\\fR] [\\-\\-] \\fIPROGRAM\\fR [\\fIARGS\\fR]...",
        ".br",
        ".B leakrun",
        "\\fIVERB\\fR [\\fIOPTIONS\\fR] ...",
        ".SH DESCRIPTION",
        *text(root.help or ""),
        ".SH COMMANDS",
    ]
    for name in VERBS:
        parts += command(name)
    parts += [".SH EXIT STATUS", EXIT_STATUS.rstrip(), ".SH ENVIRONMENT", ENVIRONMENT.rstrip(), ".SH FILES", FILES.rstrip()]
    parts += [".SH SEE ALSO", "valgrind(1), google\\-pprof(1), heaptrack(1), mtrace(1)"]
    return "\n".join(parts) + "\n"


def command(name: str) -> list[str]:
    """One verb: how it is called, what it does, its options."""
    this = verb(name)
    context = this.make_context(name, [], resilient_parsing=True)
    called = " ".join(["leakrun", name, *this.collect_usage_pieces(context)])
    parts = [f".SS {escaped(called)}", *text(this.help or "")]
    for option in (each for each in this.params if each.param_type_name == "option"):
        record = option.get_help_record(context)
        if record is not None:
            names, said = record
            parts += [".TP", f".B {escaped(VALUE.sub(value, names))}", escaped(" ".join(said.split()))]
    return parts


def value(found: re.Match[str]) -> str:
    """What an option takes, as people write it: the kinds that Python has are of no use to them."""
    return VALUES.get(found[1], found[1] if "|" in found[1] else found[1].upper())


def text(help_text: str) -> list[str]:
    """A help text: paragraphs, and what stands behind \\b as it is."""
    lines: list[str] = []
    for block in help_text.strip().split("\n\n"):
        if block.startswith("\b"):
            lines += [".PP", ".nf", *(escaped(line) for line in block.removeprefix("\b").strip("\n").splitlines()), ".fi"]
        else:
            lines += [".PP", escaped(" ".join(block.split()))]
    return lines


def escaped(line: str) -> str:
    """A line as troff takes it for text."""
    line = line.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{line}" if line.startswith((".", "'")) else line


def main(arguments: list[str]) -> int:
    """Write the page, or compare it."""
    current = page()
    if "--check" not in arguments:
        PAGE.write_text(current, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == current:
        return 0
    sys.stderr.write("docs/leakrun.1 is not current: python docs/make_man.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
