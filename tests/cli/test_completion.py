"""What TAB offers, asked as the shells' own scripts ask."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli.completion import say_run
from runner.profile import shipped_names
from tests.leakrun_command import leakrun

RUN = "massif-app-20260102T030405Z-1a2b"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory with a run in it."""
    run = tmp_path / "leakrun-runs" / RUN
    run.mkdir(parents=True)
    (run / "manifest.json").write_text("{}")
    return tmp_path


def offered(here: Path, line: str, shell: str) -> list[str]:
    """What is offered at the end of the line."""
    typed = line.split(" ")
    settings = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(typed) - 1)},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    said = leakrun(
        cwd=here, PYTHONPATH=str(Path(__file__).resolve().parents[2]), _LEAKRUN_COMPLETE=f"complete_{shell}", **settings
    )
    assert (said.returncode, said.stderr) == (0, "")
    return [line.partition("\t")[0] for line in said.stdout.splitlines() if line]


MASSIF = sorted(name for name in shipped_names() if name.startswith("massif"))


@pytest.mark.parametrize("shell", ["bash", "fish"])
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("leakrun sho", ["show"]),
        ("leakrun -p massif", MASSIF),
        ("leakrun run -p massif", MASSIF),
        ("leakrun --profile massif", MASSIF),
        ("leakrun attach --profile massif", MASSIF),
        ("leakrun profiles massif", MASSIF),
        ("leakrun -p massif --err", ["--error-exitcode"]),
        ("leakrun --err", ["--error-exitcode"]),
        ("leakrun show ", ["last", RUN]),
        ("leakrun diff last massif", [RUN]),
        ("leakrun show nonesuch", []),
        ("leakrun show --gra", ["--graph"]),
        ("leakrun check last -f sa", ["sarif"]),
        ("leakrun ./app --err", []),
        ("leakrun -p massif ./app --err", []),
        ("leakrun run -q -- ./app --err", []),
    ],
)
def test_what_is_offered(here, shell, line, expected):
    assert sorted(offered(here, line, shell)) == sorted(expected)


def test_all_verbs_are_offered(here):
    from runner.cli.application import VERBS

    assert sorted(offered(here, "leakrun ", "bash")) == sorted(VERBS)


@pytest.mark.parametrize("line", ["", " ", "leakrun", "leakrun -", "leakrun -- -", "leakrun --version ", "leakrun -qp"])
def test_nothing_that_is_typed_breaks_it(line):
    for environment in (
        {"_TYPER_COMPLETE_ARGS": line},
        {"COMP_WORDS": line, "COMP_CWORD": str(max(0, len(line.split()) - 1))},
        {},
    ):
        assert say_run(dict(environment), ("run", "show"), {"-p"}) in (True, False)


def test_bash_itself_completes(here):
    """The script that leakrun gives bash, in a bash."""
    shim = here / "leakrun"
    root = Path(__file__).resolve().parents[2]
    shim.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(root))} exec {shlex.quote(sys.executable)} -m runner "$@"\n')
    shim.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEAKRUN")}
    script = """
        source <(_LEAKRUN_COMPLETE=source_bash leakrun) || exit 1
        COMP_WORDS=(leakrun -p massif-s); COMP_CWORD=2
        _leakrun_completion leakrun && echo "${COMPREPLY[@]}"
        complete -p leakrun
    """
    said = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=here,
        env=environment | {"PATH": f"{here}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.stdout.splitlines()[0] == "massif-stacks", said.stderr
    assert "-o default" in said.stdout, "files, where leakrun offers nothing"
