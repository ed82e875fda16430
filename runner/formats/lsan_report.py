"""What LeakSanitizer says: alone, as part of AddressSanitizer, or among what the program said there.

    ==4711==ERROR: LeakSanitizer: detected memory leaks

    Direct leak of 1000 byte(s) in 10 object(s) allocated from:
        #0 0x7f69 in __interceptor_malloc ../../../../src/libsanitizer/lsan/lsan_interceptors.cpp:75
        #1 0x55e7 in lost /src/lost.c:5                  named by its symbolizer
        #2 0x55e9  (/src/lost+0x11c0) (BuildId: 3f2a)    not named: an address, the object, and the address in that

    SUMMARY: LeakSanitizer: 1000 byte(s) leaked in 10 allocation(s).

Written by compiler-rt's lib/lsan/lsan_common.cpp, of which GCC has a copy. "Indirect" is what other lost blocks point to;
LeakSanitizer does not say which. Errors that AddressSanitizer stopped the program for
("ERROR: AddressSanitizer: heap-use-after-free ...") are read too, and the list of what suppressions left out. A build's log
may have a time or a name before each line.

leakrun's own shim writes below each report that the check was made, or why it was not, and /proc/PID/maps:

    leakrun: checked
    MAPPED_LIBRARIES:
    ...
    leakrun: end

so that "no leaks", of which LeakSanitizer says nothing, is told from "nobody looked", and addresses can be named.
"""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import BinaryIO

from runner.mappings import MappingIndex, parse_maps
from runner.model import Defect, Frame, Loss, LossKind, Recording

FORMAT = "LeakSanitizer's report"
AMID = True

_N = rb"(\d{1,18})"
_COLOURS = re.compile(rb"\x1b\[[0-9;]*m")
_LEAKS = re.compile(rb"==(\d+)==\s*ERROR: LeakSanitizer: detected memory leaks")
_FATAL = re.compile(rb"(?:==(\d+)==)?\s*LeakSanitizer has encountered a fatal error")
_ERROR = re.compile(rb"==(\d+)==\s*ERROR: (?:HW)?AddressSanitizer: ([A-Za-z-]+)(.*)")
_LEAK = re.compile(rb"(Direct|Indirect) leak of %b byte\(s\) in %b object\(s\) allocated from:" % (_N, _N))
_SUMMARY = re.compile(rb"SUMMARY: \w+Sanitizer: ")
_OMITTED = re.compile(rb"Omitting %b more leak" % _N)
_ANOTHER_STACK = re.compile(
    rb"(?:freed by|previously allocated by|allocated by|Thread T\d+.*created by).*:$|0x[0-9a-f]+ is located .*"
)
_FRAME = re.compile(rb"\s*#(\d{1,9}) 0x([0-9a-f]{1,16})((?: .*)?)")
_SYMBOLIZED = re.compile(rb"\s*#\d+ (?!0x)(.+) in (.+):(\d+):\d+")  # as hwasan_symbolize rewrites it: no address
_ARCHITECTURE = re.compile(rb":(?:x86_64h?|arm64(?:e|_32)?|armv7\w?|i386)$")  # behind an object's name, on macOS
_RUNTIME = re.compile(r"/(?:lib(?:clang_rt\.)?)?(?:hwa|a|l)san[^/]*$|/libclang_rt\.[^/]*$")  # the sanitizer's own object
_CODE = re.compile(
    rb"(?: +in (.*?))?(?: +\((.*)\+0x([0-9a-f]{1,16})\))?(?: +\(<unknown module>\))?(?: +\(BuildId: [0-9a-f]+\))?\s*"
)
_AT_SLASH = re.compile(rb"(.+?) (/.*?)(?::(\d+))?(?::\d+)?")
_AT_SPACE = re.compile(rb"(.+) ([^ ()]+?):(\d+)(?::\d+)?|(.+) ([^ ()]*[./][^ ()]*)")  # src/a.c:5; but not "f() const"
_OFFSET = re.compile(rb"\+0x[0-9a-f]+$")  # behind a name, on macOS
_CHECKED = re.compile(rb"leakrun: (checked|not checked: (.*))")
_SUPPRESSIONS = re.compile(rb"Suppressions used:$")  # lsan_common.cpp, PrintMatchedSuppressions
_SUPPRESSED = re.compile(rb"\s*%b\s+%b (\S.*)" % (_N, _N))  # count, bytes, template
# What begins a report; with a build's own words before it, as before all lines of the report.
_BEGIN = re.compile(
    rb"==\d+==\s*(?:ERROR: (?:HW)?(?:Address|Leak)Sanitizer: |LeakSanitizer has encountered a fatal)|Suppressions used:\s*$"
    rb"|(?:Direct|Indirect) leak of \d+ byte\(s\) in \d+ object\(s\) allocated from:",  # a report's part, as people paste it
    re.MULTILINE,
)
_OURS = re.compile(rb"^leakrun: (?:not )?checked", re.MULTILINE)
_MAPS = b"MAPPED_LIBRARIES:"
_END = b"leakrun: end\n"
_SHADOW = (b"Shadow bytes around", b"  Right alloca redzone")  # the first and the last of what ASan prints of its shadow memory
_LONGEST_LINE = 1 << 16
_LONGEST_NAME = 4000
_MOST_MAPS = 1 << 24  # bytes
INDIRECT = "LeakSanitizer does not say which lost block the indirectly lost ones hang on"
FATAL = "LeakSanitizer could not look"
MIXED = (
    "a report begins before the one before it has ended, or a stack's frames count back: it is cut there, or several processes "
    "wrote at the same time, and bytes and stacks are mixed up; log_path=FILE in ASAN_OPTIONS or LSAN_OPTIONS gives each its own"
)
_WHY_FATAL = "a debugger or strace holds the program, or the system forbids ptrace: run it without"


def sniff(head: bytes) -> bool:
    """Whether the sanitizer, or leakrun's shim beside it, speaks in `head`."""
    return _BEGIN.search(_COLOURS.sub(b"", head)) is not None or _OURS.search(head) is not None


def read(stream: BinaryIO, name: str) -> Recording:
    """What was lost, of all reports in the text, and the errors that it tells of."""
    reader, indent = _Reader(name), 0
    while line := stream.readline(_LONGEST_LINE):
        if line.rstrip() == _MAPS:
            reader.take_maps(stream.read(_MOST_MAPS))
            break
        line = _COLOURS.sub(b"", line.rstrip(b"\r\n"))
        if begin := _BEGIN.search(line):
            indent = begin.start()
        reader.take(line[indent:])
    return reader.finish()


class _Reader:
    """Takes the text line by line."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.recording = Recording("lsan")
        self._looked = False  # for leaks, or it is said why not
        self._open = False  # a report has begun, and its end was not seen
        self._in_suppressions = False
        self._close: Callable[[int], None] | None = None  # what becomes of the stack whose frames are being read
        self._frames: list[Frame] = []
        self._last_number: int | None = None  # of the frame before
        self._offsets: dict[int, int] = {}  # in their objects, of addresses without a name
        self._defect: Defect | None = None
        self._known: dict[bytes, tuple[Frame, int | None]] = {}  # what stands behind an address, which recurs

    def take(self, line: bytes) -> None:
        """One line."""
        if self._close is not None:
            if frame := _FRAME.fullmatch(line):
                self._frames.append(self._frame(frame))
                return
            if symbolized := _SYMBOLIZED.fullmatch(line):
                self._last_number = None
                self._frames.append(_named(symbolized[1], symbolized[2], symbolized[3], None))
                return
            if not line.strip():  # a page or Android's log has one between frames
                return
            if self._frames or self._defect is None:  # a leak may have no stack (malloc_context_size=0)
                self._end_stack()
        if found := _LEAKS.match(line):
            self._looked = True
            self._begin(found[1])
        elif leak := _LEAK.match(line):
            self._begin_leak(leak)
        elif error := _ERROR.match(line):
            self._begin(error[1])
            self._begin_error(error)
        elif _FATAL.match(line):
            self.recording.flaws.append(f"{FATAL}: {_WHY_FATAL}")
            self._open = False
        elif _SUMMARY.match(line):
            self._open, self._defect = False, None
        elif omitted := _OMITTED.match(line):
            self.recording.limits.append(f"{int(omitted[1]):,} more leaks are left out of the report (max_leaks)")
        elif line.startswith(_SHADOW):
            self._open = line.startswith(_SHADOW[0])
        elif _SUPPRESSIONS.match(line):
            self._looked = self._in_suppressions = True
        elif self._in_suppressions:
            self._take_suppressed(line)
        elif checked := _CHECKED.match(line):
            self._looked = True
            if checked[2]:
                self.recording.flaws.append(f"{FATAL}: {_text(checked[2])}")
        elif self._defect is not None and _ANOTHER_STACK.match(line):
            self._begin_another(line)

    def _take_suppressed(self, line: bytes) -> None:
        """A line of the table of suppressions: its head, a row, or a rule that ends it."""
        if line.startswith(b"---"):
            self._in_suppressions = False
        elif row := _SUPPRESSED.fullmatch(line):
            blocks = "1 block" if row[1] == b"1" else f"{int(row[1]):,} blocks"
            self.recording.limits.append(f"left out by the suppression {_text(row[3])!r}: {int(row[2]):,} bytes in {blocks}")

    def take_maps(self, text: bytes) -> None:
        """The rest of the file."""
        self.recording.mappings = parse_maps(text)
        self._open |= not text.endswith(_END)

    def finish(self) -> Recording:
        """All that was read, and what is missing."""
        recording = self.recording
        if self._close is not None and (self._frames or self._defect is None):
            self._end_stack()
        if recording.distorted:
            recording.flaws.append(f"{self._name}: {MIXED}")
        if self._open or self._in_suppressions:
            recording.flaws.append(f"{self._name}: it is cut: the sanitizer had more to say")
        if recording.defects and not self._looked:
            recording.flaws.append("the program was stopped for its errors before leaks were looked for: mend them first")
        _give_indirect_to_its_head(recording)
        if recording.mappings:
            self._find_objects()
        else:
            self._count_from_objects()
        recording.complete = not recording.flaws
        return recording

    def _find_objects(self) -> None:
        """The sanitizer's own symbolizer names the function, and not the library: libc's files look like a project's then."""
        index, frames = MappingIndex(self.recording.mappings), self.recording.table.frames
        for number, frame in enumerate(frames):
            found = index.find(max(frame.address - 1, 0)) if frame.address is not None else None
            if frame.module is None and found is not None:
                frames[number] = frame._replace(module=found.path)

    def _count_from_objects(self) -> None:
        """Without the maps an address is known within its object only; in one that is not moved when loaded, not even so."""
        self.recording.module_relative = True
        frames = self.recording.table.frames
        for number, frame in enumerate(frames):
            if frame.signature is None and frame.address is not None:
                offset = self._offsets.get(frame.address)
                frames[number] = frame._replace(address=None if offset == frame.address else offset)
        if any(frame.signature is None and frame.address is None for frame in frames):
            self.recording.limits.append(
                "the report has addresses that can't be named: have llvm-symbolizer on PATH when it is written"
            )

    def _begin(self, pid: bytes) -> None:
        self.recording.distorted |= self._open
        self._open = True
        self.recording.pid = int(pid[:9])

    def _begin_leak(self, leak: re.Match[bytes]) -> None:
        self._looked = True
        kind = LossKind.DEFINITE if leak[1] == b"Direct" else LossKind.INDIRECT
        size, blocks = int(leak[2]), int(leak[3])
        self._defect = None
        self._close = lambda stack_id: self.recording.losses.append(Loss(kind, size, blocks, stack_id))

    def _begin_error(self, error: re.Match[bytes]) -> None:
        kind = error[2].decode()
        defect = self._defect = Defect(kind, kind + _text(error[3]).partition(" at pc ")[0], None)
        self.recording.defects.append(defect)

        def close(stack_id: int) -> None:
            defect.stack_id = stack_id

        self._close = close

    def _begin_another(self, line: bytes) -> None:
        defect, text = self._defect, _text(line.rstrip(b":"))
        assert defect is not None
        if line.endswith(b":"):
            self._close = lambda stack_id: defect.auxiliary.append((text, stack_id))
        else:
            defect.auxiliary.append((text, None))

    def _end_stack(self) -> None:
        frames, self._frames = self._frames, []
        self._last_number = None
        if self._defect is None and len(frames) > 1 and _is_nameless_allocator(frames[0]):
            del frames[0]
        close, self._close = self._close, None
        assert close is not None
        for number, (frame, caller) in enumerate(pairwise(frames)):
            if frame.address is not None and frame.address == caller.address and frame.signature is not None:
                frames[number] = frame._replace(inlined=True)
        close(self.recording.table.intern(frames or [Frame()]))

    def _frame(self, found: re.Match[bytes]) -> Frame:
        number, address, code = int(found[1]), int(found[2], 16), self._known.get(found[3])
        self.recording.distorted |= self._last_number is not None and number <= self._last_number  # a gap is a person's cut
        self._last_number = number
        if code is None:
            code = self._known[found[3]] = _code(found[3])
        frame, offset = code
        if offset is not None:
            self._offsets[address] = offset
        return frame._replace(address=address)


def _code(text: bytes) -> tuple[Frame, int | None]:
    """What stands behind an address: a frame that lacks the address, and where it has no name the address in its object."""
    found = _CODE.fullmatch(text)
    if found is None:
        return Frame(), None
    what, module, offset = found.groups()
    path = _text(_ARCHITECTURE.sub(b"", module)) if module is not None else None
    if not what:
        return Frame(module=path), int(offset, 16) if offset is not None else None
    place = (_AT_SLASH.fullmatch(what) or _AT_SPACE.fullmatch(what)) if module is None else None
    name, file, line = [*filter(None, place.groups()), None, None][:3] if place else (_OFFSET.sub(b"", what), None, None)
    return _named(name, file, line, path), None


def _is_nameless_allocator(leaf: Frame) -> bool:
    """A leak's first frame is the sanitizer's malloc: linked into the program and without a name it looks like the program's."""
    return leaf.signature is None and leaf.module is not None and _RUNTIME.search(f"/{leaf.module}") is None


def _named(name: bytes, file: bytes | None, line: bytes | None, module: str | None) -> Frame:
    if file == b"??":  # an object without lines
        file = None
    return Frame(_text(name), _text(file) if file else None, int(line) if file and line else None, module)


def _give_indirect_to_its_head(recording: Recording) -> None:
    """What is lost indirectly hangs on what is lost directly at the same stack, or on the only such record there is.

    Where nothing is lost directly, the blocks point to each other, and are all alike.
    """
    direct = [loss for loss in recording.losses if loss.kind is LossKind.DEFINITE]
    indirect = [loss for loss in recording.losses if loss.kind is LossKind.INDIRECT]
    by_stack = {loss.stack_id: loss for loss in direct}
    for loss in indirect:
        head = direct[0] if len(direct) == 1 else by_stack.get(loss.stack_id)
        if head is not None:
            head.bytes += loss.bytes
            head.indirect_bytes += loss.bytes
        elif not direct:
            loss.kind = LossKind.DEFINITE
        elif INDIRECT not in recording.limits:
            recording.limits.append(INDIRECT)


def _text(raw: bytes) -> str:
    return raw[:_LONGEST_NAME].decode("utf-8", "surrogateescape")
