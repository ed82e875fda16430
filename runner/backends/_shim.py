"""Small C libraries of ours that are preloaded into the target: built on first use with the machine's compiler, and kept."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_cache_path

INSTALL = "apt-get install gcc libc6-dev  (dnf install gcc glibc-devel, pacman -S gcc)"
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-O2", "-shared", "-fPIC", "-fexceptions")  # they rely on tail calls, and pthread_exit() unwinds through them
LIBRARIES = ("-ldl", "-pthread")
SECONDS = 60.0


class ShimError(Exception):
    """There is no shim; the message names what is missing, as "... needs %s"."""


class Record(NamedTuple):
    """A file that one program of a process left; `latest` is False where the process became another by exec."""

    pid: int
    path: Path
    latest: bool


def records(out: Path, pattern: re.Pattern[str], main: int | None) -> list[Record]:
    """The records below `out`, the main process's first, of each process its last program's.

    The pattern's groups are the pid, and a number that exec counts up.
    """
    found = [(int(named[1]), int(named[2]), path) for path in out.iterdir() if (named := pattern.fullmatch(path.name))]
    found.sort(key=lambda each: (each[0] != main, each[0], -each[1]))
    latest = {pid: number for pid, number, _ in reversed(found)}
    return [Record(pid, path, number == latest[pid]) for pid, number, path in found]


def built(source: Path, directory: Path | None = None) -> Path:
    """The library of this C source, from the cache or built now. Raises ShimError.

    It is kept in `directory`, by default the user's cache, or a directory of ours among the temporary files where that can't be
    written (a user without a home), under a name made of the source's text and of the compiler that built it, so that a change
    of either builds it anew. Two builds at once do no harm: each renames its own file into place.
    """
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise ShimError(f"a C compiler ({', '.join(COMPILERS)})")
    name = f"leakrun{source.stem}-{_key(source, Path(compiler))}.so"
    try:
        return _kept(compiler, source, (directory or user_cache_path("leakrun") / "shims") / name)
    except (OSError, subprocess.TimeoutExpired) as error:
        if directory is None and isinstance(error, OSError):
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                return _kept(compiler, source, _temporary_place() / name)
        raise ShimError(f"a directory to keep its shim in ({error})") from error


def _kept(compiler: str, source: Path, library: Path) -> Path:
    if not library.is_file():
        _build(compiler, source, library)
    return library


def _temporary_place() -> Path:
    """A directory that only this user writes. Raises OSError where somebody else made it: what lies there would be loaded."""
    place = Path(tempfile.gettempdir(), f"leakrun-shims-{os.getuid()}")
    place.mkdir(mode=0o700, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(errno.EPERM, "it is not of this user alone", str(place))
    return place


def _key(source: Path, compiler: Path) -> str:
    """Tells one source (with the headers beside it) and one compiler from another, without asking for the latter's version."""
    file = compiler.resolve().stat()
    words = (*FLAGS, *LIBRARIES, str(compiler.resolve()), str(file.st_size), str(file.st_mtime_ns))
    texts = b"".join(each.read_bytes() for each in (source, *sorted(source.parent.glob("*.h"))))
    return hashlib.sha256(texts + "\0".join(words).encode()).hexdigest()[:16]


def _build(compiler: str, source: Path, library: Path) -> None:
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
        fresh = Path(scratch, library.name)
        command = [compiler, *FLAGS, "-o", str(fresh), str(source), *LIBRARIES]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False)
        if done.returncode or not fresh.is_file():
            said = next((line for line in done.stderr.splitlines() if "error" in line), "it wrote nothing")
            raise ShimError(f"a C compiler that works ({compiler} says: {said.strip()[:200]})")
        fresh.replace(library)  # whole or not at all
