"""leakrun as its users call it: the command, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "runner"]


def leakrun(
    *words: object, cwd: Path | None = None, timeout: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run leakrun to its end; nothing of the caller's own LEAKRUN_* settings reaches it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LEAKRUN_") and name != "LD_PRELOAD"}
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        cwd=cwd,
        env={**clean, "NO_COLOR": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )


def answer(*what: object, cwd: Path | None = None) -> dict[str, Any]:
    """The answer of `leakrun show`, as JSON."""
    shown = leakrun("show", *what, "--json", cwd=cwd)
    assert shown.returncode == 0, shown.stderr
    document: dict[str, Any] = json.loads(shown.stdout)
    assert document["schema"] == "leakrun.answer/1"
    return document


def first_site(said: dict[str, Any]) -> tuple[str, str, int]:
    """Function, file without its directory, and line of an answer's first finding."""
    first = said["findings"][0]
    return first["function"], Path(first["file"]).name, first["line"]
