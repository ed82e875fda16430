"""Every example under every profile that can see its kind: the declared site first, and nothing on the clean ones."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.examples_truth import Example, all_examples, build
from tests.leakrun_command import answer, leakrun

PROFILES = {
    "lost": ("memcheck",),
    "growing": ("massif", "heapprofile"),
    "mapping-growth": ("massif-pages", "heapprofile-mmap"),
    "stack-growth": ("massif-stacks",),
    "error": ("memcheck",),
}
CALM = ("memcheck", "massif", "massif-alloc", "massif-stacks", "massif-pages", "heapprofile", "heapprofile-mmap")

pytestmark = pytest.mark.timeout(600)


def runs() -> list[tuple[Example, str]]:
    pairs = []
    for example in all_examples():
        seen_by = {profile for expectation in example.expectations for profile in PROFILES[expectation.kind]}
        pairs += [(example, profile) for profile in sorted(seen_by or CALM)]
    return pairs


def label(value: object) -> str:
    return value.name if isinstance(value, Example) else str(value)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], tuple[int, dict[str, Any]]]:
    directory = tmp_path_factory.mktemp("answers")

    def measure(pair: tuple[Example, str]) -> tuple[int, dict[str, Any]]:
        example, profile = pair
        place = directory / f"{example.name}-{profile}"
        stop = ("--for", f"{example.stop_after}s") if example.stop_after else ()
        program = directory / example.name
        ran = leakrun("-p", profile, "-o", place, *stop, program, *example.args)
        return ran.returncode, answer(place)

    for example in all_examples():
        build(example, directory)
    with ThreadPoolExecutor(3) as pool:  # they sleep most of the time
        measured = list(pool.map(measure, runs()))
    return {(example.name, profile): result for (example, profile), result in zip(runs(), measured, strict=True)}


@pytest.mark.parametrize(("example", "profile"), runs(), ids=label)
def test_the_declared_site_comes_first(
    example: Example, profile: str, answers: dict[tuple[str, str], tuple[int, dict[str, Any]]]
) -> None:
    code, said = answers[example.name, profile]
    assert code == 0
    assert said["run"]["complete"], said["reasons"]
    mine = [each for each in example.expectations if profile in PROFILES[each.kind]]
    defects = [each for each in mine if each.kind == "error"]
    leaks = [each for each in mine if each.kind != "error"]
    assert [(each["kind"], each["function"], each["line"]) for each in said["errors"]] == [
        (each.defect, each.function, each.line) for each in defects
    ]
    if not leaks:
        assert said["findings"] == []
        assert said["verdict"] == "clean", said["reasons"]
        return
    first, expected = said["findings"][0], leaks[0]
    assert said["verdict"] == ("leaking" if expected.kind == "lost" else "growing")
    assert first["kind"] == expected.kind
    assert (first["function"], first["line"], Path(first["file"]).name) == (
        expected.function,
        expected.line,
        example.source.name,
    )
    if expected.bytes is not None:
        assert (first["bytes"], first["blocks"]) == (expected.bytes, first["blocks"])
