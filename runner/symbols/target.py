"""Which file a command line would run, found as execvp(3) finds it, and why it could not be run."""

import mmap
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from runner.errors import ErrorKind, LeakrunError
from runner.plan import ElfFacts, Target
from runner.symbols.elf import EXECUTABLE, SHARED, read_image
from runner.symbols.libraries import needed_libraries

_DEFAULT_PATH = "/bin:/usr/bin"  # execvp's, where PATH is not set
_MOST_INTERPRETERS = 5  # the kernel's bound on scripts whose interpreter is a script
_MACHINES = {
    "x86_64": (3, 62),
    "aarch64": (40, 183),
    "i686": (3,),
    "armv7l": (40,),
    "riscv64": (243,),
    "ppc64le": (21,),
    "s390x": (22,),
}


def inspect_target(argv: Sequence[str], cwd: Path, env: Mapping[str, str], marks: Sequence[bytes] = ()) -> Target:
    """The target of a command line. `env` is the whole environment that the program will have.

    `marks` are looked for in the executable's bytes.

    Raises LeakrunError: NOT_FOUND where there is no such program; NOT_EXECUTABLE where the kernel would refuse it.
    """
    if not argv:
        raise LeakrunError(ErrorKind.USAGE, "no program is given", "leakrun [OPTIONS] PROGRAM [ARGS...]")
    cwd = Path(os.path.abspath(cwd))  # noqa: PTH100  # Path.resolve() would follow links, and the program sees the path as given
    script = _find(argv[0], cwd, env)
    executable = _follow_scripts(script, argv[0], cwd, env)
    return Target(
        argv=tuple(argv),
        executable=executable,
        cwd=cwd,
        elf=_runnable_elf(executable, argv[0], env),
        setuid=_gains_privileges(executable),
        script=script if script != executable else None,
        marks=marks_in(executable, marks),
    )


def marks_in(path: Path, marks: Sequence[bytes]) -> frozenset[bytes]:
    """Those of the marks that the file holds; none where it can't be read."""
    if not marks:
        return frozenset()
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return frozenset(mark for mark in marks if content.find(mark) >= 0)
    except (OSError, ValueError):
        return frozenset()


def _find(name: str, cwd: Path, env: Mapping[str, str]) -> Path:
    """The file that execvp would run, absolute, and allowed to run."""
    if "/" in name:
        path = cwd / name
        reason = _refusal(path)
        if reason:
            raise _refused(name, path, reason)
        return path
    refused: LeakrunError | None = None
    for directory in env.get("PATH", _DEFAULT_PATH).split(":"):
        path = cwd / directory / name
        reason = _refusal(path) if name else ErrorKind.NOT_FOUND.value
        if not reason:
            return path
        if reason != ErrorKind.NOT_FOUND.value and refused is None:
            refused = _refused(name, path, reason)
    if refused is not None:
        raise refused
    hint = f"./{name} is here: run that" if name and (cwd / name).exists() else "give its path, or put its directory on PATH"
    raise LeakrunError(ErrorKind.NOT_FOUND, f"{name!r} is not a program on PATH", hint)


def _refusal(path: Path) -> str:
    """Why `path` can't be run: ErrorKind.NOT_FOUND's value, or a clause; empty where it can."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return ErrorKind.NOT_FOUND.value
    except OSError as error:
        return f"can't be reached: {error.strerror}"
    if stat.S_ISDIR(mode):
        return "is a directory"
    if not stat.S_ISREG(mode):
        return "is not a regular file"
    if not os.access(path, os.X_OK):
        return "is not executable" if mode & 0o111 == 0 else "may not be executed by you, or from where it is mounted"
    return ""


def _refused(name: str, path: Path, reason: str) -> LeakrunError:
    if reason == ErrorKind.NOT_FOUND.value:
        return LeakrunError(ErrorKind.NOT_FOUND, f"there is no program {name}", f"looked for {path}")
    hints = {"is not executable": f"chmod +x {path}", "is a directory": f"name the program itself: {path}/PROGRAM"}
    hint = hints.get(reason, f"looked at {path}")
    return LeakrunError(ErrorKind.NOT_EXECUTABLE, f"{name} {reason}", hint)


# ---- scripts


def _follow_scripts(path: Path, name: str, cwd: Path, env: Mapping[str, str]) -> Path:
    """`path`, or the interpreter that the kernel would run for it, through #! lines and env(1)."""
    for _ in range(_MOST_INTERPRETERS):
        words = _shebang(path)
        if words is None:
            return path
        if not words:
            raise LeakrunError(
                ErrorKind.NOT_EXECUTABLE, f"{name}: Exec format error: {path} has an empty #! line", "name its interpreter"
            )
        path = _interpreter(words, path, cwd, env)
    raise LeakrunError(
        ErrorKind.NOT_EXECUTABLE, f"{name} is run by a script that is run by a script ...", "name the last interpreter"
    )


def _shebang(path: Path) -> list[str] | None:
    """The words of the #! line as the kernel splits it, in two at most; None where there is none."""
    try:
        with path.open("rb") as stream:
            head = stream.read(256)
    except OSError:
        return None  # a program may be run without being read
    if not head.startswith(b"#!"):
        return None
    line = head[2:].split(b"\n", 1)[0].strip(b" \t").decode("utf-8", "surrogateescape")
    return re.split("[ \t]+", line, maxsplit=1) if line else []


def _interpreter(words: list[str], script: Path, cwd: Path, env: Mapping[str, str]) -> Path:
    path = cwd / words[0]
    reason = _refusal(path)
    wanted = words[0]
    if not reason and path.name == "env" and len(words) > 1:
        asked = next((word for word in words[1].split() if not word.startswith("-") and "=" not in word), "")
        if asked:
            wanted = asked
            try:
                return _find(asked, cwd, env)
            except LeakrunError as error:
                reason = error.message
    if not reason:
        return path
    tail = "is not there" if reason == ErrorKind.NOT_FOUND.value else reason
    said = tail if wanted in tail else f"{wanted} {tail}"
    carriage = " (its first line ends in a carriage return)" if wanted.endswith("\r") else ""
    raise LeakrunError(
        ErrorKind.NOT_EXECUTABLE,
        f"{script}: bad interpreter: {said.rstrip()}{carriage}".replace("\r", ""),
        "install the interpreter, or correct the script's first line",
    )


# ---- what the kernel would say of the file itself


def _runnable_elf(path: Path, name: str, env: Mapping[str, str]) -> ElfFacts | None:
    """The facts of the executable; None where it may be run but not read."""
    if not os.access(path, os.R_OK):
        return None
    image = read_image(path, sections=False)
    if image is None or image.kind not in (EXECUTABLE, SHARED) or not image.segments:
        raise LeakrunError(
            ErrorKind.NOT_EXECUTABLE,
            f"{name}: Exec format error: {_what_it_is(path)}",
            "give a program or a script with a #! line",
        )
    if image.machine not in _MACHINES.get(os.uname().machine, (image.machine,)):
        raise LeakrunError(
            ErrorKind.NOT_EXECUTABLE,
            f"{name}: Exec format error: built for another machine (ELF machine {image.machine}), this is {os.uname().machine}",
            "build it for this machine",
        )
    if image.interpreter and not Path(image.interpreter).exists():
        raise LeakrunError(
            ErrorKind.NOT_EXECUTABLE,
            f"{name} needs the loader {image.interpreter}, which is not there",
            "install the C library that it was linked with",
        )
    return image.facts()._replace(needed=needed_libraries(path, env.get("LD_LIBRARY_PATH", "")))


def _what_it_is(path: Path) -> str:
    with path.open("rb") as stream:
        head = stream.read(4)
    if not head:
        return "the file is empty"
    return "a damaged or incomplete ELF file" if head == b"\x7fELF" else "neither an ELF file nor a script with a #! line"


def _gains_privileges(path: Path) -> bool:
    """Setuid, setgid or file capabilities: the loader then ignores LD_PRELOAD, and valgrind refuses."""
    mode = path.stat().st_mode
    if mode & stat.S_ISUID or (mode & stat.S_ISGID and mode & stat.S_IXGRP):
        return True
    try:
        return bool(os.getxattr(path, "security.capability"))
    except OSError:
        return False
