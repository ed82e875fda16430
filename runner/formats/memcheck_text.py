"""memcheck's log as people read it: `==PID== ` before each line, in a file of its own or amid what the program printed.

It may be part of a longer one, of a build's say, which puts a time or a name before each line, and colours; several processes
may speak in it. A record is a headline, a stack (`   at`, `   by`), and one or more lines that begin with a single space, each
with a stack of its own; an empty line ends it. Written by valgrind's memcheck/mc_errors.c and mc_leakcheck.c; the kinds are
those that the XML has for the same headlines.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from runner.formats._memcheck import CRASHES, EMPTIED, TOOL_VERSION, UNLISTED, LeakRecords, add_unlisted, loss_of
from runner.formats._valgrind import Rows, add_flaw, amount_of, mark_inlined, parse_frame, text_of
from runner.model import Amount, Defect, Frame, HeapSummary, Loss, LossKind, Recording

FORMAT = "memcheck log"
AMID = True

_STAMP = r"(?:[0-9]+:[0-9:.]+ )?"  # --time-stamp=yes
_PREFIX = re.compile(rf"==\s?{_STAMP}([0-9]{{1,10}})== ?(.*)", re.DOTALL)
_TOOL = r"([A-Z]\S+), an? [a-z]"  # Memcheck, a memory error detector
_OPENING = (
    r"(?:HEAP SUMMARY:|LEAK SUMMARY:|[0-9,]+ [^\n]*bytes in [0-9,]+ [^\n]*blocks are "
    r"|Invalid (?:read|write) of size |Conditional jump or move depends on uninit|Use of uninitialised value "
    r"|Syscall param |Invalid free\(\) |Mismatched free\(\) |Source and destination overlap "
    r"|FILE DESCRIPTORS: )"
)
_BANNER, _MINE = (re.compile(rf"=={_STAMP}[0-9]+== *{begin}".encode()) for begin in (_TOOL, _OPENING))
_BARE = re.compile(
    rb"^ *[0-9,]+ (?:\([^\n]*\) )?bytes in [0-9,]+ blocks are [a-z ]+ in loss record [^\n]*\n +at 0x", re.MULTILINE
)
_IS_BANNER, _IS_OPENING = re.compile(_TOOL), re.compile(rf"{_TOOL}| *{_OPENING}")
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_WORD, _ESCAPED = re.compile(r"(?:\\.|[^ \\])+"), re.compile(r"\\(.)")
_FRAME = re.compile(r" *(?:at|by) (0x[0-9A-Fa-f]+:.*)", re.DOTALL)  # pasted somewhere it may have lost its indent
_BESIDE = re.compile(r"Address 0x|Block was |Uninitialised value was |Originally ")  # auxiliary lines without theirs
_KINDS = (
    ("Invalid read of size ", "InvalidRead"),
    ("Invalid write of size ", "InvalidWrite"),
    ("Jump to the invalid address ", "InvalidJump"),
    ("Conditional jump or move depends on uninitialised value", "UninitCondition"),
    ("Use of uninitialised value of size ", "UninitValue"),
    ("Syscall param ", "SyscallParam"),
    ("Invalid free() ", "InvalidFree"),
    ("Mismatched free() ", "MismatchedFree"),
    ("Mismatched new/delete size ", "MismatchedAllocateDeallocateSize"),
    ("Mismatched new/delete alignment ", "MismatchedAllocateDeallocateAlignment"),
    ("Source and destination overlap ", "Overlap"),
    ("Argument ", "FishyValue"),
    ("realloc() with size 0", "ReallocSizeZero"),
    ("Invalid size and alignment", "InvalidSizeAndAlignment"),
    ("Invalid alignment value", "InvalidAlignment"),
    ("Unsafe allocation with size of zero", "InvalidSize"),
    ("Illegal memory pool address", "InvalidMemPool"),
    ("Uninitialised byte(s) found during client check request", "ClientCheck"),
    ("Unaddressable byte(s) found during client check request", "ClientCheck"),
    ("Open file descriptor ", "FdNotClosed"),
    ("Process terminating with default action of signal ", "FatalSignal"),
)
_CLOSED_DESCRIPTOR = re.compile(r"File descriptor \S+ .*(?:is|was) already closed")
_SIGNAL_NAME = re.compile(r"signal [0-9]+ \((SIG[A-Z0-9]+)\)")
_DELTA = r"(?: \([+-][0-9,]+\))?"
_LEAK_LINE = re.compile(rf" *({'|'.join(LossKind)}): ([0-9,]+){_DELTA} bytes in ([0-9,]+){_DELTA} blocks")
_OLD = r"malloc/free: "  # until 3.4
_IN_USE = re.compile(rf"(?:{_OLD}| *)in use at exit: ([0-9,]+) bytes in ([0-9,]+) blocks")
_USAGE = re.compile(rf"(?:{_OLD}| *total heap usage: )([0-9,]+) allocs, ([0-9,]+) frees, ([0-9,]+) bytes allocated")
_CONTEXT = re.compile(r"([0-9,]+) errors in context [0-9,]+ of [0-9,]+:")
_ALL_FREED = re.compile(r"(?:All heap blocks were freed|No malloc'd blocks) -- no leaks are possible")
_UNSHOWN = {
    "Rerun with --leak-check=full to see details of leaked memory": UNLISTED,
    "Reachable blocks (those to which a pointer was found) are not shown": "reachable memory is not listed (--show-leak-kinds)",
}


def sniff(head: bytes) -> bool:
    """True for a log with memcheck's banner or, where there is none at all, with its headlines; not for other tools'."""
    banners = {banner[1] for banner in _BANNER.finditer(head)}
    return b"Memcheck" in banners if banners else (_MINE.search(head) or _BARE.search(head)) is not None


def read(stream: BinaryIO, name: str) -> Recording:
    """The process that speaks first. That others wrote here too is a flaw."""
    first, *others = read_all(stream, name)
    if others:
        pids = ", ".join(str(each.pid) for each in others[:10])
        add_flaw(first, f"other processes wrote here too, and are left out ({pids}): use %p in --log-file")
    return first


def read_all(stream: BinaryIO, name: str) -> list[Recording]:  # noqa: ARG001 - the interface of all readers
    """A recording for each process that speaks in the log, in the order in which they begin; one at least.

    Where no row has valgrind's mark, as people take it off, all are one process's.
    """
    recordings = _Log().recordings(Rows(stream))
    if len(recordings) == 1 and recordings[0].pid is None:
        stream.seek(0)
        return [_bared(stream)]
    return recordings


def _bared(stream: BinaryIO) -> Recording:
    process, indent = _Process(None), 0
    for row in _all_rows(Rows(stream)):
        if loss_of(row.strip(), 0) is not None:
            indent = len(row) - len(row.lstrip())
        process.take(row[indent:] if row[:indent].isspace() else row)
    return process.recording()


class _Log:
    """Tells who speaks in each row."""

    def __init__(self) -> None:
        self._all: list[_Process] = []
        self._by_pid: dict[str, _Process] = {}
        self._speaker: _Process | None = None
        self._indent = 0  # what a build's log puts before its rows, in characters

    def recordings(self, rows: Rows) -> list[Recording]:
        for row in _all_rows(rows):
            said = self._said_in(row)
            if said is not None:
                self._speaker = self._process(said[1], said[2])
                self._speaker.take(said[2])
                self._indent = said.start()
            elif self._speaker is not None:
                self._speaker.take_beside(row[self._indent :])
        found = [(process.recording(), process) for process in self._all]
        return [recording for recording, process in found if process.is_memcheck] or [_Process(None).recording()]

    def _said_in(self, row: str) -> re.Match[str] | None:
        """The pid and the text that valgrind says in this row; None for a row of the program's own.

        Behind other text, which may be the program's, one that is not known yet must begin as memcheck does.
        """
        at = row.find("==")
        while at >= 0:
            said = _PREFIX.match(row, at)
            if said is not None and (at == 0 or said[1] in self._by_pid or _IS_OPENING.match(said[2])):
                return said
            at = row.find("==", at + 1)
        return None

    def _process(self, pid: str, text: str) -> "_Process":
        """The one of that pid; where the pid is used again, a new one."""
        known = self._by_pid.get(pid)
        if known is None or (known.ended and _IS_BANNER.match(text)):
            known = self._by_pid[pid] = _Process(int(pid))
            self._all.append(known)
        return known


class _Record:
    """A record that is being read: its headline, its own stack, and the auxiliary lines with theirs."""

    def __init__(self, headline: str) -> None:
        self.headline = headline
        self.stacks: list[tuple[str, list[Frame]]] = [("", [])]

    def add_line(self, text: str) -> None:
        if not self.stacks[0][1] and self.headline.startswith("Process terminating"):
            self.headline = f"{self.headline}: {text}"  # why comes before where
        else:
            self.stacks.append((text, []))


class _Process:
    """What one process says."""

    def __init__(self, pid: int | None) -> None:
        self.ended = False
        self._recording = Recording("memcheck", pid=pid)
        self._leaks = LeakRecords()
        self._record: _Record | None = None
        self._loss: Loss | None = None  # the last, which a suppression may follow
        self._suppression: list[str] | None = None  # that is being read
        self._count: int | None = None  # of the record that follows, where the list of contexts gives it
        self._tool = ""  # by its banner

    @property
    def is_memcheck(self) -> bool:
        """Whether it is, once all was read: not another tool of valgrind's, nor what only looks like one."""
        said = self._recording
        return self._tool == "Memcheck" or (
            not self._tool and bool(self.ended or said.losses or said.defects or said.leak_summary or said.heap_summary)
        )

    def recording(self) -> Recording:
        """All that it said, and what is missing."""
        self._end_record()
        self._recording.losses = self._leaks.losses
        add_unlisted(self._recording)
        if not self.ended:
            add_flaw(self._recording, "there is no ERROR SUMMARY: the log is cut, or it was written with -q")
        return self._recording

    def take(self, text: str) -> None:
        """A row, without what valgrind puts before it."""
        if (banner := _IS_BANNER.match(text)) is not None:
            self._tool = banner[1]
        elif self._tool in ("", "Memcheck"):
            self._take(text)

    def take_beside(self, row: str) -> None:
        """A row that valgrind did not put its mark before, after one of this process."""
        if row == "{" or self._suppression is not None:
            self._suppression = self._take_suppression(row, self._suppression or [])

    def _take(self, text: str) -> None:
        if not text.strip():
            self._end_record()
        elif (frame_text := _FRAME.match(text)) is not None:
            frame = parse_frame(frame_text[1])
            if self._record is not None and frame is not None:
                self._record.stacks[-1][1].append(frame)
        elif self._record is not None and (_BESIDE.match(text) or (text[0] == " " and text[1:2] != " ")):
            self._record.add_line(text.strip())
        elif not self._take_summary(text) and text[0] != " ":
            self._end_record()
            self._record = _Record(text)
            if text.startswith("Process terminating"):
                self._recording.limits.append(EMPTIED)

    def _take_summary(self, text: str) -> bool:
        """Takes a line of the head or of a summary; False for any other."""
        recording = self._recording
        if (version := TOOL_VERSION.match(text)) is not None:
            recording.tool_version = version[1]
        elif text.startswith("Command: "):
            recording.command = _words(text.removeprefix("Command: "))
        elif text.startswith("Parent PID: "):
            recording.parent_pid = amount_of(text.removeprefix("Parent PID: "))
        elif text.startswith("ERROR SUMMARY: "):
            self.ended = True
        elif (unshown := _UNSHOWN.get(text.rstrip("."))) is not None:
            if unshown not in recording.limits:
                recording.limits.append(unshown)
        elif _ALL_FREED.match(text):
            recording.leak_summary = {kind: Amount(0, 0) for kind in LossKind}
        elif (context := _CONTEXT.fullmatch(text)) is not None:
            self._count = amount_of(context[1])
        else:
            return self._take_figures(text)
        self._end_record()
        return True

    def _take_figures(self, text: str) -> bool:
        recording = self._recording
        if match := _LEAK_LINE.match(text):
            recording.leak_summary = recording.leak_summary or {}
            if (amount := _amount(match[2], match[3])) is not None:
                recording.leak_summary[LossKind(match[1])] = amount
        elif match := _IN_USE.match(text):
            recording.heap_summary = HeapSummary(in_use_at_exit=_amount(match[1], match[2]))
        elif match := _USAGE.match(text):
            summary = recording.heap_summary = recording.heap_summary or HeapSummary()
            summary.allocations, summary.frees, summary.allocated_bytes = (amount_of(match[n]) for n in (1, 2, 3))
        else:
            return False
        return True

    def _end_record(self) -> None:
        record, self._record = self._record, None
        if record is None:
            return
        stack_ids = [self._stack_id(frames) for _, frames in record.stacks]
        if (loss := loss_of(record.headline, 0)) is not None:
            loss.stack_id = self._recording.table.intern([Frame()]) if stack_ids[0] is None else stack_ids[0]
            self._leaks.add(loss, record.headline)
            self._loss = loss
            return
        kind = _kind_of(record.headline, stack_ids[0] is not None)
        if kind is not None:
            auxiliary = [(text, stack_id) for (text, _), stack_id in zip(record.stacks[1:], stack_ids[1:], strict=True)]
            self._add_defect(Defect(kind, record.headline, stack_ids[0], auxiliary=auxiliary))

    def _add_defect(self, defect: Defect) -> None:
        """Adds it; with -s or -v memcheck lists all at the end once more, and then says how often each came."""
        count, self._count = self._count, None
        if count is not None:
            for known in self._recording.defects:
                if (known.kind, known.message, known.stack_id) == (defect.kind, defect.message, defect.stack_id):
                    known.count = count
                    return
            defect.count = count
        self._recording.defects.append(defect)

    def _stack_id(self, frames: list[Frame]) -> int | None:
        return self._recording.table.intern(mark_inlined(frames)) if frames else None

    def _take_suppression(self, row: str, rows: list[str]) -> list[str] | None:
        """Collects what --gen-suppressions=all prints, without a prefix, behind a leak record."""
        rows.append(row)
        if row != "}" and len(rows) < 100:
            return rows
        if row == "}" and len(rows) > 1 and "<insert_a_suppression_name_here>" in rows[1] and self._loss is not None:
            self._end_record()
            self._loss.suppression = self._loss.suppression or "\n".join(rows)
        return None


def _all_rows(rows: Rows) -> Iterator[str]:
    yield from map(_plain, rows)
    if rows.unfinished:
        yield _plain(rows.unfinished)


def _plain(row: bytes) -> str:
    text = text_of(row)
    return (_COLOURS.sub("", text) if "\x1b" in text else text).rstrip("\r")


def _words(command: str) -> list[str]:
    """The words of a command line, in whose words valgrind puts a backslash before a blank or a backslash, and nothing else."""
    return [_ESCAPED.sub(r"\1", word) for word in _WORD.findall(command)]


def _amount(size: str, blocks: str) -> Amount | None:
    found = amount_of(size), amount_of(blocks)
    return Amount(found[0], found[1]) if found[0] is not None and found[1] is not None else None


def _kind_of(headline: str, has_stack: bool) -> str | None:
    """The XML's word for this headline; None for a line that tells of no defect."""
    if (signal := _SIGNAL_NAME.search(headline)) is not None and signal[1] not in CRASHES:
        return None
    if _CLOSED_DESCRIPTOR.match(headline):
        return "FdBadClose"
    for beginning, kind in _KINDS:
        if headline.startswith(beginning) and (has_stack or kind == "FatalSignal"):
            return kind
    return "Unknown" if has_stack and not headline.startswith(("Warning", "Thread ")) else None
