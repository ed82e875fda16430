"""Whatever has happened to a native file, reading it ends in a valid recording or in an error for people."""

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.errors import LeakrunError
from runner.formats import HEAD_BYTES, read_file, recognise
from runner.model import Recording, check_valid

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = [
    path
    for path in sorted(GOLDEN.glob("*/*/*"))
    if path.name not in ("version.txt", "expected.json")
    and path.suffix not in (".c", ".cc", ".cpp", ".h", ".sh", ".py", ".md", ".go")
]
NAMES = [str(path.relative_to(GOLDEN)) for path in FILES]
CALM = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_bytes(raw: bytes) -> Recording | None:
    """What these bytes say; None where no format takes them or its reader refuses them."""
    module = recognise(raw[:HEAD_BYTES])
    if module is None:
        return None
    try:
        recording: Recording = module.read(io.BytesIO(raw), "damaged")
    except LeakrunError:
        return None
    check_valid(recording)
    return recording


def test_there_are_files_to_damage() -> None:
    assert {path.parent.parent.name for path in FILES} >= {"massif", "memcheck_xml", "memcheck_text"}


@pytest.mark.parametrize("path", FILES, ids=NAMES)
@given(data=st.data())
@CALM
def test_a_cut_file_is_survived(path: Path, data: st.DataObject) -> None:
    raw = path.read_bytes()
    read_bytes(raw[: data.draw(st.integers(0, len(raw)))])


@pytest.mark.parametrize("path", FILES, ids=NAMES)
@given(data=st.data())
@CALM
def test_flipped_bytes_are_survived(path: Path, data: st.DataObject) -> None:
    raw = bytearray(path.read_bytes())
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(raw) - 1), st.integers(0, 255)), min_size=1, max_size=8)):
        raw[at] = value
    read_bytes(bytes(raw))


@pytest.mark.parametrize("path", FILES, ids=NAMES)
@given(data=st.data())
@CALM
def test_a_piece_that_is_doubled_moved_or_lost_is_survived(path: Path, data: st.DataObject) -> None:
    raw = path.read_bytes()
    start, end, to = sorted(data.draw(st.tuples(*[st.integers(0, len(raw))] * 3)))
    piece = raw[start:end]
    for damaged in (raw[:start] + raw[end:], raw[:to] + piece + raw[to:], raw[:start] + piece[::-1] + raw[end:]):
        read_bytes(damaged)


@given(st.binary(max_size=3000))
@settings(deadline=None)
def test_any_bytes_are_survived(raw: bytes) -> None:
    read_bytes(raw)


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"desc: x\ncmd: y\ntime_unit: i\n",
        b"<?xml version='1.0'?>\n<valgrindoutput>",
        b"==1== Memcheck, a memory error detector\n",
    ],
)
@pytest.mark.parametrize(
    "filling", [b"\0" * 300_000, b"n" * 3_000_000, b"<" * 200_000, b"#-----------\n" * 20_000, b"<error><" * 20_000], ids=len
)
def test_nuls_and_endless_lines_are_survived(start: bytes, filling: bytes) -> None:
    recording = read_bytes(start + filling)
    assert recording is None or not recording.complete


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_file_cut_in_the_middle_says_so(path: Path) -> None:
    raw = path.read_bytes()
    recording = read_bytes(raw[: len(raw) * 2 // 3])
    assert recording is not None and not recording.complete and recording.flaws


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("empty", b""),
        ("noise", bytes(range(256)) * 99),
        ("text", b"hello\nworld\n"),
        ("text.gz", gzip.compress(b"hello\n", mtime=0)),
    ],
)
def test_what_is_not_ours_is_told_in_one_line(tmp_path: Path, name: str, raw: bytes) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(LeakrunError) as told:
        read_file(tmp_path / name)
    assert str(tmp_path / name) in told.value.message and "\n" not in told.value.message + told.value.hint and told.value.hint


@pytest.mark.parametrize("name", ["", "missing", "a\0b", "x" * 300])
def test_what_cannot_be_opened_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(LeakrunError) as told:
        read_file(tmp_path / name)
    assert told.value.hint
