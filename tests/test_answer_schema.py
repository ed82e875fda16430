"""docs/answer.schema.json holds for what leakrun says, and not for everything."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from runner import answers
from runner.reports import answer_json
from tests.formats.test_writers import NASTY
from tests.reports.test_answer_json import an_answer
from tests.test_golden import CASES, native_file

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: `make setup` installs it")
SCHEMA = json.loads((Path(__file__).resolve().parent.parent / "docs" / "answer.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def complaints(document: dict[str, Any]) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(document)]


def an_answer_of_a_run() -> dict[str, Any]:
    answer = an_answer()
    facts = dict.fromkeys(("id", "directory", "profile", "backend", "tool_version", "started_at", "seconds"))
    ended = {"exit": {"code": 0, "signal": None, "stopped_by": None}}
    answer.run = {
        **facts,
        **ended,
        "command": ["./a"],
        "complete": True,
        "snapshots": 3,
        "processes": [{"pid": 1, "command": []}],
    }
    return json.loads(json.dumps(answer_json.to_dict(answer)))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_what_is_said_of_a_file_is_valid(case: Path, tmp_path: Path) -> None:
    answer = answers.answer_of([str(native_file(case))], tmp_path)
    assert complaints(json.loads(answer_json.text_of(answer_json.to_dict(answer)))) == []


def test_every_field_is_described() -> None:
    document = an_answer_of_a_run()
    assert complaints(document) == []
    definitions = SCHEMA["$defs"]
    assert set(document) <= set(SCHEMA["properties"])
    assert set(document["findings"][0]) == set(definitions["finding"]["properties"])
    assert set(document["errors"][0]) == set(definitions["error"]["properties"])
    assert set(document["findings"][0]["stack"][0]) == set(definitions["frame"]["properties"])
    assert {key for note in document["notes"] for key in note} == set(definitions["note"]["properties"])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["verdict"], "fine"),
        (["schema"], "leakrun.answer/2"),
        (["findings", 0, "kind"], "leak"),
        (["findings", 0, "bytes"], "1000"),
        (["findings", 0, "share"], 1.5),
        (["findings", 0, "stack", 0, "address"], 16),
        (["findings", 0, "line"], -1),
        (["errors", 0, "count"], 0),
        (["notes", 0, "text"], None),
        (["run", "exit"], None),
        (["leak_summary"], {"lost": {"bytes": 1, "blocks": 1}}),
    ],
)
def test_what_is_wrong_is_not_valid(path: list[Any], value: Any) -> None:
    document = an_answer_of_a_run()
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert complaints(document) != []


@pytest.mark.parametrize("key", SCHEMA["required"])
def test_nothing_that_is_promised_may_be_missing(key: str) -> None:
    document = copy.deepcopy(an_answer_of_a_run())
    del document[key]
    assert complaints(document) != []


def test_hostile_names_are_valid() -> None:
    document = an_answer_of_a_run()
    for name in NASTY:
        document["findings"][0]["function"] = name.encode("utf-8", "replace").decode()
        assert complaints(json.loads(json.dumps(document))) == []
