"""memcheck's XML and its text log: both are made from the same program here, and must say the same."""

import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from runner.errors import ErrorKind, LeakrunError
from runner.formats import memcheck_text, memcheck_xml, read_file, read_files, recognise
from runner.formats._xml_records import documents
from runner.model import Amount, LossKind, Recording, check_valid
from tests.leakrun_command import answer

pytestmark = pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
GOLDEN = Path(__file__).parents[1] / "golden"
PROTOCOL_6 = (GOLDEN / "memcheck_xml/protocol6/memcheck.xml").read_bytes()
LEAKS = (GOLDEN / "memcheck_xml/leaks/memcheck.xml").read_bytes()

PROGRAM = """
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
struct link { struct link *next; char filling[50]; };
static void *reachable;
static char *inside;
static struct link *chain(int n) {
    struct link *head = malloc(sizeof *head);
    head->next = n ? chain(n - 1) : NULL;
    return head;
}
static void use(void) {
    char *block = malloc(24);
    for (volatile int i = 0; i < 5; i++) block[24] = 1;
    if (block[3]) puts("undefined");
    free(block);
    free(block);
}
int main(int argc, char **argv) {
    chain(3);
    reachable = malloc(11);
    inside = (char *)malloc(13) + 5;
    use();
    if (argc > 1 && !strcmp(argv[1], "fork")) { if (fork() == 0) _exit(0); }
    if (argc > 1 && !strcmp(argv[1], "crash")) *(volatile int *)16 = 1;
    if (argc > 1 && !strcmp(argv[1], "term")) raise(SIGTERM);
    if (argc > 1 && !strcmp(argv[1], "kill")) {  // from outside: valgrind ends in order when the program kills itself
        char line[40];
        snprintf(line, sizeof line, "kill -9 %d", (int)getpid());
        system(line);
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("memcheck")
    (folder / "uses.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-g", "-O0", "-w", "-o", folder / "uses", folder / "uses.c"], check=True)
    return folder / "uses"


def run(kind: str, program: Path, out: Path, *arguments: str, options: tuple[str, ...] = ("--show-leak-kinds=all",)) -> Recording:
    output = ["--xml=yes", f"--xml-file={out}"] if kind == "xml" else [f"--log-file={out}"]
    subprocess.run(
        ["valgrind", "--leak-check=full", "--track-origins=yes", *output, *options, program, *arguments],
        check=False,
        capture_output=True,
    )
    return read_file(out)


def said(recording: Recording) -> object:
    """All that both formats tell, in one shape; text has no directories and no objects beside lines."""
    names = [
        tuple((frame.signature, frame.line) for frame in recording.table.frames_of(n)) for n in range(len(recording.table.stacks))
    ]
    losses = [(loss.kind, loss.bytes, loss.blocks, loss.indirect_bytes, names[loss.stack_id]) for loss in recording.losses]
    defects = [
        (
            re.sub("0x[0-9a-f]+", "", d.message),
            d.kind,
            names[d.stack_id or 0],
            [re.sub("0x[0-9a-f]+", "", text) for text, _ in d.auxiliary],
        )
        for d in recording.defects
    ]
    return losses, defects, recording.leak_summary, recording.complete, recording.tool_version, recording.command


def test_both_formats_say_the_same(program: Path, tmp_path: Path) -> None:
    xml, text = run("xml", program, tmp_path / "x.xml"), run("text", program, tmp_path / "x.log")
    assert said(xml) == said(text)
    assert text.heap_summary is not None and xml.heap_summary is not None
    assert xml.heap_summary.in_use_at_exit == text.heap_summary.in_use_at_exit
    assert xml.heap_summary.allocations is None and text.heap_summary.allocations is not None


def test_indirect_bytes_are_counted_once(program: Path, tmp_path: Path) -> None:
    xml = run("xml", program, tmp_path / "x.xml")
    head = next(loss for loss in xml.losses if loss.kind is LossKind.DEFINITE)
    size = head.bytes // 4
    assert (head.bytes, head.indirect_bytes) == (4 * size, 3 * size)
    assert xml.leak_summary is not None
    assert xml.leak_summary[LossKind.DEFINITE] == Amount(size, 1) and xml.leak_summary[LossKind.INDIRECT] == Amount(3 * size, 3)


def test_an_error_is_counted_as_often_as_it_came(program: Path, tmp_path: Path) -> None:
    for recording in (run("xml", program, tmp_path / "x.xml"), run("text", program, tmp_path / "x.log", options=("-s",))):
        assert [(defect.kind, defect.count) for defect in recording.defects] == [
            ("InvalidWrite", 5),
            ("UninitCondition", 1),
            ("InvalidFree", 1),
        ]


def test_kinds_that_were_not_asked_for_are_not_zero(program: Path, tmp_path: Path) -> None:
    xml = run("xml", program, tmp_path / "x.xml", options=())
    assert xml.leak_summary is not None and set(xml.leak_summary) == {LossKind.DEFINITE, LossKind.POSSIBLE}
    assert xml.heap_summary is None and "still reachable" in xml.limits[0]


@pytest.mark.parametrize("kind", ["xml", "text"])
def test_a_crash_is_an_error_and_a_stop_is_none(kind: str, program: Path, tmp_path: Path) -> None:
    crashed, stopped = run(kind, program, tmp_path / "1", "crash"), run(kind, program, tmp_path / "2", "term")
    assert crashed.defects[-1].kind == "FatalSignal" and "SIGSEGV" in crashed.defects[-1].message and crashed.complete
    assert all(defect.kind != "FatalSignal" for defect in stopped.defects) and stopped.complete
    assert len(stopped.losses) == len(crashed.losses) > 0


@pytest.mark.parametrize("kind", ["xml", "text"])
def test_a_killed_program_keeps_its_errors(kind: str, program: Path, tmp_path: Path) -> None:
    killed = run(kind, program, tmp_path / "x", "kill")
    assert not killed.complete and killed.flaws and killed.losses == [] and len(killed.defects) == 3
    assert killed.leak_summary is None


@pytest.mark.parametrize("kind", ["xml", "text"])
def test_a_child_in_the_same_file_is_told(kind: str, program: Path, tmp_path: Path) -> None:
    forked = run(kind, program, tmp_path / "x", "fork")
    assert not forked.complete and any("process" in flaw for flaw in forked.flaws)
    assert len(forked.defects) >= 3


def xml_of(raw: bytes) -> Recording:
    recording = memcheck_xml.read(io.BytesIO(raw), "x.xml")
    check_valid(recording)
    return recording


def test_summaries_of_protocol_6_are_believed() -> None:
    recording = xml_of(PROTOCOL_6.replace(b"<allocs>10<", b"<allocs>4321<").replace(b"<bytes>5362<", b"<bytes>5363<"))
    assert recording.heap_summary is not None and recording.heap_summary.allocations == 4321
    assert recording.leak_summary is not None and recording.leak_summary[LossKind.DEFINITE].bytes == 5363


def test_the_tag_that_one_version_forgets_costs_nothing() -> None:
    whole, unclosed = xml_of(PROTOCOL_6), xml_of((GOLDEN / "memcheck_xml/unclosed/memcheck.xml").read_bytes())
    assert unclosed.complete and unclosed.leak_summary == whole.leak_summary and len(unclosed.losses) == len(whole.losses)


def test_it_is_xml_and_not_lines_that_is_read() -> None:
    one_line = re.sub(rb">\s+<", b"><", LEAKS)
    assert said(xml_of(one_line)) == said(xml_of(LEAKS))


def records(raw: bytes) -> list[bytes]:
    return re.findall(rb"<error>.*?</error>", raw, re.DOTALL)


@pytest.mark.parametrize("count", range(8))
def test_a_cut_behind_a_record_keeps_the_record(count: int) -> None:
    whole = records(LEAKS)
    end = LEAKS.index(whole[0]) if count == 0 else LEAKS.index(whole[count - 1]) + len(whole[count - 1])
    recording = xml_of(LEAKS[:end])
    assert len(recording.losses) == count and not recording.complete
    assert len(xml_of(LEAKS[: end + 30]).losses) == count


@pytest.mark.parametrize(
    "damage",
    [
        b"<fn>ma&in</fn>",
        b"<fn>ma<in</fn>",
        b"<fn>main</fm>",
        b"<fn>main",
        b"<stack>",
        b"</error>",
        b"</valgrindoutput2>",
        b"==1== text & <more>",
    ],
)
def test_damage_inside_a_record_loses_that_record(damage: bytes) -> None:
    whole = records(LEAKS)
    broken = whole[3].replace(b"<fn>main</fn>", damage)
    recording = xml_of(LEAKS.replace(whole[3], broken))
    texts = [loss.bytes for loss in xml_of(LEAKS).losses]
    assert [loss.bytes for loss in recording.losses] in (texts[:3] + texts[4:], texts)
    assert recording.pid == xml_of(LEAKS).pid


def test_a_record_without_an_end_does_not_swallow_the_rest() -> None:
    whole = records(LEAKS)
    recording = xml_of(LEAKS.replace(whole[3], whole[3][:200]))
    texts = [loss.bytes for loss in xml_of(LEAKS).losses]
    assert [loss.bytes for loss in recording.losses] == texts[:3] + texts[4:]
    assert not recording.complete and "line" in recording.flaws[0]


def test_output_of_the_program_around_the_xml_is_passed_over() -> None:
    recording = xml_of(b"starting <up> & so on\n" + LEAKS + b"bye & <bye>\n")
    assert recording.complete and said(recording) == said(xml_of(LEAKS))


def test_a_second_process_is_left_out_and_told() -> None:
    second = re.sub(rb"<pid>\d+<", b"<pid>77<", LEAKS)
    recording = xml_of(LEAKS + second)
    assert len(recording.losses) == len(xml_of(LEAKS).losses) and "77" in recording.flaws[0] + recording.flaws[-1]


def test_entities_are_refused() -> None:
    entities = b'<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">'
    bomb = b'<?xml version="1.0"?><!DOCTYPE v [' + entities + b"]><valgrindoutput><pid>&b;</pid></valgrindoutput>"
    with pytest.raises(LeakrunError) as told:
        xml_of(bomb)
    assert told.value.kind is ErrorKind.USAGE


def test_the_last_leak_check_counts() -> None:
    first = b"".join(records(LEAKS)[:1]).replace(b"record 1 of 8", b"record 1 of 2")
    at, again = LEAKS.index(b"<error>"), b"".join(records(LEAKS))
    assert b"1 of 2" in first and first != again
    for earlier in (first, again):
        assert said(xml_of(LEAKS[:at] + earlier + LEAKS[at:])) == said(xml_of(LEAKS))


def test_other_tools_of_valgrind_are_not_ours() -> None:
    assert recognise(LEAKS.replace(b"<protocoltool>memcheck", b"<protocoltool>helgrind")) is None
    assert recognise(b"==5== Helgrind, a thread error detector\n==5== HEAP SUMMARY:\n") is None
    assert recognise(b"==5== Massif, a heap profiler\n==5== Command: x\n") is None


def test_a_log_behind_a_line_without_end() -> None:
    log = (GOLDEN / "memcheck_text/leaks/memcheck.log").read_bytes()
    pid = re.search(rb"==(\d+)==", log)
    assert pid is not None
    mixed = log.replace(b"==%s== 300 bytes" % pid[1], b"progress: 5 of 9 ==%s== 300 bytes" % pid[1])
    assert mixed != log
    assert said(memcheck_text.read(io.BytesIO(mixed), "log")) == said(memcheck_text.read(io.BytesIO(log), "log"))


def test_a_log_without_line_ends_of_unix_or_its_last_one() -> None:
    log = (GOLDEN / "memcheck_text/leaks/memcheck.log").read_bytes()
    expected = said(memcheck_text.read(io.BytesIO(log), "log"))
    for other in (log.replace(b"\n", b"\r\n"), log.rstrip(b"\n")):
        assert said(memcheck_text.read(io.BytesIO(other), "log")) == expected


def test_documents_one_behind_the_other_are_a_recording_each(program: Path, tmp_path: Path) -> None:
    for number in range(3):
        run("xml", program, tmp_path / f"{number}.xml")
    parts = [(tmp_path / f"{number}.xml").read_bytes() for number in range(3)]
    alone = [said(read_file(tmp_path / f"{number}.xml")) for number in range(3)]
    for filling in (b"", b" " * 70_000):  # a document's end may lie across what is read at once
        (tmp_path / "all.xml").write_bytes(filling.join(parts))
        assert list(map(said, read_files([tmp_path / "all.xml"]))) == alone
    (tmp_path / "cut.xml").write_bytes(parts[0] + parts[1][:-200])
    assert [each.complete for each in read_files([tmp_path / "cut.xml"])] == [True, False]


@pytest.mark.parametrize("size", [1 << 16, (1 << 16) - 7, (1 << 16) + 9])
def test_a_document_ends_wherever_it_does(size: int) -> None:
    first = b"<valgrindoutput>" + b" " * (size - 33) + b"</valgrindoutput>"
    parts = [part.read(1 << 20) for part in documents(io.BytesIO(first + b"\n" + PROTOCOL_6 + b"\n<pid>1</pid>"))]
    assert parts == [first, b"\n" + PROTOCOL_6 + b"\n<pid>1</pid>"]
    close = b" " * (size - 20) + b"<valgrindoutput></valgrindoutput>"
    assert [part.read(1 << 20) for part in documents(io.BytesIO(close + close.lstrip()))] == [close, close.lstrip()]


def bare(text: bytes, pid: bytes = b"5") -> Recording:
    return memcheck_text.read(io.BytesIO(b"".join(b"==%b== %b\n" % (pid, row) for row in text.split(b"\n"))), "log")


SUMMARY = b"LEAK SUMMARY:\n   definitely lost: 40 bytes in 2 blocks\n   indirectly lost: 0 bytes in 0 blocks"
END = b"ERROR SUMMARY: 0 errors from 0 contexts (suppressed: 0 from 0)"


def test_what_only_the_summary_counts_as_lost_is_lost_at_an_unknown_place(tmp_path: Path) -> None:
    """--leak-check=summary, which is memcheck's default."""
    for text in (b"%b\n%b" % (SUMMARY, END), b"%b\n%b" % (END, SUMMARY.replace(b"blocks", b"blocks."))):  # and until 3.4
        (tmp_path / "log").write_bytes(b"==5== Memcheck, a memory error detector.\n==5== " + text.replace(b"\n", b"\n==5== "))
        said = answer(tmp_path / "log")
        assert said["verdict"] == "leaking" and [(each["bytes"], each["function"]) for each in said["findings"]] == [(40, None)]
        assert any("--leak-check=full" in note["text"] for note in said["notes"])


def test_the_summary_of_protocol_6_counts_too() -> None:
    without = re.sub(rb"<error>.*?</error>", b"", PROTOCOL_6, flags=re.DOTALL)
    recording = memcheck_xml.read(io.BytesIO(without), "xml")
    assert without != PROTOCOL_6 and recording.leak_summary is not None
    assert [(loss.kind, loss.bytes) for loss in recording.losses] == [
        (LossKind.DEFINITE, recording.leak_summary[LossKind.DEFINITE].bytes)
    ]


def test_a_log_that_lost_its_indents_has_the_same_stacks() -> None:
    """As it is where it was pasted into a page."""
    log = (GOLDEN / "memcheck_text/leaks/memcheck.log").read_bytes()
    pasted = re.sub(rb"^(==\d+==) +", rb"\1 ", log, flags=re.MULTILINE)
    assert pasted != log and said(memcheck_text.read(io.BytesIO(pasted), "log")) == said(
        memcheck_text.read(io.BytesIO(log), "log")
    )


def test_a_record_without_a_stack_is_counted() -> None:
    """grep's output of many logs."""
    lost = b"t1.log:==5== 48 bytes in 1 blocks are definitely lost in loss record 2 of 4\n"
    (recording,) = memcheck_text.read_all(io.BytesIO(lost), "log")
    assert [(loss.bytes, len(recording.table.stacks[loss.stack_id])) for loss in recording.losses] == [(48, 1)]


def test_the_words_of_an_older_memcheck_are_known() -> None:
    """Until 3.4: the sums on the heap behind the count of errors, and full stops."""
    recording = bare(
        b"Using valgrind-3.4.1-Debian, a dynamic binary instrumentation framework.\n"
        b"ERROR SUMMARY: 0 errors from 0 contexts (suppressed: 17 from 1)\n"
        b"malloc/free: in use at exit: 1,100 bytes in 3 blocks.\nmalloc/free: 7 allocs, 4 frees, 2,100 bytes allocated."
    )
    heap = recording.heap_summary
    assert recording.complete and recording.tool_version == "3.4.1" and heap is not None
    assert (heap.in_use_at_exit, heap.allocations, heap.frees, heap.allocated_bytes) == (Amount(1100, 3), 7, 4, 2100)
    none = bare(b"No malloc'd blocks -- no leaks are possible.\n" + END)
    assert none.leak_summary == {kind: Amount(0, 0) for kind in LossKind}


def test_a_log_that_begins_with_its_open_files_is_recognised() -> None:
    assert recognise(b"done.\n==7== FILE DESCRIPTORS: 5 open at exit.\n==7== Open file descriptor 4: /x\n") is memcheck_text


def test_a_log_whose_marks_were_taken_off_is_read() -> None:
    log = (GOLDEN / "memcheck_text/leaks/memcheck.log").read_bytes()
    bared = re.sub(rb"^==\d+== ?", b"", log, flags=re.MULTILINE)
    assert b"==" not in bared and recognise(bared) is memcheck_text
    (recording,) = memcheck_text.read_all(io.BytesIO(bared), "log")
    assert said(recording) == said(memcheck_text.read(io.BytesIO(log), "log"))
    quoted = b"errors like:\n\n    2 bytes in 1 blocks are definitely lost in loss record 2 of 52\n    at 0x4: malloc (a.c:1)\n"
    (recording,) = memcheck_text.read_all(io.BytesIO(quoted), "mail")
    assert [recording.table.frames_of(loss.stack_id)[0].line for loss in recording.losses] == [1]


def test_a_record_that_lacks_a_figure_has_it_in_its_words() -> None:
    record = records(LEAKS)[0]
    figures = re.search(rb"<leakedblocks>(\d+)</leakedblocks>", record)
    assert figures is not None
    bare = memcheck_xml.read(io.BytesIO(LEAKS.replace(record, record.replace(figures[0], b""))), "xml")
    assert said(bare) == said(memcheck_xml.read(io.BytesIO(LEAKS), "xml"))
