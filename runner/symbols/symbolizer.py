"""Runs llvm-symbolizer, or else addr2line: many addresses of one file at once become functions, files and lines.

Names that are known and mangled are given to llvm-cxxfilt or c++filt, which come with these two.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

INSTALL = "apt-get install llvm, or binutils"
# Its JSON says the same, and takes twice as long to write and to read.
_LLVM_OPTIONS = ("--output-style=LLVM", "--print-address", "--inlines", "--demangle")
_ADDR2LINE_OPTIONS = ("-a", "-f", "-i", "-C", "-e")
_DEMANGLERS = ("llvm-cxxfilt", "c++filt")


class Location(NamedTuple):
    """One frame at an address: the demangled signature, and file and line where the debug information has them."""

    signature: str | None
    file: str | None
    line: int | None


_NOTHING = Location(None, None, None)
Locations = tuple[Location, ...]  # the innermost inlined call first; empty where nothing is known


def name_addresses(file: Path, vaddrs: Sequence[int], seconds: float) -> tuple[dict[int, Locations], str]:
    """The locations of the virtual addresses `vaddrs` of `file`, and a clause that says what went wrong; empty where nothing did.

    A tool that hangs is ended after `seconds`; what it had answered counts, and the next tool is asked for the rest.
    """
    found: dict[int, Locations] = {}
    troubles = []
    deadline = time.monotonic() + seconds
    for tool in symbolizers():
        asked = [vaddr for vaddr in vaddrs if vaddr not in found]
        left = deadline - time.monotonic()
        if not asked or left <= 0:
            break
        # A tool that hangs must leave time for the next one.
        text, trouble = _run(_arguments(tool, file), "".join(f"{vaddr:#x}\n" for vaddr in asked), left / 2)
        answers = dict(_read_llvm(text) if _is_llvm(tool) else _read_addr2line(text))
        found.update((vaddr, answers[vaddr]) for vaddr in asked if vaddr in answers)
        if trouble:
            troubles.append(f"{Path(tool).name} {trouble}")
    if not symbolizers():
        return found, f"neither llvm-symbolizer nor addr2line is installed ({INSTALL})"
    return found, "; ".join(troubles) if len(found) < len(vaddrs) else ""


def demangled(names: Sequence[str], seconds: float = 10.0) -> list[str]:
    """The signatures that mangled names stand for, in their order; as they are where no tool is installed, or it fails."""
    tool = next(filter(None, map(shutil.which, _DEMANGLERS)), None)
    if tool is None or not names:
        return list(names)
    text, _ = _run([tool], "".join(f"{name}\n" for name in names), seconds)
    found = text.splitlines()
    return found if len(found) == len(names) else list(names)


@cache
def symbolizers() -> tuple[str, ...]:
    """The tools that are installed here, the best first."""
    names = ("llvm-symbolizer", *(f"llvm-symbolizer-{version}" for version in range(24, 12, -1)))
    llvm = next(filter(None, map(shutil.which, names)), None)
    return tuple(filter(None, (llvm, shutil.which("addr2line"))))


def _is_llvm(tool: str) -> bool:
    return "symbolizer" in Path(tool).name


def _arguments(tool: str, file: Path) -> list[str]:
    return [tool, *_LLVM_OPTIONS, f"--obj={file}"] if _is_llvm(tool) else [tool, *_ADDR2LINE_OPTIONS, str(file)]


def _run(arguments: Sequence[str], asked: str, seconds: float) -> tuple[str, str]:
    """The tool's output, and what went wrong."""
    environment = {**os.environ, "DEBUGINFOD_URLS": "", "LC_ALL": "C"}  # never wait for a network
    environment.pop("LD_PRELOAD", None)
    try:
        done = subprocess.run(
            arguments,
            input=asked.encode("utf-8", "surrogateescape"),
            capture_output=True,
            timeout=seconds,
            check=False,
            env=environment,
        )
        output, trouble = done.stdout, "" if done.returncode == 0 else f"failed with {done.returncode}"
    except subprocess.TimeoutExpired as late:
        output, trouble = late.stdout or b"", f"took more than {seconds:.0f} s"
    except OSError as error:
        output, trouble = b"", f"can't be run: {error.strerror}"
    return output.decode("utf-8", "surrogateescape"), trouble


def _read_llvm(text: str) -> Iterator[tuple[int, Locations]]:
    """For each address a paragraph: 0x..., then pairs of lines, the function and file:line:column. The last may be cut."""
    for paragraph in text.split("\n\n")[:-1]:
        address, *pairs = paragraph.split("\n")
        yield _hexadecimal(address), _read_pairs(pairs, columns=True)


def _read_addr2line(text: str) -> Iterator[tuple[int, Locations]]:
    """For each address its own line, 0x..., then pairs of lines, the function and file:line. The last may be cut."""
    address, pairs = -1, list[str]()
    for line in text.splitlines():
        if line.startswith("0x"):
            yield address, _read_pairs(pairs)
            address, pairs = _hexadecimal(line), []
        else:
            pairs.append(line)
    if text.endswith("\n"):
        yield address, _read_pairs(pairs)


def _hexadecimal(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return -1


def _read_pairs(lines: list[str], *, columns: bool = False) -> Locations:
    locations = []
    for function, place in zip(lines[::2], lines[1::2], strict=False):
        file, _, line = (place.rpartition(":")[0] if columns else place).rpartition(":")
        number = line.partition(" ")[0]  # addr2line: "12 (discriminator 3)"
        locations.append(_location(function, file, int(number) if number.isdecimal() else 0))
    return tuple([location for location in locations if location != _NOTHING])


def _location(function: str, file: str, line: int) -> Location:
    # Without debug information both tools may give the bare file name that the symbol table has, and no line.
    known = file not in ("", "??") and (line > 0 or "/" in file)
    return Location(
        function if function not in ("", "??") else None, file if known else None, line if known and line > 0 else None
    )


def has_line(locations: Iterable[Location]) -> bool:
    """Whether the debug information knew the place."""
    return any(location.line is not None for location in locations)
