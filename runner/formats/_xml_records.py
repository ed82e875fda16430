"""valgrind's XML as a stream of its records, the elements below the root, with a way on where the XML is broken.

Written on expat itself: building whole records from its callbacks takes a third of the time of an XMLPullParser.
"""

import codecs
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO, cast
from xml.etree.ElementTree import Element
from xml.parsers import expat

from runner.errors import ErrorKind, LeakrunError
from runner.formats._valgrind import CHUNK_BYTES

_ROOT = b"<valgrindoutput>\n"
_BEGIN = re.compile(rb"<\?xml|<!DOCTYPE|<valgrindoutput")
# Where reading can go on: a record that valgrind writes after its head, or the end of all.
_RESUME = re.compile(
    rb"<(?:pid|status|error|errorcounts|suppcounts|error_summary|heap_summary|leak_summary|all_heap_blocks_freed|fatal_signal)>"
    rb"|</valgrindoutput>"
)
_ROOT_TAG = re.compile(rb"</?valgrindoutput>")
_LONGEST_TAG = 40
_MOST_REPAIRS = 200
# XML 1.0 knows no control characters but these three. Others come from arguments, or from the program's own output.
_FORBIDDEN = bytes(code for code in range(32) if code not in b"\t\n\r")
_REPLACED = bytes.maketrans(_FORBIDDEN, b"?" * len(_FORBIDDEN))


def documents(stream: BinaryIO) -> Iterator[BinaryIO]:
    """The documents that follow one another in a stream. What a forked child wrote behind an end has no head: it is none."""
    places = _places_between(stream)
    for start, end in pairwise([0, *places, None]):
        stream.seek(start or 0)
        yield cast(BinaryIO, _Part(stream, None if end is None else end - (start or 0)))


def _places_between(stream: BinaryIO) -> list[int]:
    """Where a document ends that another follows, in bytes from the stream's start."""
    places: list[int] = []
    ended: int | None = None
    stream.seek(0)
    passed, seen, text = 0, 0, b""
    while more := stream.read(CHUNK_BYTES):
        kept = text[-_LONGEST_TAG:]
        passed, text = passed + len(text) - len(kept), kept + more
        for tag in _ROOT_TAG.finditer(text):
            at = passed + tag.end()
            if at <= seen:  # it was in the last piece too
                continue
            seen = at
            if tag[0].startswith(b"</"):
                ended = at
            elif ended is not None:
                places.append(ended)
                ended = None
    return places


class _Part:
    """So many bytes of a stream, or all that is left."""

    def __init__(self, stream: BinaryIO, size: int | None) -> None:
        self._stream, self._left = stream, size

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        if self._left is None:
            return self._stream.read(size)
        data = self._stream.read(min(size, self._left))
        self._left -= len(data)
        return data


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
        self._parser: expat.XMLParserType | None = None
        self._given = 0  # bytes that the parser has got
        self._open: list[Element] = []  # the elements that are open, from the root down
        self._base = 1  # how many are open around a record
        self._text = ""  # since the last tag
        self._ended: list[Element] = []  # records that have ended and were not handed on yet
        self._row = 0  # rows of the file before the bytes in hand
        self._repairs = 0

    def __iter__(self) -> Iterator[Element]:
        rest = b""
        for more in self._clean_bytes():
            rest += more
            while rest and self._repairs <= _MOST_REPAIRS:
                if self._parser is None:
                    rest = self._enter(rest)
                    if self._parser is None:
                        break
                rest = self._parse(rest)
                yield from self._ended
                self._ended.clear()
        self._finish()
        yield from self._ended

    def _clean_bytes(self) -> Iterator[bytes]:
        """The stream as UTF-8, with all that XML forbids replaced."""
        decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        while chunk := self._stream.read(CHUNK_BYTES):
            clean = chunk.translate(_REPLACED)
            if clean != chunk and not self.limits:
                self.limits.append("bytes that XML does not allow were read as '?'")
            yield decoder.decode(clean).replace("\ufffe", "?").replace("\uffff", "?").encode()

    def _enter(self, rest: bytes) -> bytes:
        """Looks for a place to begin to parse at; returns what is left to parse, or to look through."""
        found = self._entry.search(rest)
        if found is None:
            return self._pass_over(rest, max(0, len(rest) - _LONGEST_TAG))
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._add_text
        parser.StartDoctypeDeclHandler = self._refuse
        self._parser, self._given, self._open, self._base, self._text = parser, 0, [], 1, ""
        if self._entry is _RESUME:
            parser.Parse(_ROOT, False)
            self._given = len(_ROOT)
            if self.closed:
                self._note("records stand behind the end: more than one process wrote into this file (use %p in --xml-file)")
        self._entry = _RESUME
        return self._pass_over(rest, found.start())

    def _parse(self, rest: bytes) -> bytes:
        """Parses all that is there. Where that fails, the parser is given up, and what stands behind the fault is returned."""
        parser = self._parser
        assert parser is not None
        try:
            parser.Parse(rest, False)
        except expat.ExpatError as error:
            at = min(max(0, parser.ErrorByteIndex - self._given), len(rest))
            self._give_up(rest, at, expat.ErrorString(error.code))
            return self._pass_over(rest, at)
        self._given += len(rest)
        return self._pass_over(rest, len(rest))

    def _give_up(self, rest: bytes, at: int, why: str) -> None:
        """Ends this parser. That valgrind 3.26 does not close leak_summary/still_reachable (bug 514613) is no damage."""
        self._parser = None
        self._repairs += 1
        if [element.tag for element in self._open[-2:]] == ["leak_summary", "still_reachable"] and rest[at:].startswith(
            (b"</leak_summary>", b"leak_summary>")
        ):
            self._ended.append(self._open[-2])
        elif not self.closed:  # what stands behind the end may be the program's own output
            self._note(f"line {self._row + rest.count(10, 0, at) + 1} is damaged ({why}): a record is lost")

    def _finish(self) -> None:
        if self._parser is not None:
            try:
                self._parser.Parse(b"", True)
            except expat.ExpatError:
                if len(self._open) > self._base:
                    self._note("the file is cut inside a record")
        if self._repairs > _MOST_REPAIRS:
            self._note("the rest of the file was not read: it is too damaged")

    def _start(self, tag: str, _attributes: dict[str, str]) -> None:
        element = Element(tag)
        opened = self._open
        if len(opened) > self._base:
            if tag == "error":
                self._note(f"a record before line {self._row + 1} has no end")
                self._base = len(opened)
            else:
                opened[-1].append(element)
        opened.append(element)
        self._text = ""

    def _add_text(self, text: str) -> None:
        self._text += text

    def _end(self, _tag: str) -> None:
        element = self._open.pop()
        element.text = self._text
        self._text = ""
        if len(self._open) == self._base:
            self._ended.append(element)
        elif not self._open:
            self.closed = True

    def _refuse(self, *_declaration: object) -> None:
        message = f"{self._name}: has a document type, which valgrind never writes"
        raise LeakrunError(ErrorKind.USAGE, message, "name a file that valgrind wrote")

    def _pass_over(self, rest: bytes, at: int) -> bytes:
        self._row += rest.count(b"\n", 0, at)
        return rest[at:]

    def _note(self, flaw: str) -> None:
        if flaw not in self.flaws:
            self.flaws.append(flaw)
