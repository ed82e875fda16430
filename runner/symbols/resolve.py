"""Names for addresses: a frame with an address and no signature becomes the frames that the debug information has there."""

import time
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from runner.mappings import MappingIndex
from runner.model import Frame, Mapping, Recording, StackTable
from runner.symbols.debug_files import debug_file, find_module
from runner.symbols.missing import LIBRARIES, what_brings_lines
from runner.symbols.store import ModuleNames, Names, load_cached, save_cached
from runner.symbols.symbolizer import demangled, has_line, name_addresses


@dataclass(slots=True)
class _Module:
    """One mapped file in one or more recordings, and what is wanted of it.

    relative   offsets count from where the file's first byte was mapped (Recording.module_relative), not within the file
    exported   of the offsets those for which the recording itself has a name (Recording.exported_names)
    """

    mapping: Mapping
    main: bool
    names: ModuleNames
    relative: bool
    recordings: list[Recording] = field(default_factory=list)
    offsets: set[int] = field(default_factory=set)
    exported: set[int] = field(default_factory=set)


def resolve(
    recordings: Sequence[Recording],
    *,
    names: Names | None = None,
    mappings: Dictionary[int, Iterable[Mapping]] | None = None,
    search: Sequence[Path] = (),
    cache_dir: Path | None = None,
    seconds: float = 120.0,
) -> Names:
    """Name the bare frames of the recordings, in place, and return all the names that are now known, `names` among them.

    names      what was resolved before, when the binaries were at hand: these are believed
    mappings   by pid: mappings seen while the process ran, for addresses in libraries that its recording does not list
    search     files and directories where binaries and debug files are, looked at first
    cache_dir  where names are kept by build id between runs; None for no cache
    seconds    after which a symbolizer is given up

    A frame that is named keeps its module and address. An address with inlined calls becomes several frames, innermost first.
    One whose module is known and its name not gets an address within that module's file: it is the same in every run.
    What could not be named is said in the limits of the recording. Nothing is raised.
    """
    names = names if names is not None else Names()
    for recording in recordings:
        if recording.exported_names:
            _demangle(recording.table.frames)
    modules: dict[_Key, _Module] = {}
    places = [_place_frames(recording, (mappings or {}).get(recording.pid or -1, ()), names, modules) for recording in recordings]
    deadline = time.monotonic() + seconds
    for module in modules.values():
        limits = _name_module(module, search, cache_dir, deadline)
        for recording in module.recordings:
            recording.limits += [limit for limit in limits if limit not in recording.limits]
    for recording, placed in zip(recordings, places, strict=True):
        recording.table = _named_table(recording.table, placed)
        if names.trouble and placed:
            recording.limits.append(names.trouble)
    return names


def _demangle(frames: list[Frame]) -> None:
    """Replace the signatures that are mangled by what they mean."""
    mangled = [number for number, frame in enumerate(frames) if (frame.signature or "").startswith("_Z")]
    for number, signature in zip(mangled, demangled([frames[number].signature or "" for number in mangled]), strict=True):
        frames[number] = frames[number]._replace(signature=signature)


_Key = tuple[str, str, bool]
_Places = dict[int, tuple[_Module, int]]  # by frame id: the module, and the offset in its file


def _place_frames(recording: Recording, more: Iterable[Mapping], names: Names, modules: dict[_Key, _Module]) -> _Places:
    """Find where in which file each bare frame of the recording is, and note in `modules` what is wanted."""
    more = list(more)
    index = MappingIndex([*more, *recording.mappings])
    main = _program(recording)
    places: _Places = {}
    for frame_id, frame in enumerate(recording.table.frames):
        if frame.address is None or (frame.signature is not None and not recording.exported_names):
            continue
        at = max(frame.address - 1, 0)  # a return address may already belong to the next line, or the next function
        mapping = _named_module(frame, more) if recording.module_relative else index.find(at)
        if mapping is None or mapping.path.startswith("["):  # [vdso]: no file has it
            continue
        key = (mapping.path, mapping.build_id, recording.module_relative)
        if key not in modules:
            modules[key] = _Module(mapping, mapping.path == main, names.module(*key[:2]), key[2])
        module = modules[key]
        if mapping.deleted and not module.mapping.deleted:
            module.mapping = mapping
        if not any(known is recording for known in module.recordings):
            module.recordings.append(recording)
        offset = at if recording.module_relative else at - mapping.start + mapping.offset
        module.offsets.add(offset)
        if frame.signature is not None:
            module.exported.add(offset)
        places[frame_id] = (module, offset)
    return places


def _program(recording: Recording) -> str:
    """The path of the main program as the recording's frames name it; empty where it does not say."""
    if recording.module_relative:
        return recording.command[0] if recording.command else ""
    return recording.mappings[0].path if recording.mappings else ""


def _named_module(frame: Frame, mapped: Sequence[Mapping]) -> Mapping | None:
    """The mapping of the file that the frame names; where it was not seen in the maps, one that says no more than the name."""
    if frame.module is None:
        return None
    return next((mapping for mapping in reversed(mapped) if mapping.path == frame.module), Mapping(0, 0, 0, frame.module))


def _name_module(module: _Module, search: Sequence[Path], cache_dir: Path | None, deadline: float) -> list[str]:
    """Complete the module's names as far as can be. Returns what limits them, a sentence each."""
    known = module.names.by_offset
    asked = [offset for offset in module.offsets if offset not in known or (search and not has_line(known[offset]))]
    path = module.mapping.path
    if not asked:
        return list(module.names.limits)
    expected = module.mapping.build_id or (module.names.build_id if known else "")
    found = find_module(module.mapping, expected, search, main=module.main)
    if isinstance(found, str):
        lost = [offset for offset in asked if offset not in known]
        nameless = sum(1 for offset in lost if offset not in module.exported)
        missing = f"{_addresses(nameless)} no name" if nameless else "its files and lines are not known"
        return [f"{path} {found}: {missing}; give the file with --exe or --symbol-path"] if lost else []
    file, image = found
    module.names.build_id = image.build_id
    if module.relative:
        cache_dir = None  # what is kept there is by offset in the file
    cached = load_cached(cache_dir, image.build_id) if cache_dir and image.build_id else {}
    known.update((offset, cached[offset]) for offset in asked if offset in cached)
    asked = [offset for offset in asked if offset not in cached]
    if not asked:
        return []
    place = image.vaddr_behind_start if module.relative else image.vaddr
    vaddrs = {offset: vaddr for offset in asked if (vaddr := place(offset)) is not None}
    debug = debug_file(file, image, search)
    answers, trouble = name_addresses(debug or file, list(vaddrs.values()), max(deadline - time.monotonic(), 1.0))
    fresh = {offset: answers[vaddr] for offset, vaddr in vaddrs.items() if vaddr in answers}
    known.update((offset, locations) for offset, locations in fresh.items() if locations or offset not in known)
    if cache_dir and image.build_id and debug and fresh:  # without debug information it may be installed later
        save_cached(cache_dir, ModuleNames(path, image.build_id, {**cached, **fresh}))
    limits = _limits(module, trouble)
    module.names.limits = tuple(limits)
    return limits


def _limits(module: _Module, trouble: str) -> list[str]:
    """What is missing in the names of a module, and what brings it."""
    path, known = module.mapping.path, module.names.by_offset
    nameless = sum(1 for offset in module.offsets if not known.get(offset) and offset not in module.exported)
    if trouble:
        return [f"{path}: {trouble}: {_addresses(nameless)} no name"]
    if any(has_line(known.get(offset, ())) for offset in module.offsets):
        return []
    if not path.startswith(LIBRARIES):
        return [f"{path} has no debug information, its files and lines are not known: {what_brings_lines(path)}"]
    return [f"{path} is stripped, {_addresses(nameless)} no name: {what_brings_lines(path)}"] if nameless else []


def _addresses(count: int) -> str:
    return "1 address has" if count == 1 else f"{count} addresses have"


def _named_table(table: StackTable, places: _Places) -> StackTable:
    """The table with the placed frames named; stacks keep their ids, so that no column changes.

    Stacks that differ stay different: a named frame keeps its address. Should two become equal all the same, both stay.
    """
    named = StackTable()
    expanded: list[tuple[int, ...]] = []
    for frame_id, frame in enumerate(table.frames):
        module, offset = places.get(frame_id, (None, 0))
        frames = _named_frames(frame, module, offset) if module else [frame]
        expanded.append(tuple(map(named.frame_id, frames)))
    for number, stack in enumerate(table.stacks):
        frame_ids = tuple(chain.from_iterable(map(expanded.__getitem__, stack)))
        if named.stack_id(frame_ids) != number:
            named.stacks.append(frame_ids)
    return named


def _named_frames(frame: Frame, module: _Module, offset: int) -> list[Frame]:
    path, locations = module.mapping.path, module.names.by_offset.get(offset, ())
    if not locations:
        return [frame._replace(module=path, address=offset + 1)]  # behind the call, as every nameless frame's
    last = len(locations) - 1
    named = [Frame(*where, path, frame.address, number != last) for number, where in enumerate(locations)]
    if named[last].signature is None:
        named[last] = named[last]._replace(signature=frame.signature)
    return named
