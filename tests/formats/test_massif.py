import io
import shutil
import subprocess
from pathlib import Path

import pytest

from runner.formats import massif, read_file
from runner.formats._valgrind import mark_inlined, parse_frame
from runner.model import BELOW_THRESHOLD, FindingKind, Frame, Metric, Recording, TimeUnit, check_valid

HEAD = b"desc: (none)\ncmd: ./a\ntime_unit: i\n"
pytestmark = pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")

PROGRAM = """
#include <stdlib.h>
#include <string.h>
static void *kept[400];
static int at;
static void grow(int size) { kept[at++] = malloc(size); }
static void tiny(void) { kept[at++] = malloc(3); }
static int dig(int n) { char hole[4000]; memset(hole, n, sizeof hole); return n ? dig(n - 1) + hole[7] : hole[9]; }
int main(void) {
    tiny();
    for (int i = 1; i <= 300; i++) grow(i);
    return dig(20) == 12345;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled from a file whose name holds what separates the parts of a frame."""
    folder = tmp_path_factory.mktemp("an (odd) folder")
    source = folder / "my file: (2).c"
    source.write_text(PROGRAM)
    subprocess.run(["gcc", "-g", "-O0", "-w", "-o", folder / "program", source], check=True)
    return folder / "program"


def run(program: Path, tmp_path: Path, *options: str) -> Recording:
    out = tmp_path / "massif.out.4711"
    command = ["valgrind", "--tool=massif", f"--massif-out-file={out}", *options, program]
    subprocess.run(command, check=True, capture_output=True)
    return read_file(out)


def assert_sums(recording: Recording) -> None:
    columns = [(snapshot, snapshot.columns[Metric.LIVE_BYTES]) for snapshot in recording.snapshots if snapshot.columns]
    assert columns
    for snapshot, column in columns:
        assert sum(column.amounts) == snapshot.totals[Metric.LIVE_BYTES]


def test_every_byte_has_its_stack(program: Path, tmp_path: Path) -> None:
    recording = run(program, tmp_path, "--threshold=0", "--detailed-freq=1", "--fullpath-after=")
    assert_sums(recording)
    column = recording.snapshots[-1].columns[Metric.LIVE_BYTES]
    by_function = {recording.table.frames_of(stack)[0].signature: amount for stack, amount in column.items()}
    calls = next(n for n in range(301) if n * (n + 1) // 2 >= by_function["grow"])
    assert calls > 250 and by_function == {"grow": calls * (calls + 1) // 2, "tiny": 3}
    assert recording.limits == [] and recording.complete and recording.pid == 4711
    assert recording.time_unit is TimeUnit.INSTRUCTIONS and recording.growth_kind is FindingKind.GROWING


def test_file_names_may_hold_anything(program: Path, tmp_path: Path) -> None:
    recording = run(program, tmp_path, "--threshold=0", "--detailed-freq=1", "--fullpath-after=")
    source = program.with_name("my file: (2).c")
    assert {frame.file for frame in recording.table.frames} == {str(source)}
    line = 1 + PROGRAM[: PROGRAM.index("void grow")].count("\n")
    assert ("grow", line) in {(frame.signature, frame.line) for frame in recording.table.frames}


def test_what_is_below_the_threshold_stays_in_the_sum(program: Path, tmp_path: Path) -> None:
    recording = run(program, tmp_path, "--threshold=5", "--detailed-freq=1")
    assert_sums(recording)
    assert any(recording.table.frames_of(stack) == [BELOW_THRESHOLD] for stack in range(len(recording.table.stacks)))
    assert "5 %" in recording.limits[0]


def test_pages_are_mapping_growth_and_add_up(program: Path, tmp_path: Path) -> None:
    recording = run(program, tmp_path, "--pages-as-heap=yes", "--detailed-freq=1", "--time-unit=B")
    assert_sums(recording)
    assert recording.growth_kind is FindingKind.MAPPING_GROWTH and recording.time_unit is TimeUnit.BYTES


def test_stacks_are_measured_where_asked_for(program: Path, tmp_path: Path) -> None:
    recording = run(program, tmp_path, "--stacks=yes", "--time-unit=ms")
    assert max(snapshot.totals[Metric.STACK_BYTES] for snapshot in recording.snapshots) > 20 * 4000
    assert recording.time_unit is TimeUnit.SECONDS
    assert Metric.STACK_BYTES not in run(program, tmp_path).snapshots[-1].totals


def test_a_heap_that_was_not_asked_for_is_not_zero(program: Path, tmp_path: Path) -> None:
    recording = run(program, tmp_path, "--heap=no", "--stacks=yes")
    assert Metric.LIVE_BYTES not in recording.snapshots[-1].totals
    assert recording.flaws == [] and "--heap=no" in recording.limits[-1]


def test_a_static_program_is_no_clean_one(program: Path, tmp_path: Path) -> None:
    static = tmp_path / "static"
    subprocess.run(["gcc", "-static", "-w", "-o", static, program.with_name("my file: (2).c")], check=True)
    assert "static" in run(static, tmp_path).flaws[0]


def test_a_short_depth_is_told(program: Path, tmp_path: Path) -> None:
    assert any("--depth" in limit for limit in run(program, tmp_path, "--depth=1", "--threshold=0").limits)


def snapshot(number: int, time: int, tree: bytes = b"empty\n", heap: int = 0) -> bytes:
    sizes = f"time={time}\nmem_heap_B={heap}\nmem_heap_extra_B=1\nmem_stacks_B=0\n".encode()
    return f"#-----------\nsnapshot={number}\n#-----------\n".encode() + sizes + b"heap_tree=" + tree


def read(raw: bytes) -> Recording:
    recording = massif.read(io.BytesIO(raw), "massif.out")
    check_valid(recording)
    return recording


def test_many_children_and_equal_times() -> None:
    rows = b"".join(b" n0: %d 0x%X: f%d (a.c:%d)\n" % (n, n, n, n) for n in range(1, 21))
    recording = read(
        HEAD + snapshot(0, 5) + snapshot(1, 5, b"detailed\nn20: 210 (heap allocation functions) malloc\n" + rows, 210)
    )
    assert recording.complete and [each.time for each in recording.snapshots] == [5, 5]
    assert [
        recording.table.frames_of(stack)[0].signature for stack, _ in recording.snapshots[1].columns[Metric.LIVE_BYTES].items()
    ] == [f"f{n}" for n in range(1, 21)]


def test_a_damaged_snapshot_does_not_take_the_next_with_it() -> None:
    tree = b"detailed\nn1: 7 (heap allocation functions) malloc\n n0: 7 0x1: f (a.c:1)\n"
    broken = tree.replace(b"n0: 7", b"n0: 6")
    recording = read(
        HEAD + snapshot(0, 1, tree, 7) + snapshot(1, 2, broken, 7) + snapshot(2, 3, tree, 7) + snapshot(3, 2) + snapshot(4, 9)
    )
    assert [each.label for each in recording.snapshots] == ["snapshot 0", "snapshot 1", "snapshot 2", "snapshot 4"]
    assert [bool(each.columns) for each in recording.snapshots] == [True, False, True, False]
    assert not recording.complete and len(recording.flaws) == 2


def test_one_cut_tree_is_better_than_none() -> None:
    tree = b"detailed\nn2: 7 (heap allocation functions) malloc\n n0: 6 0x1: f (a.c:1)\n n0"
    recording = read(HEAD + snapshot(0, 1, tree, 7))
    assert list(recording.snapshots[0].columns[Metric.LIVE_BYTES].amounts) == [6] and not recording.complete


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("0x10: f (a.c:12)", Frame("f", "a.c", 12, None, 16)),
        ("0x10: f (in /usr/lib/x.so)", Frame("f", None, None, "/usr/lib/x.so", 16)),
        ("0x10: ??? (in /a (b)/c d.so)", Frame(None, None, None, "/a (b)/c d.so", 16)),
        ("0x10: ???", Frame(address=16)),
        ("0x10: (below main) (libc-start.c:308)", Frame("(below main)", "libc-start.c", 308, None, 16)),
        ("0x10: (in /usr/lib/x.so)", Frame(None, None, None, "/usr/lib/x.so", 16)),
        (
            "0x10: (anonymous namespace)::f(int (*)(char)) (a b.cpp:3)",
            Frame("(anonymous namespace)::f(int (*)(char))", "a b.cpp", 3, None, 16),
        ),
        (
            "0x10: std::function<void (int)>::operator()(int) const (f.h:590)",
            Frame("std::function<void (int)>::operator()(int) const", "f.h", 590, None, 16),
        ),
        ("0x10: operator new(unsigned long) (in /v.so)", Frame("operator new(unsigned long)", None, None, "/v.so", 16)),
        ("0x10: f(int)", Frame("f(int)", address=16)),
        ("0x10: f (C:(x).c:1)", Frame("f", "C:(x).c", 1, None, 16)),
        ("0x10: f (odd).c:7)", Frame("f", "odd).c", 7, None, 16)),
        ("0xZZ: f", None),
        ("in 3 places", None),
    ],
)
def test_frames_as_valgrind_prints_them(text: str, frame: Frame | None) -> None:
    assert parse_frame(text) == frame


def test_inlined_frames_are_told_from_recursion() -> None:
    alloc, helper, body, main = (Frame(name, address=at) for name, at in (("malloc", 1), ("helper", 2), ("body", 2), ("main", 3)))
    assert [frame.inlined for frame in mark_inlined([alloc, helper, body, main])] == [False, True, False, False]
    assert [frame.inlined for frame in mark_inlined([alloc, body, body, body, main])] == [False] * 5
    assert [frame.inlined for frame in mark_inlined([helper, body, helper, body, main])] == [True, False, True, False, False]


UNEVEN = b"""desc: (none)
cmd: app
time_unit: i
#-----------
snapshot=0
#-----------
time=5
mem_heap_B=1000
mem_heap_extra_B=0
mem_stacks_B=0
heap_tree=detailed
n2: 1000 (heap allocation functions) malloc/new/new[], --alloc-fns, etc.
 n2: 900 0x10: mmap (in /lib/ld-musl.so.1)
  n1: 500 0x11: grow (a.c:1)
   n0: 500 0x12: main (a.c:9)
  n0: 100 in 3 places, all below massif's threshold (1.00%)
 n0: 100 0x0: ???
#-----------
snapshot=1
#-----------
time=9
mem_heap_B=1000
mem_heap_extra_B=0
mem_stacks_B=0
heap_tree=empty
"""


def test_what_a_node_has_more_than_its_children_is_its_own() -> None:
    """massif warns of malformed stacks, and writes such trees; real ones come of code without unwinding information."""
    recording = massif.read(io.BytesIO(UNEVEN), "massif.out")
    assert recording.complete and massif.UNEVEN in recording.limits
    column = recording.snapshots[0].columns[Metric.LIVE_BYTES]
    amounts = {tuple(f.signature for f in recording.table.frames_of(stack)): size for stack, size in column.items()}
    assert amounts[("mmap",)] == 300 and amounts[("mmap", "grow", "main")] == 500 and sum(amounts.values()) == 1000


def test_each_of_many_trees_keeps_what_its_nodes_have_of_their_own_and_a_damaged_one_touches_no_other() -> None:
    head, _, rest = UNEVEN.partition(b"#-----------\n")
    tree = rest.partition(b"#-----------\nsnapshot=1")[0]
    trees = [tree.replace(b"snapshot=0", b"snapshot=%d" % n).replace(b"time=5", b"time=%d" % n) for n in range(5)]
    trees[2] = trees[2].replace(b"  n1: 500 0x11: grow (a.c:1)\n   n0: 500", b"  n1: 500 0x11: grow (a.c:1)\n   n0: 400")
    trees[3] = trees[3].replace(b"0x11: grow (a.c:1)", b"no frame")
    whole = head + b"".join(b"#-----------\n" + each.removeprefix(b"#-----------\n") for each in trees)
    recording = massif.read(io.BytesIO(whole), "massif.out")
    held = [
        {tuple(f.signature for f in recording.table.frames_of(stack)): size for stack, size in column.items()}
        for column in (each.columns.get(Metric.LIVE_BYTES) for each in recording.snapshots)
        if column is not None
    ]
    own = ("mmap",), ("mmap", "grow"), ("mmap", "grow", "main")
    assert [[each.get(stack, 0) for stack in own] for each in held] == [
        [300, 0, 500],
        [300, 0, 500],
        [300, 100, 400],
        [300, 0, 500],
    ]
    assert ["snapshot 3" in flaw for flaw in recording.flaws] == [True]
    assert recording.limits.count(massif.UNEVEN) == 1


@pytest.mark.parametrize(
    "gone", [b"   n0: 500 0x12: main (a.c:9)\n", b"  n0: 100 in 3 places, all below massif's threshold (1.00%)\n"]
)
def test_a_node_that_lacks_children_is_damaged_and_has_no_more_of_its_own(gone: bytes) -> None:
    recording = massif.read(io.BytesIO(UNEVEN.replace(gone, b"")), "massif.out")
    assert not recording.complete and "adds up to" in recording.flaws[0]
