"""Every native file in tests/golden is read as its expected.json says. `pytest --update-golden` writes these anew."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.formats import read_file, recognise
from runner.model import Recording

GOLDEN = Path(__file__).parent / "golden"
BESIDE = {"version.txt", "expected.json"}
SOURCES = {".c", ".cc", ".cpp", ".h", ".sh", ".py", ".md", ".go"}
CASES = sorted(path for path in GOLDEN.glob("*/*") if path.is_dir())


def native_file(case: Path) -> Path:
    """The one file of the case that a tool wrote."""
    (native,) = (path for path in case.iterdir() if path.name not in BESIDE and path.suffix not in SOURCES)
    return native


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_a_native_file_is_read_as_expected(
    case: Path, pytestconfig: pytest.Config, as_json: Callable[[Recording], dict[str, Any]]
) -> None:
    native, expected = native_file(case), case / "expected.json"
    module = recognise(native.read_bytes()[: 64 * 1024])
    assert module is not None and module.__name__.rpartition(".")[2] == case.parent.name
    found = json.loads(json.dumps(as_json(read_file(native))))
    if pytestconfig.getoption("--update-golden"):
        expected.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(expected.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_a_case_says_how_its_file_was_made(case: Path) -> None:
    lines = (case / "version.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) >= 2 and all(lines)
