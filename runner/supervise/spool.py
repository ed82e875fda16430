"""From the spool, which a program can write after it has dropped its user, into raw/, which only we can.

What lies in the spool may have been put there by anybody: links are not followed, and only plain files of one name are taken.
"""

import errno
import fnmatch
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path


def move(name: str, spool: Path, raw: Path) -> None:
    """Move one file, its times kept. Raises OSError; what is no plain file is refused so, and stays."""
    source, target = spool / name, raw / name
    _check(source)
    if not raw.is_dir():  # never made anew: the run directory was moved or deleted
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(raw))
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError as error:
        if not _another_file_system(error):
            raise
        _copy(source, target)
        source.unlink()
    try:
        _check(target)  # it may have been exchanged just before; where it is now nobody can
    except OSError:
        target.unlink()
        raise


def move_all(spool: Path, raw: Path, litter: Iterable[str] = ()) -> list[str]:
    """Move every file but `litter` (globs), which goes; the names of those that could not be moved."""
    left = []
    for name in sorted(_files(spool)):
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in litter):
            (spool / name).unlink(missing_ok=True)
            continue
        try:
            move(name, spool, raw)
        except OSError:
            left.append(name)
    return left


def remove(spool: Path) -> None:
    """Remove the spool, unless a file that could not be moved is still in it."""
    for directory, _, names in os.walk(spool, topdown=False):
        for path in (Path(directory) / name for name in names):
            if not stat.S_ISREG(path.lstat().st_mode):
                path.unlink(missing_ok=True)  # a tool's FIFO, a link
        try:
            Path(directory).rmdir()
        except OSError:
            continue


def _files(spool: Path) -> Iterator[str]:
    for directory, _, names in os.walk(spool):
        for path in (Path(directory) / name for name in names):
            if stat.S_ISREG(path.lstat().st_mode):
                yield os.fspath(path.relative_to(spool))


def _check(path: Path) -> None:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        raise OSError(0, "it is no plain file", os.fspath(path))


def _another_file_system(error: OSError) -> bool:
    return error.errno == errno.EXDEV


def _copy(source: Path, target: Path) -> None:
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as reader:
        status = os.fstat(reader.fileno())
        fresh = target.with_name(f".{target.name}.new")
        try:
            with fresh.open("wb") as writer:
                shutil.copyfileobj(reader, writer)
            os.utime(fresh, ns=(status.st_atime_ns, status.st_mtime_ns))
            fresh.replace(target)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
