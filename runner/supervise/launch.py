"""Start the program as a shell would have: same files, same terminal, same signals; a failed exec is our error, not its exit."""

import ctypes
import errno
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from runner.errors import ErrorKind, LeakrunError
from runner.plan import LaunchPlan
from runner.supervise.signals import Held

_SET_PDEATHSIG = 1  # prctl(2)
_LONGEST_WORD = 131_072  # MAX_ARG_STRLEN of the kernel, 32 pages, the ending NUL included


def launch(plan: LaunchPlan, held: Held, *, own_group: bool = False, streams: Mapping[int, int] = MappingProxyType({})) -> int:
    """Start `plan.argv` and return its pid once exec has worked. `own_group`: as the leader of a process group of its own.

    `streams`: descriptors to stand in the place of its 0, 1 or 2.

    Raises LeakrunError: USAGE for a command line or directory that can't be, NOT_FOUND, NOT_EXECUTABLE.
    """
    environment = environment_of(plan.env)
    _check(plan.argv, environment)
    read_end, write_end = os.pipe()  # closed on exec: an empty answer is success
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(plan, held, environment, write_end, parent, own_group=own_group, streams=streams)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as answer:
        failure = answer.read()
    if failure:
        os.waitpid(pid, 0)
        step, _, number = failure.decode("ascii").partition(" ")
        raise _chdir_error(plan.cwd, int(number)) if step == "chdir" else _exec_error(plan, environment, int(number))
    return pid


def environment_of(changes: Mapping[str, str | None]) -> dict[str, str]:
    """Our own environment with the plan's changes: None unsets."""
    environment = dict(os.environ)
    for name, value in changes.items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    return environment


def _check(argv: tuple[str, ...], environment: Mapping[str, str]) -> None:
    if not argv or not argv[0]:
        raise LeakrunError(ErrorKind.USAGE, "there is no program to run", "name one: leakrun -- PROGRAM [ARGS...]")
    if any("\0" in word for word in argv):
        raise LeakrunError(ErrorKind.USAGE, "an argument holds a NUL byte", "no program can be given one")
    for name, value in environment.items():
        if not name or "=" in name or "\0" in name + value:
            raise LeakrunError(
                ErrorKind.USAGE, f"the environment can't hold {name!r}", "a name has no '=', and neither has a NUL"
            )


def _become(
    plan: LaunchPlan,
    held: Held,
    environment: dict[str, str],
    write_end: int,
    parent: int,
    *,
    own_group: bool,
    streams: Mapping[int, int],
) -> NoReturn:
    """In the child: turn into the program, or say through the pipe why not. Never returns into leakrun's code."""
    step = "chdir"
    try:
        for number, descriptor in streams.items():
            os.dup2(descriptor, number)
        if own_group:
            os.setpgid(0, 0)
        if plan.die_with_parent:
            _die_with(plan.stop.signum, parent)
        if plan.cwd is not None:
            os.chdir(plan.cwd)
        environment.update((name, value.replace("{pid}", str(os.getpid()))) for name, value in plan.env.items() if value)
        step = "exec"
        _restore_signals(plan.default_signals, held)
        os.execvpe(plan.argv[0], plan.argv, environment)
    except OSError as error:
        os.write(write_end, f"{step} {error.errno or errno.EIO}".encode("ascii"))
    except BaseException:
        os.write(write_end, f"{step} {errno.EIO}".encode("ascii"))
    finally:
        os._exit(127)


def _die_with(signum: int, parent: int) -> None:
    """Have the kernel send us `signum` when our parent dies (prctl(2), PR_SET_PDEATHSIG); it may be dead already."""
    ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signum, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _restore_signals(default_signals: tuple[int, ...], held: Held) -> None:
    for signum in signal.valid_signals():
        if callable(signal.getsignal(signum)):  # a handler of ours must not run in the child before exec
            signal.signal(signum, signal.SIG_DFL)
    # Python ignores these two for itself; programs expect them not to be.
    for signum in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(signum, signal.SIG_DFL)
    for number in held.ignored:
        signal.signal(number, signal.SIG_IGN)
    for number in default_signals:
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, held.former_mask - set(default_signals))


def _chdir_error(cwd: Path | None, number: int) -> LeakrunError:
    return LeakrunError(
        ErrorKind.USAGE, f"can't run in {cwd}: {os.strerror(number)}", "name a directory that is there and can be entered"
    )


def _exec_error(plan: LaunchPlan, environment: Mapping[str, str], number: int) -> LeakrunError:
    name = plan.argv[0]
    path = _found_at(plan, environment)
    if number == errno.ENOENT and path is not None:
        return LeakrunError(
            ErrorKind.NOT_EXECUTABLE, f"{name} can't be run: {_missing_interpreter(path)} is missing", "install what it needs"
        )
    if number in (errno.ENOENT, errno.ENOTDIR):
        where = "" if "/" in name else " on PATH"
        return LeakrunError(ErrorKind.NOT_FOUND, f"{name}: there is no such program{where}", "check the name, or give its path")
    if number == errno.E2BIG:
        return LeakrunError(
            ErrorKind.NOT_EXECUTABLE, f"{name}: {_too_long(plan.argv, environment)}", "give the program a file instead"
        )
    if number == errno.ENOEXEC:
        hint = "it needs a #! line, or to be built for this machine"
        return LeakrunError(ErrorKind.NOT_EXECUTABLE, f"{name} is not a program that can run here: {os.strerror(number)}", hint)
    if number == errno.EACCES:
        directory = path is not None and path.is_dir()
        message = f"{name} is a directory" if directory else f"{name} can't be run: {os.strerror(number)}"
        hint = "name the program in it" if directory else f"chmod +x {name}, and look whether its file system is mounted noexec"
        return LeakrunError(ErrorKind.NOT_EXECUTABLE, message, hint)
    return LeakrunError(
        ErrorKind.NOT_EXECUTABLE, f"{name} can't be run: {os.strerror(number)}", "run it without leakrun to see the same"
    )


def _found_at(plan: LaunchPlan, environment: Mapping[str, str]) -> Path | None:
    """The file that argv[0] names, as exec would find it."""
    name, base = plan.argv[0], plan.cwd or Path.cwd()
    places = [base] if "/" in name else [base / place for place in os.get_exec_path(environment)]
    return next((place / name for place in places if os.path.lexists(place / name)), None)


def _missing_interpreter(path: Path) -> str:
    """What a program that is there needs and has not: the kernel says only "no such file"."""
    try:
        with path.open("rb") as program:
            first = program.readline(256)
    except OSError:
        return "what it links to"
    words = first[2:].split() if first.startswith(b"#!") else []
    return f"its interpreter {os.fsdecode(words[0])}" if words else "its dynamic loader"


def _too_long(argv: tuple[str, ...], environment: Mapping[str, str]) -> str:
    words = [os.fsencode(word) for word in argv] + [os.fsencode(f"{name}={value}") for name, value in environment.items()]
    longest = max(map(len, words)) + 1
    if longest > _LONGEST_WORD:
        return f"an argument or variable has {longest - 1:,} bytes, and {_LONGEST_WORD - 1:,} is the most the kernel takes"
    return f"its arguments and environment together have {sum(map(len, words)):,} bytes, more than the kernel takes"
