"""`leakrun show --json`, which other tests ask for the answer without a process of its own."""

import json
from pathlib import Path

import pytest

from tests.leakrun_command import answer, shown


@pytest.mark.parametrize("run", ["memcheck-old", "massif-old", "heapprofile-new"])
def test_the_command_writes_the_answer(run: str, runs_dir: Path) -> None:
    assert json.loads(shown(runs_dir / run)) == answer(runs_dir / run)


def test_the_command_writes_the_answer_of_native_files(runs_dir: Path) -> None:
    dumps = sorted((runs_dir / "heapprofile-old" / "raw").glob("*.heap"))
    assert len(dumps) > 1
    assert json.loads(shown(*dumps)) == answer(*dumps)
