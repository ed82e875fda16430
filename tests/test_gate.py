"""What makes a gate fail, and that nothing passes it that was not measured."""

import json

import pytest

from runner import gate
from runner.errors import LeakrunError
from runner.gate import Outcome, Standing, Terms, baseline, judge
from runner.model import Answer, Doubt, FindingKind, Verdict
from tests.gate_items import a_run, error, finding

GROWING = FindingKind.GROWING


def known_of(*runs) -> list[baseline.Known]:
    """What a baseline written from these runs says when it is read again."""
    result = judge(list(runs), Terms())
    return baseline.read(baseline.text_of(gate.updated(result, [])), "b.json")


def standings(result) -> list[Standing]:
    return [item.standing for run in result.runs for item in run.items]


def test_a_clean_run_passes_and_a_finding_does_not() -> None:
    assert judge([a_run()], Terms()).outcome is Outcome.CLEAN
    assert judge([a_run(finding())], Terms()).outcome is Outcome.FINDINGS
    assert judge([a_run(error())], Terms()).outcome is Outcome.FINDINGS


@pytest.mark.parametrize("held", [(), (finding(),)], ids=["nothing", "known"])
def test_a_doubt_never_passes(held) -> None:
    run = a_run(*held, doubts=("the file is cut",))
    assert judge([run], Terms(), known_of(a_run(*held))).outcome is Outcome.INCONCLUSIVE


def test_an_inconclusive_run_fails_as_such_whatever_it_holds() -> None:
    run = a_run(finding(), doubts=("killed",), verdict=Verdict.INCONCLUSIVE)
    assert judge([run], Terms()).outcome is Outcome.INCONCLUSIVE


def test_suspects_are_the_gates_to_judge_though_the_run_is_inconclusive_by_them() -> None:
    suspect = finding(kind=FindingKind.SUSPECT)
    run = a_run(suspect, verdict=Verdict.INCONCLUSIVE)
    assert judge([run], Terms()).outcome is Outcome.FINDINGS
    known = known_of(a_run(suspect, verdict=Verdict.INCONCLUSIVE))
    assert judge([run], Terms(), known).outcome is Outcome.CLEAN
    assert judge([run], Terms(kinds=gate.kinds_of("lost"))).outcome is Outcome.CLEAN
    cut = a_run(suspect, doubts=("cut",), verdict=Verdict.INCONCLUSIVE)
    assert judge([cut], Terms(), known).outcome is Outcome.INCONCLUSIVE


def test_why_an_answer_cant_be_passed() -> None:
    suspect = finding(kind=FindingKind.SUSPECT)
    assert gate.doubts_of(Answer(Verdict.INCONCLUSIVE, ["suspects"], [suspect])) == []
    assert gate.doubts_of(Answer(Verdict.INCONCLUSIVE, ["cut", "suspects"], [suspect], doubts=[Doubt("cut")])) == ["cut"]
    assert gate.doubts_of(Answer(Verdict.INCONCLUSIVE, ["nothing was measured"])) == ["nothing was measured"]
    assert gate.doubts_of(Answer(Verdict.CLEAN, ["no site grows"])) == []


def test_findings_of_one_run_outweigh_the_doubts_of_another() -> None:
    assert judge([a_run(doubts=("cut",)), a_run(finding())], Terms()).outcome is Outcome.FINDINGS
    assert judge([a_run(doubts=("cut",)), a_run()], Terms()).outcome is Outcome.INCONCLUSIVE


def test_nothing_at_all_does_not_pass() -> None:
    assert judge([], Terms()).outcome is Outcome.INCONCLUSIVE


def test_only_what_is_asked_for_fails() -> None:
    result = judge([a_run(finding(), error())], Terms(kinds=gate.kinds_of("errors")))
    assert standings(result) == [Standing.UNASKED, Standing.NEW]
    assert judge([a_run(finding())], Terms(kinds=gate.kinds_of("errors"))).outcome is Outcome.CLEAN


def test_growing_stands_for_growth_of_every_kind() -> None:
    assert gate.kinds_of("lost, growing") == {"lost", "growing", "mapping-growth", "stack-growth"}
    with pytest.raises(LeakrunError):
        gate.kinds_of("lost,groing")
    with pytest.raises(LeakrunError):
        gate.kinds_of("")


def test_a_tool_that_cannot_see_what_is_asked_for_does_not_pass() -> None:
    assert judge([a_run(tool="massif")], Terms(kinds=gate.kinds_of("lost"))).outcome is Outcome.INCONCLUSIVE
    result = judge([a_run()], Terms(kinds=gate.kinds_of("lost,growing")))
    assert result.outcome is Outcome.CLEAN and "growing" in result.unseen
    assert judge([a_run(), a_run(tool="massif")], Terms(kinds=gate.kinds_of("lost,growing"))).outcome is Outcome.CLEAN


@pytest.mark.parametrize(
    ("held", "terms", "passes"),
    [
        (finding(size=1000), Terms(max_bytes=1000), True),
        (finding(size=1001), Terms(max_bytes=1000), False),
        (finding(size=1), Terms(max_rate=1000), False),
        (finding(kind=GROWING, rate=10.0), Terms(max_rate=10), True),
        (finding(kind=GROWING, rate=10.1), Terms(max_rate=10), False),
        (finding(kind=GROWING), Terms(max_rate=10), False),
        (finding(kind=GROWING, size=5000, rate=1.0), Terms(max_rate=10, max_bytes=1000), False),
        (finding(kind=GROWING, size=500, rate=1.0), Terms(max_rate=10, max_bytes=1000), True),
        (error(), Terms(max_bytes=1000), False),
    ],
)
def test_limits(held, terms: Terms, passes: bool) -> None:
    assert (judge([a_run(held)], terms).outcome is Outcome.CLEAN) is passes


def test_a_baseline_outlives_edits_and_another_checkout() -> None:
    before = known_of(a_run(finding(line=7), finding("g")))
    moved = a_run(finding(line=99, file="/elsewhere/src/a.c"), finding("g", line=1))
    result = judge([moved], Terms(), before)
    assert result.outcome is Outcome.CLEAN and standings(result) == [Standing.KNOWN] * 2 and result.gone == []


def test_a_baseline_tells_new_worse_and_gone() -> None:
    before = known_of(a_run(finding("old"), finding("gone"), finding("worse", size=10)))
    result = judge([a_run(finding("old"), finding("worse", size=11), finding("fresh"))], Terms(), before)
    assert standings(result) == [Standing.KNOWN, Standing.WORSE, Standing.NEW]
    assert [entry.function for entry in result.gone] == ["gone"] and result.outcome is Outcome.FINDINGS


def test_less_than_before_is_known() -> None:
    result = judge([a_run(finding(size=10, blocks=1))], Terms(), known_of(a_run(finding(size=1000))))
    assert standings(result) == [Standing.KNOWN]


def test_more_blocks_of_fewer_bytes_are_worse() -> None:
    assert standings(judge([a_run(finding(blocks=4))], Terms(), known_of(a_run(finding(blocks=3))))) == [Standing.WORSE]


def test_another_line_of_a_known_function_is_worse() -> None:
    before = known_of(a_run(finding(line=7)))
    assert standings(judge([a_run(finding(line=7), finding(line=8))], Terms(), before)) == [Standing.WORSE] * 2


def test_growth_is_measured_by_its_rate_with_room() -> None:
    before = known_of(a_run(finding(kind=GROWING, size=1000, rate=100.0)))
    for rate, expected in ((149.0, Standing.KNOWN), (151.0, Standing.WORSE)):
        longer = a_run(finding(kind=GROWING, size=90_000, rate=rate))
        assert standings(judge([longer], Terms(), before)) == [expected]
    tight = a_run(finding(kind=GROWING, size=1000, rate=111.0))
    assert standings(judge([tight], Terms(tolerance=0.1), before)) == [Standing.WORSE]


def test_the_same_file_name_twice_is_not_mixed_up() -> None:
    before = known_of(a_run(finding("init", file="/p/a/init.c"), finding("init", file="/p/b/init.c", size=5)))
    result = judge([a_run(finding("init", file="/p/b/init.c", size=1000))], Terms(), before)
    assert standings(result) == [Standing.WORSE]
    elsewhere = judge([a_run(finding("init", file="/q/c/init.c"))], Terms(), before)
    assert standings(elsewhere) == [Standing.NEW], "it may be either: neither is excused"


def test_kinds_are_told_apart() -> None:
    before = known_of(a_run(finding(kind=FindingKind.SUSPECT), error(kind="InvalidRead")))
    result = judge([a_run(finding(), error(kind="InvalidWrite"))], Terms(), before)
    assert standings(result) == [Standing.NEW, Standing.NEW]


def test_what_a_run_cannot_see_is_not_gone() -> None:
    before = known_of(a_run(finding()), a_run(finding("g", kind=GROWING), tool="massif"))
    result = judge([a_run()], Terms(), before)
    assert [entry.function for entry in result.gone] == ["f"]
    assert [entry.function for entry in gate.updated(result, before)] == ["g"]


def test_what_is_not_asked_for_is_neither_gone_nor_forgotten() -> None:
    before = known_of(a_run(finding(), error()))
    result = judge([a_run(finding(), error())], Terms(kinds=gate.kinds_of("errors")), before)
    assert result.gone == []
    assert {entry.kind for entry in gate.updated(result, before)} == {"lost", "InvalidRead"}


def test_a_baseline_reads_the_same_whatever_the_order() -> None:
    one, other = finding("a"), finding("b")
    texts = {baseline.text_of(gate.updated(judge([a_run(*held)], Terms()), [])) for held in ((one, other), (other, one))}
    assert len(texts) == 1
    assert json.loads(texts.pop())["schema"] == "leakrun.baseline/1"


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", "[" * 9999, '{"schema": "leakrun.baseline/2", "findings": []}', '{"schema": "leakrun.baseline/1"}',
        '{"schema": "leakrun.baseline/1", "findings": [7]}', '{"schema": "leakrun.baseline/1", "findings": [{"kind": 1}]}',
        '{"schema": "leakrun.baseline/1", "findings": [{"kind": "lost", "function": 3}]}',
        '{"schema": "leakrun.baseline/1", "findings": [{"kind": "lost", "bytes": "many"}]}',
        '{"schema": "leakrun.baseline/1", "findings": [{"kind": "lost", "bytes": true}]}',
    ],
)  # fmt: skip
def test_a_damaged_baseline_is_one_clear_error(text: str) -> None:
    with pytest.raises(LeakrunError) as raised:
        baseline.read(text, "b.json")
    assert "b.json" in raised.value.message and raised.value.hint
