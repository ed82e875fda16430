"""Several runs of one program as one answer."""

import pytest

from runner.analysis.agreement import KEPT_BY_ALLOCATORS, agree
from runner.analysis.repeats import without_repeats
from runner.formats import smaps
from runner.model import AnswerFrame, Doubt, DoubtKind, Finding, FindingKind, Frame, LossKind, Note, Rate, Verdict
from tests.analysis.recordings import MAIN, MALLOC, code, losing
from tests.hunt.witnesses import (
    GROWING,
    LOST,
    MAPPING,
    OF_A_SITE,
    STACK,
    SUSPECT,
    UNJUDGED,
    finding,
    frame,
    heapprofile,
    massif,
    memcheck,
    pmap,
    sites,
    witness,
)


def test_what_one_tool_calls_lost_and_another_growing_is_lost_and_keeps_both_figures() -> None:
    agreed = agree([heapprofile(finding(GROWING, size=900_000)), massif(finding(GROWING)), memcheck(finding(LOST, size=400_000))])
    assert agreed.answer.verdict is Verdict.LEAKING
    (first,) = agreed.answer.findings
    assert (first.kind, first.bytes, first.bytes_per_second) == (LOST, 400_000, 1000.0)
    assert first.evidence[0] == (
        "3 of 3 tools name put cache.c:7: heapprofile, massif and memcheck; heapprofile and massif cannot see lost, "
        "memcheck cannot see growth"
    )
    assert first.confidence == 0.99


def test_tools_that_spell_and_blame_a_little_differently_speak_of_one_site() -> None:
    one = finding(GROWING, "app::Cache<int, app::Page>::put", 21, file="/build/src/cache.cpp")
    other = finding(LOST, "put", 23, file="cache.cpp")
    assert len(agree([heapprofile(one), memcheck(other)]).answer.findings) == 1


def called(*functions: str) -> list[AnswerFrame]:
    return [AnswerFrame(each, each, "/src/cache.c", line, None, None, False) for line, each in enumerate(functions, 30)]


def test_a_wrapper_that_one_tool_saw_through_is_seen_through_for_all() -> None:
    stack = called("pool_get", "put", "main")
    lost = memcheck(finding(LOST, "pool_get", 30, stack=stack))
    assert sites(agree([heapprofile(finding(GROWING, "put", 31, stack=stack)), lost])) == [("lost", "put", 31)]
    assert sites(agree([heapprofile(finding(GROWING, "get", 50, stack=called("get", "main"))), lost])) == [
        ("growing", "get", 50),
        ("lost", "pool_get", 30),
    ]


def test_wrappers_of_wrappers_that_one_tool_saw_through_are_seen_through_for_all() -> None:
    stack = called("read_binary", "read_string", "unsubscribe", "main")
    growing = heapprofile(finding(GROWING, "unsubscribe", 32, stack=stack))
    assert sites(agree([growing, memcheck(finding(LOST, "read_binary", 30, stack=stack))])) == [("lost", "unsubscribe", 32)]
    elsewhere = memcheck(finding(LOST, "read_binary", 30, stack=called("read_binary", "read_string", "publish", "main")))
    assert ("lost", "publish", 32) in sites(agree([growing, elsewhere])), "its own caller, whichever that is"


def test_two_lines_that_one_tool_tells_apart_are_two_sites() -> None:
    lost = memcheck(finding(LOST, line=10), finding(LOST, line=12, size=5))
    agreed = agree([massif(finding(GROWING, line=12, size=900_000)), lost])
    assert sites(agreed) == [("lost", "put", 12), ("lost", "put", 10)]


def test_lines_of_one_function_that_lie_apart_are_two_sites() -> None:
    agreed = agree([heapprofile(finding(GROWING, line=10)), memcheck(finding(LOST, line=40))])
    assert len(agreed.answer.findings) == 2


def test_growth_by_bytes_allocated_alone_does_not_outweigh_tools_that_can_not_tell_by_time() -> None:
    """A container that fills is all that is allocated: on that axis it rises in a straight line."""
    untimed = finding(GROWING)
    untimed.bytes_per_second, untimed.rate = None, Rate(0.5, "bytes/byte allocated")
    by_allocation = witness("massif-alloc", {GROWING}, untimed)
    unsure = Doubt("it may yet level off", DoubtKind.SITE, "put", "/src/cache.c", 7)
    agreed = agree([heapprofile(doubts=(unsure,)), by_allocation])
    assert agreed.answer.verdict is Verdict.INCONCLUSIVE and not agreed.answer.findings
    assert agree([heapprofile(doubts=(unsure,)), massif(finding(GROWING))]).answer.verdict is Verdict.GROWING


def test_growth_that_another_tool_judged_and_did_not_see_is_disputed() -> None:
    agreed = agree([heapprofile(finding(GROWING)), massif()])
    assert agreed.answer.verdict is Verdict.INCONCLUSIVE
    assert not agreed.answer.findings
    assert [note.kind for note in agreed.answer.notes] == ["disputed"]
    assert agreed.answer.reasons == ["heapprofile saw put cache.c:7 grow by 100 kB, massif did not: run it longer"]


def test_a_tool_that_could_not_judge_disputes_nothing() -> None:
    agreed = agree([heapprofile(finding(GROWING)), massif(doubts=(UNJUDGED,))])
    assert agreed.answer.verdict is Verdict.GROWING
    assert agreed.unconfirmed == [GROWING]


def test_a_tool_that_saw_the_site_level_off_disputes_it_whatever_else_it_doubts() -> None:
    level = Note("plateau", "put has levelled off", "put", "/src/cache.c", 7, 100)
    other = massif(doubts=(OF_A_SITE,), notes=[level])
    assert not agree([heapprofile(finding(GROWING)), other]).answer.findings


def test_a_tool_of_pages_disputes_no_growth_on_the_heap() -> None:
    level = Note("plateau", "put has levelled off", "put", "/src/cache.c", 7, 100)
    pages = witness("massif-pages", {MAPPING}, notes=[level])
    assert sites(agree([heapprofile(finding(GROWING)), pages])) == [("growing", "put", 7)]


def test_what_is_lost_needs_no_second_tool() -> None:
    agreed = agree([massif(), memcheck(finding(LOST))])
    assert sites(agreed) == [("lost", "put", 7)]
    assert agreed.unconfirmed == []


def test_a_name_that_one_tool_lost_is_found_on_the_stack_of_the_other() -> None:
    whole = finding(GROWING, "make", 3, stack=[frame("malloc"), frame("make"), frame("handle"), frame("main")])
    agreed = agree(
        [heapprofile(whole), massif(finding(GROWING, "handle", 40, stack=[frame("handle"), frame("main")], size=5000))]
    )
    assert sites(agreed) == [("growing", "make", 3)]


def test_doubts_of_growth_leave_what_was_lost_as_it_is() -> None:
    doubtful = memcheck(doubts=(UNJUDGED,))
    agreed = agree([massif(), doubtful], frozenset({LOST, GROWING}))
    assert agreed.answer.verdict is Verdict.CLEAN
    assert agreed.open == frozenset()


def test_a_doubt_of_one_mapping_says_nothing_of_stacks() -> None:
    agreed = agree([pmap(doubts=(OF_A_SITE,))])
    assert agreed.open == {MAPPING}


def test_clean_needs_an_answer_to_each_question() -> None:
    agreed = agree([massif()], frozenset({LOST, GROWING}))
    assert agreed.answer.verdict is Verdict.INCONCLUSIVE
    assert agreed.answer.reasons == ["no tool was asked about lost memory"]
    assert agreed.open == {LOST}


@pytest.mark.parametrize("kind", [MAPPING, STACK])
def test_what_the_kernel_sees_grow_stands_until_a_tool_that_names_code_has_judged(kind: FindingKind) -> None:
    seen = pmap(finding(kind, "[anonymous mappings]", None, file=None))
    agreed = agree([seen, massif(), memcheck()])
    assert agreed.answer.verdict is Verdict.GROWING
    assert agreed.unnamed == {kind}
    judged = agree([seen, massif(), memcheck(), witness("massif-pages", {MAPPING, STACK})])
    assert judged.answer.findings == []
    assert [note.kind for note in judged.answer.notes] == ["fragmentation"]


@pytest.mark.parametrize(
    ("what", "verdict"),
    [
        ("[anonymous mappings]", Verdict.INCONCLUSIVE),
        ("server data", Verdict.INCONCLUSIVE),
        ("file /srv/all data", Verdict.GROWING),
        ("[heap]", Verdict.CLEAN),
    ],
)
def test_what_an_allocator_of_the_programs_own_may_fill_is_not_clean(what: str, verdict: Verdict) -> None:
    seen = pmap(finding(MAPPING, what, None, file=None))
    judged = agree([seen, massif(), memcheck(), witness("massif-pages", {MAPPING, STACK})])
    assert judged.answer.verdict is verdict
    assert any("allocator of the program's own" in each for each in judged.answer.reasons) == (verdict is Verdict.INCONCLUSIVE)


def test_no_allocator_keeps_shared_memory_or_the_stacks_of_threads() -> None:
    assert {smaps.HEAP, smaps.ARENAS, smaps.ANONYMOUS} == KEPT_BY_ALLOCATORS
    for kind in ("[stacks of threads]", smaps.SHARED):
        judged = agree(
            [pmap(finding(MAPPING, kind, None, file=None)), massif(), memcheck(), witness("heapprofile-mmap", {MAPPING})]
        )
        assert sites(judged) == [("mapping-growth", kind, None)]
        assert judged.unnamed == {MAPPING}


def test_a_tool_that_misses_what_the_kernel_sees_mapped_says_nothing_against_one_that_does_not() -> None:
    seen, named = (
        pmap(finding(MAPPING, "[stacks of threads]", None, file=None)),
        witness("massif-pages", {MAPPING}, finding(MAPPING)),
    )
    misses = witness("heapprofile-mmap", {MAPPING})
    assert sites(agree([seen, misses, named])) == [("mapping-growth", "put", 7)]
    kept = pmap(finding(MAPPING, "[anonymous mappings]", None, file=None))
    assert agree([kept, misses, named]).answer.verdict is not Verdict.GROWING
    other = witness("heapprofile-mmap", {MAPPING}, finding(MAPPING, "get", 90))
    assert [note.kind for note in agree([seen, other, named]).answer.notes] == ["disputed", "disputed"]


@pytest.mark.parametrize("mapped, kind", [(150_000, GROWING), (9_000_000, MAPPING)])
def test_a_thread_that_is_left_behind_costs_its_stack_more_than_what_malloc_gave_it(mapped: int, kind: FindingKind) -> None:
    pages = witness("massif-pages", {MAPPING}, finding(MAPPING, size=mapped))
    (first,) = agree([heapprofile(finding(GROWING)), pages]).answer.findings
    assert (first.kind, first.bytes) == (kind, mapped if kind is MAPPING else 100_000)


def test_what_grows_by_name_explains_what_the_kernel_sees() -> None:
    agreed = agree([pmap(finding(MAPPING, "[heap]", None, 120_000, None)), massif(finding(GROWING)), memcheck()])
    assert sites(agreed) == [("growing", "put", 7)]
    assert agreed.unnamed == frozenset()
    assert "the kernel sees [heap] grow by 120 kB" in agreed.answer.findings[0].evidence


def test_interior_pointers_to_what_does_not_grow_are_a_note() -> None:
    agreed = agree([massif(), memcheck(finding(SUSPECT))])
    assert agreed.answer.verdict is Verdict.CLEAN
    assert [note.kind for note in agreed.answer.notes] == ["possibly-lost"]


def test_interior_pointers_alone_decide_nothing() -> None:
    alone = agree([memcheck(finding(SUSPECT))]).answer
    assert (alone.verdict, [each.kind for each in alone.findings]) == (Verdict.INCONCLUSIVE, [SUSPECT])
    assert "leakrun -p massif" in alone.reasons[-1]
    unsure = agree([massif(doubts=(UNJUDGED,)), memcheck(finding(SUSPECT))]).answer
    assert unsure.verdict is Verdict.INCONCLUSIVE and unsure.reasons[0] == "massif: x" and len(unsure.reasons) == 2
    elsewhere = agree([massif(finding(GROWING, "get", 50), doubts=(UNJUDGED,)), memcheck(finding(SUSPECT))]).answer
    assert elsewhere.verdict is Verdict.GROWING
    assert agree([memcheck(finding(SUSPECT), finding(LOST, "get", 50))]).answer.verdict is Verdict.LEAKING


def test_what_costs_most_comes_first_and_a_lost_block_last() -> None:
    once = finding(LOST, "init", 3, 1_000_000, blocks=1)
    agreed = agree([heapprofile(finding(GROWING, size=5000)), memcheck(once, finding(LOST, "get", 50, 9000))])
    assert [each.function for each in agreed.answer.findings] == ["get", "put", "init"]
    assert [each.rank for each in agreed.answer.findings] == [1, 2, 3]


def test_growth_that_is_not_sure_ranks_under_what_is_however_large() -> None:
    table = finding(GROWING, "resize", 3, 900_000, confidence=0.5)
    agreed = agree([heapprofile(finding(GROWING, size=5000), table)])
    assert [each.function for each in agreed.answer.findings] == ["put", "resize"]


def test_nothing_at_all_is_inconclusive() -> None:
    assert agree([]).answer.verdict is Verdict.INCONCLUSIVE


def test_reports_of_one_process_that_list_a_leak_again_count_it_once() -> None:
    stack, other = (MALLOC, code("put", 7), MAIN), (MALLOC, code("get", 9), MAIN)
    early = losing((LossKind.DEFINITE, 100, 1, stack), (LossKind.DEFINITE, 50, 1, other))
    late = losing((LossKind.DEFINITE, 300, 3, stack))
    elsewhere = losing((LossKind.DEFINITE, 100, 1, stack), pid=2)
    without_repeats([early, late, elsewhere])
    assert [loss.bytes for loss in early.losses] == [50]
    assert [loss.bytes for loss in late.losses] == [300]
    assert [loss.bytes for loss in elsewhere.losses] == [100]


def test_reports_without_a_pid_are_left_as_they_are() -> None:
    report = losing((LossKind.DEFINITE, 100, 1, (Frame("put"), MAIN)), (LossKind.DEFINITE, 100, 1, (Frame("put"), MAIN)))
    report.pid = None
    without_repeats([report, report])
    assert len(report.losses) == 2


def test_inlined_code_that_one_tool_has_in_the_file_of_what_stands_before_it_is_in_its_caller_s() -> None:
    main = AnswerFrame("main", "main", "/src/cache.c", 40, None, None, False)

    def grown(file: str) -> Finding:
        inlined = AnswerFrame("put", "put", file, 7, None, None, True)
        return finding(MAPPING, size=900_000, file=file, stack=[inlined, main])

    pages = witness("massif-pages", {MAPPING}, grown("/src/list.h"))
    calls = witness("heapprofile-mmap", {MAPPING}, grown("/src/cache.c"))
    assert sites(agree([pages, calls])) == [("mapping-growth", "put", 7)]
    assert agree([pages, calls]).answer.findings[0].file == "/src/cache.c"
    alone = agree([pages]).answer.findings[0]
    assert alone.file == "/src/list.h"


def test_a_heap_that_the_kernel_sees_grow_is_undecided_where_the_tools_are_of_a_site_in_it() -> None:
    heap = pmap(finding(MAPPING, "[heap]", None, 120_000, None))
    agreed = agree([heap, massif(doubts=(OF_A_SITE,)), memcheck()])
    assert (agreed.answer.verdict, sites(agreed)) == (Verdict.INCONCLUSIVE, [])
    assert agreed.answer.reasons == ["massif: y"]
    shared = pmap(finding(MAPPING, "/dev/shm/x", None, 120_000, None))
    assert sites(agree([shared, massif(doubts=(OF_A_SITE,)), memcheck()])) == [("mapping-growth", "/dev/shm/x", None)]


def test_who_is_unsure_of_another_site_sees_all_the_same_that_this_one_does_not_grow() -> None:
    unsure_elsewhere = heapprofile(doubts=(OF_A_SITE,))
    agreed = agree([unsure_elsewhere, massif(finding(GROWING))])
    assert (agreed.answer.verdict, sites(agreed)) == (Verdict.INCONCLUSIVE, [])
    assert "heapprofile did not" in " ".join(agreed.answer.reasons)
    through_it = finding(GROWING, stack=called("put", "get", "main"))
    assert sites(agree([unsure_elsewhere, massif(through_it)])) == [("growing", "put", 7)]
