"""What the shell's TAB offers: verbs, options, profiles' names, runs, formats. typer speaks the shells' languages.

`leakrun --install-completion` puts a line into the shell's start-up file that calls leakrun with _LEAKRUN_COMPLETE set. The
word `run` need not be typed, so it is put in here before typer looks.
"""

import os
from collections.abc import Callable, Collection, MutableMapping
from pathlib import Path
from typing import Any

from runner.cli import words

_LINE = "_TYPER_COMPLETE_ARGS"  # zsh and fish: the line up to the cursor
_WORDS, _AT = "COMP_WORDS", "COMP_CWORD"  # bash: all words, and which one the cursor is in


def say_run(environment: MutableMapping[str, str], verbs: Collection[str], valued: Collection[str]) -> bool:
    """Put `run` in where it was left out. False where the word belongs to the program: the shell completes files then.

    valued  the options of `run` that take the next word as their value
    """
    line = environment.get(_LINE)
    if line is not None:
        typed = line.split()[1:]
        before = typed if line.endswith(" ") else typed[:-1]
        current = "" if line.endswith(" ") or not typed else typed[-1]
    else:
        at = int(environment.get(_AT, "1") or 1)
        typed = environment.get(_WORDS, "").split()
        before, current = typed[1:at], typed[at] if at < len(typed) else ""
    if before and (before[0] in verbs or before[0] in words.ROOT_OPTIONS) and before[0] != "run":
        return True
    if not before and not current.startswith("-"):
        return True  # the verbs
    rest = before[1:] if before[:1] == ["run"] else before
    if _program_begins(rest, valued):
        return False
    if before[:1] == ["run"] or (not before and current in words.ROOT_OPTIONS):
        return True
    if line is not None:
        first, _, more = line.partition(" ")
        environment[_LINE] = f"{first} run {more}"
    else:
        environment[_WORDS] = " ".join([*typed[:1], "run", *typed[1:]])
        environment[_AT] = str(at + 1)
    return True


def _program_begins(before: list[str], valued: Collection[str]) -> bool:
    """One of these words is the program's."""
    arranged = words.arrange_program("run", before, valued)
    return "--" in arranged


def attach(command: Any) -> Any:
    """Give a verb's options and arguments their words. Returns the command."""
    for parameter in command.params:
        offers = _offers(str(parameter.name), str(getattr(parameter, "metavar", "") or ""), command.name)
        if offers is not None:
            parameter.shell_complete = _completer(offers)
    return command


Offers = Callable[[dict[str, Any]], Collection[str]]  # what was typed before, by parameter -> words


def _completer(offers: Offers) -> Callable[[Any, str], list[Any]]:
    def complete(context: Any, incomplete: str) -> list[Any]:
        from typer._click.shell_completion import CompletionItem

        return [CompletionItem(word) for word in offers(context.params) if word.startswith(incomplete)]

    return complete


def _offers(name: str, metavar: str, verb: str) -> Offers | None:
    if name == "profile" or (verb == "profiles" and metavar):
        return _profiles
    if "RUN" in metavar or metavar in ("A", "B"):
        return _runs
    return None


def _profiles(_: dict[str, Any]) -> Collection[str]:
    from runner.profile import shipped_names

    return shipped_names()


def _runs(typed: dict[str, Any]) -> Collection[str]:
    """The runs that are there, the newest first. A run that can't be read is no reason to fail in a shell's prompt."""
    from runner import config, rundir
    from runner.errors import LeakrunError

    try:
        settings = config.resolve({"runs_dir": typed.get("runs_dir")}, os.environ, Path.cwd(), None)
        return ["last", *(run.id for run in reversed(rundir.runs(settings.runs_dir)))]
    except LeakrunError:
        return []
