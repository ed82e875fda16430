"""The pytest plugin, in a pytest of its own."""

import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.leakrun_command import COMMAND

ROOT = Path(__file__).resolve().parent.parent.parent
TESTS = """
import pathlib
HERE = pathlib.Path(__file__).parent

def test_leaks(leakrun):
    leakrun(HERE / "leaks")

def test_tidy(leakrun):
    measured = leakrun(HERE / "tidy", "two words")
    assert (measured.verdict, measured.stdout) == ("clean", "tidy with 1: two words\\n")

def test_fails(leakrun):
    leakrun(HERE / "fails")

def test_fails_as_it_should(leakrun):
    leakrun(HERE / "fails", exit_code=5)

def test_unmeasured(leakrun):
    leakrun(HERE / "unmeasured")

def test_nowhere(leakrun):
    leakrun(HERE / "nowhere")

def test_run_asserts_nothing(leakrun):
    measured = leakrun.run(HERE / "leaks")
    assert measured.verdict == "leaking"
    assert measured.answer["findings"][0]["function"] == "forget"
    assert leakrun.run(HERE / "leaks").directory != measured.directory

def test_allowed(leakrun):
    leakrun(HERE / "leaks", check=["--max-bytes", "1K"])
"""


@pytest.fixture
def tested(run, programs):
    """Run these tests; what pytest said. It finds the plugin as it does where leakrun is installed: by its entry point."""
    (programs / "test_them.py").write_text(TESTS)
    (programs / "pytest.ini").write_text("[pytest]\n")
    site = programs / "site"
    if "leakrun" not in {each.name for each in entry_points(group="pytest11")}:
        module = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]["leakrun"]
        facts = site / "leakrun_here-1.dist-info"
        facts.mkdir(parents=True)
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: leakrun-here\nVersion: 1\n")
        (facts / "entry_points.txt").write_text(f"[pytest11]\nleakrun = {module}\n")

    def tested_(*words: str) -> str:
        command = [COMMAND[0], "-m", "pytest", "-p", "no:cacheprovider", "-q", "--tb=short", *words]
        return run(*command, PYTHONPATH=f"{site}:{ROOT}").stdout

    return tested_


def test_a_test_fails_where_it_leaks_where_it_fails_and_where_it_could_not_be_measured(tested):
    said = tested()
    failed = sorted(line.split()[1].partition("::")[2] for line in said.splitlines() if line.startswith("FAILED"))
    assert failed == ["test_fails", "test_leaks", "test_nowhere", "test_unmeasured"], said
    assert "4 failed, 4 passed" in said


def test_the_finding_is_in_the_text_of_the_assertion(tested):
    said = tested("test_them.py::test_leaks")
    assert "AssertionError: leaking" in said
    assert "leaks.c:2:1: error: " in said and "forget" in said
    assert "in _said" not in said and "runner/pytest_plugin.py" not in said, "the plugin's own frames are nobody's business"


def test_what_was_not_measured_says_why(tested):
    assert "not measured" in tested("test_them.py::test_unmeasured")
    assert "nowhere" in tested("test_them.py::test_nowhere")


def test_the_profile_is_pytests_to_say(tested):
    said = tested("test_them.py::test_allowed", "--leakrun-profile", "nonesuch")
    assert "there is no profile" in said or "nonesuch" in said
    assert "1 failed" in said
