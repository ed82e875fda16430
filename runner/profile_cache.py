"""What profiles were found to say, kept in the user's cache: one that has not changed needs neither YAML nor pydantic again.

A file of the cache is a Python literal: `files`, by path the digest of each further file that was read, and `values`. Its
name is a digest of all else that the values depend on. What can't be read or is not ours is as if it were not there.
"""

import ast
import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from runner import __version__
from runner.user_directories import cache_directory

LARGEST = 256 * 1024  # bytes of a profile or of an entry
MOST_ENTRIES = 200

Values = dict[str, Any]  # of literals: text, numbers, None, and tuples, lists and dicts of them


def key_of_file(path: Path, overrides: Sequence[str], tool_args: Sequence[str]) -> str:
    """What a profile's file is kept under. Empty where it is no plain file, which may be read but once."""
    content = _content(path)
    if content is None:
        return ""
    # Paths in a file are relative to its directory, those in --set to the working directory; ~ is the home.
    where = (str(path.absolute()), str(Path.cwd()) if overrides else "", os.environ.get("HOME"))
    return _digest(content, repr((where, tuple(overrides), tuple(tool_args))).encode(errors="surrogateescape"))


def key_of_text(text: bytes) -> str:
    """What a text is kept under that depends on nothing else: one that dump() made."""
    return _digest(text, b"")


def key_of_dumped(path: Path) -> str:
    """What the file is kept under if it holds what dump() made."""
    content = _content(path)
    return key_of_text(content) if content is not None else ""


def kept(key: str) -> Values | None:
    """What is kept under `key`, if all the files that it came from are as they were."""
    if not key:
        return None
    try:
        with _place(key).open("rb") as stream:
            if os.fstat(stream.fileno()).st_uid != os.geteuid():
                return None  # whoever could write there could choose what we run
            entry = ast.literal_eval(stream.read(LARGEST).decode())
        unchanged = all(_digest_of_file(Path(path)) == digest for path, digest in entry["files"].items())
        values: Values = entry["values"]
        return values if unchanged else None
    except (OSError, ValueError, SyntaxError, KeyError, AttributeError, TypeError, RecursionError, MemoryError):
        return None


def keep(key: str, values: Values, files: Iterable[Path] = ()) -> None:
    """Keep `values`, which depend on `files` too, under `key`. Values that are no literals are not kept."""
    entry = {"files": {str(path): _digest_of_file(path) for path in files}, "values": values}
    text = repr(entry)
    with contextlib.suppress(OSError, ValueError, SyntaxError):
        if not key or ast.literal_eval(text) != entry:
            return
        place = _place(key)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_room(place.parent)
        fresh = place.with_name(f".{key}.{os.getpid()}")
        fresh.write_text(text)
        fresh.replace(place)


def _make_room(directory: Path) -> None:
    entries = list(directory.iterdir())
    if len(entries) >= MOST_ENTRIES:
        for path in sorted(entries, key=lambda path: path.stat().st_mtime)[: MOST_ENTRIES // 2]:
            path.unlink(missing_ok=True)


def _place(key: str) -> Path:
    return cache_directory() / "profiles" / key


def _content(path: Path) -> bytes | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None  # a pipe
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except (OSError, ValueError):
        return None
    return content if len(content) <= LARGEST else None


def _digest_of_file(path: Path) -> str:
    content = _content(path)
    return hashlib.sha256(content).hexdigest() if content is not None else ""


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256(_code())
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:40]


@cache
def _code() -> bytes:
    """What stands for leakrun itself: other code may find another meaning in the same file."""
    package = Path(__file__).parent
    directories = (package, package / "backends")
    found = (entry for directory in directories for entry in os.scandir(directory) if entry.name.endswith(".py"))
    return repr((__version__, sorted((entry.path, entry.stat().st_mtime_ns) for entry in found))).encode(errors="surrogateescape")
