"""Our own bug: the traceback goes to a file, a line about it to the user."""

import platform
import sys
import tempfile
import traceback

from runner import __version__


def report_crash() -> None:
    """Write versions and the traceback of the exception being handled to a file, and name it on stderr."""
    with tempfile.NamedTemporaryFile("w", prefix="leakrun-crash-", suffix=".log", delete=False) as log:
        log.write(f"leakrun {__version__}, Python {platform.python_version()}, {platform.platform()}\n{sys.argv!r}\n\n")
        traceback.print_exc(file=log)
    error = sys.exc_info()[1]
    sys.stderr.write(
        f"leakrun: this is a bug of leakrun's: {type(error).__name__}: {error}\n  please report it with {log.name}\n"
    )
