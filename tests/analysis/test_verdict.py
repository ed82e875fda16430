import numpy as np
import pytest

from runner.analysis import Scope, conclude
from runner.model import (
    BELOW_THRESHOLD,
    Column,
    Defect,
    DoubtKind,
    FindingKind,
    Frame,
    Loss,
    LossKind,
    Metric,
    Recording,
    Snapshot,
    TimeUnit,
    Verdict,
)
from tests.analysis.recordings import GROWTH, LIBC, LOSSES, MAIN, MALLOC, code, growing, losing

PUT = (MALLOC, code("cache_put(int)", 7), MAIN)
KEEP = (MALLOC, code("keep", 50), MAIN)
TIMES = np.linspace(0, 30, 31)
UP = np.linspace(0, 900_000, 31)
FLAT = np.full(31, 5_000_000.0)


def of_growth(series, times=TIMES, **scope):
    return conclude([growing(series, times)], Scope(GROWTH, **scope))


def of_losses(*losses, **scope):
    return conclude([losing(*losses)], Scope(LOSSES, **scope))


def test_growth_decides_not_size():
    answer = of_growth({PUT: UP, KEEP: FLAT})
    assert answer.verdict is Verdict.GROWING
    assert [(f.rank, f.kind, f.function, f.signature, f.line) for f in answer.findings] == [
        (1, FindingKind.GROWING, "cache_put", "cache_put(int)", 7)
    ]
    found = answer.findings[0]
    assert found.bytes == 900_000
    assert found.bytes_per_second == pytest.approx(30_000, rel=0.01)
    assert found.share == 1.0
    assert found.stack[-1].function == "main"
    assert "from 0 bytes to 900 kB over 30 s" in found.evidence[0]
    assert "cache_put server.c:7" in answer.reasons[0]


def test_clean_says_what_a_tool_of_the_heap_can_not_see():
    assert of_growth({KEEP: FLAT}).reasons[0].endswith("4 KiB or more; what mappings and stacks do it cannot see")
    whole = conclude([growing({KEEP: FLAT}, TIMES)], Scope(GROWTH | {FindingKind.MAPPING_GROWTH, FindingKind.STACK_GROWTH}))
    assert whole.reasons[0].endswith("4 KiB or more")


def test_a_tool_of_growth_says_of_no_child_that_nothing_is_lost():
    main, brief = growing({KEEP: FLAT}, TIMES), growing({PUT: UP[:2]}, TIMES[:2], pid=2)
    reasons = conclude([main, brief], Scope(GROWTH)).reasons
    assert len(reasons) == 1 and "no site keeps growing" in reasons[0]


def test_a_buffer_that_its_users_extend_in_turn_grows_where_it_is_extended():
    extend, size = code("buffer_grow", 15), 4096 * np.arange(1, 41)
    by_other = np.isin(np.arange(40), (19, 20, 30))
    held = {
        (extend, code("accept", 41), MAIN): np.where(by_other, 0, size),
        (extend, code("refuse", 37), MAIN): np.where(by_other, size, 0),
        (extend, code("print", 51), MAIN): 4096 * (np.arange(40) % 2),
    }
    answer = of_growth(held, np.arange(40.0))
    assert [(f.kind, f.function, f.line, f.bytes) for f in answer.findings] == [(FindingKind.GROWING, "buffer_grow", 15, 155_648)]
    assert answer.verdict is Verdict.GROWING


def test_stacks_of_one_line_are_one_finding_and_two_lines_are_two():
    other = (MALLOC, code("cache_put(int)", 7), code("serve", 90), MAIN)
    below = (code("operator new(unsigned long)", 1), code("cache_put(int)", 7), MAIN)
    answer = of_growth({PUT: UP, other: 2 * UP, below: UP, (code("log", 9), MAIN): UP})
    assert [(f.function, f.bytes, f.share) for f in answer.findings] == [("cache_put", 3_600_000, 0.8), ("log", 900_000, 0.2)]
    assert [frame.function for frame in answer.findings[0].stack] == ["malloc", "cache_put", "serve", "main"], "the heaviest"


def test_what_may_be_a_saw_tooth_is_not_called_growing():
    times = np.arange(9.0)
    sawn, steady = 20_000.0 * times, 8_000.0 * times
    recording = growing({PUT: sawn, KEEP: steady}, times)
    for number, snapshot in enumerate(recording.snapshots):
        snapshot.columns[Metric.ALLOCATED_BYTES] = Column([0, 1], [number * 200_000, number * 8_000])
    answer = conclude([recording], Scope(GROWTH))
    assert [finding.function for finding in answer.findings] == ["keep"]
    assert "cache_put server.c:7 rose to 160 kB" in answer.doubts[0].text
    assert (answer.doubts[0].kind, answer.doubts[0].function, answer.doubts[0].line) == (DoubtKind.SITE, "cache_put", 7)


def test_a_finding_without_a_line_says_what_brings_it():
    bare = (MALLOC, Frame("lose", None, None, "/opt/app/server"), Frame("main", None, None, "/opt/app/server"))
    limits = [note.text for note in of_losses((LossKind.DEFINITE, 300, 3, bare)).notes if note.kind == "limit"]
    assert limits == ["/opt/app/server has no debug information, lines are not known: build it with -g, or get its -dbgsym"]
    assert not [note for note in of_losses((LossKind.DEFINITE, 300, 3, PUT)).notes if note.kind == "limit"]


def test_what_is_not_sure_stands_under_what_is():
    doubling = 8192 * 2.0 ** np.floor(np.log2(np.maximum(TIMES, 0.01) / 25) + 6).clip(0, 6)
    answer = of_growth({PUT: doubling, KEEP: np.linspace(0, 90_000, 31)})
    assert [finding.function for finding in answer.findings] == ["keep", "cache_put"]
    assert answer.findings[0].bytes < answer.findings[1].bytes


def test_a_worker_that_crashed_is_not_clean():
    main, worker = losing(pid=1), losing(pid=2, parent=1)
    for recording in (main, worker):
        recording.complete = True
    assert conclude([main, worker], Scope(LOSSES)).verdict is Verdict.CLEAN
    worker.defects.append(Defect("FatalSignal", "Process terminating with default action of signal 11 (SIGSEGV)", None))
    answer = conclude([main, worker], Scope(LOSSES))
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert answer.reasons[0].startswith("process 2: it crashed")


def test_clean_needs_eight_snapshots_spread_over_the_run():
    assert of_growth({KEEP: FLAT}).verdict is Verdict.CLEAN
    few = of_growth({PUT: UP[:5]}, TIMES[:5])
    assert few.verdict is Verdict.INCONCLUSIVE
    assert not few.findings
    assert "only 5 snapshots" in few.reasons[0]
    assert "--every" in few.reasons[0]
    assert [(note.kind, note.function, note.line, note.bytes) for note in few.notes] == [("live", "cache_put", 7, int(UP[4]))]
    short = of_growth({PUT: UP}, TIMES / 100)
    assert short.verdict is Verdict.INCONCLUSIVE
    assert "0.3 s" in short.reasons[0]
    bunched = of_growth({PUT: UP}, np.concatenate([np.linspace(0, 2, 30), [30]]))
    assert bunched.verdict is Verdict.INCONCLUSIVE


def test_what_is_freed_at_exit_still_grew():
    times = np.concatenate([TIMES, [30.1, 30.2, 30.3]])
    answer = of_growth({PUT: np.concatenate([UP, [700_000, 300_000, 0]]), KEEP: np.concatenate([FLAT, [2e6, 1e6, 0]])}, times)
    assert [f.function for f in answer.findings] == ["cache_put"]
    assert answer.findings[0].bytes == 900_000


def test_warm_up_is_left_out():
    rising = np.minimum(TIMES, 20) * 1e5
    series = {PUT: rising, KEEP: FLAT}
    late = of_growth(series, warmup=21)
    assert late.verdict is Verdict.CLEAN
    in_instructions = conclude([growing(series, TIMES, unit=TimeUnit.INSTRUCTIONS)], Scope(GROWTH, warmup=21))
    assert any("warm-up" in note.text for note in in_instructions.notes)


def test_a_cache_that_is_full_is_a_note():
    answer = of_growth({PUT: np.minimum(TIMES, 9) * 1e5})
    assert answer.verdict is Verdict.CLEAN
    assert [(note.kind, note.function) for note in answer.notes] == [("plateau", "cache_put")]


def test_growth_that_fades_late_is_no_clean_run():
    answer = of_growth({PUT: np.minimum(TIMES, 23) * 1e5})
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert not answer.findings
    assert "cache_put" in answer.reasons[0]


def test_growth_over_instructions_has_a_rate_but_none_per_second():
    answer = conclude([growing({PUT: UP}, TIMES * 1e6, unit=TimeUnit.INSTRUCTIONS)], Scope(GROWTH))
    assert answer.findings[0].bytes_per_second is None
    assert answer.findings[0].rate.unit == "bytes/instruction"
    assert answer.findings[0].rate.value == pytest.approx(0.03, rel=0.01)


def test_pages_that_grow_are_mapping_growth():
    recording = growing({PUT: UP}, TIMES)
    recording.growth_kind = FindingKind.MAPPING_GROWTH
    answer = conclude([recording], Scope(frozenset({FindingKind.MAPPING_GROWTH})))
    assert answer.verdict is Verdict.GROWING
    assert answer.findings[0].kind is FindingKind.MAPPING_GROWTH


def test_a_growing_stack_is_found_without_a_site():
    recording = growing({KEEP: FLAT}, TIMES)
    for snapshot, size in zip(recording.snapshots, UP, strict=True):
        snapshot.totals[Metric.STACK_BYTES] = int(size)
    answer = conclude([recording], Scope(GROWTH | {FindingKind.STACK_GROWTH}))
    assert [(f.kind, f.function, f.bytes) for f in answer.findings] == [(FindingKind.STACK_GROWTH, None, 900_000)]


def test_workers_that_grow_at_one_site_are_one_finding():
    answer = conclude([growing({PUT: UP}, TIMES, pid=pid) for pid in (10, 12, 11)], Scope(GROWTH))
    assert [(f.bytes, f.pids) for f in answer.findings] == [(2_700_000, [10, 11, 12])]
    assert answer.findings[0].bytes_per_second == pytest.approx(90_000, rel=0.01)


def test_a_live_note_speaks_of_two_moments_where_most_lived_before_the_last_snapshot():
    freed, stays = (code("freed", 7), MAIN), (code("stays", 8), MAIN)
    recording = growing({freed: [0, 5000, 1000], stays: [1000, 1000, 1000]}, [0.0, 20.0, 40.0])
    texts = [note.text for note in conclude([recording], Scope(GROWTH)).notes if note.kind == "live"]
    assert [text.partition(" held ")[2] for text in texts] == [
        "5.0 kB (83% of all) at the peak, and 1.0 kB (50% of all) in the last snapshot that lists sites",
        "1.0 kB (17% of all) at the peak, and 1.0 kB (50% of all) in the last snapshot that lists sites",
    ]


def test_a_child_that_lived_briefly_does_not_spoil_a_clean_run():
    child = growing({PUT: UP[:3]}, TIMES[:3] / 10, pid=2)
    answer = conclude([growing({KEEP: FLAT}, TIMES), child], Scope(GROWTH))
    assert answer.verdict is Verdict.CLEAN
    assert any("process 2" in note.text for note in answer.notes)
    long = growing({PUT: UP[:3]}, [0, 10, 29], pid=2)
    assert conclude([growing({KEEP: FLAT}, TIMES), long], Scope(GROWTH)).verdict is Verdict.INCONCLUSIVE


def test_memory_below_the_threshold_that_grows_is_no_clean_run():
    answer = of_growth({(BELOW_THRESHOLD,): 10 * UP, KEEP: FLAT})
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert not answer.findings


LOSE = (MALLOC, code("lose(int)", 7), MAIN)
HEAD = (MALLOC, code("list_add", 20), MAIN)


def test_lost_blocks_are_ranked_and_counted_once():
    answer = of_losses(
        (LossKind.DEFINITE, 300, 3, LOSE),
        (LossKind.DEFINITE, 700, 1, HEAD),
        (LossKind.INDIRECT, 684, 30, (MALLOC, code("node_new", 5), MAIN)),
        (LossKind.REACHABLE, 5000, 5, KEEP),
    )
    assert answer.verdict is Verdict.LEAKING
    assert [(f.function, f.bytes, f.blocks, f.share) for f in answer.findings] == [
        ("list_add", 700, 1, 0.7),
        ("lose", 300, 3, 0.3),
    ]
    assert [(n.kind, n.function, n.file, n.line, n.bytes) for n in answer.notes] == [
        ("reachable-at-exit", "keep", "/home/me/app/server.c", 50, 5000),
        ("indirectly-lost", "node_new", "/home/me/app/server.c", 5, 684),
    ]
    assert answer.findings[0].evidence[0].startswith("700 bytes in 1 block, definitely lost")


def test_nothing_lost_and_whole_is_clean():
    answer = of_losses((LossKind.REACHABLE, 5000, 5, KEEP))
    assert (answer.verdict, answer.findings) == (Verdict.CLEAN, [])
    assert of_losses().verdict is Verdict.CLEAN


@pytest.mark.parametrize("blocks, kind", [(1, None), (7, None), (8, FindingKind.SUSPECT), (4000, FindingKind.SUSPECT)])
def test_many_possibly_lost_blocks_are_a_suspect_and_few_a_note(blocks, kind):
    answer = of_losses((LossKind.POSSIBLE, 16 * blocks, blocks, LOSE))
    assert [f.kind for f in answer.findings] == ([kind] if kind else [])
    assert answer.verdict is (Verdict.INCONCLUSIVE if kind else Verdict.CLEAN)
    assert [note.kind for note in answer.notes] == ([] if kind else ["possibly-lost"])


def test_suspects_alone_are_no_leak_and_the_reason_says_how_to_tell():
    answer = of_losses((LossKind.POSSIBLE, 16 * 40, 40, LOSE))
    assert not answer.doubts
    assert answer.reasons == [
        "640 bytes in 40 blocks at lose server.c:7 are lost, or kept by an allocator or a type of string that points past a "
        "header of its own: `leakrun -p massif -- ...` says whether they grow"
    ]


def test_a_wrapper_of_which_one_caller_loses_what_another_points_into_is_not_blamed():
    def through_wrapper(name, line):
        return MALLOC, code("put_header", 7), code(name, line), MAIN

    answer = of_losses(
        (LossKind.DEFINITE, 3000, 30, through_wrapper("lose(int)", 20)),
        (LossKind.POSSIBLE, 6400, 40, through_wrapper("keep(int)", 30)),
    )
    assert [(f.kind, f.function) for f in answer.findings] == [(FindingKind.LOST, "lose"), (FindingKind.SUSPECT, "keep")]


def test_suspects_beside_what_is_lost_do_not_count_as_lost():
    answer = of_losses((LossKind.DEFINITE, 300, 3, LOSE), (LossKind.POSSIBLE, 16 * 40, 40, KEEP))
    assert answer.verdict is Verdict.LEAKING
    assert answer.reasons[0].startswith("300 bytes in 3 blocks are lost at 1 site, most of it at lose server.c:7")
    assert answer.reasons[1].startswith("640 bytes in 40 blocks at keep server.c:50 are lost, or kept")


def test_what_a_thread_needs_is_never_a_suspect():
    tls = (MALLOC, Frame("_dl_allocate_tls", None, None, LIBC), Frame("pthread_create@@GLIBC_2.34", None, None, LIBC), *LOSE[1:])
    answer = of_losses((LossKind.POSSIBLE, 272 * 40, 40, tls))
    assert (answer.verdict, [note.kind for note in answer.notes]) == (Verdict.CLEAN, ["possibly-lost"])


def test_what_the_loader_loses_is_a_note():
    answer = of_losses((LossKind.DEFINITE, 72, 1, (MALLOC, Frame("call_init", None, None, "/lib64/ld-linux-x86-64.so.2"))))
    assert not answer.findings
    assert len(answer.notes) == 1


def test_a_child_of_a_fork_does_not_count_its_parents_losses_again():
    record = (LossKind.DEFINITE, 300, 3, LOSE)
    answer = conclude([losing(record, pid=1), losing(record, (LossKind.DEFINITE, 50, 1, HEAD), pid=2, parent=1)], Scope(LOSSES))
    assert [(f.function, f.bytes, f.pids) for f in answer.findings] == [("lose", 300, [1, 2]), ("list_add", 50, [2])]


def test_siblings_add_up():
    record = (LossKind.DEFINITE, 300, 3, LOSE)
    answer = conclude([losing(pid=1), losing(record, pid=2, parent=1), losing(record, pid=3, parent=1)], Scope(LOSSES))
    assert [(f.bytes, f.blocks, f.pids) for f in answer.findings] == [(600, 6, [2, 3])]


def test_a_block_or_two_rank_under_what_grows():
    lost = losing((LossKind.DEFINITE, 8_000_000, 2, LOSE), (LossKind.DEFINITE, 2_000_000, 90, HEAD))
    answer = conclude([lost, growing({PUT: UP}, TIMES)], Scope(LOSSES | GROWTH))
    assert [f.function for f in answer.findings] == ["list_add", "cache_put", "lose"]
    assert answer.verdict is Verdict.LEAKING


def test_many_records_of_a_plugin_without_names_are_one_finding():
    unnamed = [(MALLOC, Frame(None, None, None, None, 0x4000 + 0x1000 * n), code("load_plugin", 12), MAIN) for n in range(750)]
    answer = of_losses(*((LossKind.DEFINITE, 10, 1, stack) for stack in unnamed))
    assert [(f.function, f.line, f.bytes, f.blocks) for f in answer.findings] == [("load_plugin", 12, 7500, 750)]


@pytest.mark.parametrize(
    "scope",
    [
        {"reasons": ("valgrind was not in the process: run the program itself, not a script",)},
        {"unfinished": "it was killed: let it end"},
    ],
)
def test_a_run_that_could_not_measure_is_never_clean(scope):
    answer = of_losses(**scope)
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert answer.reasons


def test_a_flaw_forbids_clean_and_keeps_what_came_before():
    whole = losing((LossKind.DEFINITE, 300, 3, LOSE))
    for recording, verdict in ((losing(), Verdict.INCONCLUSIVE), (whole, Verdict.LEAKING)):
        recording.complete = False
        recording.flaws.append("the XML ends in the middle of a record")
        assert conclude([recording], Scope(LOSSES)).verdict is verdict


def test_nothing_recorded_is_inconclusive():
    assert conclude([], Scope(LOSSES)).verdict is Verdict.INCONCLUSIVE
    assert conclude([Recording("massif")], Scope(GROWTH)).verdict is Verdict.INCONCLUSIVE
    totals = Recording("massif", snapshots=[Snapshot(float(n), {Metric.LIVE_BYTES: n}) for n in range(20)])
    assert conclude([totals], Scope(GROWTH)).verdict is Verdict.INCONCLUSIVE


def test_limits_are_notes_and_stand_once():
    recordings = [losing(pid=1), losing(pid=2)]
    for recording in recordings:
        recording.limits.append("stacks are cut at 12 frames")
    answer = conclude(recordings, Scope(LOSSES))
    assert [(note.kind, note.text) for note in answer.notes] == [("limit", "stacks are cut at 12 frames")]


def test_errors_are_merged_at_the_line_to_change():
    recording = losing()
    copy = (Frame("memmove", None, None, "/usr/libexec/valgrind/vgpreload_memcheck-amd64-linux.so"), code("sum(int*)", 9), MAIN)
    plain = (code("sum(int*)", 9), code("other", 3))
    for stack, count in ((copy, 2), (plain, 3)):
        recording.defects.append(Defect("InvalidRead", "Invalid read of size 4", recording.table.intern(stack), count))
    recording.defects.append(Defect("UninitCondition", "Conditional jump", None))
    answer = conclude([recording], Scope(LOSSES))
    assert [(e.kind, e.function, e.line, e.count) for e in answer.errors] == [
        ("InvalidRead", "sum", 9, 5),
        ("UninitCondition", None, None, 1),
    ]
    assert any("InvalidRead" in reason for reason in answer.reasons)
    assert answer.verdict is Verdict.CLEAN


def test_a_caller_whose_blocks_stay_is_blamed_where_allocations_are_counted():
    keeps, frees = (MALLOC, code("obtain", 5), code("serve", 30), MAIN), (MALLOC, code("obtain", 5), code("parse", 20), MAIN)
    series = {keeps: UP, frees: np.full(31, 100.0)}
    recording = growing(series, TIMES, allocated={keeps: 900_000, frees: 5_000_000})
    assert [f.function for f in conclude([recording], Scope(GROWTH)).findings] == ["serve"]
    assert [f.function for f in of_growth(series, wrappers=("obtain",)).findings] == ["serve"]


def test_a_stretch_without_a_change_is_quiet_where_the_tool_would_have_seen_one():
    times = np.concatenate([np.linspace(0, 1, 20), [29.9, 30.0]])
    filled = np.concatenate([np.linspace(900, 900_000, 20), [800_000, 0]])
    recording = growing({PUT: filled}, times)
    assert conclude([recording], Scope(GROWTH)).verdict is Verdict.INCONCLUSIVE
    recording.on_change = True
    answer = conclude([recording], Scope(GROWTH))
    assert (answer.verdict, [note.kind for note in answer.notes]) == (Verdict.CLEAN, ["plateau"])
    assert "20 snapshots over 30 s" in answer.reasons[0]


def test_a_start_that_allocates_and_then_nothing_until_the_end_is_no_growth():
    recording = growing({PUT: UP}, TIMES / 10)
    recording.on_change = True
    assert conclude([recording], Scope(GROWTH)).verdict is Verdict.GROWING
    recording.end = 30.0
    assert conclude([recording], Scope(GROWTH)).verdict is Verdict.CLEAN


def test_a_tool_that_writes_after_the_last_block_is_no_rest_of_the_program():
    times = np.concatenate([[0, 1.2], np.linspace(2.4, 5, 40)])
    recording = growing({PUT: np.concatenate([[0, 0], np.linspace(1_000, 400_000, 40)])}, times)
    recording.on_change, recording.end = True, 5.6
    assert conclude([recording], Scope(GROWTH)).verdict is Verdict.GROWING
    recording.end = 9.0
    assert conclude([recording], Scope(GROWTH)).verdict is Verdict.CLEAN


def test_a_global_that_is_destroyed_at_exit_was_kept_until_then():
    freed = UP.copy()
    freed[-1] = 0
    large = (MALLOC, code("keep", 50), MAIN)
    answer = of_growth({PUT: freed, large: FLAT})
    assert answer.verdict is Verdict.GROWING
    assert answer.findings[0].function == "cache_put"


def test_a_vector_that_doubles_until_the_exit_frees_it_is_seen():
    doubling = 8192 * 2.0 ** np.floor(np.log2(np.maximum(TIMES, 0.01) / 25) + 6).clip(0, 6)
    doubling[np.flatnonzero(np.diff(doubling)) + 1] *= 1.5  # while it is copied
    doubling[-1] = 0
    answer = of_growth({PUT: doubling, KEEP: FLAT + 100 * np.arange(31) % 7})
    assert (answer.verdict, answer.findings[0].function) == (Verdict.GROWING, "cache_put")


def test_a_saw_tooth_that_falls_at_the_end_is_no_exit():
    teeth = np.tile(np.linspace(0, 900_000, 11)[:-1], 4)[:31]
    assert teeth[-1] < teeth[-2]
    assert of_growth({PUT: teeth, KEEP: FLAT}).verdict is Verdict.CLEAN


def quiet(series, times, end, pid=1):
    recording = growing(series, times, pid=pid)
    recording.on_change, recording.end = True, end
    return recording


def test_few_snapshots_are_enough_where_the_tool_sees_each_change_and_nothing_grew():
    held = quiet({KEEP: [0, 50_000, 50_000]}, [0, 0.2, 0.3], end=5)
    assert conclude([held], Scope(GROWTH)).verdict is Verdict.CLEAN
    late = quiet({KEEP: [0, 50_000, 150_000]}, [0, 0.2, 3.0], end=5)
    assert conclude([late], Scope(GROWTH)).verdict is Verdict.INCONCLUSIVE
    brief = quiet({KEEP: [0, 50_000, 50_000]}, [0, 0.2, 0.3], end=0.6)
    assert conclude([brief], Scope(GROWTH)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("first", [True, False])
def test_a_process_that_allocates_nothing_is_no_doubt_where_another_was_measured(first):
    busy = growing({PUT: UP, KEEP: FLAT}, TIMES, pid=2)
    idle = quiet({KEEP: [0]}, [0], end=30, pid=3)
    calm = growing({KEEP: FLAT}, TIMES, pid=2)
    pair = [idle, calm] if first else [calm, idle]
    answer = conclude(pair, Scope(GROWTH))
    assert answer.verdict is Verdict.CLEAN, answer.reasons
    assert any("process 3: allocated nothing" in note.text for note in answer.notes)
    assert conclude([busy, idle], Scope(GROWTH)).verdict is Verdict.GROWING


def test_an_undecided_site_says_what_to_do():
    doubling = 8192 * 2.0 ** np.floor(np.log2(np.maximum(TIMES, 0.01) / 14) + 6).clip(0, 6)  # for the last time at 14 of 30 s
    answer = of_growth({PUT: doubling})
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert "run it twice as long" in answer.reasons[0]
    assert any("may have settled" in note.text for note in answer.notes)


def test_what_grew_until_the_load_ended_is_not_called_clean():
    grew = np.minimum(np.linspace(0, 1.4, 31), 1) * 900_000
    recording = growing({PUT: grew}, TIMES)
    answer = conclude([recording], Scope(GROWTH))
    assert answer.verdict is Verdict.INCONCLUSIVE, "nothing at all happened in the last third"
    assert answer.reasons == ["cache_put server.c:7 rose to 900 kB until the program came to rest: keep the load up to the end"]
    (note,) = [note.text for note in answer.notes if note.kind == "live"]
    assert "rose until the program came to rest, from 0 bytes to 900 kB over 30 s; a load up to the end will tell" in note
    beside = np.abs(np.sin(np.arange(31))) * 50_000
    assert conclude([growing({PUT: grew, KEEP: beside}, TIMES)], Scope(GROWTH)).verdict is Verdict.CLEAN


def test_what_is_little_beside_the_rest_is_not_nothing():
    answer = of_losses((LossKind.DEFINITE, 30_000_000, 3000, PUT), (LossKind.DEFINITE, 16, 2, KEEP))
    assert [each.share > 0 for each in answer.findings] == [True, True]


def test_a_server_at_rest_still_has_its_timers():
    recording = growing({PUT: np.minimum(np.linspace(0, 1.4, 31), 1) * 900_000}, TIMES)
    work, timers = 40_000, 50
    for allocated, rate in ((timers, Verdict.INCONCLUSIVE), (work, Verdict.CLEAN)):
        for number, snapshot in enumerate(recording.snapshots):
            snapshot.totals[Metric.ALLOCATED_BYTES] = work * min(number, 22) + allocated * max(0, number - 22)
        assert conclude([recording], Scope(GROWTH)).verdict is rate


def test_a_rest_from_the_first_half_on_is_a_plateau():
    warm = np.minimum(np.linspace(0, 3, 31), 1) * 900_000
    assert conclude([growing({PUT: warm}, TIMES)], Scope(GROWTH)).verdict is Verdict.CLEAN


def test_what_several_processes_do_alike_is_one_note():
    one, other = (
        growing({PUT: [0, *[size] * 30], KEEP: np.zeros(31)}, TIMES, pid=pid) for pid, size in ((1, 90_000), (2, 50_000))
    )
    plateaus = [note for note in conclude([one, other], Scope(GROWTH)).notes if note.kind == "plateau"]
    assert [(note.function, note.bytes) for note in plateaus] == [("cache_put", 90_000)]
    assert "in 2 processes" in plateaus[0].text


def test_a_leak_check_s_snapshots_tell_whose_blocks_a_wrapper_s_callers_freed():
    """At the end only what is lost is there: that the other caller's blocks came and went is known from the snapshots."""
    shared = code("obtain", 5)
    lost, freed = (shared, code("serve", 30), MAIN), (shared, code("parse", 20), MAIN)
    times = [float(n) for n in range(20)]
    recording = growing({lost: [1000 * n for n in range(20)], freed: [8000 * (n % 3) for n in range(19)] + [0]}, times)
    recording.losses.append(Loss(LossKind.DEFINITE, 19000, 19, recording.table.intern(lost)))
    answer = conclude([recording], Scope(LOSSES | GROWTH))
    assert {(each.function, each.line) for each in answer.findings} == {("serve", 30)}
