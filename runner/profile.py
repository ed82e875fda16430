"""A YAML file -> a validated Profile, and back. Every problem of a file is told at once, with its place."""

import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SerializeAsAny

from runner.errors import ErrorKind, LeakrunError
from runner.plan import StopPlan
from runner.profile_source import located, overridden, shipped_names, tree_of
from runner.quantities import (
    format_duration,
    format_signal,
    parse_duration,
    parse_signal,
    parse_size,
    parse_stop_signal,
    shown,
)
from runner.yaml_tree import Broken, Group, Node, Problem, Scalar, refusal
from runner.yaml_values import NULLS, NextToFile, similar, validate

__all__ = [
    "Duration",
    "NextToFile",
    "OptionsFor",
    "Profile",
    "Size",
    "Snapshots",
    "Stop",
    "ToolOptions",
    "dump",
    "load",
    "parse_duration",
    "parse_signal",
    "parse_size",
    "shipped_names",
]

SHORTEST_INTERVAL = 0.01  # seconds
SMALLEST_STEP = 4096  # bytes: a page
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BACKEND = re.compile(r"[a-z][a-z0-9_]{0,63}")


def _from_text(parse: Callable[[str], Any]) -> BeforeValidator:
    """What is written as text in YAML, and stands as a number in Python."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


def _at_least(least: float, said: str) -> AfterValidator:
    def check(value: float | None) -> float | None:
        if value is not None and value < least:
            raise ValueError(f"is too small: at least {said}")
        return value

    return AfterValidator(check)


def _matching(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"{shown(text)} is not {what}")
        return text

    return AfterValidator(check)


def _compilable(pattern: str) -> str:
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{shown(pattern)} is no regular expression: {error}") from None
    if not pattern:
        raise ValueError("an empty pattern is found in everything")
    return pattern


Duration = Annotated[
    float, _from_text(parse_duration), PlainSerializer(format_duration, when_used="json"), Field(allow_inf_nan=False, ge=0)
]
"""Seconds, written 500ms, 30s, 5m or 1h."""

Size = Annotated[int, _from_text(parse_size), Field(ge=0)]
"""Bytes, written 4096, 64K, 64M or 1G."""

StopSignal = Annotated[int, _from_text(parse_stop_signal), PlainSerializer(format_signal, when_used="json"), Field(ge=1, le=64)]
Text = Annotated[str, _matching(re.compile(r"[^\0]*", re.DOTALL), "a text that a program can be given: it holds a NUL")]
Word = Annotated[str, _matching(re.compile(r"[^\0]*\S[^\0]*", re.DOTALL), "a name or a pattern")]
Pattern = Annotated[str, AfterValidator(_compilable)]
VariableName = Annotated[str, _matching(re.compile(r"[^\0=]+", re.DOTALL), "the name of an environment variable")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ToolOptions(_Part):
    """Base of each backend's options, named as the native tool names them. Unknown keys are errors."""


OptionsFor = Callable[[str], type[ToolOptions] | None]


class Snapshots(_Part):
    """When to take snapshots while the program runs.

    every      seconds between two; None for none on a timer
    at_exit    one more before leakrun stops the program
    rss_step   one for each that many bytes that the resident size grows; None for none
    adaptive   start denser than `every`, and grow sparser as the run grows long
    """

    every: Annotated[Duration | None, _at_least(SHORTEST_INTERVAL, "10ms")] = None
    at_exit: bool = True
    rss_step: Annotated[Size | None, _at_least(SMALLEST_STEP, "4096 bytes, a page")] = None
    adaptive: bool = False


class Stop(_Part):
    """How the program is ended: the signal's number, and the seconds it then has to write what it must."""

    signal: StopSignal = 15
    grace: Duration = 30.0


class Profile(_Part):
    """A validated profile: what `extends` and overrides name is already in it.

    name      the file's name without its ending, where the file gives none
    options   an instance of the backend's Options
    args      passed to the native tool as they are, behind the options
    env       set for the program
    wrappers  functions of the project that only wrap an allocator: their caller is blamed
    redact    regular expressions: an argument or NAME=value that one is found in is kept out of the run directory
    """

    name: Annotated[str, _matching(_NAME, "a name: up to 64 letters, digits, dots, dashes")]
    backend: str
    description: str = ""
    options: SerializeAsAny[ToolOptions]
    args: tuple[Text, ...] = ()
    env: dict[VariableName, Text] = {}
    snapshots: Snapshots = Snapshots()
    stop: Stop = Stop()
    wrappers: tuple[Word, ...] = ()
    redact: tuple[Pattern, ...] = ()

    def stop_plan(self) -> StopPlan:
        """`stop` as the supervisor takes it."""
        return StopPlan(self.stop.signal, self.stop.grace)


def load(name_or_path: str, options_for: OptionsFor, overrides: Sequence[str] = (), tool_args: Sequence[str] = ()) -> Profile:
    """The profile of a shipped name, or of a file (whatever has a / or ends in .yaml or .yml).

    options_for  gives the Options class of a backend, None for one that is not there
    overrides    KEY=VALUE of --set: an option (`detailed_freq=1`), or `snapshots.every=5s`, `stop.grace=1m`, `env.NAME=text` ...
    tool_args    added behind `args`

    Raises LeakrunError(USAGE) whose message holds every problem, one a line.
    """
    file, source = located(name_or_path, Path())
    problems: list[Problem] = []
    tree = tree_of(file, source, problems)
    if tree is None:
        raise refusal(problems)
    options_class = _options_class(tree, options_for, problems)
    option_names = list(options_class.model_fields) if options_class else []
    overridden(tree, overrides, tool_args, option_names, list(Profile.model_fields), problems)
    profile = _validated(tree, options_class, _stem(file), problems)
    if problems or profile is None:
        raise refusal(problems)
    return profile


def _options_class(tree: Group, options_for: OptionsFor, problems: list[Problem]) -> type[ToolOptions] | None:
    """The Options of the backend that `tree` names; a backend that is not there is told of, one that is missing is not."""
    backend = tree.entries.get("backend")
    if not isinstance(backend, Scalar) or (backend.plain and backend.text in NULLS):
        return None
    found = options_for(backend.text) if _BACKEND.fullmatch(backend.text) else None
    if found is None:
        known = [name for name in shipped_names() if options_for(name)]
        problems.append(
            Problem(backend.place, "backend", f"there is no backend {shown(backend.text)}{similar(backend.text, known)}")
        )
    return found


def _validated(tree: Group, options_class: type[ToolOptions] | None, stem: str, problems: list[Problem]) -> Profile | None:
    entries = {"name": Scalar(tree.place, stem, plain=False), **tree.entries}
    written = entries.pop("options", Group(tree.place))
    options = _validated_options(written, options_class, problems) if options_class else None
    rest = Group(tree.place, entries, tree.key_places)
    elsewhere = _belongs(options_class) | {"extends": "extends"}
    return validate(Profile, rest, problems, hints=elsewhere, given={"options": options or ToolOptions()})


def _validated_options(written: Node, options_class: type[ToolOptions], problems: list[Problem]) -> ToolOptions | None:
    if isinstance(written, Scalar) and written.plain and not written.text:
        written = Group(written.place)  # `options:` with nothing below it but comments
    if isinstance(written, Group):
        return validate(options_class, written, problems, ("options",), hints=_belongs(None), given={})
    if not isinstance(written, Broken):
        problems.append(Problem(written.place, "options", "a group of keys and values is due"))
    return None


def _belongs(options_class: type[ToolOptions] | None) -> dict[str, str]:
    """For keys that people write one level too high or too low: where they belong."""
    groups: dict[str, type[BaseModel]] = {"stop": Stop, "snapshots": Snapshots}
    if options_class:
        groups["options"] = options_class
    return {key: f"{group}.{key}" for group, model in groups.items() for key in model.model_fields}


def _stem(file: Path) -> str:
    """A profile's name from its file's name."""
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem, flags=re.ASCII).lstrip(".-_")[:64]
    return kept or "profile"


def dump(profile: Profile) -> str:
    """`profile` as YAML that load() reads back to an equal one. Raises LeakrunError(USAGE) for text that YAML can't hold."""
    try:
        written = _written(profile, profile.model_dump(mode="json"))
        return yaml.dump(written, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    except UnicodeEncodeError:
        raise LeakrunError(ErrorKind.USAGE, f"the profile {shown(profile.name)} holds text that is not Unicode") from None


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # Breaks of lines other than \n are read back as they were only where they are escaped.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _represent_text)


def _written(model: BaseModel, data: dict[str, Any]) -> dict[str, Any]:
    """`data` of `model` without what is empty and would be so anyway."""
    kept = {}
    for key, field in type(model).model_fields.items():
        value = getattr(model, key)
        if isinstance(value, BaseModel):
            kept[key] = _written(value, data[key])
        elif data[key] not in (None, "", [], {}) or value != field.get_default(call_default_factory=True):
            kept[key] = data[key]
    return kept
