"""Whatever a valid recording holds, there is an answer, and it keeps its promises."""

import io
import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.analysis import Scope, conclude
from runner.model import (
    BELOW_THRESHOLD,
    Column,
    Defect,
    FindingKind,
    Frame,
    Loss,
    LossKind,
    Metric,
    Recording,
    Snapshot,
    TimeUnit,
    Verdict,
    check_valid,
)
from runner.reports import answer_json, terminal

texts = st.one_of(st.sampled_from(["malloc", "main", "xmalloc", "std::f()", "???", "f(int)", "g"]), st.text(max_size=12))
paths = st.one_of(
    st.sampled_from(["/src/a.c", "/usr/include/c++/12/x.h", "/usr/lib/libc.so.6", "./malloc/malloc.c"]), st.text(max_size=9)
)


@st.composite
def frames(draw):
    if draw(st.integers(0, 9)) == 0:
        return BELOW_THRESHOLD
    file = draw(st.none() | paths)
    line = None if file is None else draw(st.none() | st.integers(0, 9999))
    return Frame(
        draw(st.none() | texts),
        file,
        line,
        draw(st.none() | paths),
        draw(st.none() | st.integers(0, 2**64 - 1)),
        draw(st.booleans()),
    )


@st.composite
def recordings(draw):
    made = Recording("tool", pid=draw(st.none() | st.integers(1, 4)), parent_pid=draw(st.none() | st.integers(1, 4)))
    made.time_unit = draw(st.sampled_from(TimeUnit))
    made.command = draw(st.lists(texts, max_size=2))
    made.complete = draw(st.booleans())
    stacks = [made.table.intern(stack) for stack in draw(st.lists(st.lists(frames(), max_size=6), min_size=1, max_size=8))]
    stacks = sorted(set(stacks))
    times = sorted(draw(st.lists(st.floats(0, 1e9) | st.integers(0, 20).map(float), max_size=30)))
    for time in times:
        columns = {}
        for metric in draw(st.sets(st.sampled_from([Metric.LIVE_BYTES, Metric.LIVE_BLOCKS, Metric.ALLOCATED_BYTES]))):
            chosen = draw(st.lists(st.sampled_from(stacks), unique=True, max_size=8))
            columns[metric] = Column(chosen, [draw(st.integers(0, 2**40)) for _ in chosen])
        totals = draw(st.dictionaries(st.sampled_from([Metric.LIVE_BYTES, Metric.STACK_BYTES]), st.integers(0, 2**41)))
        made.snapshots.append(Snapshot(time, totals, columns))
    for _ in range(draw(st.integers(0, 6))):
        size = draw(st.integers(0, 2**40))
        made.losses.append(
            Loss(
                draw(st.sampled_from(LossKind)),
                size,
                draw(st.integers(0, 99)),
                draw(st.sampled_from(stacks)),
                draw(st.integers(0, size)),
            )
        )
    for _ in range(draw(st.integers(0, 3))):
        made.defects.append(Defect(draw(texts), draw(texts), draw(st.none() | st.sampled_from(stacks)), 2, [("at", stacks[0])]))
    check_valid(made)
    return made


scopes = st.builds(
    Scope,
    sees=st.frozensets(st.sampled_from(FindingKind)),
    wrappers=st.lists(texts, max_size=2).map(tuple),
    warmup=st.sampled_from([0.0, 5.0]),
    unfinished=st.sampled_from(["", "it was killed: let it end"]),
    reasons=st.sampled_from([(), ("it was not measured",)]),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(recordings(), max_size=3), scopes)
def test_the_answer_keeps_its_promises(made, scope):
    answer = conclude(made, scope)
    losses = [f for f in answer.findings if f.kind in (FindingKind.LOST, FindingKind.SUSPECT)]
    growth = [f for f in answer.findings if f not in losses]
    assert [finding.rank for finding in answer.findings] == list(range(1, len(answer.findings) + 1))
    for group in (losses, growth):
        assert sum(finding.share for finding in group) <= 1 + 1e-3 * len(group)
    for finding in answer.findings:
        assert 0 <= finding.share <= 1
        assert 0 < finding.confidence <= 1
        assert finding.bytes >= 0
        assert finding.rate is None or math.isfinite(finding.rate.value)
        assert finding.evidence
    assert answer.reasons
    if answer.verdict is Verdict.CLEAN:
        assert not answer.findings
        assert not scope.unfinished
        assert all(recording.complete for recording in made)
    if scope.reasons:
        assert answer.verdict is Verdict.INCONCLUSIVE

    assert answer_json.from_dict(answer_json.to_dict(answer)) == answer
    for width in (40, 80):
        stream = io.StringIO()
        terminal.render(answer, stream, width=width, color=False, verbose=width == 40)
        assert all(len(line) <= width for line in stream.getvalue().split("\n") if not line.startswith("next: "))
        assert not set(stream.getvalue()) & set(map(chr, [*range(10), *range(11, 32), *range(127, 160)]))
