"""What tools say amid longer texts: a build's log with its own words before each line, many processes, other encodings."""

import bz2
import codecs
import gzip
import lzma
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.errors import LeakrunError
from runner.formats import UnknownFormatError, read_file, read_files
from runner.model import LossKind, Metric, Recording

PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
__attribute__((noinline)) static void *lose(size_t size) { return malloc(size); }
int main(int argc, char **argv) {
    size_t size = (size_t)atoi(argv[1]);
    fputs("no line end", stderr);
    if (!lose(size)) return 1;
    if (argc > 2) {
        if (fork() == 0) return lose(7) == NULL;
        wait(NULL);
    }
    return 0;
}
"""
AS_BUILDS_WRITE_THEM: dict[str, Callable[[bytes], bytes]] = {
    "github": lambda line: b"2024-05-06T07:08:09.1234567Z " + line,
    "ctest": lambda line: b"12: " + line,
    "compose": lambda line: b"\x1b[36mapp_1  |\x1b[0m " + line,
    "listener": lambda line: b"(1) " + line,
    "red": lambda line: b"\x1b[31m" + line.rstrip() + b"\x1b[0m\n",
    "crlf": lambda line: line.replace(b"\n", b"\r\n"),
}


def built(folder: Path, *options: str) -> Path:
    (folder / "loses.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-g", "-O0", *options, "-o", folder / "loses", folder / "loses.c"], check=True)
    return folder / "loses"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    return built(tmp_path_factory.mktemp("memcheck"))


def stderr_of(*command: object) -> bytes:
    return subprocess.run(list(map(str, command)), check=False, capture_output=True).stderr


@pytest.fixture(scope="module")
def memcheck_log(program: Path) -> bytes:
    return stderr_of("valgrind", "--leak-check=full", "--gen-suppressions=all", program, 100)


@pytest.fixture(scope="module")
def lsan_log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return stderr_of(built(tmp_path_factory.mktemp("lsan"), "-fsanitize=leak"), 100)


def saved(path: Path, raw: bytes) -> list[Recording]:
    path.write_bytes(raw)
    return read_files([path])


def sites(recordings: list[Recording]) -> list[tuple[str, int, str | None, int | None]]:
    """Of each loss: its tool, bytes, and the program's own frame."""
    found: list[tuple[str, int, str | None, int | None]] = []
    for recording in recordings:
        for loss in recording.losses:
            own = next(frame for frame in recording.table.frames_of(loss.stack_id) if frame.signature == "lose")
            found.append((recording.tool, loss.bytes, (own.file or "").rpartition("/")[2], own.line))
    return found


LOST = 100, "loses.c", 6


@pytest.mark.parametrize("style", AS_BUILDS_WRITE_THEM)
@pytest.mark.parametrize("tool", ["memcheck", "lsan"])
def test_a_report_in_a_builds_log_is_whole(tool: str, style: str, memcheck_log: bytes, lsan_log: bytes, tmp_path: Path) -> None:
    raw = memcheck_log if tool == "memcheck" else lsan_log
    lines = (b"##[group]Run tests\n" + raw).splitlines(keepends=True)
    recordings = saved(tmp_path / "log", codecs.BOM_UTF8 + b"".join(map(AS_BUILDS_WRITE_THEM[style], lines)))
    assert sites(recordings) == [(tool, *LOST)]
    assert recordings[0].complete and recordings[0].pid
    assert tool != "memcheck" or "Memcheck:Leak" in recordings[0].losses[0].suppression


@pytest.mark.parametrize("tool", ["memcheck", "lsan"])
def test_a_report_far_behind_the_beginning_is_found(tool: str, memcheck_log: bytes, lsan_log: bytes, tmp_path: Path) -> None:
    raw = memcheck_log if tool == "memcheck" else lsan_log
    for before in (b"cc -c file.c\n" * 20_000, b"x" * 3_000_000 + b"\n"):
        assert sites(saved(tmp_path / "log", before + raw)) == [(tool, *LOST)]


def test_all_tools_that_speak_in_a_log_are_heard(memcheck_log: bytes, lsan_log: bytes, tmp_path: Path) -> None:
    recordings = saved(tmp_path / "log", lsan_log + b"building\n" * 20_000 + memcheck_log)
    assert sites(recordings) == [("lsan", *LOST), ("memcheck", *LOST)]


@pytest.mark.parametrize("line", [b'it says "==12== ERROR SUMMARY: 0 errors"\n', b"== 12 ==\n", b"==12==\n", b"a ==12== HEAP\n"])
def test_what_quotes_a_report_is_none(line: bytes, memcheck_log: bytes, tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError):
        saved(tmp_path / "log", line * 5)
    (recording,) = saved(tmp_path / "log", line + memcheck_log + line)
    assert sites([recording]) == [("memcheck", *LOST)] and recording.complete


def test_each_process_of_a_log_has_its_recording(program: Path, tmp_path: Path) -> None:
    raw = stderr_of(
        "valgrind", "--leak-check=full", "--trace-children=yes", "/bin/sh", "-c", f"{program} 50; {program} 60 fork; exit 0"
    )
    recordings = saved(tmp_path / "log", raw)
    assert sorted(size for _, size, _, _ in sites(recordings)) == [7, 50, 60, 60]  # the child was forked with the 60 lost
    assert len({recording.pid for recording in recordings}) == len(recordings) and all(each.complete for each in recordings)


def test_a_pid_that_is_used_again_is_another_process(program: Path, tmp_path: Path) -> None:
    runs = [stderr_of("valgrind", "--leak-check=full", program, size) for size in (50, 60)]
    pids = [saved(tmp_path / "log", raw)[0].pid for raw in runs]
    in_containers = b"".join(raw.replace(f"=={pid}==".encode(), b"==1==") for raw, pid in zip(runs, pids, strict=True))
    recordings = saved(tmp_path / "log", in_containers)
    assert [(each.pid, each.complete) for each in recordings] == [(1, True), (1, True)]
    assert [size for _, size, _, _ in sites(recordings)] == [50, 60]


def test_an_exec_is_the_same_process(program: Path, tmp_path: Path) -> None:
    raw = stderr_of("valgrind", "--leak-check=full", "--trace-children=yes", "/bin/sh", "-c", f"exec {program} 50")
    (recording,) = saved(tmp_path / "log", raw)
    assert recording.complete and recording.command[0] == str(program) and sites([recording])[0][1] == 50


def test_other_tools_of_valgrind_are_passed_over(program: Path, memcheck_log: bytes, tmp_path: Path) -> None:
    other = stderr_of("valgrind", "--tool=none", program, 1)
    assert sites(saved(tmp_path / "log", other + memcheck_log)) == [("memcheck", *LOST)]


def test_what_suppressions_left_out_is_told(tmp_path: Path) -> None:
    program, rules = built(tmp_path, "-fsanitize=leak"), tmp_path / "rules"
    rules.write_text("leak:lose\n")
    raw = stderr_of("env", f"LSAN_OPTIONS=suppressions={rules}", program, 100)
    (recording,) = saved(tmp_path / "log", raw)
    assert recording.complete and not recording.losses
    assert recording.limits == ["left out by the suppression 'lose': 100 bytes in 1 block"]
    (cut,) = saved(tmp_path / "log", raw[: raw.rindex(b"---")].rstrip(b"-"))
    assert not cut.complete and not cut.losses


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_utf_16_is_read(order: str, compress: Callable[[bytes], bytes], memcheck_log: bytes, tmp_path: Path) -> None:
    text = "\ufeff" + "ü" * 50_000 + "\n" + memcheck_log.decode()
    (recording,) = saved(tmp_path / "log", compress(text.replace("\n", "\r\n").encode(order)))
    assert sites([recording]) == [("memcheck", *LOST)] and recording.complete
    assert recording.leak_summary and recording.leak_summary[LossKind.DEFINITE].bytes == 100


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress])
def test_what_people_compress_is_read(compress: Callable[[bytes], bytes], memcheck_log: bytes, tmp_path: Path) -> None:
    assert sites(saved(tmp_path / "log", compress(memcheck_log))) == [("memcheck", *LOST)]


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress, gzip.compress])
def test_a_compressed_file_with_nothing_left_says_why(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(compress(b"==1== Memcheck")[:12])
    with pytest.raises(LeakrunError, match="compressed, and is"):
        read_file(tmp_path / "log")


@pytest.mark.parametrize("compress", [lzma.compress, gzip.compress])
def test_what_came_before_a_cut_is_read(compress: Callable[[bytes], bytes], memcheck_log: bytes, tmp_path: Path) -> None:
    (recording,) = saved(tmp_path / "log", compress(memcheck_log)[:-8])
    assert sites([recording]) == [("memcheck", *LOST)]
    assert not recording.complete and "compressed, and is cut" in recording.flaws[0]


@pytest.mark.parametrize(("compress", "suffix"), [(gzip.compress, "gz"), (bz2.compress, "bz2"), (lzma.compress, "xz")])
def test_compressed_dumps_are_a_series_as_they_were(compress: Callable[[bytes], bytes], suffix: str, tmp_path: Path) -> None:
    maps = b"\nMAPPED_LIBRARIES:\n00400000-00500000 r-xp 00001000 08:01 77   /opt/app\n"
    paths = [tmp_path / f"app.{number:04}.heap.{suffix}" for number in range(3)]
    for number, path in enumerate(paths, 1):
        amounts = b"%d: %d [%d: %d] @" % (number, number * 100, number, number * 100)
        path.write_bytes(compress(b"heap profile: " + amounts + b" heapprofile\n" + amounts + b" 0x400010\n" + maps))
    (series,) = read_files(paths[::-1])
    assert series.complete and [each.totals[Metric.LIVE_BYTES] for each in series.snapshots] == [100, 200, 300]
    paths[1].write_bytes(paths[1].read_bytes()[:-30])
    (cut,) = read_files(paths)
    assert not cut.complete and any("compressed" in flaw for flaw in cut.flaws)


def test_the_name_of_a_compressed_file_says_what_its_own_does(tmp_path: Path) -> None:
    (tmp_path / "massif.out.4711.gz").write_bytes(gzip.compress(b"desc: x\ncmd: y\ntime_unit: i\n#-----------\n"))
    assert read_file(tmp_path / "massif.out.4711.gz").pid == 4711


def test_the_words_of_the_command_are_those_of_the_program(program: Path, tmp_path: Path) -> None:
    odd = ["7", "", "a b", "--c=d;e", "'f\"", "back\\slash", "#no", "*"]
    recording = saved(tmp_path / "log", stderr_of("valgrind", program, *odd))[0]
    assert recording.command == [str(program), *filter(None, odd)]  # valgrind shows nothing of an empty word


GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(
    "pattern", ["massif/c/massif*", "mtrace/c/*.log", "dhat/c/dhat*", "gperftools_heap/leak/*.heap", "smaps/kinds/*.smaps"]
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_changes_nothing(encoding: str, pattern: str, tmp_path: Path) -> None:
    (native,) = (path for path in GOLDEN.glob(pattern) if path.suffix != ".c")
    (tmp_path / native.name).write_bytes(native.read_text(encoding="utf-8").encode(encoding))
    expected, found = read_file(native), read_file(tmp_path / native.name)
    assert found.complete == expected.complete and found.table.frames == expected.table.frames
    assert [each.totals for each in found.snapshots] == [each.totals for each in expected.snapshots]
