"""The one exception that reaches a user: what is wrong, and what to do about it."""

from enum import Enum


class ErrorKind(Enum):
    """What went wrong, as far as an exit code can tell it apart; `cli` maps each to its code."""

    USAGE = "usage"  # wrong usage, a bad profile, an existing output directory
    NOT_EXECUTABLE = "not-executable"  # the program is there and can't be started
    NOT_FOUND = "not-found"  # there is no such program
    UNMEASURED = "unmeasured"  # tool missing, nothing was instrumented, output lost


class LeakrunError(Exception):
    """An error that is the user's to mend, caught once, in `cli`.

    `message` says in one line what is wrong; `hint` says in one line what to do, and may be empty
    where the message says it already.
    """

    def __init__(self, kind: ErrorKind, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = hint
