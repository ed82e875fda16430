"""Readers and writers of native files: one pure module for each format.

A module that reads a format has `FORMAT` (its name for people), `sniff(head)` and `read(stream, name)`:

    sniff(head: bytes) -> bool                        is it mine? `head` is the first 64 KiB of the file
    read(stream: BinaryIO, name: str) -> Recording    what it says; `name` is for messages

Where several processes write into one file the module also has

    read_all(stream: BinaryIO, name: str) -> list[Recording]    one for each; then read() gives the first

Where what a tool says may stand anywhere in a longer text (a build's log) `AMID` is True: the whole of it is looked through.
Where a tool leaves several dumps of one process the module also has

    series_of(name: str) -> tuple[str, int] | None    of a file's name: its series, and its number in it; None for no series
    read_series(files: Iterable[tuple[Path, float | None]]) -> Recording    with the time of each, where it is known

"Not mine" and "broken" are two things: a file that is cut or damaged gives a recording that keeps what could be
read, with `complete` False and `flaws` that say what is missing. Modules are found by walking this package.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

from runner.errors import ErrorKind, LeakrunError
from runner.formats import _compressed
from runner.formats._foreign import foreign
from runner.model import Recording, check_valid

HEAD_BYTES = 64 * 1024
_LONGEST_MARK = 256  # bytes, of what a tool is known by amid a text


class UnknownFormatError(LeakrunError):
    """A file that holds something, but nothing that a module of this package reads."""


def readers() -> Iterator[ModuleType]:
    """The modules of this package that read a format, by name; each is loaded only when its turn comes."""
    for name in sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_")):
        module = importlib.import_module(f"{__name__}.{name}")
        if hasattr(module, "sniff"):
            yield module


def recognise(head: bytes) -> ModuleType | None:
    """The module that reads the format that `head`, the first 64 KiB of a file, is of; None for an unknown one."""
    return next((module for module in readers() if module.sniff(head)), None)


def read_file(path: Path) -> Recording:
    """What a native file says, its format recognised by its content; where several processes speak in it, the first.

    Raises LeakrunError(USAGE) where it can't be opened or is of no known format.
    """
    return _read(path, whole=False)[0]


def _read(path: Path, *, whole: bool = True) -> list[Recording]:
    """What the file says; `whole`: of each process, and by each tool, that speaks in it."""
    name = _compressed.plain_name(path.name)
    with opened(path) as (stream, module):
        modules = [module]
        if whole and _is_amid(module):
            modules += _speaking(stream, besides=module)
        recordings: list[Recording] = []
        for each in modules:
            stream.seek(0)
            recordings += each.read_all(stream, name) if whole and hasattr(each, "read_all") else [each.read(stream, name)]
        flaw = _compressed.flaw_of(stream)
    if flaw:
        recordings[0].flaws.insert(0, f"{path.name}: {flaw}")
        recordings[0].complete = False
    for recording in recordings:
        check_valid(recording)
    return recordings


def _is_amid(module: ModuleType) -> bool:
    """Whether what its tool says may stand anywhere in a longer text."""
    return bool(getattr(module, "AMID", False))


def _speaking(stream: BinaryIO, besides: ModuleType | None = None) -> list[ModuleType]:
    """The modules, `besides` that one, whose tools say something anywhere in the text that the stream holds."""
    stream.seek(0)
    silent = [module for module in filter(_is_amid, readers()) if module is not besides]
    found: list[ModuleType] = []
    text = b""
    while silent and (more := stream.read(HEAD_BYTES)):
        text = text[-_LONGEST_MARK:] + more
        heard = [module for module in silent if module.sniff(text)]
        found += heard
        silent = [module for module in silent if module not in heard]
    return found


def read_files(paths: Sequence[Path]) -> list[Recording]:
    """What native files say, in the order given; dumps that by their names are one process's series are one recording.

    Files that can't be read are left out, and the first recording says so: as a limit where they are no profiler's (a log,
    a text made of another file), as a flaw where they may have held something. Raises as read_file() does where none can be read.
    """
    groups, left_out = _grouped(paths)
    recordings = [each for module, group in groups for each in _read_group(module, [paths[number] for number in group])]
    foreign = [error.message for error in left_out if isinstance(error, UnknownFormatError)]
    if foreign:
        more = f", and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        recordings[0].limits.append(f"left out: {foreign[0]}{more}")
    if len(foreign) < len(left_out):
        recordings[0].flaws += [f"left out: {error.message}" for error in left_out if not isinstance(error, UnknownFormatError)]
        recordings[0].complete = False
    return recordings


def grouped(paths: Sequence[Path]) -> list[list[int]]:
    """The places in `paths` of the files of each recording that read_files() makes of them. Raises as read_files() does."""
    return [group for _, group in _grouped(paths)[0]]


def _grouped(paths: Sequence[Path]) -> tuple[list[tuple[ModuleType, list[int]]], list[LeakrunError]]:
    """What is read together, and why the others can't be read."""
    groups: dict[object, tuple[ModuleType, list[tuple[int, Path, int]]]] = {}
    left_out: list[LeakrunError] = []
    for place, path in enumerate(paths):
        try:
            with opened(path) as (_, module):
                named = module.series_of(_compressed.plain_name(path.name)) if hasattr(module, "series_of") else None
        except LeakrunError as error:
            left_out.append(error)
            continue
        key = (module, path.parent, named[0]) if named else object()
        groups.setdefault(key, (module, []))[1].append((named[1] if named else 0, path, place))
    if left_out and not groups:
        raise left_out[0]
    return [(module, [place for _, _, place in sorted(group)]) for module, group in groups.values()], left_out


def _read_group(module: ModuleType, paths: Sequence[Path]) -> list[Recording]:
    if len(paths) == 1:
        return _read(paths[0])
    recording: Recording = module.read_series((path, None) for path in paths)
    check_valid(recording)
    return [recording]


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, ModuleType]]:
    """The file, decompressed, at its start, and the module that reads its format. Raises as read_file() does."""
    try:
        with _compressed.opened_at(path) as stream:
            head = stream.read(HEAD_BYTES)
            module = recognise(head)
            if module is None and b"\0" not in head:
                module = next(iter(_speaking(stream)), None)
            if module is None:
                raise _unknown(path, head, _compressed.flaw_of(stream))
            stream.seek(0)
            yield stream, module
    except OSError as error:
        raise LeakrunError(
            ErrorKind.USAGE, f"{path}: can't be read: {error.strerror}", "name a file that a profiler wrote"
        ) from error
    except ValueError as error:  # a NUL in the path
        raise LeakrunError(ErrorKind.USAGE, f"{str(path)!r}: not a path: {error}", "name a file that a profiler wrote") from error


def _unknown(path: Path, head: bytes, flaw: str) -> LeakrunError:
    known = ", ".join(module.FORMAT for module in readers())
    if flaw:
        return LeakrunError(ErrorKind.USAGE, f"{path}: {flaw}", "name a file that is whole")
    if not head:
        return LeakrunError(
            ErrorKind.USAGE, f"{path}: an empty file", "the profiler wrote nothing: did the program run to its end?"
        )
    if known_as := foreign(head):
        return UnknownFormatError(ErrorKind.USAGE, f"{path}: {known_as[0]}, which leakrun can't read", known_as[1])
    return UnknownFormatError(ErrorKind.USAGE, f"{path}: not a file that leakrun can read", f"leakrun reads: {known}")
