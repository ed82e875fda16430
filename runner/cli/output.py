"""Where a verb's document goes: stdout, or the file of -o, which is there whole or not at all."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from runner.errors import ErrorKind, LeakrunError


@contextmanager
def writing(output: Path | None) -> Iterator[BinaryIO]:
    """A stream of bytes that end up in `output`, or on stdout for None or `-`, when the block ends without an error.

    Raises LeakrunError(USAGE) where the file can't be written.
    """
    stream = BytesIO()
    yield stream
    if _is_stdout(output):
        sys.stdout.flush()
        sys.stdout.buffer.write(stream.getbuffer())
        sys.stdout.buffer.flush()
        return
    assert output is not None
    from runner.rundir import write_atomically

    try:
        if output.exists() and not output.is_file():
            output.write_bytes(stream.getbuffer())  # a pipe, /dev/stdout: nothing to replace
        else:
            write_atomically(output.resolve(), stream.getvalue())
    except (OSError, ValueError, LeakrunError) as error:
        said = error.message if isinstance(error, LeakrunError) else f"{str(output)!r} can't be written: {reason_of(error)}"
        raise LeakrunError(ErrorKind.USAGE, said, "name another file with -o") from error


def reason_of(error: OSError | ValueError) -> str:
    """What the system says, without its number and the path."""
    return str(getattr(error, "strerror", None) or error)


def refuse_terminal(output: Path | None) -> None:
    """Raise LeakrunError(USAGE) where bytes that are no text would go to a terminal."""
    if _is_stdout(output) and sys.stdout.isatty():
        raise LeakrunError(ErrorKind.USAGE, "this format is no text for a terminal", "name a file: -o FILE, or send it on: | ...")


def _is_stdout(output: Path | None) -> bool:
    return output is None or str(output) == "-"
