"""Which shared libraries a program loads at its start, as far as files can tell: DT_NEEDED, followed."""

import struct
from collections import deque
from functools import cache
from pathlib import Path

from runner.symbols.elf import ElfImage, read_image

_CACHE = Path("/etc/ld.so.cache")
_CACHE_MAGIC = b"glibc-ld.so.cache1.1"
_DIRECTORIES = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
_MOST_LIBRARIES = 500


def needed_libraries(path: Path, library_path: str = "") -> tuple[str, ...]:
    """The names in DT_NEEDED of `path` and of the libraries found for it, in the loader's order, each once.

    `library_path` is LD_LIBRARY_PATH as the program will have it. Never raises;
    a library that is not found is named all the same.
    """
    image = read_image(path, sections=False)
    names: dict[str, None] = {}
    waiting = deque([(path, image)] if image else [])
    while waiting and len(names) < _MOST_LIBRARIES:
        owner, image = waiting.popleft()
        for name in image.needed:
            if name not in names:
                names[name] = None
                waiting.extend(_found(name, owner, image, library_path))
    return tuple(names)


def _found(name: str, owner: Path, image: ElfImage, library_path: str) -> list[tuple[Path, ElfImage]]:
    """The library that the loader would take: the first of the same machine; none or one."""
    for candidate in _candidates(name, owner, image, library_path):
        library = read_image(candidate, sections=False)
        if library and (library.bits, library.machine) == (image.bits, image.machine):
            return [(candidate, library)]
    return []


def _candidates(name: str, owner: Path, image: ElfImage, library_path: str) -> list[Path]:
    if "/" in name:
        return [Path(name)]
    origin = str(owner.parent)
    own = [each.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for each in image.library_paths]
    listed = [each for each in library_path.replace(";", ":").split(":") if each]
    return [
        *(Path(directory, name) for directory in (*own, *listed)),
        *_loader_cache().get(name, []),
        *(Path(directory, name) for directory in _DIRECTORIES),
    ]


@cache
def _loader_cache() -> dict[str, list[Path]]:
    """/etc/ld.so.cache by name. The layout is glibc's elf/cache.c: a 48-byte header, 24 bytes an entry, then the strings."""
    try:
        data = _CACHE.read_bytes()
    except OSError:
        return {}
    start = data.find(_CACHE_MAGIC)
    if start < 0 or len(data) < start + 48:
        return {}
    found: dict[str, list[Path]] = {}
    (count,) = struct.unpack_from("=I", data, start + 20)
    for at in range(start + 48, min(start + 48 + 24 * count, len(data) - 23), 24):
        _flags, key, value = struct.unpack_from("=iII", data, at)
        found.setdefault(_text(data, start + key), []).append(Path(_text(data, start + value)))
    return found


def _text(data: bytes, at: int) -> str:
    return data[at : at + 4096].split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
