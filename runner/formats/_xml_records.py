"""valgrind's XML as a stream of its records, the elements below the root, with a way on where the XML is broken."""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO, cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from runner.errors import ErrorKind, LeakrunError
from runner.formats._valgrind import CHUNK_BYTES

_ROOT = "valgrindoutput"
_BEGIN = re.compile(r"<\?xml|<valgrindoutput")
# Where reading can go on: a record that valgrind writes after its head, or the end of all.
_RESUME = re.compile(
    r"<(?:pid|status|error|errorcounts|suppcounts|error_summary|heap_summary|leak_summary|all_heap_blocks_freed|fatal_signal)>"
    r"|</valgrindoutput>"
)
_LONGEST_TAG = 40
_MOST_REPAIRS = 200
# XML 1.0 knows no control characters but these three. Others come from arguments, or from the program's own output.
_FORBIDDEN = bytes(code for code in range(32) if code not in b"\t\n\r")
_REPLACED = bytes.maketrans(_FORBIDDEN, b"?" * len(_FORBIDDEN))


class XmlRecords:
    """Iterates over the records of a stream, each whole. Memory is bounded by the largest.

    After the last, `closed` tells whether the root was closed, `flaws` what was damaged, `limits` what was replaced.
    Raises LeakrunError(USAGE) for a document type: it could define entities, and valgrind writes none.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.closed = False
        self.flaws: list[str] = []
        self.limits: list[str] = []
        self._stream = stream
        self._name = name
        self._entry = _BEGIN
        self._parser: XMLPullParser[Element] | None = None
        self._open: list[Element] = []  # the elements that are open, from the root down
        self._row = 0  # rows of the file before the text in hand
        self._parser_row = 0  # the same, as the parser counts them
        self._repairs = 0
        self._base = 1  # how many elements are open around a record

    def __iter__(self) -> Iterator[Element]:
        text = ""
        for more in self._texts():
            text += more
            while text and self._repairs <= _MOST_REPAIRS:
                if self._parser is None:
                    text = self._enter(text)
                    if self._parser is None:
                        break
                parser = self._parser
                assert parser is not None
                parser.feed(text)
                try:
                    yield from self._ended(parser)
                except ParseError as error:
                    at = self._offset(text, error.position)
                    yield from self._leave(text, at, error)
                    text = self._pass_over(text, at)
                else:
                    text = self._pass_over(text, len(text))
        yield from self._last()

    def _texts(self) -> Iterator[str]:
        """The stream's text, with all that XML forbids replaced."""
        decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        while chunk := self._stream.read(CHUNK_BYTES):
            clean = chunk.translate(_REPLACED)
            if clean != chunk and not self.limits:
                self.limits.append("bytes that XML does not allow were read as '?'")
            yield decoder.decode(clean).replace("\ufffe", "?").replace("\uffff", "?")

    def _enter(self, text: str) -> str:
        """Begins to parse at the next place where that is possible; returns what is left of the text to look at."""
        found = self._entry.search(text)
        if found is None:
            return self._pass_over(text, max(0, len(text) - _LONGEST_TAG))
        self._parser, self._open, self._base, self._parser_row = XMLPullParser(("start", "end")), [], 1, 0
        if self._entry is _RESUME:
            self._parser.feed(f"<{_ROOT}>\n")
            self._parser_row = 1
            if self.closed and found[0].startswith("<"):
                self._note("records stand behind the end: more than one process wrote into this file (use %p in --xml-file)")
        elif "<!DOCTYPE" in text:
            message = f"{self._name}: has a document type, which valgrind never writes"
            raise LeakrunError(ErrorKind.USAGE, message, "name a file that valgrind wrote")
        self._entry = _RESUME
        return self._pass_over(text, found.start(), parsed=False)

    def _ended(self, parser: "XMLPullParser[Element]") -> Iterator[Element]:
        """The records that have ended by now; they are dropped from the tree. Raises ParseError behind the last."""
        opened = self._open
        for event, element in cast(Iterator[tuple[str, Element]], parser.read_events()):
            if event == "start":
                if element.tag == "error" and len(opened) > self._base:
                    self._note(f"a record before line {self._row + 1} has no end")
                    self._base = len(opened)
                opened.append(element)
                continue
            opened.pop()
            if len(opened) == self._base:
                yield element
                del opened[-1][:]
            elif not opened:
                self.closed = True

    def _offset(self, text: str, position: tuple[int, int]) -> int:
        """Where in `text` the parser stopped; 0 where it was before."""
        row, column = position
        start = 0
        for _ in range(row - 1 - self._parser_row):
            start = text.find("\n", start) + 1
        return min(start + column, len(text)) if row - 1 >= self._parser_row else 0

    def _leave(self, text: str, at: int, error: ParseError) -> Iterator[Element]:
        """Gives up this parser. That valgrind 3.26 does not close leak_summary/still_reachable (bug 514613) is no damage."""
        tags = [element.tag for element in self._open]
        self._parser = None
        self._repairs += 1
        if tags[-2:] == ["leak_summary", "still_reachable"] and "/leak_summary>" in text[max(0, at - 2) : at + 20]:
            yield self._open[-2]
        elif not self.closed:  # what stands behind the end may be the program's own output
            self._note(
                f"line {self._row + text.count(chr(10), 0, at) + 1} is damaged ({error.msg.partition(':')[0]}): a record is lost"
            )

    def _pass_over(self, text: str, at: int, parsed: bool = True) -> str:
        rows = text.count("\n", 0, at)
        self._row += rows
        self._parser_row += rows if parsed else 0
        return text[at:]

    def _last(self) -> Iterator[Element]:
        """What the parser held back until it knew that this is the end."""
        if self._parser is not None:
            try:
                self._parser.close()
                yield from self._ended(self._parser)
            except ParseError:
                if len(self._open) > self._base:
                    self._note("the file is cut inside a record")
        if self._repairs > _MOST_REPAIRS:
            self._note("the rest of the file was not read: it is too damaged")

    def _note(self, flaw: str) -> None:
        if flaw not in self.flaws:
            self.flaws.append(flaw)
