"""Native files that were compressed, as heaptrack does (gzip, zstd) and as people do (xz, bzip2 too), or saved as UTF-16, as
Windows does with what a command writes: read as if they were not.
"""

import bz2
import codecs
import gzip
import io
import lzma
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer  # collections.abc has it from Python 3.12 on


class _Stream(Protocol):
    """As much of a stream as is needed. Where one is cut read1() still gives what came before: read() would lose it."""

    def read1(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, /) -> int: ...
    def tell(self) -> int: ...


_Opened = tuple[_Stream, tuple[type[Exception], ...]]  # a stream, and what it raises where it is damaged


def opened(file: BinaryIO) -> BinaryIO:
    """What is in the file, which stands at its start: decompressed where it was compressed, as UTF-8 where it was UTF-16."""
    for openers in (_COMPRESSED, _ENCODED):
        head = file.read(_LONGEST_MAGIC)
        file.seek(0)
        opener = next((opener for magic, opener in openers.items() if head.startswith(magic)), None)
        if opener is not None:
            file = io.BufferedReader(_Decompressed(file, opener))
    return file


@contextmanager
def opened_at(path: Path) -> Iterator[BinaryIO]:
    """The same of a file of that path, which is closed in the end. Raises OSError."""
    with path.open("rb") as file:
        yield opened(file)


def plain_name(name: str) -> str:
    """A file's name without what says how it was compressed."""
    return _SUFFIX.sub("", name)


def flaw_of(stream: BinaryIO) -> str:
    """Why what opened() gave has ended early; empty where it has not."""
    raw = getattr(stream, "raw", None)
    return raw.flaw or flaw_of(raw.file) if isinstance(raw, _Decompressed) else ""


class _Decompressed(io.RawIOBase):
    """What is in a compressed file. Where that is cut or damaged it ends early, and `flaw` says why; nothing is raised."""

    def __init__(self, file: BinaryIO, opener: Callable[[BinaryIO], _Opened]) -> None:
        self.file = file
        self._stream, self._broken = opener(file)
        self._size: int | None = None
        self.flaw = ""

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is, at the price of decompressing what is passed over."""
        return True

    def readinto(self, buffer: "Buffer") -> int:
        """As RawIOBase promises."""
        room = memoryview(buffer)
        try:
            data = self._stream.read1(len(room))
        except EOFError:
            self.flaw = "it was compressed, and is cut: what came behind is missing"
            data = b""
        except self._broken as error:
            self.flaw = f"it was compressed, and is damaged: what came behind is missing ({error})"
            data = b""
        room[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """To a place in what was decompressed. From the end: all of it is gone through once."""
        if whence == io.SEEK_END:
            offset += self._length()
        elif whence == io.SEEK_CUR:
            offset += self._stream.tell()
        if offset < self._stream.tell():
            self._stream.seek(0)
        self._pass_over(offset - self._stream.tell())
        return self._stream.tell()

    def tell(self) -> int:
        """The place in what was decompressed."""
        return self._stream.tell()

    def _length(self) -> int:
        if self._size is None:
            self._pass_over(sys.maxsize)
            self._size = self._stream.tell()
        return self._size

    def _pass_over(self, count: int) -> None:
        room = memoryview(bytearray(1 << 16))
        while count > 0 and (passed := self.readinto(room[: min(count, len(room))])):
            count -= passed


class _Utf8:
    """A text of another encoding as UTF-8. Of its places only the start can be gone back to."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file, self._encoding = file, encoding
        self._start()

    def _start(self) -> None:
        self._decoder = codecs.getincrementaldecoder(self._encoding)("backslashreplace")
        self._rest = b""
        self._at = 0

    def read1(self, size: int = -1, /) -> bytes:
        """At most so many bytes; none at the end."""
        while not self._rest and (chunk := self._file.read(_CHUNK)):
            self._rest = self._decoder.decode(chunk).encode("utf-8", "backslashreplace")
        data, self._rest = self._rest[:size], self._rest[size:]
        self._at += len(data)
        return data

    def seek(self, offset: int, /) -> int:
        """To the start."""
        if offset:
            raise io.UnsupportedOperation("only to the start")
        self._file.seek(0)
        self._start()
        return 0

    def tell(self) -> int:
        """The place in what was decoded."""
        return self._at


def _utf16(file: BinaryIO) -> _Opened:
    return _Utf8(file, "utf-16"), ()


def _utf8(file: BinaryIO) -> _Opened:
    return _Utf8(file, "utf-8-sig"), ()  # without the mark at its start


def _gzip(file: BinaryIO) -> _Opened:
    return gzip.GzipFile(fileobj=file), (gzip.BadGzipFile, zlib.error)


def _bzip2(file: BinaryIO) -> _Opened:
    return bz2.BZ2File(file), (OSError, ValueError)


def _xz(file: BinaryIO) -> _Opened:
    return lzma.LZMAFile(file), (lzma.LZMAError,)


def _zstd(file: BinaryIO) -> _Opened:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.ZstdFile(file), (zstd.ZstdError,)


_COMPRESSED = {b"\x1f\x8b": _gzip, b"\x28\xb5\x2f\xfd": _zstd, b"BZh": _bzip2, b"\xfd7zXZ\0": _xz}
_ENCODED = {codecs.BOM_UTF8: _utf8, codecs.BOM_UTF16_LE: _utf16, codecs.BOM_UTF16_BE: _utf16}
_LONGEST_MAGIC = max(map(len, _COMPRESSED))
_SUFFIX = re.compile(r"\.(?:gz|zst|bz2|xz)$")
_CHUNK = 1 << 16
