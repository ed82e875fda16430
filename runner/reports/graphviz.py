"""Runs graphviz' dot, which lays a graph out and draws it."""

import subprocess

from runner.errors import ErrorKind, LeakrunError

INSTALL = "apt-get install graphviz  (dnf install graphviz, pacman -S graphviz); -f dot and -f text need none"
_SECONDS = 120.0


def picture(text: str, kind: str) -> bytes:
    """The graph that `text` describes in graphviz' language as a file of that kind: svg, pdf, png.

    Raises LeakrunError(UNMEASURED) where dot is missing or fails.
    """
    try:
        ran = subprocess.run(["dot", f"-T{kind}"], input=text.encode(), capture_output=True, timeout=_SECONDS, check=False)
    except FileNotFoundError:
        message = f"dot, graphviz' program that draws {kind}, is not installed"
        raise LeakrunError(ErrorKind.UNMEASURED, message, INSTALL) from None
    except subprocess.TimeoutExpired:
        message = f"dot did not lay the graph out in {_SECONDS:.0f} s"
        raise LeakrunError(ErrorKind.UNMEASURED, message, "make it smaller: --nodecount 40, --nodefraction 0.02") from None
    except OSError as error:
        raise LeakrunError(ErrorKind.UNMEASURED, f"dot can't be started: {error.strerror}", INSTALL) from None
    if ran.returncode != 0 or not ran.stdout:
        said = ran.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {ran.returncode}"]
        raise LeakrunError(ErrorKind.UNMEASURED, f"dot can't draw {kind}: {said[0][:200]}", "-f dot writes what it was given")
    return ran.stdout
