"""A profile's tree: its file, what that extends, and what --set and --tool-arg change in it."""

from collections.abc import Sequence
from pathlib import Path

from runner.errors import ErrorKind, LeakrunError
from runner.profile.files import located, reason_of
from runner.profile.problems import Place, Problem, dotted
from runner.profile.yaml_tree import Broken, Group, Listing, Node, Scalar, parse_yaml, read_mapping
from runner.quantities import shown

LONGEST_CHAIN = 20  # profiles that extend one another
GROUPS = ("options", "snapshots", "stop", "env")


def tree_of(file: Path, source: str, problems: list[Problem], chain: list[Path]) -> Group | None:
    """The tree of the profile `file` with all that it extends merged in. None where the file itself can't be had.

    The files that it was read from are added to `chain`.
    """
    tree = _read(file, source, problems)
    if tree is None:
        return None
    chain.append(file.resolve())
    names = [source]
    while isinstance(parent := tree.entries.pop("extends", None), Scalar):
        found = _extended(parent, chain, names, problems)
        tree_below = _read(*found, problems, parent) if found else None
        if tree_below is None:
            # What can't be had may hold the backend: what stands here is judged without it.
            tree.entries.setdefault("backend", Broken(parent.place))
            return tree
        tree_below.entries.pop("name", None)  # these two say what a file is, not what it hands on
        tree_below.entries.pop("description", None)
        tree = merged(tree_below, tree)
    if parent is not None and not isinstance(parent, Broken):
        problems.append(Problem(parent.place, "extends", "the name or the file of one profile is due"))
    return tree


def _read(file: Path, source: str, problems: list[Problem], named_at: Scalar | None = None) -> Group | None:
    try:
        return read_mapping(file, source, problems)
    except OSError as error:
        what = f"the profile {shown(source)} can't be read: {reason_of(error)}"
        if named_at is None:
            raise LeakrunError(ErrorKind.USAGE, what) from None
        problems.append(Problem(named_at.place, "extends", what))
        return None


def _extended(parent: Scalar, chain: list[Path], names: list[str], problems: list[Problem]) -> tuple[Path, str] | None:
    """The file that `extends` names, added to the chain; None after telling why it can't be used."""
    try:
        file, source = located(parent.text, parent.place.directory)
    except LeakrunError as error:
        problems.append(Problem(parent.place, "extends", f"{error.message} ({error.hint})" if error.hint else error.message))
        return None
    names.append(source)
    if file.resolve() in chain or len(chain) == LONGEST_CHAIN:
        why = "extends itself" if file.resolve() in chain else "is too long"
        problems.append(Problem(parent.place, "extends", f"the chain {' -> '.join(names)} {why}"))
        return None
    chain.append(file.resolve())
    return file, source


def merged(below: Group, above: Group) -> Group:
    """`above` laid over `below`: groups of keys are merged, everything else (lists too) replaces."""
    entries = dict(below.entries)
    for key, node in above.entries.items():
        other = below.entries.get(key)
        entries[key] = merged(other, node) if isinstance(node, Group) and isinstance(other, Group) else node
    return Group(above.place, entries, {**below.key_places, **above.key_places})


def overridden(
    tree: Group, overrides: Sequence[str], tool_args: Sequence[str], options: list[str], top: list[str], problems: list[Problem]
) -> None:
    """Write the values of --set and --tool-arg into `tree`.

    `options` are the keys known of the backend, `top` those of a profile.
    """
    for text in overrides:
        key, equals, value = text.partition("=")
        place = Place(f"--set {dotted([key])}", directory=Path.cwd())
        if not equals or not key:
            problems.append(Problem(place, "", "write it as KEY=VALUE, as in --set detailed_freq=1"))
        elif key == "extends":
            problems.append(Problem(place, "", "what a profile extends can't be set: name that profile with -p"))
        elif key in ("backend", "name"):
            problems.append(Problem(place, "", "is the profile's own: choose another profile with -p"))
        elif _is_text(value, place, problems):
            _put(tree, _path(key, options, top), _value(value, place, problems))
    if tool_args:
        place = Place("--tool-arg", directory=Path.cwd())
        written = tree.entries.get("args")
        before = written.items if isinstance(written, Listing) else ()
        added = tuple(Scalar(place, text, plain=False) for text in tool_args if _is_text(text, place, problems))
        if written is None or isinstance(written, Listing):
            tree.entries["args"] = Listing(written.place if written else place, before + added)


def _is_text(text: str, place: Place, problems: list[Problem]) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        problems.append(Problem(place, "", f"{shown(text)} is not UTF-8 text"))
        return False
    return True


def _path(key: str, options: list[str], top: list[str]) -> tuple[str, ...]:
    """Where KEY of --set is in the file: a group's key with its dot, else an option, else a profile's own key."""
    group, dot, rest = key.partition(".")
    if dot and group in GROUPS:
        return group, rest
    return (key,) if key in top and key not in options else ("options", key)


def _value(text: str, place: Place, problems: list[Problem]) -> Node:
    if not text.startswith("["):
        return Scalar(place, text)
    found: list[Problem] = []
    node = parse_yaml(text.encode(), place, found)
    problems += [Problem(place, "", problem.what) for problem in found]
    items = node.items if isinstance(node, Listing) else ()
    if not found and not all(isinstance(item, Scalar) for item in items):
        problems.append(Problem(place, "", "a list of single values is due, as in [a, b]"))
    return Listing(place, tuple(Scalar(place, item.text, item.plain) for item in items if isinstance(item, Scalar)))


def _put(tree: Group, path: tuple[str, ...], node: Node) -> None:
    *groups, key = path
    for group in groups:
        inner = tree.entries.get(group)
        if inner is None or (isinstance(inner, Scalar) and not inner.text):
            inner = tree.entries[group] = Group(node.place)
            tree.key_places.setdefault(group, node.place)
        if not isinstance(inner, Group):
            return  # whoever validates tells that the group is no group
        tree = inner
    tree.entries[key] = node
    tree.key_places[key] = node.place
