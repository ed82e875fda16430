"""leakrun's own options as one set: command line, LEAKRUN_*, --config, the nearest .leakrun.yml, the user's file, default."""

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from runner.errors import ErrorKind, LeakrunError
from runner.profile.problems import Place, Problem, refusal
from runner.quantities import parse_duration, parse_switch, shown
from runner.user_directories import configuration_directory

PREFIX = "LEAKRUN_"
NEAREST = ".leakrun.yml"
SHORTEST_INTERVAL = 0.01  # seconds


class Settings(NamedTuple):
    """One resolved set of options. Times are seconds; None where nothing was said.

    color     None: the terminal decides
    origins   where each setting that is not the default was written: `--every`, `LEAKRUN_EVERY`, `.leakrun.yml:3:8`
    warnings  variables that look like a setting with a slip in its name
    """

    profile: str | None = None
    runs_dir: Path = Path("leakrun-runs")
    every: float | None = None
    for_: float | None = None
    grace: float | None = None
    warmup: float | None = None
    children: str | None = None
    error_exitcode: int | None = None
    quiet: bool = False
    verbose: bool = False
    color: bool | None = None
    origins: Mapping[str, str] = MappingProxyType({})
    warnings: tuple[str, ...] = ()


def resolve(command_line: Mapping[str, object], environ: Mapping[str, str], cwd: Path, config: Path | None) -> Settings:
    """The settings that hold. A key of `command_line` is an option's name (for, runs_dir); None stands for one not given.

    Relative paths in a file are relative to the file. Raises LeakrunError(USAGE) whose message holds every problem, one a line.
    """
    problems: list[Problem] = []
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for name, written, place in _sources(command_line, environ, cwd, config, problems):
        try:
            value = _read(name, written, place)
        except ValueError as error:
            problems.append(Problem(place, name, str(error)))
            continue
        field = FIELDS.get(name, name)
        if field not in values:
            values[field], origins[field] = value, str(place)
    if problems:
        raise refusal(problems)
    made: Any = {**values, "origins": origins}
    return Settings(**made, warnings=tuple(_slips(environ)))


Source = tuple[str, object, Place]


def _sources(
    command_line: Mapping[str, object], environ: Mapping[str, str], cwd: Path, config: Path | None, problems: list[Problem]
) -> Iterator[Source]:
    """What is written of each setting, and where: what comes first holds."""
    for name, value in command_line.items():
        plain = name.rstrip("_")
        if value is not None and plain in READERS:
            yield plain, value, Place(f"--{plain.replace('_', '-')}", directory=cwd)
    for name in READERS:
        text = environ.get(PREFIX + name.upper())
        if text:  # an empty variable counts as unset, as with NO_COLOR
            yield name, text, Place(PREFIX + name.upper(), directory=cwd)
    for file, source in _files(cwd, config):
        yield from _file_sources(file, source, problems)


def _files(cwd: Path, config: Path | None) -> Iterator[tuple[Path, str]]:
    if config is not None:
        yield cwd / config, str(config)
    for directory in (cwd, *cwd.parents):
        if _is_file(directory / NEAREST):
            yield directory / NEAREST, NEAREST if directory == cwd else str(directory / NEAREST)
            break
    users = configuration_directory() / "config.yml"
    if _is_file(users):
        yield users, str(users)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a directory above that may not be looked into
        return False


def _file_sources(file: Path, source: str, problems: list[Problem]) -> Iterator[Source]:
    from runner.profile.yaml_tree import Scalar, read_mapping

    try:
        tree = read_mapping(file, source, problems, may_be_empty=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LeakrunError(ErrorKind.USAGE, f"the configuration {shown(source)} can't be read: {reason}") from None
    for key, node in (tree.entries if tree else {}).items():
        assert tree is not None
        name = key.replace("-", "_")
        if name not in READERS:
            problems.append(Problem(tree.key_places[key], key, f"there is no such setting{_similar(name, READERS)}"))
        elif isinstance(node, Scalar):
            yield name, node.text, node.place
        else:
            problems.append(Problem(node.place, key, "a single value is due"))


def _read(name: str, written: object, place: Place) -> object:
    """The value of a setting. Raises ValueError with a sentence."""
    if name == "runs_dir":
        return _path(str(written), place)
    if not isinstance(written, str):
        return written  # the command line's parser has read it
    if "\0" in written:
        raise ValueError(f"{shown(written)} holds a NUL")
    if name == "profile" and place.line:
        is_file = "/" in written or written.endswith((".yaml", ".yml"))
        return str(_path(written, place)) if is_file else _word(written)
    return READERS[name](written)


def _path(text: str, place: Place) -> Path:
    if not text or "\0" in text:
        raise ValueError(f"{shown(text)} is no directory's name")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"{shown(text)} names a home that is not there") from None
    return place.directory / path if place.line else path


def _word(text: str) -> str:
    if not text.strip():
        raise ValueError("nothing is written here")
    return text


def _interval(text: str) -> float:
    seconds = parse_duration(text)
    if seconds < SHORTEST_INTERVAL:
        raise ValueError(f"{shown(text)} is too small: at least 10ms")
    return seconds


def _exit_code(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,2}", text, re.ASCII) or int(text) > 255:
        raise ValueError(f"{shown(text)} is no exit code: write 1 to 255")
    return int(text)


def _switch(text: str) -> bool:
    return text == "1" or (text != "0" and parse_switch(text))


READERS: dict[str, Callable[[str], object]] = {
    "profile": _word,
    "runs_dir": _word,
    "every": _interval,
    "for": _interval,
    "grace": parse_duration,
    "warmup": parse_duration,
    "children": _word,
    "error_exitcode": _exit_code,
    "quiet": _switch,
    "verbose": _switch,
    "color": _switch,
    "no_color": lambda text: not _switch(text),
}
FIELDS = {"for": "for_", "no_color": "color"}  # `for` is a word of Python's


def _similar(word: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(word.lower()[:100], known, n=1, cutoff=0.7)
    return f" (did you mean {near[0]}?)" if near else f" (there are {', '.join(known)})"


def _slips(environ: Mapping[str, str]) -> Iterator[str]:
    known = {PREFIX + name.upper(): name for name in READERS}
    for variable in environ:
        if variable.startswith(PREFIX) and variable not in known:
            near = get_close_matches(variable[:100], known, n=1, cutoff=0.8)
            if near:
                yield f"{shown(variable)} is not a setting: did you mean {near[0]}?"
