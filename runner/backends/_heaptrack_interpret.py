"""Has heaptrack_interpret turn a raw record into what heaptrack_gui and heaptrack_print read: names in the place of addresses."""

import gzip
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from runner import formats
from runner.backends.heaptrack import INSTALL
from runner.errors import ErrorKind, LeakrunError
from runner.formats import heaptrack

# From where heaptrack's script really is; as that script finds it.
PLACES = ("../lib/heaptrack/libexec", "../lib64/heaptrack/libexec", "../libexec/heaptrack")
PROGRAM = "heaptrack_interpret"
HEAD = 1 << 16


def interpreted(record: Path, to: Path) -> Path:
    """The record itself where that is interpreted already; else `to`, whose name ends in .gz, written whole or not at all.

    The names are those of the binaries as they are now. Raises LeakrunError(UNMEASURED) where it can't be done.
    """
    with formats.opened(record) as (stream, _):
        if not heaptrack.is_raw(stream.read(HEAD)):
            return record
        stream.seek(0)
        with tempfile.TemporaryFile() as plain:  # which heaptrack_interpret can read by itself: it takes no compressed one
            shutil.copyfileobj(stream, plain)
            plain.seek(0)
            part = to.with_name(f"{to.name}.part")
            try:
                with subprocess.Popen([_program()], stdin=plain, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as at_work:
                    assert at_work.stdout is not None
                    with part.open("wb") as file, gzip.GzipFile("", "wb", compresslevel=1, fileobj=file) as out:
                        shutil.copyfileobj(at_work.stdout, out)
                if at_work.returncode:
                    raise LeakrunError(
                        ErrorKind.UNMEASURED,
                        f"{PROGRAM} failed with {at_work.returncode} on {record}",
                        "`leakrun show` reads it all the same",
                    )
                part.replace(to)
            finally:
                part.unlink(missing_ok=True)
    return to


def _program() -> Path:
    script = shutil.which("heaptrack")
    for place in PLACES if script else ():
        found = Path(os.path.realpath(script or "")).parent / place / PROGRAM
        if found.is_file():
            return found
    raise LeakrunError(ErrorKind.UNMEASURED, f"{PROGRAM}, which names what is in a record, is not found here", INSTALL)
