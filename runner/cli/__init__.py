"""The command line: one module per verb; the only place that knows typer and exit codes."""

import errno
import gc
import io
import os
import sys
from typing import Any

from runner.errors import ErrorKind, LeakrunError

EXIT_CODES = {
    ErrorKind.USAGE: 2,
    ErrorKind.NOT_EXECUTABLE: 126,
    ErrorKind.NOT_FOUND: 127,
    ErrorKind.UNMEASURED: 3,
}


def main(arguments: list[str] | None = None) -> int:
    """Run leakrun. Three endings only: a user's error, Ctrl-C, and our own bug, whose traceback goes to a log."""
    # Modules and recordings are made of a great many objects that all stay: looking through them for garbage takes a
    # twentieth of a launch and finds none. Whoever may go on for days, the supervisor, has it turned on again.
    gc.disable()
    _fill_closed_streams()
    try:
        from runner.cli.application import dispatch

        code = dispatch(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return code
    except LeakrunError as error:
        print_error(error)
        return EXIT_CODES[error.kind]
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not flush into the closed pipe at its end.
        sys.stdout = None
        return 141
    except OSError as error:
        if _working_directory_is_gone():
            print_error(LeakrunError(ErrorKind.USAGE, "the working directory was deleted", "cd to one that is there"))
            return EXIT_CODES[ErrorKind.USAGE]
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            return _crashed()
        print_error(
            LeakrunError(
                ErrorKind.UNMEASURED, f"the output can't be written: {error.strerror}", "make room, or name another place"
            )
        )
        sys.stdout = None
        return EXIT_CODES[ErrorKind.UNMEASURED]
    except Exception:
        return _crashed()


def _fill_closed_streams() -> None:
    """Closed by whoever called: nobody wants to read, but no file of ours may get that number. The program finds it closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free; closed on exec
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    if sys.stderr in (None, sys.__stderr__):
        encoding = sys.stderr.encoding if sys.stderr else None
        said = io.BufferedWriter(_Heedless(2, "w", closefd=False))
        sys.stderr = io.TextIOWrapper(said, encoding, errors="backslashreplace", line_buffering=True)


class _Heedless(io.FileIO):
    """stderr: what can't be said there, for want of room or of a reader, must not take the program's exit code from it."""

    def write(self, data: Any) -> int:
        """Write, or have it lost; waits where somebody who has the file too has set it to not block."""
        try:
            while (written := super().write(data)) is None:
                from select import select

                select([], [self], [])
            return written
        except OSError:
            return len(data)


def _working_directory_is_gone() -> bool:
    from pathlib import Path

    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def _crashed() -> int:
    from runner.cli.crash import report_crash

    report_crash()
    return EXIT_CODES[ErrorKind.UNMEASURED]


def print_error(error: LeakrunError) -> None:
    """One line that says what is wrong, and one that says what to do."""
    lines = error.message.splitlines()
    # Several mistakes of a file stand a line each, so that editors find each `file:line:column`.
    text = f"leakrun: {error.message}\n" if len(lines) == 1 else f"leakrun: {len(lines)} mistakes\n{error.message}\n"
    if error.hint:
        text += f"  {error.hint}\n"
    sys.stderr.write(text.encode(errors="replace").decode())
