"""gperftools' heap profile, the text that tcmalloc's heap profiler dumps.

    heap profile:   1000:   112000 [  2011:   228504] @ heapprofile       live blocks: live bytes [allocated blocks: bytes]
      1000:   112000 [  1000:   112000] @ 0x564192b9f1a7 0x564192b9f256   the same for each stack, return addresses, leaf first

    MAPPED_LIBRARIES:
    564192b9f000-564192ba0000 r-xp 00001000 00:00 2172448     /path/of/program

Written by gperftools' src/heap-profile-table.cc; https://gperftools.github.io/gperftools/heapprofile.html. Where the header ends
in heap_v2/RATE (one for about each RATE bytes) or heap/RATE (RATE / 2) the figures are samples, scaled here as Go's pprof does.
Go's runtime writes the same text (/debug/pprof/heap?debug=1), with names in comments below each stack, and no mappings.
The heap checker writes the same text of the blocks that it found leaked, one line for each, under a name of its own.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from runner.formats._heap_dumps import Dump, Series, read_dumps, split_maps
from runner.model import Frame, Loss, LossKind, Metric, Recording, TimeUnit

FORMAT = "gperftools heap profile (tcmalloc)"
# PROGRAM.PID.CHECK-end.heap: src/heap-checker.cc, HeapLeakChecker::MakeProfileNameLocked. The whole program's check is _main_.
LEAKS = re.compile(r"\.(\d+)\.([^/]+)-end\.heap$")

_COUNTS = rb"[ \t]*(\d{1,15}):[ \t]*(\d{1,15})[ \t]*\[[ \t]*(\d{1,15}):[ \t]*(\d{1,15})\][ \t]*@"
_HEADER = re.compile(rb"heap profile:" + _COUNTS + rb"\s*(\S*)\s*")
_STACK = re.compile(b"^" + _COUNTS + rb"(.*)$", re.MULTILINE)
# What Go's runtime writes below a stack (runtime/pprof, printStackRecord): the call, the function, file and line; and at the end.
_GO_FRAME = re.compile(rb"^#[ \t]+0x([0-9a-f]{1,16})[ \t]+(\S.*?)\+0x[0-9a-f]+[ \t]+(\S.*):(\d{1,9})[ \t\r]*$", re.MULTILINE)
_GO_END = b"# runtime.MemStats"
_NUMBER = re.compile(r"[._-]?(\d+)\.heap$")
_LONGEST_TEXT = 1 << 20  # gperftools' own buffer, src/heap-profiler.cc


def sniff(head: bytes) -> bool:
    """Whether `head` is the start of such a dump. jemalloc's own text (heap_v2/RATE in its first line) is not."""
    return head.lstrip().startswith(b"heap profile:")


def read(stream: BinaryIO, name: str) -> Recording:
    """What one dump says: one snapshot; or what was lost, where the heap checker wrote it."""
    series = _Gperftools(TimeUnit.SNAPSHOTS)
    series.add(stream.read(), name, 0.0)
    recording = series.finish()
    checked = LEAKS.search(name)
    if checked is None:
        return recording
    recording.pid = int(checked[1])
    return as_losses(recording, LossKind.DEFINITE)


def read_series(files: Iterable[tuple[Path, float | None]]) -> Recording:
    """What the dumps of one process say, with the seconds since its start when each was written; None where that is not known."""
    return read_dumps(files, _Gperftools)


def series_of(name: str) -> tuple[str, int] | None:
    """Of a file's name: what it shares with the other dumps of its process, and its number among them; None for no series."""
    numbered = _NUMBER.search(name)
    return None if numbered is None or LEAKS.search(name) else (name[: numbered.start()], int(numbered[1]))


def as_losses(recording: Recording, kind: LossKind) -> Recording:
    """The same with what it lists as lost, not as live: the heap checker's dump. Changes and returns `recording`.

    A process may be checked several times, of which the last lists again what the others had: of each stack the most counts.
    """
    recording.tool = "heapcheck"
    most: dict[int, tuple[int, int]] = {}
    for snapshot in recording.snapshots:
        blocks = dict(snapshot.columns[Metric.LIVE_BLOCKS].items())
        for stack_id, size in snapshot.columns[Metric.LIVE_BYTES].items():
            most[stack_id] = max(most.get(stack_id, (0, 0)), (size, blocks.get(stack_id, 0)))
    recording.losses = [Loss(kind, size, count, stack_id) for stack_id, (size, count) in most.items()]
    recording.losses.sort(key=lambda loss: -loss.bytes)
    recording.snapshots = []
    return recording


def _take_apart(data: bytes) -> Dump:
    body, mappings, flaws = split_maps(data)
    first, _, rest = body.lstrip().partition(b"\n")
    header = _HEADER.fullmatch(first)
    dump = Dump(tuple(map(int, header.groups()[:4])) if header else None, header[5].decode("latin-1") if header else "")
    if not header:
        dump.flaws.append("its first line, which has the totals, is cut or damaged")
    dump.names = _go_names(rest)
    if mappings or not _is_gos(dump, rest):  # Go's has none, and names its functions itself
        dump.flaws += flaws
    dump.mappings = mappings
    rows = _STACK.findall(rest)
    dump.fill(rows)
    dump.damaged = sum(map(_is_text, rest.split(b"\n"))) - len(rows)
    return dump


def _is_gos(dump: Dump, text: bytes) -> bool:
    return bool(dump.names) or _GO_END in text


def _go_names(text: bytes) -> dict[int, list[Frame]]:
    """By the addresses of calls, the frames that Go's comments give; an address has several where calls are inlined."""
    names: dict[int, list[Frame]] = {}
    last, whole = -1, False
    for found in _GO_FRAME.finditer(text):
        address, frame = int(found[1], 16), Frame(_text(found[2]), _text(found[3]), int(found[4]))
        if address != last:
            last, whole = address, address in names
        frames = names.setdefault(address, [])
        whole |= frame in frames  # another stack, or a function that calls itself, repeats it
        if not whole:
            frames.append(frame)
    return names


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _is_text(line: bytes) -> bool:
    return not line.isspace() and line[:1] not in (b"", b"#")  # Go's runtime adds comments


class _Gperftools(Series):
    """Dumps of tcmalloc, whose text ends at 1 MiB, and whose mappings are not in the totals."""

    def __init__(self, unit: TimeUnit) -> None:
        super().__init__("heapprofile", "tcmalloc", _take_apart, unit)
        self._with_mappings = False
        self._unlisted: list[tuple[float, str, int, int]] = []  # share, name, listed bytes, all bytes

    def compare(self, dump: Dump, name: str, size: int) -> None:
        """A dump may list less than its totals where it is as long as the text may be."""
        if dump.names:
            self._sampler = "Go's runtime"
        if dump.header is None:
            return
        sums = dump.sums()
        missing = [(1 - sums[i] / dump.header[i], name, sums[i], dump.header[i]) for i in (1, 3) if sums[i] < dump.header[i]]
        if size >= _LONGEST_TEXT - 4096:
            self._unlisted += missing
        elif missing and not dump.flaws:
            self.recording.flaws.append(
                f"{name}: its lines list {missing[0][2]} of the {missing[0][3]} bytes that its header says"
            )
        self._with_mappings |= sums[1] > dump.header[1]

    def finish(self) -> Recording:
        """The recording, with what bounds its figures."""
        if self._unlisted:
            self.recording.limits.append(self._say_unlisted())
        if self._with_mappings:
            self.recording.limits.append("mappings are counted beside blocks, those that tcmalloc took for its heap among them")
        return super().finish()

    def _say_unlisted(self) -> str:
        share, name, listed, total = max(self._unlisted)
        dumps = len({each[1] for each in self._unlisted})
        return (
            f"tcmalloc cuts a dump's text at 1 MiB: {dumps} of {len(self.recording.snapshots)} lack their smallest stacks; "
            f"{name} lists {listed} of {total} bytes ({100 * share:.1f} % are missing)"
        )
