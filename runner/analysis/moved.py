"""Files that only lie elsewhere, in another checkout: what is known by one of them is the same as before."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any, Protocol, Self, TypeVar


class _InFile(Protocol):
    """A named tuple with a file."""

    @property
    def file(self) -> str | None: ...
    def _replace(self, *args: Any, **changes: Any) -> Self: ...


Key = TypeVar("Key", bound=_InFile)


def moved(old: Iterable[Key], new: Iterable[Key]) -> dict[Key, Key]:
    """What each old key is called now: the new one that differs by the file's directory alone, where it is the only one."""
    before, after = _by_file_name(old), _by_file_name(new)
    return {before[name][0]: after[name][0] for name in before if len(before[name]) == len(after.get(name, ())) == 1}


def _by_file_name(keys: Iterable[Key]) -> dict[Key, list[Key]]:
    named: dict[Key, list[Key]] = defaultdict(list)
    for key in keys:
        if key.file is not None:
            named[key._replace(file=PurePosixPath(key.file).name)].append(key)
    return named
