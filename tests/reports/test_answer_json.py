import io
import json

import pytest

from runner.errors import LeakrunError
from runner.model import (
    Amount,
    Answer,
    AnswerError,
    AnswerFrame,
    Doubt,
    DoubtKind,
    Finding,
    FindingKind,
    HeapSummary,
    LossKind,
    Note,
    Rate,
    Verdict,
)
from runner.reports import answer_json

FRAME = AnswerFrame("f", "f(int)", "/src/a.c", 7, "/bin/app", "0x1234", False)


def an_answer():
    finding = Finding(
        1, FindingKind.GROWING, "f", "f(int)", "/src/a.c", 7, "/bin/app", 1000, 3, 2.5, Rate(2.5, "bytes/s"), 0.5, 0.9,
        ["rose in 9 of 9 steps"], [10, 11], [FRAME], [(0.0, 0), (1.5, 1000)],
    )  # fmt: skip
    return Answer(
        Verdict.GROWING,
        ["it grows"],
        [finding],
        [AnswerError("InvalidRead", "Invalid read of size 4", "f", "/src/a.c", 7, 2, [FRAME], [("Address 0x1 is", [FRAME])])],
        [Note("limit", "cut"), Note("live", "f holds 1 MB", "f", "/src/a.c", 7, 1_000_000)],
        HeapSummary(Amount(5, 1), 9, 8, 4000),
        {LossKind.DEFINITE: Amount(5, 1)},
        {"id": "x", "exit": {"code": 0, "signal": None}},
        [Doubt("the file is cut"), Doubt("f may level off", DoubtKind.SITE, "f", "/src/a.c", 7)],
    )


def test_the_answer_comes_back_the_same():
    stream = io.StringIO()
    answer_json.write(an_answer(), stream)
    stream.seek(0)
    assert answer_json.read(stream) == an_answer()


def test_the_keys_are_those_of_the_schema():
    data = json.loads(json.dumps(answer_json.to_dict(an_answer())))
    assert data["schema"] == "leakrun.answer/1"
    assert set(data) >= {"schema", "run", "verdict", "reasons", "findings", "errors", "notes"}
    keys = "rank kind function signature file line module bytes blocks bytes_per_second rate share confidence evidence pids stack"
    assert set(data["findings"][0]) >= set(keys.split())
    assert data["findings"][0]["kind"] == "growing"
    assert data["findings"][0]["rate"] == {"value": 2.5, "unit": "bytes/s"}
    assert set(data["findings"][0]["stack"][0]) >= {"function", "file", "line", "module", "address", "inlined"}
    assert set(data["errors"][0]) >= {"kind", "message", "function", "file", "line", "count", "stack"}
    assert data["notes"][0] == {"kind": "limit", "text": "cut"}
    assert data["notes"][1]["bytes"] == 1_000_000
    assert data["doubts"] == ["the file is cut", "f may level off"]
    assert data["doubted"] == [{"kind": "run"}, {"kind": "site", "function": "f", "file": "/src/a.c", "line": 7}]


def test_a_doubt_of_an_older_answer_bears_on_the_whole_run():
    data = answer_json.to_dict(an_answer())
    del data["doubted"]
    assert [(each.text, each.kind) for each in answer_json.from_dict(data).doubts] == [
        ("the file is cut", DoubtKind.RUN),
        ("f may level off", DoubtKind.RUN),
    ]
    assert data["leak_summary"] == {"definitely lost": {"bytes": 5, "blocks": 1}}


def test_unknown_keys_of_a_later_version_are_ignored():
    data = answer_json.to_dict(an_answer())
    data["new"] = data["findings"][0]["new"] = data["notes"][0]["new"] = 1
    assert answer_json.from_dict(data) == an_answer()


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", '{"schema": "leakrun.answer/2"}', '{"schema": "leakrun.answer/1"}', "[" * 9999]
)
def test_anything_else_is_one_clear_error(text):
    with pytest.raises(LeakrunError) as error:
        answer_json.read(io.StringIO(text))
    assert error.value.hint


@pytest.mark.parametrize(
    "key, value", [("findings", [1]), ("findings", [{}]), ("notes", [{"kind": 1}]), ("verdict", "fine"), ("errors", 3)]
)
def test_a_damaged_answer_is_one_clear_error(key, value):
    data = answer_json.to_dict(an_answer())
    data[key] = value
    with pytest.raises(LeakrunError):
        answer_json.from_dict(data)


def test_bytes_that_are_no_text_do_not_stop_it():
    answer = an_answer()
    answer.findings[0].function = "f\udcff"
    stream = io.StringIO()
    answer_json.write(answer, stream)
    assert json.loads(stream.getvalue())["findings"][0]["function"] == "f?"
