"""A gate's result as GitHub's workflow commands, which become annotations: `::error file=F,line=N,title=T::message`.

Escaping as its toolkit does (actions/toolkit, packages/core, command.ts): %, CR and LF everywhere, and `:` and `,` in properties.
"""

from runner.gate import CheckedRun, Item, Result, Standing
from runner.paths import near
from runner.reports.gate_text import message, severity
from runner.reports.plain import plain

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def render(result: Result) -> str:
    """A command for each item that is not suppressed, and an error for each run that could not be judged."""
    lines = []
    for run in result.runs:
        lines += [_command(item, run) for item in run.items if item.standing is not Standing.SUPPRESSED]
        lines += [f"::error title=leakrun%3A inconclusive::{_data(plain(f'{run.name}: {doubt}'))}" for doubt in run.doubts]
    return "".join(f"{line}\n" for line in lines)


def _command(item: Item, run: CheckedRun) -> str:
    properties = {"title": f"leakrun: {item.label}"}
    if item.file is not None:
        properties = {"file": near(item.file), "line": str(item.line or 1), **properties}
    written = ",".join(f"{key}={_property(plain(value))}" for key, value in properties.items())
    return f"::{_COMMANDS[severity(item, run)]} {written}::{_data(message(item))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
