"""The typer application: its verbs, and how words reach them."""

import os
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from runner import __version__
from runner.cli import words
from runner.errors import ErrorKind, LeakrunError

# In the order of --help. Each is the function of that name in the module of that name in this package.
VERBS = (
    "run",
    "hunt",
    "attach",
    "top",
    "snapshot",
    "stop",
    "recover",
    "runs",
    "bundle",
    "show",
    "growth",
    "diff",
    "report",
    "export",
    "open",
    "check",
    "suppress",
    "profiles",
    "doctor",
)


# What pydantic, which checks typer's values, calls things: left out, or said as people would.
PYDANTIC_WORDS = (
    ("Value error, ", ""),
    ("Input should be a valid integer, unable to parse string as an integer", "it is not a whole number"),
    ("Input should be a valid number, unable to parse string as a number", "it is not a number"),
    ("Unable to parse input string as an integer, exceeded maximum size", "it is too large"),
    ("Input should be less than or equal to", "write at most"),
    ("Input should be greater than or equal to", "write at least"),
)

TAB = "_LEAKRUN_COMPLETE"  # set in the environment where a shell asks what could come next
# The verbs whose parameters are all texts, lists of texts and flags.
TEXT_ONLY = frozenset({"run", "hunt", "top", "snapshot", "stop", "recover", "show", "doctor"})


class VerbCommand(TyperCommand):
    """A verb, whose arguments are shown as this package calls them: typer adds braces, dots and Python's types."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        for each in self._arguments():
            each.display_type_rich = lambda ctx: None  # noqa: ARG005  # typer calls it by this name

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # typer's
        """What stands behind the verb in its usage."""
        return ["[OPTIONS]", *(str(each.metavar or each.name.upper()) for each in self._arguments())]

    def _arguments(self) -> list[Any]:
        return [each for each in self.params if each.param_type_name == "argument"]


class TextCommand(VerbCommand):
    """A command that takes its values as they were typed.

    typer has pydantic convert every value, also one that is a text already, and pydantic takes 50 ms to import.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give `ctx` the values. Whatever asks for words (help, a parameter that is missing) is typer's."""
        given, rest, _ = self.make_parser(ctx).parse_args(args=list(args))
        values = {
            parameter.name: given[parameter.name] for parameter in self.params if given.get(parameter.name) not in (None, [], ())
        }
        missing = any(parameter.required and parameter.name not in values for parameter in self.params)
        if missing or rest or "help" in given or ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        ctx.params.update(values)
        return []


class Verbs(TyperGroup):
    """The verbs, each imported when it is called for: the way to a launch pays for no other."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # typer keeps click's Context private
        """All names, for --help and for completion."""
        return list(VERBS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        """The verb of that name; None where there is none."""
        if cmd_name not in VERBS:
            return None
        if TAB not in os.environ:
            return verb(cmd_name)
        from runner.cli import completion

        return completion.attach(verb(cmd_name))


def _typer(**more: Any) -> typer.Typer:
    return typer.Typer(
        rich_markup_mode=None,  # rich would cost the launch 30 ms
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        **more,
    )


@cache
def verb(name: str) -> Any:
    """The command of that name."""
    function: Callable[..., int] = getattr(import_module(f"runner.cli.{name}"), name)
    alone = _typer(add_completion=False)
    alone.command(name, cls=TextCommand if name in TEXT_ONLY else VerbCommand)(function)
    return get_command(alone)


app = _typer(name="leakrun", cls=Verbs)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"leakrun {__version__}")
        raise typer.Exit


@app.callback()
def leakrun(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Run a native program under a memory profiler, lose nothing, and say which line leaks.

    \b
      leakrun hunt -- ./app args             something leaks: one tool after another, until the answer is sure
      leakrun ./app args                     memcheck: what is lost when it ends
      leakrun -p massif ./app args           what grows over time, at any cost
      leakrun -p heapprofile ./server        what grows in a server, at little cost; Ctrl-C ends it
      leakrun attach 4711                    which kind of memory grows in a process that runs already
      leakrun show last                      the answer again
      leakrun profiles                       what there is to choose from

    The word `run` need not be typed: the first word that is neither an option nor a verb is the program.
    """


def dispatch(arguments: list[str]) -> int:
    """Run the verb that the words name, and return its exit code."""
    options = [option for name in words.PROGRAM_VERBS if name == "run" or name in arguments for option in verb(name).params]
    valued = {name for option in options for name in option.opts if not getattr(option, "is_flag", False)}
    if TAB in os.environ:
        from runner.cli import completion

        if not completion.say_run(os.environ, VERBS, valued):
            return 0
    arranged = words.arrange(arguments or ["--help"], VERBS, valued)
    try:
        if arranged[0] in VERBS:
            result = verb(arranged[0]).main(args=arranged[1:], prog_name=f"leakrun {arranged[0]}", standalone_mode=False)
        else:
            result = get_command(app).main(args=arranged, prog_name="leakrun", standalone_mode=False)
    except typer.Exit as ended:
        return ended.exit_code
    except LeakrunError as error:
        raise (error if "--" not in arranged[:-1] else _perhaps_a_verb(error, arranged[arranged.index("--") + 1])) from None
    except typer.Abort:
        return 130
    except SystemExit as ended:
        # typer ends with 1 when nobody reads the output any more; 1 is what `check` says of findings.
        raise (ended.__context__ if isinstance(ended.__context__, BrokenPipeError) else ended) from None
    except Exception as error:
        # Typer's usage errors carry their own message; whatever does not is not one of them.
        if not hasattr(error, "format_message"):
            raise
        sys.stderr.write(f"leakrun: {_in_plain_words(error.format_message())}\n  `leakrun {arranged[0]} --help` shows how\n")
        return 2
    return result if isinstance(result, int) else 0


def _in_plain_words(message: str) -> str:
    for theirs, ours in PYDANTIC_WORDS:
        message = message.replace(theirs, ours)
    return " ".join(message.split())  # where there is a choice it stands in lines


def _perhaps_a_verb(error: LeakrunError, program: str) -> LeakrunError:
    """Who mistypes a verb has named a program that is not there."""
    from difflib import get_close_matches

    close = get_close_matches(program, VERBS, 1, 0.7) if error.kind is ErrorKind.NOT_FOUND else []
    return LeakrunError(error.kind, error.message, f"did you mean `leakrun {close[0]}`?") if close else error
