"""A profile: a YAML file -> a validated Profile, and back."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, get_type_hints

from runner.errors import ErrorKind, LeakrunError
from runner.profile import cache as profile_cache
from runner.profile.files import located, shipped_names
from runner.profile.marks import Checked, NextToFile, Within, Written, types_in
from runner.profile.parts import Duration, OptionsFor, Profile, Size, Snapshots, Stop, ToolOptions
from runner.quantities import parse_duration, parse_signal, parse_size, shown

__all__ = [
    "Checked",
    "Duration",
    "NextToFile",
    "OptionsFor",
    "Profile",
    "Size",
    "Snapshots",
    "Stop",
    "ToolOptions",
    "Within",
    "Written",
    "as_written",
    "dump",
    "load",
    "parse_duration",
    "parse_signal",
    "parse_size",
    "shipped_names",
]

# What every reader of YAML takes for a text without quotes.
_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./+-]*(?: [A-Za-z0-9_./+(,-][A-Za-z0-9_./+(),;-]*)*", re.ASCII)
_NOT_TEXT = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", ".nan", ".inf"}


def load(name_or_path: str, options_for: OptionsFor, overrides: Sequence[str] = (), tool_args: Sequence[str] = ()) -> Profile:
    """The profile of a shipped name, or of a file (whatever has a / or ends in .yaml or .yml).

    options_for  gives the Options class of a backend, None for one that is not there
    overrides    KEY=VALUE of --set: an option (`detailed_freq=1`), or `snapshots.every=5s`, `stop.grace=1m`, `env.NAME=text` ...
    tool_args    added behind `args`

    Raises LeakrunError(USAGE) whose message holds every problem, one a line.
    """
    file, _ = located(name_or_path, Path())
    questions = profile_cache.questions(file, overrides, tool_args)
    for question in questions:
        known = _kept(question, options_for)
        if known is not None:
            return known
    from runner.profile.reading import read_profile

    profile, files = read_profile(name_or_path, options_for, overrides, tool_args)
    if questions and questions == profile_cache.questions(file, overrides, tool_args):  # it was not changed meanwhile
        _keep(questions[0], profile, files[1:])
    return profile


def _kept(question: profile_cache.Question, options_for: OptionsFor) -> Profile | None:
    values = profile_cache.kept(question)
    options_class = options_for(values["backend"]) if values else None
    if not values or not options_class:
        return None
    try:
        parts = {"options": options_class(**values["options"]), "snapshots": Snapshots(**values["snapshots"])}
        return Profile(**{**values, **parts, "stop": Stop(**values["stop"])})
    except (TypeError, KeyError):
        return None


def _keep(question: profile_cache.Question, profile: Profile, files: Sequence[Path]) -> None:
    values = _values_of(profile)
    profile_cache.keep(question, values, files)
    with suppress(LeakrunError):  # of text that is not Unicode
        profile_cache.keep(profile_cache.about_text(dump(profile).encode()), values)  # a run directory has it so


def _values_of(part: Any) -> dict[str, Any]:
    """A profile or a part of one as plain values, which _kept() takes back."""
    values = {each.name: getattr(part, each.name) for each in fields(part)}
    return {key: _values_of(value) if hasattr(value, "__dataclass_fields__") else value for key, value in values.items()}


# ---- back to YAML


def as_written(part: Profile | ToolOptions | Snapshots | Stop) -> dict[str, Any]:
    """A profile or a part of one as a YAML file has it, whole: 30s for 30.0; lists for tuples."""
    hints = get_type_hints(type(part), include_extras=True)
    return {each.name: _as_written(getattr(part, each.name), hints[each.name]) for each in fields(part)}


def _as_written(value: Any, hint: Any) -> Any:
    if isinstance(value, Profile | ToolOptions | Snapshots | Stop):
        return as_written(value)
    if isinstance(value, tuple | list | set | frozenset):
        return list(value)
    marks = [mark for due in types_in(hint) for mark in due.marks if isinstance(mark, Written) and mark.show]
    return marks[0].show(value) if marks and marks[0].show and value is not None else value


def dump(profile: Profile) -> str:
    """`profile` as YAML that load() reads back to an equal one. Raises LeakrunError(USAGE) for text that YAML can't hold."""
    try:
        return "".join(f"{line}\n" for line in _lines(_told(profile)))
    except UnicodeEncodeError:
        raise LeakrunError(ErrorKind.USAGE, f"the profile {shown(profile.name)} holds text that is not Unicode") from None


def _told(part: Profile | ToolOptions | Snapshots | Stop) -> dict[str, Any]:
    """`part` as written, without what is empty and would be so anyway."""
    written, kept = as_written(part), {}
    for each in fields(part):
        value = getattr(part, each.name)
        if isinstance(value, ToolOptions | Snapshots | Stop):
            kept[each.name] = _told(value)
        elif written[each.name] not in (None, "", [], {}) or value != _default(each):
            kept[each.name] = written[each.name]
    return kept


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _lines(group: dict[str, Any]) -> Iterator[str]:
    for key, value in group.items():
        if isinstance(value, dict) and value:
            yield f"{_scalar(key)}:"
            yield from (f"  {line}" for line in _lines(value))
        elif isinstance(value, list) and value:
            yield f"{_scalar(key)}:"
            yield from (f"- {_scalar(item)}" for item in value)
        else:
            yield f"{_scalar(key)}: {_scalar(value)}"


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if not isinstance(value, str):
        return repr(value)  # a number; an empty list or group
    value.encode()
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value) + '"'
