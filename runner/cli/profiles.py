"""`leakrun profiles`: list them, show one with the command line it makes, or validate files."""

import json as json_format
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from runner.errors import ErrorKind, LeakrunError

if TYPE_CHECKING:
    from runner.plan import LaunchPlan, Target
    from runner.profile import Profile

PLACEHOLDER = ("./app",)
RUN_DIRECTORY = Path("RUN")  # stands for the run directory, which only a run has


def profiles(
    words: Annotated[list[str] | None, typer.Argument(metavar="[NAME|FILE [-- PROGRAM [ARGS]...]]", help="One to show.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Show it with an option changed. Repeatable.")
    ] = None,
    tool_arg: Annotated[
        list[str] | None, typer.Option(metavar="ARG", help="Show it with this passed to the native tool. Repeatable.")
    ] = None,
    validate: Annotated[bool, typer.Option("--validate", help="Check the FILEs that follow, and say all that is wrong.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON (leakrun.profiles/1, leakrun.profile/1).")] = False,
) -> int:
    """List the profiles, show one as resolved, or validate files.

    \b
      leakrun profiles
      leakrun profiles massif
      leakrun profiles massif --set depth=60 -- ./server --port 8080
      leakrun profiles massif > mine.yaml
      leakrun profiles --validate mine.yaml other.yaml
    """
    if validate:
        return validate_files(words or (), sys.stdout, sys.stderr)
    if words:
        show_profile(words[0], words[1:], sys.stdout, overrides=set_ or (), tool_args=tool_arg or (), json=json)
    elif set_ or tool_arg:
        raise LeakrunError(
            ErrorKind.USAGE, "--set and --tool-arg change one profile: name it", "leakrun profiles NAME --set KEY=VALUE"
        )
    else:
        list_profiles(sys.stdout, json=json)
    return 0


def list_profiles(out: TextIO, *, json: bool) -> None:
    """The shipped profiles: name, backend and when to use it."""
    from runner.pipeline import load_profile
    from runner.profile import shipped_names

    shipped = [load_profile(name) for name in shipped_names()]
    if json:
        rows = [{"name": each.name, "backend": each.backend, "description": each.description} for each in shipped]
        _write_json({"schema": "leakrun.profiles/1", "profiles": rows}, out)
        return
    widths = [max(len(text) for text in column) for column in zip(*((each.name, each.backend) for each in shipped), strict=True)]
    for each in shipped:
        out.write(f"{each.name:<{widths[0]}}  {each.backend:<{widths[1]}}  {each.description}\n")


def show_profile(
    name: str,
    program: Sequence[str],
    out: TextIO,
    *,
    overrides: Sequence[str] = (),
    tool_args: Sequence[str] = (),
    json: bool = False,
) -> None:
    """A profile as resolved, with the command line and the environment that it makes for `program`.

    As text it is YAML: the command line stands in comments. Raises LeakrunError as a run would, without running anything.
    """
    from runner.pipeline import load_profile
    from runner.profile import as_written, dump

    profile = load_profile(name, overrides, tool_args)
    plan, notes = _planned(profile, program)
    argv = [_filled(word) for word in plan.argv]
    environment = {key: value if value is None else _filled(value) for key, value in plan.env.items()}
    if json:
        document = {
            "schema": "leakrun.profile/1",
            "profile": as_written(profile),
            "command": argv,
            "environment": environment,
            "notes": notes,
        }
        _write_json(document, out)
        return
    lines = [f"command: {shlex.join(argv)}"]
    for key, value in environment.items():
        lines.append(f"environment: {key} is unset" if value is None else f"environment: {key}={_quoted(value)}")
    lines += [f"note: {note}" for note in notes]
    comments = [f"# {part}\n" for line in lines for part in line.splitlines()]
    out.write(_printable(dump(profile) + "".join(comments)))


def _quoted(value: str) -> str:
    """The value as bash takes it, readable where it has bytes that are no UTF-8 too."""
    if value.isprintable():
        return shlex.quote(value)
    plain = {byte: f"\\x{byte:02x}" for byte in range(256) if not 32 <= byte < 127 or chr(byte) in "'\\"}
    return "$'" + "".join(plain.get(byte, chr(byte)) for byte in os.fsencode(value)) + "'"


def validate_files(files: Sequence[str], out: TextIO, errors: TextIO) -> int:
    """Check each profile; `FILE: ok` goes to `out`, all that is wrong to `errors`. 0, or 2 where anything is wrong."""
    from runner.pipeline import load_profile

    if not files:
        raise LeakrunError(ErrorKind.USAGE, "--validate needs a file", "leakrun profiles --validate FILE...")
    code = 0
    for name in files:
        try:
            load_profile(f"./{name}" if "/" not in name and "\0" not in name and _is_file(name) else name)
        except LeakrunError as error:
            errors.write(_printable("\n".join(filter(None, (error.message, error.hint and f"  {error.hint}"))) + "\n"))
            code = 2
        else:
            out.write(_printable(f"{name}: ok\n"))
    return code


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:
        return False


def _planned(profile: "Profile", program: Sequence[str]) -> tuple["LaunchPlan", list[str]]:
    """The plan for `program`, and what a reader should know of it."""
    from runner import backends

    backend = backends.get(profile.backend)
    tool = backend.probe(profile.options)
    notes = list(tool.limits)
    if tool.path is None:
        notes.append(f"{tool.name} is not installed here; to install it: {tool.install}")
        tool = tool._replace(path=Path(tool.name))
    return backend.plan(_target(program, backend.marks), tool, profile, RUN_DIRECTORY / "raw"), notes


def _target(program: Sequence[str], marks: Sequence[bytes]) -> "Target":
    from runner.plan import Target

    if not program:
        return Target(argv=PLACEHOLDER, executable=Path(PLACEHOLDER[0]), cwd=Path.cwd())
    from runner.symbols.target import inspect_target

    return inspect_target(program, Path.cwd(), os.environ, marks)._replace(preload=os.environ.get("LD_PRELOAD", ""))


def _filled(word: str) -> str:
    return word.replace("{pid}", "PID")


def _printable(text: str) -> str:
    return text.encode(errors="replace").decode()


def _write_json(document: object, out: TextIO) -> None:
    json_format.dump(document, out, indent=2)
    out.write("\n")
