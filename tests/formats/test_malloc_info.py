"""glibc's malloc_info(): what is in use, what is free and where. See tests/golden/malloc_info too."""

import io
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from runner.formats import malloc_info, recognise
from runner.model import Metric, Recording, check_valid

WHOLE = (Path(__file__).parent.parent / "golden" / "malloc_info" / "fragmented" / "fragmented.xml").read_bytes()
EMPTY = b"""<malloc version="1">
<heap nr="0"><sizes></sizes><total type="fast" count="0" size="0"/><total type="rest" count="1" size="0"/></heap>
<total type="fast" count="0" size="0"/><total type="rest" count="1" size="0"/>
<total type="mmap" count="0" size="0"/><system type="current" size="0"/></malloc>
"""


def read(content: bytes) -> Recording:
    return malloc_info.read(io.BytesIO(content), "malloc_info.xml")


def test_the_format_is_known_by_its_first_line() -> None:
    assert recognise(WHOLE) is malloc_info
    assert recognise(b'<?xml version="1.0"?>\n<valgrindoutput>\n') is not malloc_info


def test_in_use_is_what_the_system_gave_less_what_is_free() -> None:
    totals = read(WHOLE).snapshots[0].totals
    assert totals[Metric.HEAP_EXTRA_BYTES] == 15_470_201
    assert totals[Metric.LIVE_BYTES] == 30_818_304 - 15_470_201 + 1_052_672


def test_what_is_free_between_blocks_is_told_from_what_is_free_at_the_top() -> None:
    (remark,) = read(WHOLE).remarks
    assert (remark.kind, remark.bytes) == ("fragmentation", 15_386_377)
    at_the_top = WHOLE.replace(b'total="15385896" count="29992"', b'total="0" count="0"')
    (remark,) = read(at_the_top).remarks
    assert (remark.kind, remark.bytes) == ("retained", 15_469_720)


def test_another_allocator_is_said_and_not_taken_for_an_empty_heap() -> None:
    assert "another allocator" in read(EMPTY).flaws[0]


def test_files_of_one_process_are_a_series(tmp_path: Path) -> None:
    assert malloc_info.series_of("malloc_info.4711.0003.xml") == ("malloc_info.4711.xml", 3)
    paths = [tmp_path / f"malloc_info.4711.{number}.xml" for number in (1, 2)]
    paths[0].write_bytes(WHOLE)
    paths[1].write_bytes(WHOLE[:500])
    series = malloc_info.read_series((path, time) for path, time in zip(paths, (0.5, 1.5), strict=True))
    assert [snapshot.time for snapshot in series.snapshots] == [0.5]
    assert not series.complete and "malloc_info.4711.2.xml is cut" in series.flaws[0]


@given(st.integers(0, len(WHOLE)), st.binary(max_size=40), st.integers(0, 2000))
def test_whatever_is_damaged_gives_a_valid_recording(at: int, noise: bytes, gap: int) -> None:
    check_valid(read(WHOLE[:at] + noise + WHOLE[at + gap :]))


def test_documents_amid_a_debugger_s_words_are_snapshots() -> None:
    words = b"Breakpoint 5, main () at a.c:7\n(gdb) mallocinfo\n"
    assert recognise(words + WHOLE) is malloc_info
    found = read(words + WHOLE + b"$20 = 0\n" + WHOLE)
    assert found.complete and [each.totals for each in found.snapshots] == [read(WHOLE).snapshots[0].totals] * 2
