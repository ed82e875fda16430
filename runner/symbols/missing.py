"""What brings the names and lines that a file lacks: a build flag, a package of the distribution, or debuginfod."""

import os
import shutil
from contextlib import suppress
from functools import cache
from pathlib import Path

from runner.symbols.elf import read_image

LIBRARIES = ("/lib/", "/lib32/", "/lib64/", "/usr/lib/", "/usr/lib32/", "/usr/lib64/")  # nobody looks for lines there
_PACKAGED = (*LIBRARIES, "/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/libexec/")
_DPKG = Path("/var/lib/dpkg/info")  # NAME.list or NAME:ARCH.list: a path on each line, of dpkg-query -L
_OLD_NAMES = {"libc6": "libc6-dbg"}  # that are not NAME-dbgsym


def what_brings_lines(path: str) -> str:
    """What a person can do about a file without debug information, as the end of a sentence."""
    if not path.startswith(_PACKAGED):
        return "build it with -g, or give --symbol-path"
    ways = []
    if (package := _package(path)) is not None:
        ways.append(f"apt-get install {_OLD_NAMES.get(package, f'{package}-dbgsym (of the archive of debug symbols)')}")
    elif shutil.which("dnf"):
        ways.append(f"dnf debuginfo-install $(rpm -qf {path})")
    if os.environ.get("DEBUGINFOD_URLS") and (build_id := _build_id(path)):
        ways.append(f"debuginfod-find debuginfo {build_id}")
    if not ways:
        return "its package's debug symbols (-dbgsym, -dbg) bring them"
    return f"its debug symbols bring them: {', or '.join(ways)}"


def _package(path: str) -> str | None:
    """The Debian package that the file is of; None where there is none, or no dpkg."""
    names = dict.fromkeys((path, os.path.realpath(path)))  # libz.so.1 is a link to libz.so.1.2.13
    for plain in (name.removeprefix("/usr") for name in names):
        lines = [f"\n{each}\n".encode("utf-8", "surrogateescape") for each in (plain, f"/usr{plain}")]  # /lib is /usr/lib
        for package, text in _packages():
            if any(line in text for line in lines):
                return package
    return None


@cache
def _packages() -> list[tuple[str, bytes]]:
    """The installed packages, and their files, one a line. Some 10 MB, read in 30 ms, and only where something is missing."""
    found = []
    for listed in sorted(_DPKG.glob("*.list")):
        with suppress(OSError):
            found.append((listed.stem.partition(":")[0], listed.read_bytes()))
    return found


def _build_id(path: str) -> str:
    image = read_image(Path(path))
    return image.build_id if image else ""
