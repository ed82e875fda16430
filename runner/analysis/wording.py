"""Figures and places in words, for evidence, reasons and notes."""

from runner.model import Recording, TimeUnit

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def size_text(size: float) -> str:
    """Bytes for a person: "512 bytes", "1.2 MB" (powers of 1000)."""
    value, unit = float(size), 0
    while abs(value) >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    if unit == 0:
        return "1 byte" if round(value) == 1 else f"{value:.0f} bytes"
    return f"{value:.1f} {_UNITS[unit]}" if abs(value) < 99.95 else f"{value:.0f} {_UNITS[unit]}"


def count_text(count: int, noun: str) -> str:
    """A count and its noun: "1 block", "1,234 blocks"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def seconds_text(seconds: float) -> str:
    """A span of time for a person."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 36_000 else f"{seconds / 3600:.1f} h"


def span_text(span: float, unit: TimeUnit) -> str:
    """How far two moments lie apart, in the recording's unit of time."""
    match unit:
        case TimeUnit.SECONDS:
            return seconds_text(span)
        case TimeUnit.INSTRUCTIONS:
            return f"{span:,.0f} instructions"
        case TimeUnit.BYTES:
            return f"{size_text(span)} allocated"
        case TimeUnit.EVENTS:
            return f"{span:,.0f} allocations and frees"
        case TimeUnit.SNAPSHOTS:
            return count_text(round(span) + 1, "snapshot")


_RATES = {
    TimeUnit.SECONDS: (1, "second"),
    TimeUnit.INSTRUCTIONS: (1_000_000, "million instructions"),
    TimeUnit.BYTES: (1_000_000, "MB allocated"),
    TimeUnit.EVENTS: (1000, "thousand allocations and frees"),
    TimeUnit.SNAPSHOTS: (1, "snapshot"),
}


def rate_text(rate: float, unit: TimeUnit) -> str:
    """Bytes per one of the unit, for a person: per so many of them that the figure is not a fraction."""
    many, noun = _RATES[unit]
    return f"{size_text(rate * many)} per {noun}"


def share_text(share: float) -> str:
    """A part of a whole: "41%"; what is there and rounds to nothing is "<1%"."""
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def place_text(function: str | None, file: str | None, line: int | None, module: str | None = None) -> str:
    """Where something is, as far as it is known: "f a.c:12", "f in libx.so"; the file without its directory."""
    name = function or "an unnamed function"
    if file is None:
        return f"{name} in {module.rsplit('/', 1)[-1]}" if module else name
    short = file.rsplit("/", 1)[-1]
    return f"{name} {short}:{line}" if line else f"{name} {short}"


def longer(recording: Recording) -> str:
    """What brings more snapshots."""
    return "run it longer" if recording.replayed else "run it longer, or with --every 500ms"
