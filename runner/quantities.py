"""Durations, sizes, signals and moments as people write them, and back. Parsers raise ValueError with a sentence for the user."""

import math
import re
import signal
import time

LONGEST_SECONDS = 10 * 366 * 86400.0  # ten years: more is a slip, and overflows the timers of the system
LARGEST_BYTES = 2**63 - 1

_NUMBER = r"[0-9]{1,18}(?:\.[0-9]{1,9})?"
_DURATION = re.compile(rf"(?:({_NUMBER})d)?(?:({_NUMBER})h)?(?:({_NUMBER})m(?!s))?(?:({_NUMBER})s)?(?:({_NUMBER})ms)?", re.ASCII)
_UNIT_MILLISECONDS = (86_400_000, 3_600_000, 60_000, 1000, 1)  # exact in decimals, so that 100ms is 0.1
_OWN_SECONDS = re.compile(r"([0-9]+(?:\.[0-9]+)?)s", re.ASCII)  # what format_duration writes, with all its digits
_SIZE = re.compile(rf"({_NUMBER})(?:([KMGT])(?:iB)?|B)?", re.ASCII | re.IGNORECASE)
_BARE_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+", re.ASCII)
_SHOWN_CHARACTERS = 60


def shown(text: str) -> str:
    """`text` quoted for a message of one line: control characters escaped, shortened where it is long."""
    short = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."
    return repr(short)


def parse_duration(text: str) -> float:
    """Seconds of "500ms", "30s", "5m", "1.5h", "2d" or "1h30m". A number needs its unit, except 0."""
    from decimal import Decimal

    text = text.strip()
    if text == "0":
        return 0.0
    if _BARE_NUMBER.fullmatch(text):
        raise ValueError(f"{shown(text)} has no unit: write {text[:20]}s, {text[:20]}ms, {text[:20]}m or {text[:20]}h")
    own, parts = _OWN_SECONDS.fullmatch(text), _DURATION.fullmatch(text)
    if own:
        seconds = float(own.group(1))
    elif parts and text:
        counts = zip(parts.groups(), _UNIT_MILLISECONDS, strict=True)
        seconds = float(sum(Decimal(count) * unit for count, unit in counts if count) / 1000)
    else:
        raise ValueError(f"{shown(text)} is not a duration: write it as 500ms, 30s, 5m or 1h")
    if not seconds <= LONGEST_SECONDS:
        raise ValueError(f"{shown(text)} is too long: at most ten years")
    return seconds


def format_duration(seconds: float) -> str:
    """`seconds` as parse_duration reads them back exactly."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"{seconds} seconds is not a duration")
    written = repr(seconds)
    if "e" in written:
        from decimal import Decimal

        written = format(Decimal(written), "f")
    return (written.rstrip("0").rstrip(".") if "." in written else written) + "s"


def utc_text(moment: float) -> str:
    """Unix time in ISO 8601, to the second: 2026-01-02T03:04:05Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def parse_size(text: str) -> int:
    """Bytes of "4096", "64K", "64M", "1.5G" or "64MiB"; the units are powers of 1024."""
    from decimal import Decimal  # 2 ms, and no size is read on the way to most launches

    text = text.strip()
    match = _SIZE.fullmatch(text)
    if not match:
        decimal = re.fullmatch(rf"({_NUMBER})([KMGT])B", text, re.ASCII | re.IGNORECASE)
        better = f"{decimal.group(1)}{decimal.group(2).upper()}" if decimal else "4096, 64K, 64M or 1G"
        raise ValueError(f"{shown(text)} is not a size: write {better} (units are powers of 1024)")
    number, unit = match.groups()
    size = Decimal(number) * 1024 ** ("KMGT".index(unit.upper()) + 1 if unit else 0)
    if size != int(size):
        raise ValueError(f"{shown(text)} is not a whole number of bytes")
    if size > LARGEST_BYTES:
        raise ValueError(f"{shown(text)} is too large for a size")
    return int(size)


def parse_keep(text: str) -> int | str:
    """Which snapshots stay: "all", "log" (ever fewer with age), or the number of the last ones."""
    word = text.strip()
    if word in ("all", "log"):
        return word
    if re.fullmatch(r"[1-9][0-9]{0,8}", word, re.ASCII):
        return int(word)
    raise ValueError(f"{shown(text)} is not all, log, or how many of the last ones stay, 1 or more")


def parse_signal(text: str) -> int:
    """The number of a signal written as TERM, SIGTERM or 15."""
    name = text.strip().upper()
    try:
        if re.fullmatch(r"[0-9]{1,3}", name, re.ASCII):
            if int(name) not in signal.valid_signals():
                raise ValueError(name)
            return int(name)
        return signal.Signals[name if name.startswith("SIG") and name != "SIG" else f"SIG{name}"].value
    except (KeyError, ValueError):
        raise ValueError(f"there is no signal {shown(text)}: write TERM, INT, USR1 ... or a number") from None


def format_signal(signum: int) -> str:
    """The name without SIG, or the number where it has none (real-time signals)."""
    try:
        return signal.Signals(signum).name.removeprefix("SIG")
    except ValueError:
        return str(signum)


def signal_name(signum: int) -> str:
    """SIGTERM; of a real-time signal SIGRTMIN+1, as kill has it."""
    name = format_signal(signum)
    return f"SIGRTMIN{signum - signal.SIGRTMIN:+d}" if name.isdigit() else f"SIG{name}"


def parse_stop_signal(text: str) -> int:
    """A signal that lets the program and the tool write what they have to."""
    signum = parse_signal(text)
    if signum in (signal.SIGKILL, signal.SIGSTOP):
        raise ValueError(f"{format_signal(signum)} leaves the tool no time to write: write TERM, INT, QUIT or HUP")
    return signum


def parse_switch(text: str) -> bool:
    """True or False of true, false, yes, no, on or off, in any case."""
    word = text.strip().lower()
    if word not in ("true", "yes", "on", "false", "no", "off"):
        raise ValueError(f"{shown(text)} is neither true nor false")
    return word in ("true", "yes", "on")
