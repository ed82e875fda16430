"""Names kept on disk: a run directory's symbols.json, and the cache of one file for each build id."""

import contextlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.symbols.symbolizer import Location, Locations

SCHEMA = "leakrun.symbols/1"


@dataclass(slots=True)
class ModuleNames:
    """What is known of one ELF file: locations by offset in the file, in bytes. An offset without a name has no locations.

    `limits` says what was missing when they were looked up: a sentence each.
    """

    path: str
    build_id: str = ""
    by_offset: dict[int, Locations] = field(default_factory=dict)
    limits: tuple[str, ...] = ()


@dataclass(slots=True)
class Names:
    """What the addresses of a run were resolved to. `trouble` says what of it could not be read; empty where all could."""

    modules: dict[tuple[str, str], ModuleNames] = field(default_factory=dict)
    trouble: str = ""

    def module(self, path: str, build_id: str = "") -> ModuleNames:
        """The names of the module of this path and build id, any build where that is not known; new ones where there are none."""
        if not build_id:
            build_id = next((build for known, build in self.modules if known == path), "")
        return self.modules.setdefault((path, build_id), ModuleNames(path, build_id))


def load_names(path: Path) -> Names:
    """The names in a symbols.json. None are there where it is missing; where it is damaged, `trouble` says so."""
    try:
        document = json.loads(path.read_bytes())
        if document["schema"] != SCHEMA:
            return Names(trouble=f"{path.name} is of another version of leakrun ({str(document['schema'])[:40]})")
        modules = [_module_of(each) for each in document["modules"]]
    except FileNotFoundError:
        return Names()
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        return Names(trouble=f"{path.name} can't be read ({type(error).__name__}): names are looked up again")
    return Names({(module.path, module.build_id): module for module in modules})


def save_names(names: Names, path: Path) -> None:
    """Write the names to a symbols.json, whole or not at all. Raises OSError."""
    modules = [_document_of(module) for module in names.modules.values() if module.by_offset]
    _write_whole(path, {"schema": SCHEMA, "modules": modules})


def load_cached(cache_dir: Path, build_id: str) -> dict[int, Locations]:
    """What the cache has of the file with this build id. A cache that can't be read is an empty one."""
    try:
        module = _module_of(json.loads(_cache_file(cache_dir, build_id).read_bytes()))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
    return module.by_offset if module.build_id == build_id else {}


def save_cached(cache_dir: Path, module: ModuleNames) -> None:
    """Keep the names of a file that has a build id in the cache. A cache that can't be written costs time and nothing else."""
    with contextlib.suppress(OSError):
        cache_dir.mkdir(parents=True, exist_ok=True)
        _write_whole(_cache_file(cache_dir, module.build_id), _document_of(module))


def _cache_file(cache_dir: Path, build_id: str) -> Path:
    return cache_dir / f"{build_id}.json"


def _document_of(module: ModuleNames) -> dict[str, Any]:
    """Each location is written once, as [signature, file, line]; offsets are hexadecimal."""
    numbers: dict[Location, int] = {}
    offsets = {
        f"{offset:x}": [numbers.setdefault(location, len(numbers)) for location in found]
        for offset, found in module.by_offset.items()
    }
    return {
        "path": module.path,
        "build_id": module.build_id,
        "locations": list(numbers),
        "offsets": offsets,
        "limits": list(module.limits),
    }


def _module_of(document: dict[str, Any]) -> ModuleNames:
    locations = [_checked(*each) for each in document["locations"]]
    by_offset = {int(offset, 16): tuple([locations[number] for number in found]) for offset, found in document["offsets"].items()}
    limits = tuple(str(limit) for limit in document.get("limits", ()))
    return ModuleNames(str(document["path"]), str(document["build_id"]), by_offset, limits)


def _checked(signature: object, file: object, line: object) -> Location:
    if not (isinstance(signature, str | None) and isinstance(file, str | None) and isinstance(line, int | None)):
        raise TypeError("not a location")
    if line is not None and (file is None or line < 0):
        raise ValueError("a line without a file")
    return Location(signature, file, line)


def _write_whole(path: Path, document: object) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(document, separators=(",", ":")), encoding="ascii")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
