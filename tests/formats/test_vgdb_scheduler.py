"""Valgrind's own list of its threads, as vgdb of valgrind 3.19 wrote it of a program with a deep second thread under massif."""

import io
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from runner.formats import vgdb_scheduler

WHOLE = (Path(__file__).parent / "vgdb_scheduler" / "two_threads.txt").read_bytes()


def read(content: bytes) -> list[vgdb_scheduler.ThreadStack]:
    return list(vgdb_scheduler.read(io.BytesIO(content)))


def test_each_thread_has_its_frames_and_the_bytes_in_use() -> None:
    main, deep = read(WHOLE)
    assert (main.name, deep.name) == ("[stack of thread 1]", "[stack of thread 2]")
    assert main.bytes < 4096 < 1_000_000 < deep.bytes
    assert [frame.signature for frame in main.frames if frame.file and frame.file.endswith("thr.c")] == ["main"]
    named = [(frame.signature, frame.file, frame.line) for frame in deep.frames if frame.signature in ("odd", "even")]
    assert len(named) > 50 and named[:2] == [("even", "/src/thr.c", 8), ("odd", "/src/thr.c", 9)]


def test_valgrinds_own_stack_is_left_out() -> None:
    assert all("massif-amd64-linux" not in (frame.module or "") for thread in read(WHOLE) for frame in thread.frames)


def test_a_thread_on_another_stack_says_nothing() -> None:
    start, end = WHOLE.split(b"client SP: 0x", 1)
    assert [thread.name for thread in read(start + b"client SP: 0x7F" + end)] == ["[stack of thread 2]"]


@given(st.integers(0, len(WHOLE)), st.binary(max_size=40), st.integers(0, 2000))
def test_whatever_is_damaged_gives_threads_that_can_be(at: int, noise: bytes, gap: int) -> None:
    assert all(thread.bytes > 0 and thread.frames for thread in read(WHOLE[:at] + noise + WHOLE[at + gap :]))
