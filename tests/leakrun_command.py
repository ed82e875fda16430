"""leakrun as its users call it: the command, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Lock
from typing import Any

from runner import answers
from runner.reports import answer_json

COMMAND = [sys.executable, "-m", "runner"]
PATH = os.environ.get("PATH")
ASKED = Lock()  # what leakrun keeps on disk is safe from other processes, not from other threads of its own


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
    """The answer of `leakrun show`, as JSON.

    Of paths it is asked for in this process, since to start one costs more than to answer; tests/cli/test_show.py holds the
    command to it. Which tools are installed is found out once in a process: with another PATH it is the command that answers.
    """
    if cwd is None and os.environ.get("PATH") == PATH and all(Path(str(each)).exists() for each in what):
        with ASKED:
            text = answer_json.text_of(answer_json.to_dict(answers.answer_of([str(each) for each in what], Path())))
    else:
        text = shown(*what, cwd=cwd)
    document: dict[str, Any] = json.loads(text)
    assert document["schema"] == "leakrun.answer/1"
    return document


def shown(*what: object, cwd: Path | None = None) -> str:
    """What `leakrun show --json` writes."""
    ran = leakrun("show", *what, "--json", cwd=cwd)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def first_site(said: dict[str, Any]) -> tuple[str, str, int]:
    """Function, file without its directory, and line of an answer's first finding."""
    first = said["findings"][0]
    return first["function"], Path(first["file"]).name, first["line"]
