"""What memcheck's XML and its text log have in common: the words of its records, and the sums over them."""

import re

from runner.formats._valgrind import LARGEST, amount_of
from runner.model import Amount, Frame, Loss, LossKind, Recording

LOSS_KINDS = {
    "Leak_DefinitelyLost": LossKind.DEFINITE,
    "Leak_IndirectlyLost": LossKind.INDIRECT,
    "Leak_PossiblyLost": LossKind.POSSIBLE,
    "Leak_StillReachable": LossKind.REACHABLE,
}

TOOL_VERSION = re.compile(r"Using [Vv]algrind-([0-9]+(?:\.[0-9]+)*)")

# A program that dies by one of these has a fault of its own; others were sent to it.
CRASHES = {"SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS"}

# Measured (3.19): what one of them alone pointed to counts as definitely lost, and all that hangs on it as indirectly lost.
EMPTIED = "a signal ended it, and then memcheck looks into no registers: what one of them alone pointed to counts as lost"

UNLISTED = "lost memory is not listed (--leak-check=full)"

# 96 (32 direct, 64 indirect) bytes in 1 blocks are definitely lost in loss record 6 of 7
# 1,024 (+1,024) bytes in 2 (+2) blocks are still reachable in loss record 1 of 2      (an incremental leak check)
_DELTA = r"(?: \([+-][0-9,]+\))?"
_LOSS = re.compile(
    rf"(?P<bytes>[0-9,]+){_DELTA} (?:\((?P<direct>[0-9,]+){_DELTA} direct, (?P<indirect>[0-9,]+){_DELTA} indirect\) )?bytes in "
    rf"(?P<blocks>[0-9,]+){_DELTA} blocks are (?P<kind>definitely lost|indirectly lost|possibly lost|still reachable)"
    r"(?: in (?:new )?loss record (?P<number>[0-9,]+) of (?P<last>[0-9,]+))?"
)


def loss_of(text: str, stack_id: int) -> Loss | None:
    """The loss that a record's first line speaks of; None where it is no such line."""
    match = _LOSS.fullmatch(text)
    if match is None:
        return None
    whole, blocks, indirect = amount_of(match["bytes"]), amount_of(match["blocks"]), amount_of(match["indirect"]) or 0
    if whole is None or blocks is None or indirect > whole:
        return None
    return Loss(LossKind(match["kind"]), whole, blocks, stack_id, indirect)


class LeakRecords:
    """The losses of the last leak check. A program or a person can ask for many: each numbers its records anew."""

    def __init__(self) -> None:
        self.losses: list[Loss] = []
        self._number = 0
        self._last: int | None = None  # how many records the check has, shown or not

    def add(self, loss: Loss, text: str) -> None:
        """Add one; `text` is the record's first line, which says that it is number so of so many."""
        match = _LOSS.fullmatch(text)
        number, last = (amount_of(match["number"]), amount_of(match["last"])) if match else (None, None)
        if number is not None and (number <= self._number or last != self._last):
            self.losses.clear()
        if number is not None:
            self._number, self._last = number, last
        self.losses.append(loss)

    def sums(self) -> dict[LossKind, Amount]:
        """memcheck's LEAK SUMMARY, added up.

        The bytes that a block keeps indirectly have records of their own, so they are left out of its kind.
        """
        sums = {kind: Amount(0, 0) for kind in LossKind}
        for loss in self.losses:
            amount = sums[loss.kind]
            amount.bytes = min(amount.bytes + loss.bytes - loss.indirect_bytes, LARGEST)
            amount.blocks = min(amount.blocks + loss.blocks, LARGEST)
        return sums


def add_unlisted(recording: Recording) -> None:
    """Add what the summary counts as definitely lost and no record lists (--leak-check=summary): a loss without a place."""
    whole = (recording.leak_summary or {}).get(LossKind.DEFINITE)
    if whole is None or not whole.blocks or any(loss.kind is LossKind.DEFINITE for loss in recording.losses):
        return
    recording.losses.append(Loss(LossKind.DEFINITE, whole.bytes, whole.blocks, recording.table.intern([Frame()])))
    if UNLISTED not in recording.limits:
        recording.limits.append(UNLISTED)
