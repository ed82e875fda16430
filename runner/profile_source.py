"""Where a profile's text comes from: a shipped name or a file, what it extends, and what --set and --tool-arg change in it."""

from collections.abc import Sequence
from pathlib import Path

from runner.errors import ErrorKind, LeakrunError
from runner.quantities import shown
from runner.yaml_tree import Broken, Group, Listing, Node, Place, Problem, Scalar, dotted, parse_yaml, read_mapping
from runner.yaml_values import similar

LONGEST_CHAIN = 20  # profiles that extend one another
ENDINGS = (".yaml", ".yml")
GROUPS = ("options", "snapshots", "stop", "env")


def shipped_directory() -> Path:
    """The profiles that come with leakrun: in the package where it was installed, at the top of a checkout."""
    packaged = Path(__file__).parent / "_profiles"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "profiles"


def shipped_names() -> list[str]:
    """The names of the profiles that come with leakrun, sorted."""
    return sorted(path.stem for path in shipped_directory().glob("*.yaml"))


def located(name_or_path: str, directory: Path) -> tuple[Path, str]:
    """The file of a profile, and how messages call it. A path is relative to `directory`.

    Raises LeakrunError(USAGE) where there is none.
    """
    if not name_or_path.strip() or "\0" in name_or_path:
        raise LeakrunError(ErrorKind.USAGE, f"{shown(name_or_path)} is no profile's name", "`leakrun profiles` lists them")
    if "/" in name_or_path or name_or_path.endswith(ENDINGS):
        return _file(name_or_path, directory)
    names = shipped_names()
    if name_or_path in names:
        path = shipped_directory() / f"{name_or_path}.yaml"
        return path, str(path)
    raise LeakrunError(ErrorKind.USAGE, f"there is no profile {shown(name_or_path)}", _advice(name_or_path, names, directory))


def _file(text: str, directory: Path) -> tuple[Path, str]:
    try:
        path = directory / Path(text).expanduser()
        is_directory, exists = path.is_dir(), path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise LeakrunError(ErrorKind.USAGE, f"the profile {shown(text)} can't be read: {_reason(error)}") from None
    if is_directory:
        raise LeakrunError(ErrorKind.USAGE, f"the profile {shown(text)} is a directory", "name a YAML file")
    if not exists:
        advice = similar(Path(text).stem, shipped_names(), "the shipped {}").strip(" ()")
        raise LeakrunError(
            ErrorKind.USAGE,
            f"there is no profile file {shown(text)}",
            f"{advice} `leakrun profiles` lists those that are shipped".strip(),
        )
    return path, str(path)


def _advice(name: str, names: list[str], directory: Path) -> str:
    guess = similar(name, names).strip(" ()")
    for ending in ("", *ENDINGS):
        try:
            if (directory / f"{name}{ending}").is_file():
                return f"did you mean the file ./{name}{ending}? Write it so"
        except OSError:  # a name that is too long for a file
            break
    return f"{guess} `leakrun profiles` lists them".strip()


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def tree_of(file: Path, source: str, problems: list[Problem]) -> Group | None:
    """The tree of the profile `file` with all that it extends merged in. None where the file itself can't be had."""
    tree = _read(file, source, problems)
    if tree is None:
        return None
    chain = [file.resolve()]
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
        what = f"the profile {shown(source)} can't be read: {_reason(error)}"
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
