"""Libraries that are loaded into a program by LD_PRELOAD: where they are, and which programs can't take one."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from runner import sanitizers
from runner.errors import ErrorKind, LeakrunError
from runner.plan import Target
from runner.profile import Profile

DIRECTORIES = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
    "/opt/homebrew/lib",
)


def libraries(pattern: str) -> Iterator[Path]:
    """The files of this machine's kind that fit the pattern (as for fnmatch), those first that the loader would find."""
    own = _kind_of(Path("/proc/self/exe"))
    for line in _ldconfig().splitlines():
        path = Path(line.partition("=>")[2].strip())
        if path.match(pattern) and _kind_of(path) == own:
            yield path
    for directory in DIRECTORIES:
        yield from (path for path in sorted(Path(directory).glob(pattern)) if _kind_of(path) == own)


def _kind_of(path: Path) -> bytes:
    """Class and machine of an ELF file, as its header has them; empty for any other. Multilib systems have several."""
    try:
        with path.open("rb") as file:
            header = file.read(20)
    except OSError:
        return b""
    return header[4:5] + header[18:20] if header.startswith(b"\x7fELF") else b""


def _ldconfig() -> str:
    for command in ("/sbin/ldconfig", "/usr/sbin/ldconfig", "ldconfig"):
        try:
            return subprocess.run([command, "-p"], capture_output=True, text=True, timeout=10, check=False).stdout
        except (OSError, subprocess.TimeoutExpired):
            continue
    return ""


def given(variable: str, profile: Profile) -> str:
    """The user's own settings of what is loaded, which stay: of the profile, else of where leakrun was started."""
    return profile.env.get(variable, os.environ.get(variable, ""))


OTHER_LIBRARY = "name another with --set library=PATH"


def preloaded(target: Target, library: Path | None, other: str = OTHER_LIBRARY, *, sanitized: bool = False) -> str:
    """LD_PRELOAD with the library first. `other` says how to come by another library than this one; `sanitized`: it goes
    together with a sanitizer.

    Raises LeakrunError(UNMEASURED) where it can't be loaded into that program.
    """
    if not sanitized:
        sanitizers.refuse(target, f"with {library.name if library else 'a library'} loaded into it")
    refusal = _refusal(target, library, other)
    if refusal:
        raise LeakrunError(ErrorKind.UNMEASURED, *refusal)
    return ":".join(filter(None, (str(library), target.preload)))


def _refusal(target: Target, library: Path | None, other: str) -> tuple[str, str] | None:
    """What is wrong and what to do; None where nothing is."""
    replaceable = other == OTHER_LIBRARY
    program, elf, name = target.argv[0], target.elf, library.name if library else "a library"
    if target.setuid:
        return (
            f"{program} is setuid, setgid or has capabilities: the loader ignores a preload there",
            "measure a copy of it without those bits",
        )
    if elf and elf.static:
        return (
            f"{program} is statically linked: {name} can't be preloaded into it",
            "link it dynamically (without -static) for measuring" + (", or with the library itself" if replaceable else ""),
        )
    if elf and elf.bits == 32:
        return (
            f"{program} is a 32-bit program: the 64-bit {library} can't be preloaded into it",
            "build it for 64 bits, or use --profile memcheck" + (f"; or {other}" if replaceable else ""),
        )
    if elf and "musl" in (elf.interpreter or ""):
        return (
            f"{program} is linked with musl: {name}, made for glibc, can't be preloaded into it",
            "build it against glibc, or use --profile memcheck",
        )
    if re.search(r"[\s:]", str(library)):
        return (
            f"the path of {library} has a space or a colon in it: LD_PRELOAD can't hold it",
            f"{other}, without them",
        )
    return None
