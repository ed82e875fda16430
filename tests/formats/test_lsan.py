"""LeakSanitizer's report, as it comes: alone, among other words, coloured, cut, named and not named."""

from pathlib import Path

import pytest

from runner.errors import LeakrunError
from runner.formats import lsan_report, read_file
from runner.model import LossKind
from tests.leakrun_command import answer

GOLDEN = Path(__file__).parents[1] / "golden" / "lsan_report"
NAMED, LEAKS, CLEAN = GOLDEN / "named" / "named.out", GOLDEN / "leaks" / "leaks.out", GOLDEN / "clean" / "clean.out"
THREAD_START = GOLDEN / "thread_start" / "thread_start.out"


def amounts(path: Path) -> list[tuple[LossKind, int, int, int]]:
    return [(loss.kind, loss.bytes, loss.blocks, loss.indirect_bytes) for loss in read_file(path).losses]


def test_what_hangs_on_a_lost_block_of_the_same_stack_is_counted_with_it() -> None:
    assert amounts(NAMED) == [
        (LossKind.DEFINITE, 48 + 912, 1, 912),
        (LossKind.DEFINITE, 15, 3, 0),
        (LossKind.INDIRECT, 912, 19, 0),
    ]


def test_a_ring_is_lost_though_its_blocks_point_to_each_other() -> None:
    recording = read_file(GOLDEN / "ring" / "ring.out")
    assert {loss.kind for loss in recording.losses} == {LossKind.DEFINITE}
    assert sum(loss.bytes for loss in recording.losses) == 16


def test_a_look_that_found_nothing_is_told_from_none(tmp_path: Path) -> None:
    recording = read_file(CLEAN)
    assert recording.complete and not recording.losses
    (tmp_path / "silent").write_bytes(b"hello\n")
    with pytest.raises(LeakrunError):
        read_file(tmp_path / "silent")


def test_addresses_are_named_by_the_maps_beside_the_report() -> None:
    recording = read_file(LEAKS)
    assert not recording.module_relative
    assert any(mapping.path.endswith("/leaks") for mapping in recording.mappings)
    assert all(frame.address for frame in recording.table.frames)


def test_without_the_maps_they_count_from_their_object(tmp_path: Path) -> None:
    text = LEAKS.read_bytes().partition(b"leakrun: ")[0]
    (tmp_path / "bare").write_bytes(text)
    recording = read_file(tmp_path / "bare")
    offsets = {frame.address for frame in recording.table.frames if frame.module == "/tmp/sanitized/leaks"}
    assert recording.module_relative and offsets and all(offset is not None and offset < 0x10000 for offset in offsets)
    assert amounts(tmp_path / "bare") == amounts(LEAKS)


@pytest.mark.parametrize("maps", [True, False])
def test_what_a_sanitizer_allocates_as_a_thread_begins_is_not_the_programs(maps: bool, tmp_path: Path) -> None:
    text = THREAD_START.read_bytes()
    (tmp_path / "report").write_bytes(text if maps else text.partition(b"leakrun: ")[0])
    said = answer(tmp_path / "report")
    assert [(each["function"], each["bytes"]) for each in said["findings"]] == [("main", 10)]
    assert any("none of the program's code" in note["text"] for note in said["notes"])


def test_it_is_found_among_what_the_program_said_and_in_colours(tmp_path: Path) -> None:
    lines = NAMED.read_bytes().splitlines(keepends=True)
    coloured = [b"\x1b[1m\x1b[31m" + line[:-1] + b"\x1b[1m\x1b[0m\n" if line.startswith(b"==") else line for line in lines]
    (tmp_path / "log").write_bytes(b"listening on 80\n" * 50 + b"".join(coloured) + b"bye\n")
    assert amounts(tmp_path / "log") == amounts(NAMED)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_report_that_is_cut_says_so(part: float, tmp_path: Path) -> None:
    text = NAMED.read_bytes()
    (tmp_path / "cut").write_bytes(text[: int(len(text) * part)])
    assert "cut" in read_file(tmp_path / "cut").flaws[0]


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        (b"#0 0x10 in f(int, char const*) /a b/c.cc:5:7", ("f(int, char const*)", "/a b/c.cc", 5)),
        (b"#1 0x10 in A::operator/(A const&) x.cc:9", ("A::operator/(A const&)", "x.cc", 9)),
        (b"#2 0x10 in std::map<int, int>::at(int) ../m.h:3", ("std::map<int, int>::at(int)", "../m.h", 3)),
        (b"#3 0x10 in exported (/usr/lib/libx.so.1+0x44) (BuildId: 0a1b)", ("exported", None, None)),
        (b"#4 0x10 in lone", ("lone", None, None)),
        (b"#4 0x10 in f(int) const", ("f(int) const", None, None)),
        (b"#4 0x10 in f(int) const src/a.cc:5:7", ("f(int) const", "src/a.cc", 5)),
        (b"#4 0x10 in f() x.cc", ("f()", "x.cc", None)),
        (b"#4 0x10 in A::b() ??:0:0", ("A::b()", None, None)),
        (b"#4 0x10 in main::{{closure}} src/main.rs:5:9", ("main::{{closure}}", "src/main.rs", 5)),
        (b"#4 0x10 in wrap_malloc+0x94 (libclang_rt.dylib:x86_64h+0x4b)", ("wrap_malloc", None, None)),
        (b"#5 0x10  (/usr/lib/libx.so.1+0x44)", (None, None, None)),
        (b"#6 0x10  (<unknown module>)", (None, None, None)),
        (b"#7 a::(anonymous namespace)::T::Body() in /b/t.cc:12:3", ("a::(anonymous namespace)::T::Body()", "/b/t.cc", 12)),
        (b"#8 testing::Run() in ??:0:0", ("testing::Run()", None, None)),
    ],
)
def test_a_frame_is_taken_apart(line: bytes, frame: tuple[str | None, str | None, int | None], tmp_path: Path) -> None:
    text = (
        b"==7==ERROR: LeakSanitizer: detected memory leaks\n\nDirect leak of 8 byte(s) in 1 object(s) allocated from:\n    %b\n\n"
    )
    (tmp_path / "one").write_bytes(text % line + b"SUMMARY: LeakSanitizer: 8 byte(s) leaked in 1 allocation(s).\n")
    recording = read_file(tmp_path / "one")
    assert recording.complete and [loss.bytes for loss in recording.losses] == [8]
    (found,) = recording.table.frames_of(recording.losses[0].stack_id)
    assert (found.signature, found.file, found.line) == frame


def test_a_leak_without_a_stack_is_counted(tmp_path: Path) -> None:
    leak = b"Direct leak of 8 byte(s) in 1 object(s) allocated from:\n\n"
    text = b"==7==ERROR: LeakSanitizer: detected memory leaks\n\n" + 2 * leak
    (tmp_path / "bare").write_bytes(text + b"SUMMARY: LeakSanitizer: 16 byte(s) leaked in 2 allocation(s).\n")
    assert [loss.bytes for loss in read_file(tmp_path / "bare").losses] == [8, 8]


def test_a_refused_look_is_no_clean_one(tmp_path: Path) -> None:
    (tmp_path / "traced").write_bytes(
        b"==9==LeakSanitizer has encountered a fatal error.\n"
        b"==9==HINT: LeakSanitizer does not work under ptrace (strace, gdb, etc)\n"
    )
    assert lsan_report.FATAL in read_file(tmp_path / "traced").flaws[0]
    (tmp_path / "held").write_bytes(b"leakrun: not checked: a debugger or strace holds the program\n")
    assert lsan_report.FATAL in read_file(tmp_path / "held").flaws[0]


def test_show_answers_from_the_bare_file() -> None:
    said = answer(NAMED)
    first = said["findings"][0]
    assert said["verdict"] == "leaking" and (first["function"], first["line"], first["bytes"]) == ("lose_list", 14, 960)
    assert answer(GOLDEN / "use_after_free" / "use_after_free.out")["errors"][0]["kind"] == "heap-use-after-free"


def test_a_part_of_a_report_is_recognised_behind_a_build_s_words(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(
        b"2: Direct leak of 24 byte(s) in 3 object(s) allocated from:\n2:     #0 0x7f in malloc (/usr/lib/libasan.so.6+0xb1)\n"
        b"2:     #1 0x7e in load /home/x/plugin.cpp:641\n2: \n"
    )
    assert amounts(tmp_path / "part") == [(LossKind.DEFINITE, 24, 3, 0)]
    assert answer(tmp_path / "part")["findings"][0]["function"] == "load"


def test_the_sanitizer_s_malloc_without_a_name_is_not_taken_for_the_program_s(tmp_path: Path) -> None:
    """Clang links it into the program; where nothing is named the leak is its caller's."""
    text = (
        b"==7==ERROR: LeakSanitizer: detected memory leaks\n\nDirect leak of 8 byte(s) in 1 object(s) allocated from:\n"
        b"    #0 0x4b9808  (%b+0x4b9808)\n    #1 0x4f13a0  (/app/fuzz+0x4f13a0)\n\nSUMMARY: AddressSanitizer: 8 byte(s) leaked\n"
    )
    for module, frames in ((b"/app/fuzz", 1), (b"/usr/lib/libasan.so.6", 2), (b"libclang_rt.asan.so", 2)):
        (tmp_path / "bare").write_bytes(text % module)
        recording = read_file(tmp_path / "bare")
        assert len(recording.table.stacks[recording.losses[0].stack_id]) == frames


def test_an_object_s_architecture_is_no_part_of_its_name(tmp_path: Path) -> None:
    """As it stands on macOS."""
    (tmp_path / "mac").write_bytes(
        b"==7==ERROR: LeakSanitizer: detected memory leaks\n\nDirect leak of 8 byte(s) in 1 object(s) allocated from:\n"
        b"    #0 0x10 in calloc+0x87 (libclang_rt.asan_osx_dynamic.dylib:x86_64h+0x55287)\n"
        b"    #1 0x20 in load+0x12 (server:arm64+0x12) (BuildId: 0a1b)\n\nSUMMARY: AddressSanitizer: 8 byte(s) leaked\n"
    )
    recording = read_file(tmp_path / "mac")
    assert [frame.module for frame in recording.table.frames] == ["libclang_rt.asan_osx_dynamic.dylib", "server"]


def test_empty_lines_between_frames_end_no_stack(tmp_path: Path) -> None:
    """As a page or Android's log has them."""
    lines = NAMED.read_bytes().split(b"\n")
    (tmp_path / "spaced").write_bytes(b"\n".join(line + b"\n" * line.lstrip().startswith(b"#") for line in lines))
    assert amounts(tmp_path / "spaced") == amounts(NAMED)
    assert answer(tmp_path / "spaced")["findings"] == answer(NAMED)["findings"]


def test_reports_of_two_processes_in_each_other_s_lines_are_told(tmp_path: Path) -> None:
    one = NAMED.read_text().partition("leakrun: ")[0]
    other = one.replace("==6675==", "==6676==")
    (tmp_path / "behind").write_text(one + other)
    assert read_file(tmp_path / "behind").complete
    alternating = "\n".join(line for pair in zip(one.splitlines(), other.splitlines(), strict=True) for line in pair) + "\n"
    (tmp_path / "mixed").write_text(alternating)
    said = answer(tmp_path / "mixed")
    assert not said["run"]["complete"]
    assert any("mixed up" in reason and "log_path=" in reason for reason in said["reasons"]), said["reasons"]


def test_a_stack_whose_frames_count_back_is_told_without_a_heading_too(tmp_path: Path) -> None:
    text = (
        "Direct leak of 8 byte(s) in 1 object(s) allocated from:\n    #0 0x7f69 in malloc (/lib/liblsan.so.0+0x1)\n"
        "    #1 0x55e7 in lost /src/lost.c:5\n"
    )
    (tmp_path / "part").write_text(text)
    assert read_file(tmp_path / "part").complete
    (tmp_path / "part").write_text(text.replace("#1 ", "#7 "))  # shortened by hand
    assert read_file(tmp_path / "part").complete
    (tmp_path / "part").write_text(text.replace("#1 ", "#0 "))
    assert any("mixed up" in flaw for flaw in read_file(tmp_path / "part").flaws)
