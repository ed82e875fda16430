"""The process that passes on what the program writes, and keeps its head and its tail.

What is kept lies in files from the first byte on, NAME.head and, as a mapped ring, NAME.tail, so that nobody's death costs it.
gather() makes NAME.log of them. Where the program had a terminal it gets one: a pseudo-terminal that changes nothing.
"""

import fcntl
import mmap
import os
import pty
import select
import signal
import struct
import termios
import tty
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

HEAD = 4 << 20  # bytes of each stream that are kept from its start
TAIL = 4 << 20  # and from its end
_CHUNK = 128 << 10  # bytes that are passed on at once
_PIPE = 1 << 20  # what a pipe may hold; Linux allows everybody that much
_COUNTS = struct.Struct("<QQ")  # at the start of the ring's file: bytes read so far, bytes that could not be passed on
_RING = mmap.PAGESIZE  # where the ring begins in it
_IGNORED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGPIPE")


def start(sink: int, name: Path) -> tuple[int, int]:
    """Begin to pass on to the descriptor `sink`; the process that does, and what the program is to write to.

    Raises OSError where the disk has no room for what is kept.
    """
    ring = _made_ring(name.with_suffix(".tail"))
    head = os.open(name.with_suffix(".head"), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    source, end = _terminal(sink) if os.isatty(sink) else _pipe()
    pid = os.fork()
    if pid == 0:
        _copy(source, sink, head, ring)
    for descriptor in (source, head):
        os.close(descriptor)
    ring.close()
    return pid, end


def _pipe() -> tuple[int, int]:
    source, end = os.pipe()
    with suppress(OSError):  # a user who has used up what pipes may hold
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE)
    return source, end


def _terminal(real: int) -> tuple[int, int]:
    source, end = pty.openpty()
    tty.setraw(end)
    _take_size(real, source)
    for descriptor in (source, end):
        os.set_inheritable(descriptor, False)
    return source, end


def _take_size(real: int, source: int) -> None:
    with suppress(OSError):
        fcntl.ioctl(source, termios.TIOCSWINSZ, fcntl.ioctl(real, termios.TIOCGWINSZ, b"\0" * 8))


def _made_ring(path: Path) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, _RING + TAIL)  # a write to a mapped page that the disk has no room for is fatal
        return mmap.mmap(descriptor, _RING + TAIL)
    finally:
        os.close(descriptor)


# ---- in the process that copies


def _copy(source: int, sink: int, head: int, ring: mmap.mmap) -> NoReturn:
    """Pass on until nobody can write any more, or nobody reads."""
    try:
        for name in _IGNORED:
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        signal.signal(signal.SIGWINCH, lambda *_: _take_size(sink, source))
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        _close_all_but(source, sink, head)
        _pass_on(source, sink, head, ring)
    finally:
        os._exit(0)


def _close_all_but(*kept: int) -> None:
    """Whoever waits for the end of another stream must not wait for us."""
    first = 0
    for descriptor in sorted(kept):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def _pass_on(source: int, sink: int, head: int, ring: mmap.mmap) -> None:
    view, count, lost, room = memoryview(ring), 0, 0, HEAD
    while True:
        place = _RING + count % TAIL
        part = view[place : min(place + _CHUNK, _RING + TAIL)]
        try:
            got = part[: os.readv(source, [part])]
        except OSError:  # EIO: the other side of the terminal is closed
            return
        if not got:
            return
        if room:
            room = _kept(head, got[:room], room)
        count += len(got)
        _COUNTS.pack_into(ring, 0, count, lost)
        try:
            lost += _written(sink, got)
        except BrokenPipeError:
            return  # and the program gets the same
        _COUNTS.pack_into(ring, 0, count, lost)


def _kept(head: int, data: memoryview, room: int) -> int:
    """Write a part of the head; how much more may follow: none once the disk is full, and what is kept has no hole."""
    try:
        return room - len(data) if os.write(head, data) == len(data) else 0
    except OSError:
        return 0


def _written(sink: int, data: memoryview) -> int:
    """Write it all; how many bytes the other side did not take. Raises BrokenPipeError."""
    while data:
        try:
            data = data[os.write(sink, data) :]
        except BlockingIOError:  # somebody who shares the descriptor has set it so
            select.select([], [sink], [])
        except BrokenPipeError:
            raise
        except OSError:  # a full disk: the program goes on as it would have
            return len(data)
    return 0


# ---- when the run has ended


def gather(directory: Path) -> int:
    """Make NAME.log of each head and tail; how many bytes could not be passed on. Raises OSError."""
    lost = 0
    for tail in sorted(directory.glob("*.tail")):
        lost += _gather(tail.with_suffix(".head"), tail, tail.with_suffix(".log"))
    return lost


def _gather(head: Path, tail: Path, log: Path) -> int:
    with tail.open("rb") as file:
        count, lost = _COUNTS.unpack(file.read(_COUNTS.size))
        file.seek(_RING)
        ring = file.read(TAIL)
    first = head.stat().st_size
    last = ring[:count] if count <= TAIL else ring[count % TAIL :] + ring[: count % TAIL]
    missing = count - first - len(last)
    with head.open("ab") as file:
        if missing > 0:
            file.write(f"\n[leakrun: {missing:,} bytes are left out here]\n".encode("ascii"))
        file.write(last[max(0, -missing) :])
    head.replace(log)
    tail.unlink()
    return int(lost)
