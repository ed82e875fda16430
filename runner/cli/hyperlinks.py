"""Places that can be clicked: OSC 8 hyperlinks, for terminals that are known to follow them.

The sequence is the one of https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda; that a fragment is a
line's number is how kitty and VS Code read it. A terminal that does not know the sequence may print it, so an unknown one
gets none.
"""

import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

_TERMINALS = ("kitty", "ghostty", "alacritty", "foot", "wezterm", "contour")  # beginnings of TERM, behind xterm-
_PROGRAMS = frozenset({"iTerm.app", "WezTerm", "vscode", "Hyper", "ghostty", "Tabby", "rio"})  # of TERM_PROGRAM
_OLDEST_VTE = 5000  # GNOME's and most others; 0.50.0 crashed on them, and writes 5000


def follows(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """The stream is a terminal that follows hyperlinks. FORCE_HYPERLINK decides it where it is set: 0 is no."""
    if not stream.isatty():
        return False
    forced = environment.get("FORCE_HYPERLINK")
    if forced is not None:
        return forced not in ("", "0", "false")
    term = environment.get("TERM", "")
    if environment.get("CI") == "true" or term == "dumb" or term.startswith(("screen", "tmux")):
        return False  # what runs around it may not pass them on
    vte = environment.get("VTE_VERSION", "")
    return (
        (vte.isdigit() and int(vte) > _OLDEST_VTE)
        or environment.get("TERM_PROGRAM") in _PROGRAMS
        or bool(environment.get("KONSOLE_VERSION") or environment.get("WT_SESSION"))
        or term.removeprefix("xterm-").startswith(_TERMINALS)
    )


@cache
def url_of(file: str, line: int | None) -> str:
    """file://host/path#line of a file that is there; empty for one that is not, as after a build elsewhere."""
    try:
        path = Path(file).absolute()
        if not path.is_file():
            return ""
    except (OSError, ValueError):
        return ""
    fragment = f"#{line}" if line is not None else ""
    return f"file://{socket.gethostname()}{quote(str(path), errors='surrogateescape')}{fragment}"
