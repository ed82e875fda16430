"""The man page is made from the commands, is current, and is one that man reads; each verb's help has examples."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli.application import VERBS, verb

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "leakrun.1"


def test_the_page_is_what_the_commands_make_it() -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_man.py", "--check"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_man_reads_it_without_a_complaint() -> None:
    shown = subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", PAGE],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    assert shown.stderr == ""
    plain = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", shown.stdout)
    assert all(f"leakrun {name} [OPTIONS]" in plain for name in VERBS)
    assert "--error-exitcode N" in plain
    assert "leakrun -p massif --set detailed_freq=5 -o out ./app" in plain, "examples keep their lines"


def test_each_verb_has_its_line_whole() -> None:
    program = "import sys; from runner.cli import main; sys.exit(main())"
    environment = {**os.environ, "COLUMNS": "80"}
    said = subprocess.run(
        [sys.executable, "-c", program, "--help"], cwd=ROOT, capture_output=True, text=True, env=environment, check=True
    )
    lines = said.stdout.split("Commands:")[1].splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(VERBS)
    assert [line for line in lines if line.endswith("...")] == []


@pytest.mark.parametrize("name", VERBS)
def test_the_help_of_each_verb_has_an_example(name: str) -> None:
    text = verb(name).help
    example = re.search(r"^\s*(?:leakrun .+)$", text.split("\b")[1], re.MULTILINE)
    assert example, text


@pytest.mark.parametrize("name", VERBS)
def test_the_help_calls_arguments_as_the_page_does(name: str) -> None:
    command = verb(name)
    said = command.get_help(command.make_context(f"leakrun {name}", [], resilient_parsing=True))
    usage = " ".join(said.partition("\n\n")[0].split()).removeprefix("Usage: ")
    assert f"\n.SS {usage}\n" in PAGE.read_text().replace("\\-", "-")
    assert "<str>" not in said and "[str]" not in said
