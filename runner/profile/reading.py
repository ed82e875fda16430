"""A profile's file -> a validated Profile. Every problem of a file is told at once, with its place."""

import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from runner.profile.files import located, shipped_names
from runner.profile.parts import OptionsFor, Profile, Snapshots, Stop, ToolOptions
from runner.profile.problems import Problem, refusal
from runner.profile.source import overridden, tree_of
from runner.profile.yaml_tree import Broken, Group, Node, Scalar
from runner.profile.yaml_values import NULLS, similar, validate
from runner.quantities import shown

_BACKEND = re.compile(r"[a-z][a-z0-9_]{0,63}")


def read_profile(
    name_or_path: str, options_for: OptionsFor, overrides: Sequence[str], tool_args: Sequence[str]
) -> tuple[Profile, list[Path]]:
    """The profile as `profile.load` promises it, and the files that it was read from, its own first."""
    file, source = located(name_or_path, Path())
    problems: list[Problem] = []
    chain: list[Path] = []
    tree = tree_of(file, source, problems, chain)
    if tree is None:
        raise refusal(problems)
    options_class = _options_class(tree, options_for, problems)
    option_names = _keys(options_class) if options_class else []
    overridden(tree, overrides, tool_args, option_names, _keys(Profile), problems)
    profile = _validated(tree, options_class, _stem(file), problems)
    if problems or profile is None:
        raise refusal(problems)
    return profile, chain


def _keys(part: type[Profile | ToolOptions | Snapshots | Stop]) -> list[str]:
    return [field.name for field in fields(part)]


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
    groups: dict[str, type[ToolOptions | Snapshots | Stop]] = {"stop": Stop, "snapshots": Snapshots}
    if options_class:
        groups["options"] = options_class
    return {key: f"{group}.{key}" for group, part in groups.items() for key in _keys(part)}


def _stem(file: Path) -> str:
    """A profile's name from its file's name."""
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem, flags=re.ASCII).lstrip(".-_")[:64]
    return kept or "profile"
