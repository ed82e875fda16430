"""What gperftools' heap checker says on stderr, alone or among what the program said there.

    Leak check _main_ detected leaks of 9000 bytes in 51 objects
    The 2 largest leaks:
    Leak of 5000 bytes in 50 objects allocated from:
    \\t@ 5583a5c70151 lose                         return address, leaf first; the name only where it found pprof
    ...
    Exiting with error code (instead of crashing) because of whole-program memory leaks

or, where nothing leaks, in one line,

    No leaks found for check "_main_" (but no 100% guarantee that there aren't any):
    found 13 reachable heap objects of 78235 bytes

Written by gperftools' src/heap-checker.cc and src/heap-profile-table.cc, up to 2.16. It lists the 20 largest leaks, and has no
list of mapped libraries: where addresses have no names, the .heap file that it speaks of is what can be named.
"""

import re
from typing import BinaryIO

from runner.model import Amount, Frame, Loss, LossKind, Recording

FORMAT = "gperftools heap checker's report"
AMID = True

_N = rb"(\d{1,18})"
_FOUND = re.compile(rb"Leak check (.*) detected leaks of %b bytes in %b objects" % (_N, _N))
_NOTHING = re.compile(rb'No leaks found for check "(.*?)"')
_SPEAKS = re.compile(rb"^(?:%b|%b)" % (_FOUND.pattern, _NOTHING.pattern), re.MULTILINE)
_REACHABLE = re.compile(rb"found %b reachable heap objects of %b bytes" % (_N, _N))
_LARGEST = re.compile(rb"The %b largest leaks:" % _N)
_LEAK = re.compile(rb"Leak of %b bytes in %b objects allocated from:" % (_N, _N))
_FRAME = re.compile(rb"\s*@ (?:0x)?([0-9a-f]{1,16})(?: (.*))?")  # with 0x until 1.5
_PROFILE = re.compile(rb'pprof .* "(.*)" --inuse_objects')
_END = re.compile(
    rb"If you are still puzzled about why the leaks are there|Exiting with error code|Whole-program memory leaks found"
)
_WHOLE_PROGRAM = b"_main_"
_LONGEST_NAME = 1000


def sniff(head: bytes) -> bool:
    """Whether the checker speaks in `head`."""
    return _SPEAKS.search(head) is not None


def read(stream: BinaryIO, name: str) -> Recording:
    """What was lost, of all checks that the text tells of."""
    reader = _Reader(name)
    for line in stream:
        reader.take(line.rstrip(b"\r\n"))
    return reader.finish()


class _Reader:
    """Takes the text line by line."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.recording = Recording(tool="heapcheck")
        self._open = False  # a leak report has begun, and its end was not seen
        self._checks: list[bytes] = []  # the names of those that found something
        self._total = 0  # bytes that they say are lost
        self._awaited = 0  # leaks that are announced and not listed yet
        self._leak: tuple[int, int] | None = None  # bytes and blocks of the one whose frames are being read
        self._frames: list[Frame] = []
        self._profiles: list[str] = []
        self._reachable: Amount | None = None
        self._cut = False
        self._wrapped = b""  # the beginning of what goes on in the next line

    def take(self, line: bytes) -> None:
        """One line."""
        if self._leak is not None:
            if frame := _FRAME.fullmatch(line):
                self._frames.append(_frame(frame))
                return
            self._close_leak()
        if self._wrapped:
            line, self._wrapped = self._wrapped + b" " + line, b""
        if found := _FOUND.match(line):
            self._begin(found)
        elif nothing := _NOTHING.match(line):
            self._found_nothing(nothing[1], line)
        elif largest := _LARGEST.match(line):
            self._awaited = int(largest[1])
        elif leak := _LEAK.match(line):
            self._leak = int(leak[1]), int(leak[2])
            self._awaited -= 1
        elif profile := _PROFILE.match(line):
            self._profiles.append(profile[1].decode("utf-8", "surrogateescape"))
        elif _END.match(line):
            self._open = False

    def finish(self) -> Recording:
        """All that was read, and what is missing."""
        if self._leak is not None:
            self._close_leak()
        recording, listed = self.recording, sum(loss.bytes for loss in self.recording.losses)
        if self._open or self._awaited > 0 or self._cut or self._wrapped:
            recording.flaws.append(f"{self._name}: it is cut: the heap checker had more to say")
        elif listed < self._total:
            recording.limits.append(
                f"the heap checker's report lists the largest leaks: {listed:,} of {self._total:,} bytes; its .heap file has all"
            )
        if any(not frame.signature for frame in recording.table.frames):
            recording.limits.append(f"the report has addresses without names: {self._where_names_are()}")
        if self._reachable is not None:
            recording.leak_summary = {LossKind.REACHABLE: self._reachable}
        recording.complete = not recording.flaws
        return recording

    def _begin(self, found: re.Match[bytes]) -> None:
        self._cut |= self._open
        self._open = True
        self._checks.append(found[1])
        self._total += int(found[2])

    def _found_nothing(self, check: bytes, line: bytes) -> None:
        reachable = _REACHABLE.search(line)
        if reachable is None:  # a terminal's width, or a person, has put an end in it
            self._wrapped = line if len(line) < _LONGEST_NAME else b""
            return
        if reachable and check == _WHOLE_PROGRAM:
            self._reachable = Amount(int(reachable[2]), int(reachable[1]))

    def _close_leak(self) -> None:
        assert self._leak is not None
        size, blocks = self._leak
        stack_id = self.recording.table.intern(self._frames or [Frame()])
        self.recording.losses.append(Loss(LossKind.DEFINITE, size, blocks, stack_id))
        self._leak, self._frames = None, []

    def _where_names_are(self) -> str:
        if not self._profiles:
            return "PPROF_PATH would have brought them, and the .heap file beside it has what is needed"
        return f"`leakrun show {self._profiles[-1]}` finds them"


def _frame(line: re.Match[bytes]) -> Frame:
    name = (line[2] or b"").strip()[:_LONGEST_NAME].decode("utf-8", "replace")
    return Frame(signature=name or None, address=int(line[1], 16))
