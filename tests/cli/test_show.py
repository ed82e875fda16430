"""`leakrun show --json`, which other tests ask for the answer without a process of its own; verbs that take texts alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli.application import TEXT_ONLY, verb
from tests.leakrun_command import COMMAND, answer, shown


@pytest.mark.parametrize("run", ["memcheck-old", "massif-old", "heapprofile-new"])
def test_the_command_writes_the_answer(run: str, runs_dir: Path) -> None:
    assert json.loads(shown(runs_dir / run)) == answer(runs_dir / run)


def test_the_command_writes_the_answer_of_native_files(runs_dir: Path) -> None:
    dumps = sorted((runs_dir / "heapprofile-old" / "raw").glob("*.heap"))
    assert len(dumps) > 1
    assert json.loads(shown(*dumps)) == answer(*dumps)


def test_a_reader_that_leaves_has_no_code_that_is_a_verdict_of_check(runs_dir: Path) -> None:
    for words in (["show", "--json"], ["check"], ["runs", "--json"]):
        what = ["--runs-dir", runs_dir] if words[0] == "runs" else [runs_dir / "massif-old"]
        asked = subprocess.Popen([*COMMAND, *words, *what], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert asked.stdout and asked.stderr
        asked.stdout.close()
        assert asked.wait(60) == 141 and b"Broken" not in asked.stderr.read()
        asked.stderr.close()


def test_an_answer_is_shown_without_the_checker_of_values(runs_dir: Path) -> None:
    show = 'import sys; from runner.cli import main; main(sys.argv[1:]); print("pydantic" in sys.modules)'
    words = [sys.executable, "-c", show, "show", runs_dir / "memcheck-old", "--exe", runs_dir]
    assert subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("name", sorted(TEXT_ONLY))
def test_the_parameters_of_a_verb_that_takes_texts_are_texts_and_flags(name: str) -> None:
    types = {parameter.name: parameter.type_descriptor.annotation for parameter in verb(name).params}
    assert {each: of for each, of in types.items() if of not in (str, list[str], bool)} == {}
