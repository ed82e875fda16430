"""What profiles were found to say, kept in the user's cache: one that has not changed needs neither YAML nor pydantic again.

A file of the cache is a Python literal: the whole question (what the file holds, where it is, what was overridden, which
leakrun asks), `files`, the contents of the further files that were read for it, and `values`, the answer. What can't be
read or is not ours is as if it were not there.
"""

import ast
import contextlib
import os
import stat
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

from runner import __version__
from runner.user_directories import cache_directory

LARGEST = 256 * 1024  # bytes of a profile; no entry is ten times as large
MOST_ENTRIES = 200

Values = dict[str, Any]  # of literals: text, numbers, None, and tuples, lists and dicts of them
Question = tuple[object, ...]  # of literals


def questions(path: Path, overrides: Sequence[str], tool_args: Sequence[str]) -> list[Question]:
    """What may be asked to know what a profile's file says, its own question first.

    None where it is no plain file, which may be read but once; two where nothing is overridden: dump() may have made it.
    """
    content = _content(path)
    if content is None:
        return []
    # Paths in a file are relative to its directory, those in --set to the working directory; ~ is the home.
    where = (str(path.absolute()), str(Path.cwd()) if overrides else "", os.environ.get("HOME"))
    own = (content, where, tuple(overrides), tuple(tool_args))
    return [own] if overrides or tool_args else [own, about_text(content)]


def about_text(text: bytes) -> Question:
    """The question what a text says that depends on nothing else: one that dump() made."""
    return (text,)


def kept(question: Question) -> Values | None:
    """The answer, where it is kept and all the files that it came from are as they were."""
    try:
        with _place(question).open("rb") as stream:
            if os.fstat(stream.fileno()).st_uid != os.geteuid():
                return None  # whoever could write there could choose what we run
            entry = ast.literal_eval(stream.read(10 * LARGEST).decode())
        fits = entry["question"] == _whole(question)
        values: Values = entry["values"]
        return values if fits and all(_content(Path(path)) == content for path, content in entry["files"].items()) else None
    except (OSError, ValueError, SyntaxError, KeyError, AttributeError, TypeError, RecursionError, MemoryError):
        return None


def keep(question: Question, values: Values, files: Iterable[Path] = ()) -> None:
    """Keep the answer, which depends on `files` too. Values that are no literals are not kept."""
    entry = {"question": _whole(question), "files": {str(path): _content(path) for path in files}, "values": values}
    text = repr(entry)
    with contextlib.suppress(OSError, ValueError, SyntaxError):
        if ast.literal_eval(text) != entry:
            return
        place = _place(question)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_room(place.parent)
        fresh = place.with_name(f".{place.name}.{os.getpid()}")
        fresh.write_text(text)
        fresh.replace(place)


def _make_room(directory: Path) -> None:
    entries = list(directory.iterdir())
    if len(entries) >= MOST_ENTRIES:
        for path in sorted(entries, key=lambda path: path.stat().st_mtime)[: MOST_ENTRIES // 2]:
            path.unlink(missing_ok=True)


def _place(question: Question) -> Path:
    # Two questions may well meet in one place: then the last one has it. (hashlib would take 4 ms to import.)
    return cache_directory() / "profiles" / f"{crc32(repr(_whole(question)).encode(errors='surrogateescape')):08x}"


def _whole(question: Question) -> Question:
    return (_code(), *question)


def _content(path: Path) -> bytes | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None  # a pipe
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except (OSError, ValueError):
        return None
    return content if len(content) <= LARGEST else None


@cache
def _code() -> tuple[str, str, int]:
    """What stands for leakrun itself: other code may find another meaning in the same file."""
    package = Path(__file__).parent.parent
    directories = (package, package / "profile", package / "backends")
    found = (entry for directory in directories for entry in os.scandir(directory) if entry.name.endswith(".py"))
    changes = sorted((entry.name, entry.stat().st_mtime_ns) for entry in found)
    return __version__, str(package), crc32(repr(changes).encode())
