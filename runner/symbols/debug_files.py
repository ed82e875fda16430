"""Where a module's names are: the file that was mapped, or a copy of it, and the file that has its debug information."""

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from runner.model import Mapping
from runner.symbols.elf import ElfImage, read_image

_DEBUG_ROOT = Path("/usr/lib/debug")


def find_module(mapping: Mapping, expected: str, search: Sequence[Path], *, main: bool) -> tuple[Path, ElfImage] | str:
    """The ELF file that was mapped, or a clause that says why there is none.

    `expected` is its build id where that is known; a file with another one is not used. `search` are files and directories
    to look at first. `main` tells that it is the program itself, which a file of another name may stand for.
    """
    path = Path(mapping.path)
    for candidate in _copies(path, search):
        image = read_image(candidate)
        if image and (not expected or image.build_id == expected):
            return candidate, image
    for candidate in filter(Path.is_file, search) if expected or main else ():
        image = read_image(candidate)
        if image and (image.build_id == expected if expected else not path.exists()):
            return candidate, image
    image = read_image(path)
    if image is None:
        return "can't be read as an ELF file" if path.exists() else "is not there any more"
    if expected and image.build_id != expected:
        return f"has changed since (build id {image.build_id[:12] or 'none'}, was {expected[:12]})"
    if mapping.deleted and not expected:
        return "was replaced while the program ran"
    return path, image


def debug_file(path: Path, image: ElfImage, search: Sequence[Path]) -> Path | None:
    """The file that has the debug information of `path`: itself, or a separate one that surely belongs to it; None for none."""
    if image.has_debug_info:
        return path
    for candidate in dict.fromkeys(_separate(path, image, search)):
        found = read_image(candidate)
        if found and found.has_debug_info and _belongs(candidate, found, image):
            return candidate
    return None


def _copies(path: Path, search: Iterable[Path]) -> Iterator[Path]:
    for place in search:
        if place.is_dir():
            yield place / path.name
            yield place / str(path).lstrip("/")
        elif place.name == path.name:
            yield place


def _separate(path: Path, image: ElfImage, search: Sequence[Path]) -> Iterator[Path]:
    directories = [place if place.is_dir() else place.parent for place in search]
    if len(image.build_id) > 2:
        for root in (*directories, _DEBUG_ROOT):
            name = f"{image.build_id[:2]}/{image.build_id[2:]}.debug"
            yield root / ".build-id" / name
            yield root / name
        yield _fetched() / image.build_id / "debuginfo"
    own = path.resolve().parent
    names = [image.debug_link[0]] if image.debug_link[0] and "/" not in image.debug_link[0] else []
    for name in (*names, f"{path.name}.debug", f"{path.name}.dbg"):
        for directory in (own, own / ".debug", *directories, _DEBUG_ROOT / str(own).lstrip("/")):
            yield directory / name
    for directory in directories:
        yield directory / path.name  # an unstripped copy


def _fetched() -> Path:
    """Where debuginfod's client keeps what it fetched (debuginfod-client-config(7))."""
    if own := os.environ.get("DEBUGINFOD_CACHE_PATH"):
        return Path(own)
    home = Path(os.environ.get("HOME") or "/nonexistent")
    old = home / ".debuginfod_client_cache"
    return old if old.is_dir() else Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "debuginfod_client"


def _belongs(candidate: Path, found: ElfImage, image: ElfImage) -> bool:
    """By build id; where the linker wrote none, by the checksum that the debug link has."""
    if image.build_id or found.build_id:
        return image.build_id == found.build_id
    return bool(image.debug_link[0]) and _checksum(candidate) == image.debug_link[1]


def _checksum(path: Path) -> int:
    value = 0
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                value = zlib.crc32(chunk, value)
    except OSError:
        return -1
    return value
