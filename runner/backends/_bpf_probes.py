"""Run beside the target: looks where a process has its allocator, and becomes the bpftrace that watches it.

Its words are pid=4711 bpftrace=/usr/bin/bpftrace what=heap map_keys=N every=SECONDS log=PATH. It writes to standard output one
line of JSON that says what it found, behind which bpftrace writes what it sees. Ends with 1 and a line on stderr where there is
nothing to watch. It dies with the leakrun that has started it.
"""

import ctypes
import json
import mmap
import os
import re
import signal
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from runner.backends import _bpf_script
from runner.backends._bpf_script import Place

PR_SET_PDEATHSIG = 1
PREFIXES = ("je_", "_rjem_", "tc_")  # of an allocator that was linked in under other names
SETTLED = 0.05  # seconds in which no more is mapped: the loader is done
LONGEST_LOADING = 2.0
NEAR = 1 << 20  # bytes: code that lies so near is taken together, as each stretch costs a comparison a frame
_MAP = re.compile(r"([0-9a-f]+)-([0-9a-f]+) ..(.). \S+ \S+ \d+ *(/.*)")
_SHT_SYMTAB, _SHT_DYNSYM = 2, 11
_FUNCTIONS = (2, 10)  # STT_FUNC, STT_GNU_IFUNC


class Mapped(NamedTuple):
    """A stretch of a file's code."""

    start: int
    end: int
    path: str
    line: str


def main() -> int:
    """Write what was found, and go on as bpftrace."""
    asked = dict(word.split("=", 1) for word in sys.argv[1:])
    pid = int(asked["pid"])
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what a script starts in the background ignores it, and would watch on
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
    try:
        found = settled(pid)
        places = list(looked_up(pid, found, mappings=asked["what"] == "mappings"))
    except OSError as error:
        print(f"process {pid} can't be looked into: {error.strerror}", file=sys.stderr)
        return 1
    if not any(place.what is not None for place in places):
        what = "mmap()" if asked["what"] == "mappings" else "malloc()"
        print(f"no {what} was found in process {pid}: is it static and stripped?", file=sys.stderr)
        return 1
    text = stretches(found)
    print(json.dumps({"type": "leakrun.bpf", "data": facts(asked, found, places)}), flush=True)
    environment = {**os.environ, "BPFTRACE_MAP_KEYS_MAX": asked["map_keys"]}
    with Path(asked["log"]).open("w") as log:
        os.dup2(log.fileno(), 2)
    program = _bpf_script.script(pid, places, text, float(asked["every"]))
    return os.execve(asked["bpftrace"], [asked["bpftrace"], "-f", "json", "-e", program], environment)


def facts(asked: dict[str, str], found: list[Mapped], places: list[Place]) -> dict[str, Any]:
    """What the reader of the output must know: the clocks, what is watched, and where the code is."""
    watched: dict[str, list[str]] = {}
    for place in places:
        if place.what is not None:
            watched.setdefault(place.path, []).append(place.name)
    return {
        "pid": int(asked["pid"]),
        "what": asked["what"],
        "map_keys": int(asked["map_keys"]),
        "unix_time": time.time(),
        "monotonic_ns": time.monotonic_ns(),
        "watched": watched,
        "maps": [each.line for each in found],
    }


def settled(pid: int) -> list[Mapped]:
    """The process's code, once the loader is done."""
    deadline = time.monotonic() + LONGEST_LOADING
    found = mapped(pid)
    while time.monotonic() < deadline:
        time.sleep(SETTLED)
        now = mapped(pid)
        if now == found:
            break
        found = now
    return found


def mapped(pid: int) -> list[Mapped]:
    """The stretches of files' code, by address."""
    lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    found = [(line, match) for line in lines if (match := _MAP.match(line)) and match[3] == "x"]
    return [Mapped(int(match[1], 16), int(match[2], 16), match[4], line) for line, match in found]


def stretches(found: Iterable[Mapped]) -> list[tuple[int, int]]:
    """From where to where there is code, what lies near together as one."""
    merged: list[tuple[int, int]] = []
    for each in found:
        if merged and each.start - merged[-1][1] < NEAR:
            merged[-1] = (merged[-1][0], each.end)
        else:
            merged.append((each.start, each.end))
    return merged


def looked_up(pid: int, found: Iterable[Mapped], *, mappings: bool) -> Iterator[Place]:
    """Every allocator's entries in what is mapped, and the functions between them and the program.

    An allocator that nobody calls, as the C library's where another one stands before it, costs nothing.
    """
    wanted = _bpf_script.MAPPINGS if mappings else _bpf_script.HEAP
    between = _bpf_script.MAPPINGS_BETWEEN if mappings else _bpf_script.BETWEEN
    for path in dict.fromkeys(each.path for each in found):
        name = path.rpartition("/")[2]
        if name.startswith(("ld-", "ld.so")):  # the loader's own, for itself
            continue
        file = seen_from_here(pid, path)
        prefixes = ("",) if mappings else ("", *PREFIXES)
        asked = {prefix + each for prefix in prefixes for each in wanted} | {*between, *_bpf_script.BETWEEN_OF_CXX}
        there = functions(file, asked)
        prefix = next((each for each in prefixes if f"{each}malloc" in there or mappings), None)
        if prefix is None:
            only = _bpf_script.BETWEEN_OF_CXX if name.startswith("libstdc++") else ()
            yield from (Place(str(file), each, None) for each in distinct(there, only))
            continue
        yield from (Place(str(file), prefix + each, wanted[each]) for each in distinct(there, wanted, prefix))
        if name.startswith(("libc.so", "libc-", "ld-musl")) or not any(str(each).startswith("_Zn") for each in there):
            yield from (Place(str(file), each, None) for each in distinct(there, between))


def seen_from_here(pid: int, path: str) -> Path:
    """The file that a process has mapped, which may be in another root directory, or gone."""
    for candidate in (Path(path), Path(f"/proc/{pid}/root{path}")):
        if candidate.is_file():
            return candidate
    return Path(path)


def distinct(there: dict[str, int], names: Iterable[str], prefix: str = "") -> Iterator[str]:
    """Those of `names` that are there, one of those that are the same function under several."""
    seen = set()
    for name in names:
        address = there.get(prefix + name)
        if address is not None and address not in seen:
            seen.add(address)
            yield name


# ---- which functions an ELF file has: its symbol tables, of 64-bit little-endian files (x86-64)


def functions(path: Path, names: set[str]) -> dict[str, int]:
    """The file's own address of those of `names` that it defines. Nothing in a file is believed; a damaged one has none."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return dict(_defined(data, names))
    except (OSError, ValueError, struct.error, IndexError):
        return {}


def _defined(data: mmap.mmap, names: set[str]) -> Iterator[tuple[str, int]]:
    if data[:6] != b"\x7fELF\x02\x01":
        return
    (offset,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    sections = [struct.unpack_from("<IIQQQQII", data, offset + number * size) for number in range(count)]
    for _, kind, _, _, at, length, link, _ in sections:
        if kind in (_SHT_SYMTAB, _SHT_DYNSYM):
            strings_at, strings_length = sections[link][4:6]
            wanted = _named(data[strings_at : strings_at + strings_length], names)
            for name_at, info, _, section, value, _ in struct.iter_unpack("<IBBHQQ", data[at : at + length // 24 * 24]):
                if name_at in wanted and section and info & 15 in _FUNCTIONS:
                    yield wanted[name_at], value


def _named(strings: bytes, names: set[str]) -> dict[int, str]:
    """By its place in the table of strings: each of the names. One may be the end of another, longer one."""
    found: dict[int, str] = {}
    for name in names:
        text, at = name.encode() + b"\0", -1
        while (at := strings.find(text, at + 1)) >= 0:
            found[at] = name
    return found
