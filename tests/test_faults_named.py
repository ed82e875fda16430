"""docs/faults.md is the list that `make faults` runs: each test that it names is there, and none of tests/faults is forgotten."""

import ast
from pathlib import Path

import pytest

from tests.conftest import HERE, named_faults
from tests.soak.test_soak import RACY

ROOT = HERE.parent


def written_in(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    functions = (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef))
    return {f"{path.relative_to(ROOT)}::{each.name}" for each in functions if each.name.startswith("test_")}


@pytest.mark.parametrize("test", [*named_faults(), *RACY])
def test_a_named_test_is_there(test: str) -> None:
    assert test in written_in(ROOT / test.partition("::")[0])


def test_all_of_tests_faults_are_named() -> None:
    there = {test for path in (HERE / "faults").glob("test_*.py") for test in written_in(path)}
    assert there - set(named_faults()) == set()
    assert len(named_faults()) > 60
