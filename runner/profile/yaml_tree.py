"""YAML text -> a tree of nodes that know where they were written. Nothing is interpreted here: a scalar is its text.

Only the plain part of YAML is taken: one document of mappings, lists and scalars. Anchors, aliases, merge keys, tags and
duplicate keys are problems, each with its position, since each can make a file say something else than it seems to.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from runner.profile.problems import Place, Problem, dotted
from runner.quantities import shown

LARGEST_FILE = 256 * 1024  # bytes
DEEPEST = 20  # levels of nesting


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text. `plain` where it stands without quotes, and may so mean a number, a choice or null."""

    place: Place
    text: str
    plain: bool = True


@dataclass(frozen=True, slots=True)
class Listing:
    """A list."""

    place: Place
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Keys and values. `key_places` says where each key stands."""

    place: Place
    entries: dict[str, "Node"] = field(default_factory=dict)
    key_places: dict[str, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Broken:
    """Stands where something was whose problem is told already."""

    place: Place


Node = Scalar | Listing | Group | Broken


def read_mapping(path: Path, source: str, problems: list[Problem], *, may_be_empty: bool = False) -> Group | None:
    """The mapping that the file `path` holds; what is wrong with it is added to `problems`, under the name `source`.

    Raises OSError where it can't be read; None where it holds no mapping.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    start = Place(source, 1, 1, path.parent.absolute())
    root = parse_yaml(content, start, problems)
    if isinstance(root, Group):
        return root
    if isinstance(root, Scalar) and root.plain and not root.text:
        if may_be_empty:
            return Group(start)
        problems.append(Problem(start, "", "the file is empty"))
    elif not isinstance(root, Broken):
        kind = "a list" if isinstance(root, Listing) else "a single value"
        problems.append(Problem(root.place, "", f"the file holds {kind} where keys and values are due"))
    return None


def parse_yaml(content: bytes, start: Place, problems: list[Problem]) -> Node:
    """The tree of one document. Problems are added to `problems`; where nothing could be kept, the tree is Broken."""
    try:
        _check_text(content, start)
        return _Builder(content.decode("utf-8-sig"), start, problems).document()
    except _FatalError as error:
        problems.append(error.problem)
    except yaml.reader.ReaderError as error:
        problems.append(Problem(_place_at(start, content.decode("utf-8-sig")[: error.position]), "", _unreadable(error)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _place(start, mark) if mark else start
        problems.append(Problem(place, "", f"this is not YAML: {error.problem or error.context or 'it can not be read'}"))
    return Broken(start)


class _FatalError(Exception):
    def __init__(self, place: Place, what: str) -> None:
        super().__init__(what)
        self.problem = Problem(place, "", what)


def _check_text(content: bytes, start: Place) -> None:
    if len(content) > LARGEST_FILE:
        raise _FatalError(start, f"the file is larger than {LARGEST_FILE // 1024} KiB, which no profile or configuration needs")
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        raise _FatalError(_place_at(start, before), "the file is not UTF-8 text") from None


def _unreadable(error: yaml.reader.ReaderError) -> str:
    character = error.character if isinstance(error.character, int) else ord(error.character)
    return f"the character U+{character:04X} is not allowed in YAML"


def _place_at(start: Place, before: str) -> Place:
    return Place(start.source, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1, start.directory)


def _place(start: Place, mark: Any) -> Place:  # of PyYAML's two classes of marks
    return Place(start.source, mark.line + 1, mark.column + 1, start.directory)


class _Builder:
    """Builds nodes from the parser's events, which come without recursion however deep a file nests."""

    def __init__(self, text: str, start: Place, problems: list[Problem]) -> None:
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        self._start = start
        self._problems = problems

    def document(self) -> Node:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise _FatalError(self._at(event), "a second document starts here: one file holds one")
                root = self._node(next(self._events), 0)
        return root or Scalar(self._start, "")

    def _at(self, event: yaml.Event) -> Place:
        return _place(self._start, event.start_mark)

    def _say(self, place: Place, what: str) -> Broken:
        self._problems.append(Problem(place, "", what))
        return Broken(place)

    def _node(self, event: yaml.Event, depth: int) -> Node:
        place = self._at(event)
        if depth > DEEPEST:
            raise _FatalError(place, f"nested deeper than {DEEPEST} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._say(place, f"the alias *{event.anchor} is not taken: write the value out, or use `extends:`")
        node = self._content(event, place, depth)
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            return self._say(place, f"the anchor &{event.anchor} is not taken: write the value out where it is needed")
        tag = getattr(event, "tag", None)
        if tag is not None:
            return self._say(place, f"the tag {shown(tag)} is not taken: write the value without it, in quotes where it is text")
        return node

    def _content(self, event: yaml.Event, place: Place, depth: int) -> Node:
        if isinstance(event, yaml.SequenceStartEvent):
            return Listing(place, tuple(self._items(depth)))
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(place, depth)
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(place, event.value, event.style is None)
        raise _FatalError(place, "this is not YAML that leakrun understands")

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _mapping(self, place: Place, depth: int) -> Group:
        mapping = Group(place)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if isinstance(key, Scalar):
                self._add(mapping, key, value)
            elif not isinstance(key, Broken):
                self._say(key.place, "a key must be a single word")
        return mapping

    def _add(self, mapping: Group, key: Scalar, value: Node) -> None:
        if key.plain and key.text == "<<":
            self._say(key.place, "the merge key << is not taken: use `extends:`")
        elif key.text in mapping.entries:
            first = mapping.key_places[key.text]
            self._say(key.place, f"{dotted([key.text])}: stands twice, first in line {first.line}")
        else:
            mapping.entries[key.text] = value
            mapping.key_places[key.text] = key.place
