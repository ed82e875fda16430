"""Paths as people and their repositories write them."""

import os
from pathlib import Path


def near(path: str) -> str:
    """`path` relative to the working directory when it is below it."""
    try:
        here = str(Path.cwd())
    except OSError:
        return path
    return os.path.relpath(path, here) if path.startswith(here.rstrip("/") + "/") else path
