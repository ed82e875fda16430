"""What an ELF file's headers say: a small reader, since launching a program must not wait for a large one.

The format is that of the System V ABI's "Object Files" and of elf.h. Nothing in a file is believed: every read is
bounded, and a damaged file gives None or the facts that could be read, never an exception.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from runner.plan import ElfFacts

EXECUTABLE, SHARED = 2, 3  # e_type: ET_EXEC, ET_DYN
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_NOTE = 1, 2, 3, 4
_DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 1, 5, 15, 29
_SHT_NOTE, _SHT_NOBITS = 7, 8
_NT_GNU_BUILD_ID = 3
_PAGE = 4096
_MOST_BYTES = 4 << 20  # of one table or string: far more than any real file has


class Segment(NamedTuple):
    """A part of the file that is mapped: PT_LOAD's offset, address and size in the file, in bytes."""

    offset: int
    vaddr: int
    size: int


class ElfImage(NamedTuple):
    """What was read of an ELF file.

    kind             e_type: 2 executable, 3 shared object or PIE
    library_paths    DT_RUNPATH or DT_RPATH, split, $ORIGIN and all
    build_id         lower-case hexadecimal; empty where the linker wrote none
    debug_link       the file name in .gnu_debuglink and the CRC-32 of that file; empty and 0 for none
    has_debug_info   DWARF is in the file itself
    has_symbols      it has a symbol table, not only the dynamic one
    """

    bits: int
    machine: int
    kind: int
    interpreter: str | None
    needed: tuple[str, ...]
    library_paths: tuple[str, ...]
    segments: tuple[Segment, ...]
    build_id: str
    debug_link: tuple[str, int]
    has_debug_info: bool
    has_symbols: bool

    def vaddr(self, offset: int) -> int | None:
        """The file's own virtual address of the byte at `offset` in it; None where no segment has it."""
        for segment in self.segments:
            if segment.offset <= offset < segment.offset + segment.size:
                return offset - segment.offset + segment.vaddr
        return None

    def vaddr_behind_start(self, distance: int) -> int | None:
        """The file's own virtual address of what lies `distance` bytes behind where its first byte was mapped; None for none.

        In a file that is not moved when loaded a distance that lies behind its end is taken for the address itself.
        """
        first = min((segment.vaddr for segment in self.segments), default=0) & ~(_PAGE - 1)
        for vaddr in (first + distance, distance):
            if any(segment.vaddr <= vaddr < segment.vaddr + segment.size for segment in self.segments):
                return vaddr
        return None

    def facts(self) -> ElfFacts:
        """What launching the file depends on, DT_NEEDED being the file's own."""
        return ElfFacts(self.bits, self.machine, self.interpreter, self.needed)


def build_id(path: Path) -> str:
    """The build id of an ELF file in hexadecimal; empty where there is none, or no such file."""
    image = read_image(path)
    return image.build_id if image else ""


def read_image(path: Path, *, sections: bool = True) -> ElfImage | None:
    """All that is known of the ELF file at `path`; None where it is not ELF or can't be read.

    Without `sections` what only they tell is left empty: a launch does not wait for it.
    """
    try:
        if not path.is_file():  # opening a FIFO would wait for its writer
            return None
        with path.open("rb") as stream:
            return _Reader(stream).image(sections)
    except (OSError, ValueError, struct.error, OverflowError):
        return None


class _Header(NamedTuple):
    kind: int
    machine: int
    program_offset: int
    section_offset: int
    program_size: int
    program_count: int
    section_size: int
    section_count: int
    names_index: int


class _Program(NamedTuple):
    kind: int
    offset: int
    vaddr: int
    size: int


class _Section(NamedTuple):
    name: str
    kind: int
    offset: int
    size: int


class _Reader:
    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        ident = self.read(0, 16)
        if len(ident) < 16 or ident[:4] != b"\x7fELF" or ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise ValueError("not an ELF file")
        self.bits = 32 if ident[4] == 1 else 64
        self.order = "<" if ident[5] == 1 else ">"
        self.word = "I" if self.bits == 32 else "Q"
        fields = self.unpack(f"HHI{self.word * 3}IHHHHHH", 16)
        self.header = _Header(fields[0], fields[1], fields[4], fields[5], *fields[8:])

    def image(self, with_sections: bool) -> ElfImage:
        programs = list(self.programs())
        sections = list(self.sections()) if with_sections else []
        dynamic = self.dynamic(programs)
        names = {section.name for section in sections}
        loads = tuple(Segment(p.offset, p.vaddr, p.size) for p in programs if p.kind == _PT_LOAD)
        interpreters = [self.text(p.offset, p.size) for p in programs if p.kind == _PT_INTERP]
        strings = dynamic.get(_DT_STRTAB, [])
        base = _offset_of(loads, strings[0]) if strings else None
        texts = (
            {tag: [self.text(base + at) for at in dynamic.get(tag, [])] for tag in (_DT_NEEDED, _DT_RUNPATH, _DT_RPATH)}
            if base
            else {}
        )
        paths = texts.get(_DT_RUNPATH) or texts.get(_DT_RPATH) or []
        return ElfImage(
            bits=self.bits,
            machine=self.header.machine,
            kind=self.header.kind,
            interpreter=interpreters[0] if interpreters else None,
            needed=tuple(filter(None, texts.get(_DT_NEEDED, []))),
            library_paths=tuple(each for path in paths for each in path.split(":") if each),
            segments=loads,
            build_id=self.build_id(programs, sections),
            debug_link=next((self.debug_link(s.offset, s.size) for s in sections if s.name == ".gnu_debuglink"), ("", 0)),
            has_debug_info=bool(names & {".debug_info", ".zdebug_info"}),
            has_symbols=".symtab" in names,
        )

    def read(self, offset: int, size: int) -> bytes:
        if not 0 <= offset < 1 << 62:
            return b""
        self.stream.seek(offset)
        return self.stream.read(min(size, _MOST_BYTES))

    def unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        layout = self.order + layout
        return struct.unpack(layout, self.read(offset, struct.calcsize(layout)))

    def text(self, offset: int, size: int = 4096) -> str:
        return self.read(offset, min(size, 4096)).split(b"\0", 1)[0].decode("utf-8", "surrogateescape")

    def rows(self, layout: str, offset: int, row_size: int, count: int) -> Iterator[tuple[int, ...]]:
        """The rows of a table that are wholly there."""
        row = struct.Struct(self.order + layout)
        if row_size < row.size:
            return
        table = self.read(offset, row_size * count)
        for at in range(0, len(table) - row.size + 1, row_size):
            yield row.unpack_from(table, at)

    def programs(self) -> Iterator[_Program]:
        h = self.header
        if self.bits == 64:
            for kind, _flags, offset, vaddr, _paddr, size in self.rows(
                "IIQQQQ", h.program_offset, h.program_size, h.program_count
            ):
                yield _Program(kind, offset, vaddr, size)
        else:
            for kind, offset, vaddr, _paddr, size in self.rows("IIIII", h.program_offset, h.program_size, h.program_count):
                yield _Program(kind, offset, vaddr, size)

    def sections(self) -> Iterator[_Section]:
        h = self.header
        rows = list(self.rows(f"II{self.word * 4}", h.section_offset, h.section_size, h.section_count))
        if h.names_index >= len(rows):
            return
        names = self.read(rows[h.names_index][4], rows[h.names_index][5])
        for name, kind, _flags, _address, offset, size in rows:
            yield _Section(names[name : name + 64].split(b"\0", 1)[0].decode("latin-1"), kind, offset, size)

    def dynamic(self, programs: list[_Program]) -> dict[int, list[int]]:
        """Values of the dynamic section by tag."""
        found: dict[int, list[int]] = {}
        for program in programs:
            if program.kind == _PT_DYNAMIC:
                size = self.bits // 4
                for tag, value in self.rows(self.word * 2, program.offset, size, program.size // size):
                    if tag == 0:
                        break
                    found.setdefault(tag, []).append(value)
        return found

    def debug_link(self, offset: int, size: int) -> tuple[str, int]:
        # The name, padding to a multiple of four, the checksum: gdb's manual, "Separate Debug Files".
        return self.text(offset, size), self.unpack("I", offset + (size & ~3) - 4)[0]

    def build_id(self, programs: list[_Program], sections: list[_Section]) -> str:
        # A file of debug information only has the note as a section; its program headers point nowhere.
        places = [(s.offset, s.size) for s in sections if s.kind == _SHT_NOTE and s.name == ".note.gnu.build-id"]
        places += [(p.offset, p.size) for p in programs if p.kind == _PT_NOTE]
        return next(filter(None, (self.build_id_note(*place) for place in places)), "")

    def build_id_note(self, offset: int, size: int) -> str:
        notes, at = self.read(offset, min(size, 1 << 16)), 0
        while at + 12 <= len(notes):
            name_size, value_size, kind = struct.unpack_from(self.order + "III", notes, at)
            value_at = at + 12 + (name_size + 3 & ~3)
            if kind == _NT_GNU_BUILD_ID and notes[at + 12 : at + 16] == b"GNU\0":
                return notes[value_at : value_at + min(value_size, 64)].hex()
            at = value_at + (value_size + 3 & ~3)
        return ""


def _offset_of(segments: tuple[Segment, ...], vaddr: int) -> int | None:
    for segment in segments:
        if segment.vaddr <= vaddr < segment.vaddr + segment.size:
            return vaddr - segment.vaddr + segment.offset
    return None
