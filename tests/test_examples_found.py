"""Every example under every profile that can see what is wrong with it: the declared function and line come first."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.examples_truth import Example, Expectation, all_examples, build

ROOT = Path(__file__).resolve().parent.parent
LEAKRUN = [sys.executable, "-c", "import sys; from runner.cli import main; sys.exit(main())"]
SECONDS = "4"
SEEN_BY = {
    "memcheck": {"lost", "error"},
    "massif": {"growing"},
    "heapprofile": {"growing"},
    "massif-pages": {"mapping-growth"},
    "heapprofile-mmap": {"mapping-growth"},
    "massif-stacks": {"stack-growth"},
}
# What alarms nobody is run under the three that people use; memcheck meets every example.
CALM = ("memcheck", "massif", "heapprofile")


def expectations(example: Example, profile: str) -> list[Expectation]:
    return example.expected(*SEEN_BY[profile])


def to_be_run(example: Example, profile: str) -> bool:
    return bool(expectations(example, profile)) or profile == "memcheck" or (example.clean and profile in CALM)


RUNS = [(example, profile) for example in all_examples() for profile in SEEN_BY if to_be_run(example, profile)]

pytestmark = pytest.mark.timeout(600)


def leakrun(*words: object) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEAKRUN_")}
    environment["PYTHONPATH"] = str(ROOT)
    argv = [*LEAKRUN, *(str(word) for word in words)]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=180, check=False)


def measure(example: Example, profile: str, directory: Path) -> dict[str, Any]:
    """The answer for one program under one profile, with the exit code of the run as "exit_code"."""
    out = directory / f"{profile}-{example.name}"
    stop = ["--for", f"{example.stop_after:g}s"] if example.stop_after else []
    program = directory / example.name
    ran = leakrun("-p", profile, "-o", out, *stop, "--", program, *(example.args or (SECONDS,)))
    shown = leakrun("show", out, "--json")
    assert shown.returncode == 0, ran.stderr + shown.stderr
    answer: dict[str, Any] = json.loads(shown.stdout)
    return answer | {"exit_code": ran.returncode}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    directory = tmp_path_factory.mktemp("found")
    for example in all_examples():
        build(example, directory)
    with ThreadPoolExecutor(3) as pool:  # they sleep most of the time
        found = list(pool.map(lambda pair: measure(*pair, directory), RUNS))
    return {(example.name, profile): answer for (example, profile), answer in zip(RUNS, found, strict=True)}


def site(found: dict[str, Any]) -> tuple[str | None, int | None]:
    return found["function"], found["line"]


def label(value: object) -> str:
    return value.name if isinstance(value, Example) else str(value)


@pytest.mark.parametrize(("example", "profile"), RUNS, ids=label)
def test_the_declared_leak_comes_first_and_nothing_else_is_blamed(
    example: Example, profile: str, answers: dict[tuple[str, str], dict[str, Any]]
) -> None:
    answer = answers[example.name, profile]
    expected = [expectation for expectation in expectations(example, profile) if expectation.kind != "error"]
    assert len(answer["findings"]) == len(expected), answer["findings"]
    for found, expectation in zip(answer["findings"], expected, strict=True):
        assert found["kind"] == expectation.kind
        if expectation.kind == "stack-growth":
            # massif says how much stack there is, not whose.
            assert site(found) in {(None, None), (expectation.function, expectation.line)}
            continue
        assert site(found) == (expectation.function, expectation.line)
        assert found["file"] == str(example.source)
        if expectation.bytes is not None:
            assert (found["bytes"], found["blocks"]) == (expectation.bytes, expectation.blocks)


@pytest.mark.parametrize(("example", "profile"), RUNS, ids=label)
def test_the_declared_errors_are_found_and_no_others(
    example: Example, profile: str, answers: dict[tuple[str, str], dict[str, Any]]
) -> None:
    expected = [(e.defect, e.function, e.line) for e in expectations(example, profile) if e.kind == "error"]
    assert [(error["kind"], *site(error)) for error in answers[example.name, profile]["errors"]] == expected


@pytest.mark.parametrize(("example", "profile"), RUNS, ids=label)
def test_the_verdict_says_what_the_example_is(
    example: Example, profile: str, answers: dict[tuple[str, str], dict[str, Any]]
) -> None:
    answer = answers[example.name, profile]
    kinds = {expectation.kind for expectation in expectations(example, profile)} - {"error"}
    assert answer["verdict"] == ("leaking" if "lost" in kinds else "growing" if kinds else "clean"), answer["reasons"]
    assert answer["exit_code"] == 0
