"""Native files that were compressed, by gzip or by zstd, as heaptrack does and as people do: read as if they were not."""

import gzip
import io
import sys
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from typing_extensions import Buffer  # collections.abc has it from Python 3.12 on

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def opened(file: BinaryIO) -> BinaryIO:
    """What is in the file, which stands at its start: decompressed, where it was compressed."""
    head = file.read(len(ZSTD))
    file.seek(0)
    return io.BufferedReader(_Decompressed(file, head)) if head.startswith((GZIP, ZSTD)) else file


def flaw_of(stream: BinaryIO) -> str:
    """Why what opened() gave has ended early; empty where it has not."""
    raw = getattr(stream, "raw", None)
    return raw.flaw if isinstance(raw, _Decompressed) else ""


class _Decompressed(io.RawIOBase):
    """What is in a compressed file. Where that is cut or damaged it ends early, and `flaw` says why; nothing is raised."""

    def __init__(self, file: BinaryIO, head: bytes) -> None:
        self._stream, self._broken = _zstd(file) if head.startswith(ZSTD) else _gzip(file)
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
            data = self._stream.read(len(room))
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


def _gzip(file: BinaryIO) -> tuple[BinaryIO, tuple[type[Exception], ...]]:
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)), (gzip.BadGzipFile, zlib.error)


def _zstd(file: BinaryIO) -> tuple[BinaryIO, tuple[type[Exception], ...]]:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return cast(BinaryIO, zstd.ZstdFile(file)), (zstd.ZstdError,)
