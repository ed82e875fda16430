"""The signals that leakrun takes for itself while a program runs: blocked, and waited for one at a time.

Blocked signals can't interrupt anything half done, and sigtimedwait tells who sent one, which a handler can't.
"""

import ctypes
import os
import select
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from runner.supervise import proc

SI_KERNEL = 0x80  # siginfo's si_code of a signal that the terminal sent: the whole foreground group has had it

WAKING = frozenset({signal.SIGCHLD, signal.SIGIO})  # these only say that there is something to look at

_SIGSET = 128  # bytes of glibc's sigset_t

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

# The word for who ended the run, in Outcome.stopped_by.
STOPPED_BY: dict[int, str] = {
    signal.SIGINT: "interrupt",
    signal.SIGQUIT: "interrupt",
    signal.SIGTERM: "terminate",
    signal.SIGHUP: "terminate",
}


def name_of(signum: int) -> str:
    """SIGTERM for 15; the number for one that has no name."""
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"


@dataclass(frozen=True, slots=True)
class Held:
    """The signals held back, and what the program must find as it was before.

    former_mask  the mask that leakrun was started with
    ignored      signals that leakrun had to stop ignoring for itself
    descriptor   can be read from when one has come: signalfd(2)
    """

    held: frozenset[signal.Signals]
    former_mask: frozenset[int]
    ignored: frozenset[int]
    descriptor: int

    def wait(self, seconds: float) -> signal.struct_siginfo | None:
        """The next signal; None when none came in that time."""
        # Not sigtimedwait's own waiting: that returns what lay on the stack when we were stopped and continued meanwhile, and its
        # time was over then (CPython 3.11).
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        poll.poll(max(0.0, seconds) * 1000)
        return signal.sigtimedwait(self.held, 0)


@contextmanager
def hold(more: frozenset[signal.Signals] = frozenset()) -> Iterator[Held]:
    """Hold the stop signals and SIGCHLD back, and `more`. One that was ignored (nohup, a background job) stays ignored."""
    wanted = {signum for signum in {*STOPPING, *more} if signal.getsignal(signum) is not signal.SIG_IGN}
    held = frozenset(wanted | WAKING)
    former_child = signal.getsignal(signal.SIGCHLD)
    # With SIGCHLD ignored the kernel reaps children by itself, and their exit codes are lost.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    former_mask = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    for signum in _early:
        os.kill(os.getpid(), signum)
    _early.clear()
    descriptor = _signalfd(held)
    ignored = frozenset({int(signal.SIGCHLD)} if former_child is signal.SIG_IGN else set())
    try:
        yield Held(held, frozenset(map(int, former_mask)), ignored, descriptor)
    finally:
        os.close(descriptor)
        while signal.sigtimedwait(held, 0) is not None:
            pass  # a second Ctrl-C that came late must not cut off what is still to be written
        signal.pthread_sigmask(signal.SIG_SETMASK, former_mask)
        signal.signal(signal.SIGCHLD, former_child if former_child is not None else signal.SIG_DFL)


def _signalfd(signums: Iterable[int]) -> int:
    """A descriptor that can be read from while one of them is pending. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    mask = ctypes.create_string_buffer(_SIGSET)
    libc.sigemptyset(mask)
    for signum in signums:
        libc.sigaddset(mask, int(signum))
    descriptor = int(libc.signalfd(-1, mask, os.O_CLOEXEC | os.O_NONBLOCK))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "no descriptor for signals")
    return descriptor


_early: list[int] = []  # what came between deaf() and hold()


@contextmanager
def deaf() -> Iterator[None]:
    """What asks for the end asks in vain: the end has come, and what it left is being written. Ctrl-\\ still ends leakrun.

    By handlers, which no command that is started meanwhile inherits. hold() within hears what it would have heard.
    """
    wanted = [
        signum for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(signum) is not signal.SIG_IGN
    ]
    former = {signum: signal.signal(signum, lambda heard, _: _early.append(heard)) for signum in wanted}
    try:
        yield
    finally:
        for signum, handler in former.items():
            signal.signal(signum, handler if handler is not None else signal.SIG_DFL)
        _early.clear()


def send(pid: int, signum: int, start_ticks: int | None = None) -> bool:
    """Send a signal to exactly that process: never to another that got its pid since. False when it is gone.

    `start_ticks` is its start time, where known (field 22 of /proc/PID/stat). Raises PermissionError.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if start_ticks is not None:
            now = proc.stat(pid)
            if now is None or now.start_ticks != start_ticks:
                return False
        signal.pidfd_send_signal(descriptor, signum)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True
