"""smaps: the kinds of memory of a program that has some of each, and files that are not whole. See tests/golden/smaps too."""

import io
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.formats import recognise, smaps
from runner.model import Frame, Metric, Recording, check_valid

GOLDEN = Path(__file__).parent.parent / "golden" / "smaps" / "kinds"
WHOLE = (GOLDEN / "kinds.smaps").read_bytes()


def read(content: bytes) -> Recording:
    return smaps.read(io.BytesIO(content), "smaps")


def held(recording: Recording) -> dict[str | None, int]:
    column = recording.snapshots[-1].columns[Metric.LIVE_BYTES]
    return {recording.table.frames_of(stack)[0].signature: amount for stack, amount in column.items()}


def test_each_kind_holds_what_a_running_program_put_there(tmp_path: Path) -> None:
    program = tmp_path / "kinds"
    subprocess.run(["gcc", "-g", "-O0", "-pthread", "-o", program, GOLDEN / "kinds.c"], check=True)
    with subprocess.Popen([program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        content = Path(f"/proc/{process.pid}/smaps").read_bytes()
        process.kill()
    kinds, totals = held(read(content)), read(content).snapshots[0].totals
    put = {
        "kinds data": 300,
        smaps.HEAP: 600,
        smaps.ARENAS: 500,
        smaps.ANONYMOUS: 700,
        f"{smaps.SHARED} memfd:pages": 800,
    }
    for kind, kilobytes in put.items():
        assert kilobytes * 1024 <= kinds[kind] <= (kilobytes + 40) * 1024, kind
    assert 400 * 1024 <= totals[Metric.STACK_BYTES] <= 460 * 1024
    assert totals[Metric.MAPPED_BYTES] > totals[Metric.RSS_BYTES] >= totals[Metric.PSS_BYTES]


def test_maps_without_figures_is_another_format() -> None:
    assert recognise(Path("/proc/self/maps").read_bytes()) is not smaps
    assert recognise(WHOLE[: 64 * 1024]) is smaps


def test_of_a_file_that_is_cut_what_is_whole_is_kept() -> None:
    cut = read(WHOLE[: len(WHOLE) // 2])
    assert not cut.complete and "is cut" in cut.flaws[0]
    assert 0 < cut.snapshots[0].totals[Metric.RSS_BYTES] < read(WHOLE).snapshots[0].totals[Metric.RSS_BYTES]
    nothing = read(b"")
    assert not nothing.complete and nothing.snapshots == []


def test_files_of_one_process_are_a_series(tmp_path: Path) -> None:
    assert smaps.series_of("smaps.4711.0003") == ("smaps.4711", 3)
    assert smaps.series_of("smaps") is None
    paths = [tmp_path / f"smaps.4711.{number}" for number in (1, 2)]
    for path in paths:
        path.write_bytes(WHOLE)
    series = smaps.read_series((path, time) for path, time in zip(paths, (0.5, 1.5), strict=True))
    check_valid(series)
    assert [snapshot.time for snapshot in series.snapshots] == [0.5, 1.5]


@given(st.integers(0, len(WHOLE)), st.binary(max_size=40), st.integers(0, 2000))
def test_whatever_is_damaged_gives_a_valid_recording(at: int, noise: bytes, gap: int) -> None:
    check_valid(read(WHOLE[:at] + noise + WHOLE[at + gap :]))


def test_names_of_the_kernel_are_kept() -> None:
    head = b"7f0000000000-7f0000100000 rw-p 00000000 00:00 0 "
    body = b"\nSize: 1024 kB\nRss: 1024 kB\nAnonymous: 1024 kB\nVmFlags: rd wr\n"
    named = {
        b"[anon:cache]": "[anon:cache]",
        b"[anon: glibc: malloc arena]": smaps.ARENAS,
        b"/dev/shm/queue": f"{smaps.SHARED} queue",
        b"/srv/data base.db (deleted)": "file /srv/data base.db",
        b"": smaps.ANONYMOUS,
    }
    for path, kind in named.items():
        assert held(read(head + path + body)) == {kind: 1 << 20}
    stack = read(head + b"[anon: glibc: pthread stack: 17]" + body)
    assert stack.snapshots[0].totals[Metric.STACK_BYTES] == 1 << 20 and held(stack) == {}


def mapping(start: int, kilobytes: int, offset: int, inode: int, rest: str = "r--p") -> bytes:
    """One mapping of a file, of which nothing is private to the process."""
    end = start + kilobytes * 1024
    head = f"{start:x}-{end:x} {rest} {offset:08x} 08:01 {inode} /srv/data{inode}\n"
    return f"{head}Size: {kilobytes} kB\nRss: {kilobytes} kB\nAnonymous: 0 kB\nVmFlags: rd\n".encode()


def test_a_part_of_a_file_that_is_mapped_again_counts_by_its_addresses() -> None:
    base, kb = 0x7F0000000000, 1024
    apart = mapping(base, 64, 0, 1) + mapping(base + 128 * kb, 64, 64 * kb, 1) + mapping(base + 256 * kb, 64, 0, 2)
    assert held(read(apart)) == {}
    again = apart + mapping(base + 512 * kb, 96, 32 * kb, 1) + mapping(base + 1024 * kb, 64, 0, 1)
    assert held(read(again)) == {f"{smaps.AGAIN} /srv/data1": (96 + 64) * kb}


def test_code_and_what_shares_memory_may_lie_twice() -> None:
    base, kb = 0x7F0000000000, 1024
    library = mapping(base, 64, 0, 1, "r-xp") + mapping(base + 64 * kb, 64, 32 * kb, 1)
    assert held(read(library)) == {}
    itself = library + mapping(base + 256 * kb, 64, 0, 1) + mapping(base + 512 * kb, 64, 0, 1)  # a program may read its own file
    assert held(read(itself)) == {f"{smaps.AGAIN} /srv/data1": 64 * kb}
    shared = mapping(base, 64, 0, 1, "rw-s") + mapping(base + 128 * kb, 64, 0, 1, "rw-s")
    assert held(read(shared)) == {"file /srv/data1": 128 * kb}


def ever_more(folder: Path, name: str, rounds: int = 4) -> bytes:
    """What a program finds in /proc/self/NAME each time when it has taken one more megabyte, one after the other."""
    program = f"""
import mmap, time
held = []
for number in range({rounds}):
    held.append(mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    held[-1].write(b"x" * (1 << 20))
    with open("log", "ab") as log, open("/proc/self/{name}", "rb") as now:
        log.write(time.ctime().encode() + b"\\n" + now.read())
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=folder)
    return (folder / "log").read_bytes()


@pytest.mark.parametrize(("name", "group"), [("smaps", smaps.ANONYMOUS), ("smaps_rollup", smaps.ALL)])
def test_a_file_that_was_appended_to_is_several_moments(name: str, group: str, tmp_path: Path) -> None:
    text = ever_more(tmp_path, name)
    assert smaps.sniff(text)
    recording = read(text)
    assert recording.complete and [each.time for each in recording.snapshots] == [0, 1, 2, 3]
    stack = recording.table.intern([Frame(signature=group)])
    amounts = [dict(each.columns[Metric.LIVE_BYTES].items())[stack] for each in recording.snapshots]
    assert all(1 << 20 <= after - before < 3 << 20 for before, after in pairwise(amounts))
    assert (Metric.MAPPED_BYTES in recording.snapshots[0].totals) == (name == "smaps")


def test_a_rollup_that_is_cut_says_so(tmp_path: Path) -> None:
    text = ever_more(tmp_path, "smaps_rollup", 2)
    recording = read(text[:-20])
    assert not recording.complete and len(recording.snapshots) == 1


def test_of_two_processes_in_one_file_the_second_is_left_out(tmp_path: Path) -> None:
    recording = read(ever_more(tmp_path, "smaps", 2) + other_process())
    assert not recording.complete and "other processes" in recording.flaws[0] and len(recording.snapshots) == 2


def other_process() -> bytes:
    return subprocess.run(["cat", "/proc/self/smaps"], check=True, capture_output=True).stdout


def test_files_with_several_moments_are_a_series_too(tmp_path: Path) -> None:
    text = ever_more(tmp_path, "smaps", 3)
    for number in (1, 2):
        (tmp_path / f"smaps.{number}").write_bytes(text)
    recording = smaps.read_series((tmp_path / f"smaps.{number}", None) for number in (1, 2))
    check_valid(recording)
    assert [each.time for each in recording.snapshots] == [0, 1, 2, 3, 4, 5]
