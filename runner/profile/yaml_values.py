"""A tree of YAML -> an instance of a dataclass, validated by pydantic, every problem with its place.

Each scalar is read by what is due there, from the text as it was written: where text is due, `012`, `1:30` and `yes` are
that text; where a whole number is due, only a plain decimal is one. YAML's own guessing takes no part in it.
"""

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from runner.profile.marks import Due, NextToFile, Written, types_in
from runner.profile.problems import Place, Problem, dotted
from runner.profile.yaml_tree import Broken, Group, Listing, Node, Scalar
from runner.quantities import parse_switch, shown

NULLS = ("", "~", "null", "Null", "NULL")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_LISTS = (list, tuple, set, frozenset)
_FAILED = object()

Part = TypeVar("Part")
Keys = tuple[str | int, ...]


def validate(
    part: type[Part],
    tree: Group,
    problems: list[Problem],
    keys: Keys = (),
    *,
    hints: Mapping[str, str],
    given: Mapping[str, object],
) -> Part | None:
    """`tree` as an instance of the dataclass `part`; None where it is not one, and then `problems` have got the reasons.

    keys   where in the whole file the tree stands
    hints  keys that stand elsewhere, or are taken out of the tree before: their whole paths
    given  values that are at hand already, and do not stand in the tree
    """
    reader = _Reader(problems)
    data = {**reader.part(part, tree, keys), **given}
    kind: type = part
    try:
        made: Part = _validator(kind).validate_python(data)
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            location = tuple(each["loc"])
            if keys + location not in reader.failed:
                problems.append(_problem(dict(each), tree, keys, known_keys(part, location), hints))
        return None
    return None if reader.failed else made


@cache
def _validator(part: type) -> TypeAdapter[Any]:
    return TypeAdapter(part)


@cache
def _hints(part: type) -> dict[str, Any]:
    """The keys of a part of a profile, and what is due at each."""
    hints = get_type_hints(part, include_extras=True)
    return {field.name: hints[field.name] for field in fields(part)}


def known_keys(part: type, location: Sequence[str | int]) -> list[str]:
    """The keys that may stand beside the one at `location`, below `part`."""
    for key in location[:-1]:
        due = types_in(_hints(part).get(str(key)))
        found = next((each.kind for each in due if _is_part(each.kind)), None)
        if found is None:
            return []
        part = found
    return list(_hints(part))


def similar(word: str, known: Iterable[str] | Mapping[str, str], write: str = "{}") -> str:
    """The known word nearest to `word` as (did you mean X?), with a space before it; empty where none is near.

    A mapping says how each word is to be written.
    """
    by_plain = {_plain(each): known[each] if isinstance(known, Mapping) else each for each in known}
    near = difflib.get_close_matches(_plain(word)[:100], by_plain, n=1, cutoff=0.6)
    return f" (did you mean {write.format(by_plain[near[0]])}?)" if near else ""


def _plain(word: str) -> str:
    return word.lower().lstrip("-").replace("-", "_")


def place_of(tree: Node, location: Iterable[object], *, of_key: bool) -> Place:
    """Where what is at `location` below `tree` was written, or the nearest around it; the key's own place with `of_key`."""
    place = tree.place
    for key in location:
        if isinstance(tree, Group) and key in tree.entries:
            inner = tree.entries[str(key)]
            place = tree.key_places.get(str(key), inner.place)
            tree = inner
        elif isinstance(tree, Listing) and isinstance(key, int) and key < len(tree.items):
            tree = tree.items[key]
            place = tree.place
        else:
            return place
    return place if of_key else tree.place


def _problem(error: dict[str, Any], tree: Group, keys: Keys, known: list[str], hints: Mapping[str, str]) -> Problem:
    location = error["loc"]
    last = str(location[-1]) if location else ""
    of_key = location[-1:] == ("[key]",)
    path = dotted((*keys, *(location[:-1] if of_key else location)))
    if error["type"] == "unexpected_keyword_argument":
        guess = f" (it is {hints[last]})" if last in hints else similar(last, {**hints, **{key: key for key in known}})
        there = "" if guess or not known else f" (there are {', '.join(sorted(known))})"
        return Problem(place_of(tree, location, of_key=True), path, f"there is no such key{guess}{there}")
    if error["type"] == "missing":
        return Problem(place_of(tree, location[:-1], of_key=False), path, "is missing")
    place = place_of(tree, location[:-1] if of_key else location, of_key=of_key)
    cause = error.get("ctx", {}).get("error")
    return Problem(place, path, str(cause) if cause else error["msg"].replace("Input should", "should"))


class _Reader:
    """Turns nodes into Python values by the annotations of the models. `failed` holds the places that have been told of."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self.failed: set[Keys] = set()

    def part(self, part: type, tree: Group, keys: Keys) -> dict[str, Any]:
        values = {}
        for key, node in tree.entries.items():
            hint = _hints(part).get(key)
            # An unknown key is pydantic's to refuse, whatever its value.
            value = self.value(node, hint, (*keys, key)) if hint is not None else None
            if value is not _FAILED:
                values[key] = value
        return values

    def value(self, node: Node, hint: Any, keys: Keys) -> Any:
        """The value of `node` where `hint` says what is due; _FAILED after a problem has been told."""
        alternatives = list(types_in(hint))
        try:
            if isinstance(node, Broken):
                self.failed.add(keys)
                return _FAILED
            if isinstance(node, Group):
                return self._mapping(node, alternatives, keys)
            if isinstance(node, Scalar) and node.place.line == 0 and _first_list(alternatives):
                node = Listing(node.place, (node,))  # the one item that a command line can write
            if isinstance(node, Listing):
                return self._list(node, alternatives, keys)
            return _scalar(node, alternatives)
        except ValueError as error:
            self.problems.append(Problem(node.place, dotted(keys), str(error)))
            self.failed.add(keys)
            return _FAILED

    def _mapping(self, node: Group, alternatives: list[Due], keys: Keys) -> Any:
        for kind, _ in alternatives:
            if _is_part(kind):
                return self.part(kind, node, keys)
            if (get_origin(kind) or kind) is dict:
                due = (get_args(kind) or (str, str))[1]
                values = {key: self.value(each, due, (*keys, key)) for key, each in node.entries.items()}
                return {key: value for key, value in values.items() if value is not _FAILED}
        raise ValueError(f"keys and values stand here, but {_names(alternatives)} is due")

    def _list(self, node: Listing, alternatives: list[Due], keys: Keys) -> Any:
        kind = _first_list(alternatives)
        if kind is None:
            raise ValueError(f"a list stands here, but {_names(alternatives)} is due")
        due = (get_args(kind) or (str,))[0]
        values = [self.value(each, due, (*keys, number)) for number, each in enumerate(node.items)]
        return (get_origin(kind) or kind)(value for value in values if value is not _FAILED)


def _first_list(alternatives: Iterable[Due]) -> Any:
    return next((kind for kind, _ in alternatives if (get_origin(kind) or kind) in _LISTS), None)


def _is_part(kind: Any) -> bool:
    return isinstance(kind, type) and is_dataclass(kind)


def _choices(kind: Any) -> dict[str, Any] | None:
    """What may be written, and its value, where only some words may; else None."""
    if get_origin(kind) is Literal:
        return {str(each): each for each in get_args(kind)}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {str(each.value): each for each in kind}
    return None


def _scalar(node: Scalar, alternatives: list[Due]) -> Any:
    """The value of a scalar. Raises ValueError where it is none of what is due."""
    if node.plain and node.text in NULLS:
        if any(kind in (NoneType, None) for kind, _ in alternatives):
            return None
        raise ValueError(_nothing(node.text, alternatives))
    for kind, marks in alternatives:
        value = _read(node, kind, marks)
        if value is not _FAILED:
            return value
    raise ValueError(_mismatch(node, alternatives))


def _read(node: Scalar, kind: Any, marks: tuple[Any, ...]) -> Any:
    choices = _choices(kind)
    if choices is not None:
        return choices.get(node.text, _FAILED)
    if any(isinstance(mark, Written | BeforeValidator) for mark in marks) or kind is Any:
        return node.text  # the validator reads the text itself
    if kind is str:
        near = any(isinstance(mark, NextToFile) for mark in marks)
        return str(node.place.directory / Path(node.text).expanduser()) if near and node.text else node.text
    if kind is Path:
        return Path(node.text)
    return _number(node, kind) if node.plain else _FAILED


def _number(node: Scalar, kind: Any) -> Any:
    if kind is bool:
        try:
            return parse_switch(node.text)
        except ValueError:
            return _FAILED
    if kind is int and _INTEGER.fullmatch(node.text):
        return int(node.text)
    if kind is float and _FLOAT.fullmatch(node.text) and math.isfinite(float(node.text)):
        return float(node.text)
    return _FAILED


def _nothing(text: str, alternatives: list[Due]) -> str:
    due = _names(alternatives)
    takes_text = any(kind is str for kind, _ in alternatives)
    if not text:
        return f"nothing is written here, but {due} is due"
    return f"{text} means nothing in YAML, but {due} is due" + (f' (did you mean "{text}" in quotes?)' if takes_text else "")


def _mismatch(node: Scalar, alternatives: list[Due]) -> str:
    sentence = f"{shown(node.text)} is not {_names(alternatives)}"
    kinds = [kind for kind, _ in alternatives]
    words = [word for kind in kinds for word in _choices(kind) or ()]
    if words:
        meant = _other_word(node.text, words)
        return sentence + (f" (did you mean {meant}?)" if meant else similar(node.text, words))
    if _first_list(alternatives):
        return f"{sentence}: write [{node.text[:60]}]"
    if not node.plain and _mismatch_of_quotes(node, alternatives):
        return f"{shown(node.text)} is text, since it is quoted: write it without the quotes"
    meant = _decimal(node.text) if int in kinds or float in kinds else ""
    return sentence + (f": write {meant}" if meant else "")


def _mismatch_of_quotes(node: Scalar, alternatives: list[Due]) -> bool:
    return any(_read(Scalar(node.place, node.text), *due) is not _FAILED for due in alternatives)


def _other_word(text: str, words: list[str]) -> str:
    """The choice that means the same as a true, off ... where the tool says yes or no."""
    try:
        same = parse_switch(text)
    except ValueError:
        return ""
    return next((word for word in words if word in ("yes", "no", "true", "false") and parse_switch(word) == same), "")


def _decimal(text: str) -> str:
    """A number that was meant as a decimal, written as one; empty where none is recognised."""
    digits = text.replace("_", "")
    if len(digits) > 18:
        return ""
    if re.fullmatch(r"0[xX][0-9a-fA-F]+", digits):
        return str(int(digits, 16))
    return digits.lstrip("0") or "0" if re.fullmatch(r"[0-9]+", digits, re.ASCII) else ""


def _names(alternatives: Iterable[Due]) -> str:
    """What is due, in words."""
    words = []
    for kind, marks in alternatives:
        choices = _choices(kind)
        if choices is not None:
            words.append(("one of " if len(choices) > 1 else "") + ", ".join(choices))
        elif any(isinstance(mark, Written | BeforeValidator) for mark in marks):
            words.append("one value")
        elif _is_part(kind) or (get_origin(kind) or kind) is dict:
            words.append("a group of keys and values")
        elif (get_origin(kind) or kind) in _LISTS:
            words.append("a list")
        else:
            words.append(
                {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "text")
                if kind is not NoneType
                else ""
            )
    return " or ".join(dict.fromkeys(filter(None, words)))
