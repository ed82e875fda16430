"""The terminal that leakrun was started on, and who has it: leakrun, or the program.

The program gets a process group of its own, in the background: so Ctrl-C comes to leakrun alone, which takes the last snapshot
before it stops the program. A program that reads the terminal, or sets it, is stopped by the kernel (SIGTTIN, SIGTTOU); then
it is lent the terminal, as a shell would do, and from then on Ctrl-C reaches it and nobody else. Nothing of this where leakrun
has no terminal or is not in its foreground: then the program stays in leakrun's group.
"""

import contextlib
import os
import signal

TOLD = frozenset({signal.SIGTSTP, signal.SIGWINCH})  # what the kernel tells the foreground group alone


class Terminal:
    """Call open() before the launch, close() at the end; without open() there is none.

    lent  the program has it: leakrun must not write there
    """

    def __init__(self) -> None:
        self.lent = False
        self._descriptor: int | None = None
        self._group = 0

    def open(self) -> None:
        """Find the terminal. Nothing happens where there is none, or where others are in its foreground."""
        try:
            descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            foreground = os.tcgetpgrp(descriptor) == os.getpgrp()
        except OSError:
            foreground = False
        if foreground:
            self._descriptor = descriptor
        else:
            os.close(descriptor)

    @property
    def ours(self) -> bool:
        """The program is to be in a group of its own."""
        return self._descriptor is not None

    @property
    def signals(self) -> frozenset[signal.Signals]:
        """What hear() is to be given."""
        return TOLD if self.ours else frozenset()

    def give(self, group: int) -> None:
        """The program runs, as the leader of that group."""
        self._group = group
        if self.ours:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})  # or taking the terminal back would stop us

    def hear(self, signum: int) -> None:
        """Pass on what the kernel told us alone: another window size, and Ctrl-Z."""
        if signum == signal.SIGWINCH:
            self._signal(signal.SIGWINCH)
        elif signum == signal.SIGTSTP:
            self._signal(signal.SIGTSTP)
            self._stop_with_it(signal.SIGTSTP)

    def look(self) -> None:
        """See whether the program was stopped for the terminal's sake, and do what a shell would."""
        if not self.ours or not self._group:
            return
        try:
            stopped = os.waitid(os.P_PID, self._group, os.WSTOPPED | os.WNOHANG)
        except ChildProcessError:
            return
        if stopped is None:
            return
        if stopped.si_status in (signal.SIGTTIN, signal.SIGTTOU):
            if not self._in_foreground():
                self._stop_with_it(signal.SIGTTIN)  # leakrun is in the background: the shell is to say so
            self._lend()
        elif stopped.si_status == signal.SIGTSTP and self.lent:
            self._take_back()
            os.killpg(os.getpgrp(), signal.SIGTSTP)
            self._stop_with_it(signal.SIGTSTP, lend=True)

    def close(self) -> None:
        """Take the terminal back and forget it."""
        if self._descriptor is not None:
            self._take_back()
            os.close(self._descriptor)
            self._descriptor = None

    def _in_foreground(self) -> bool:
        """Somebody of this run has it, not another job."""
        assert self._descriptor is not None
        try:
            return os.tcgetpgrp(self._descriptor) in (os.getpgrp(), self._group)
        except OSError:
            return False

    def _lend(self) -> None:
        """Put the program into the foreground and wake it; where we are not there ourselves, only that."""
        assert self._descriptor is not None
        if self._in_foreground():
            with contextlib.suppress(OSError):  # it has just ended
                os.tcsetpgrp(self._descriptor, self._group)
                self.lent = True
        self._signal(signal.SIGCONT)

    def _take_back(self) -> None:
        assert self._descriptor is not None
        if self.lent:
            self.lent = False
            with contextlib.suppress(OSError):  # the terminal is gone
                os.tcsetpgrp(self._descriptor, os.getpgrp())

    def _stop_with_it(self, signum: signal.Signals, *, lend: bool = False) -> None:
        """Stop ourselves as the signal would, until somebody continues us; then the program goes on too."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signum})
        os.kill(os.getpid(), signum)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signum})  # here we stop; not where nobody could continue us
        signal.pthread_sigmask(signal.SIG_BLOCK, {signum})
        if lend:
            self._lend()
        else:
            self._signal(signal.SIGCONT)

    def _signal(self, signum: signal.Signals) -> None:
        if self._group:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._group, signum)
