"""memcheck's XML (--xml=yes), protocols 4, 5 and 6.

Described in valgrind's docs/internals/xml-output-protocol4.txt, 5 (file descriptors) and 6 (the three summaries).
`_xml_records` takes the stream apart; here each record becomes what the model has for it.
"""

import re
from collections.abc import Callable
from typing import BinaryIO
from xml.etree.ElementTree import Element

from runner.formats._memcheck import CRASHES, EMPTIED, LOSS_KINDS, TOOL_VERSION, LeakRecords, add_unlisted, loss_of
from runner.formats._valgrind import add_flaw, amount_of, mark_inlined
from runner.formats._xml_records import XmlRecords, documents
from runner.model import Amount, Defect, Frame, HeapSummary, LossKind, Recording

FORMAT = "memcheck XML"

_TOOL = re.compile(rb"<protocoltool>\s*(\w+)")
_SUMMARY_KINDS = {
    "definitely_lost": LossKind.DEFINITE,
    "indirectly_lost": LossKind.INDIRECT,
    "possibly_lost": LossKind.POSSIBLE,
    "still_reachable": LossKind.REACHABLE,
}


def sniff(head: bytes) -> bool:
    """True for memcheck's XML, not for that of valgrind's other tools."""
    if b"<valgrindoutput" not in head:
        return False
    tool = _TOOL.search(head)
    return tool is None or tool[1] == b"memcheck"


def read(stream: BinaryIO, name: str) -> Recording:
    """One recording with losses, defects and, where they are said or can be summed, the summaries.

    Raises LeakrunError(USAGE) for a document type, which memcheck never writes.
    """
    return _Reader().recording(XmlRecords(stream, name))


def read_all(stream: BinaryIO, name: str) -> list[Recording]:
    """The same of each document, where several were written one behind the other (`cat *.xml`)."""
    return [read(document, name) for document in documents(stream)]


class _Reader:
    def __init__(self) -> None:
        self._recording = Recording("memcheck")
        self._leaks = LeakRecords()
        self._defects: dict[str, Defect] = {}
        self._options: list[str] = []
        self._suppressed = False
        self._finished = False
        self._foreign = False
        self._take: dict[str, Callable[[Element], None]] = {
            "preamble": self._take_preamble,
            "pid": self._take_pid,
            "ppid": self._take_parent,
            "args": self._take_arguments,
            "status": self._take_status,
            "error": self._take_error,
            "errorcounts": self._take_counts,
            "suppcounts": self._take_suppressions,
            "heap_summary": self._take_heap_summary,
            "leak_summary": self._take_leak_summary,
            "all_heap_blocks_freed": self._take_all_freed,
            "fatal_signal": self._take_signal,
        }

    def recording(self, records: XmlRecords) -> Recording:
        for element in records:
            take = self._take.get(element.tag)
            if take is not None:
                take(element)
            if self._foreign:
                break
        recording = self._recording
        for flaw in records.flaws:
            add_flaw(recording, flaw)
        recording.limits += records.limits
        if not self._finished:
            add_flaw(recording, "memcheck did not finish: the program was killed, or the file is cut, before its leak check")
        elif not records.closed:
            add_flaw(recording, "the file is cut after memcheck's leak check had begun")
        recording.losses = self._leaks.losses
        self._sum_up()
        add_unlisted(recording)
        return recording

    def _sum_up(self) -> None:
        """Adds the sums over the records, for the kinds that were asked for, where memcheck gives none (protocol 4)."""
        recording, shown = self._recording, _shown_kinds(self._options)
        unseen = [kind for kind in LossKind if kind not in shown]
        if unseen:
            recording.limits.append(f"memory that is {' or '.join(unseen)} is not listed (--show-leak-kinds=all)")
        if not recording.complete:
            return
        if recording.leak_summary is None:
            sums = self._leaks.sums()
            recording.leak_summary = {kind: sums[kind] for kind in LossKind if kind in shown}
        if recording.heap_summary is None and len(shown) == len(LossKind) and not self._suppressed:
            amounts = recording.leak_summary.values()
            whole = Amount(sum(amount.bytes for amount in amounts), sum(amount.blocks for amount in amounts))
            recording.heap_summary = HeapSummary(in_use_at_exit=whole)

    def _take_preamble(self, element: Element) -> None:
        for line in element.itertext():
            if found := TOOL_VERSION.search(line):
                self._recording.tool_version = found[1]

    def _take_pid(self, element: Element) -> None:
        pid = amount_of(element.text)
        if self._recording.pid is None:
            self._recording.pid = pid
        elif pid != self._recording.pid:
            self._foreign = True
            add_flaw(self._recording, f"process {pid} wrote into this file too, and is left out: use %p in --xml-file")

    def _take_parent(self, element: Element) -> None:
        self._recording.parent_pid = amount_of(element.text)

    def _take_arguments(self, element: Element) -> None:
        self._options = [arg.text or "" for arg in element.iterfind("vargv/arg")]
        argv = element.find("argv")
        self._recording.command = [word.text or "" for word in argv] if argv is not None else []

    def _take_status(self, element: Element) -> None:
        self._finished = self._finished or "FINISHED" in (element.findtext("state") or "")

    def _take_error(self, element: Element) -> None:
        kind = _text(element, "kind")
        message = _text(element, "what") or _text(element, "xwhat/text")
        stack_id, auxiliary = self._stacks(element)
        if kind in LOSS_KINDS:
            self._take_loss(element, kind, message, stack_id)
            return
        defect = Defect(kind or "Unknown", message, stack_id, auxiliary=auxiliary)
        self._recording.defects.append(defect)
        self._defects[_text(element, "unique")] = defect

    def _take_loss(self, element: Element, kind: str, message: str, stack_id: int | None) -> None:
        stack_id = self._recording.table.intern([Frame()]) if stack_id is None else stack_id
        loss = loss_of(message, stack_id)
        size, blocks = amount_of(element.findtext("xwhat/leakedbytes")), amount_of(element.findtext("xwhat/leakedblocks"))
        if loss is not None:  # what lacks its figures as elements has them in its words
            size, blocks = loss.bytes if size is None else size, loss.blocks if blocks is None else blocks
        if loss is None or size is None or blocks is None or loss.indirect_bytes > size:
            add_flaw(self._recording, f"a leak record can't be read: {message[:200]!r}")
            return
        loss.kind, loss.bytes, loss.blocks = LOSS_KINDS[kind], size, blocks
        loss.suppression = _text(element, "suppression/rawtext")
        self._leaks.add(loss, message)

    def _stacks(self, element: Element) -> tuple[int | None, list[tuple[str, int | None]]]:
        """The error's own stack, and each auxiliary message with the stack that follows it."""
        own: int | None = None
        auxiliary: list[tuple[str, int | None]] = []
        for child in element:
            if child.tag == "auxwhat":
                auxiliary.append(((child.text or "").strip(), None))
            elif child.tag == "xauxwhat":
                auxiliary.append((_text(child, "text"), None))
            elif child.tag == "stack":
                stack_id = self._recording.table.intern(mark_inlined([_frame(frame) for frame in child]))
                if auxiliary and auxiliary[-1][1] is None:
                    auxiliary[-1] = (auxiliary[-1][0], stack_id)
                elif own is None:
                    own = stack_id
                else:
                    auxiliary.append(("", stack_id))
        return own, auxiliary

    def _take_counts(self, element: Element) -> None:
        for pair in element.iterfind("pair"):
            defect, count = self._defects.get(_text(pair, "unique")), amount_of(pair.findtext("count"))
            if defect is not None and count:
                defect.count = count

    def _take_suppressions(self, element: Element) -> None:
        self._suppressed = len(element) > 0

    def _take_heap_summary(self, element: Element) -> None:
        usage = "total_heap_usage"
        self._recording.heap_summary = HeapSummary(
            in_use_at_exit=_amount(element.find("memory_in_use_at_exit")),
            allocations=amount_of(element.findtext(f"{usage}/allocs")),
            frees=amount_of(element.findtext(f"{usage}/frees")),
            allocated_bytes=amount_of(element.findtext(f"{usage}/bytes_allocated")),
        )

    def _take_leak_summary(self, element: Element) -> None:
        amounts = {kind: _amount(element.find(tag)) for tag, kind in _SUMMARY_KINDS.items()}
        self._recording.leak_summary = {kind: amount for kind, amount in amounts.items() if amount is not None}

    def _take_all_freed(self, element: Element) -> None:
        if (element.text or "").strip() == "true":
            self._recording.leak_summary = {kind: Amount(0, 0) for kind in LossKind}

    def _take_signal(self, element: Element) -> None:
        name = _text(element, "signame")
        self._recording.limits.append(EMPTIED)
        if name in CRASHES:
            own, auxiliary = self._stacks(element)
            message = f"Process terminating with default action of signal {_text(element, 'signo')} ({name})"
            event = _text(element, "event")
            self._recording.defects.append(
                Defect("FatalSignal", f"{message}: {event}" if event else message, own, auxiliary=auxiliary)
            )


def _frame(element: Element) -> Frame:
    found = {child.tag: child.text for child in element}
    address, line, name, directory = found.get("ip") or "", found.get("line"), found.get("file"), found.get("dir")
    return Frame(
        signature=found.get("fn"),
        file=f"{directory}/{name}" if name and directory else name,
        line=amount_of(line) if name else None,
        module=found.get("obj"),
        address=_address(address),
    )


def _address(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _amount(element: Element | None) -> Amount | None:
    """The bytes and blocks of a part of a summary; `in_blocks` in one summary, `blocks` in the other."""
    if element is None:
        return None
    size = amount_of(element.findtext("bytes"))
    blocks = amount_of(element.findtext("in_blocks") or element.findtext("blocks"))
    return Amount(size, blocks) if size is not None and blocks is not None else None


def _shown_kinds(options: list[str]) -> set[LossKind]:
    """The kinds that these valgrind options ask for records of. The words are those of --show-leak-kinds.

    --leak-check does not matter: with XML it is always full.
    """
    words = {
        "definite": LossKind.DEFINITE,
        "indirect": LossKind.INDIRECT,
        "possible": LossKind.POSSIBLE,
        "reachable": LossKind.REACHABLE,
    }
    shown = {LossKind.DEFINITE, LossKind.POSSIBLE}
    for option in options:
        name, _, value = option.partition("=")
        if name == "--show-leak-kinds":
            shown = set(LossKind) if value == "all" else {words[word] for word in value.split(",") if word in words}
        elif name == "--show-reachable":
            shown = set(LossKind) if value == "yes" else {LossKind.DEFINITE, LossKind.POSSIBLE}
    return shown
