"""Where the user's configuration and caches are, by the XDG Base Directory Specification.

platformdirs says the same, and takes 5 ms to import.
"""

import os
from pathlib import Path


def configuration_directory() -> Path:
    """leakrun's own, $XDG_CONFIG_HOME/leakrun; it need not exist."""
    return _directory("XDG_CONFIG_HOME", ".config")


def cache_directory() -> Path:
    """leakrun's own, $XDG_CACHE_HOME/leakrun; it need not exist."""
    return _directory("XDG_CACHE_HOME", ".cache")


def _directory(variable: str, below_home: str) -> Path:
    named = os.environ.get(variable, "")
    # The specification: a path that is not absolute is to be ignored.
    return Path(named if named.startswith("/") else os.path.expanduser(f"~/{below_home}")) / "leakrun"  # noqa: PTH111  # Path.expanduser() raises where there is no home
