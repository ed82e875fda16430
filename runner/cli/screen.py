"""What leakrun says on a terminal: a line while the program runs, the answer after it."""

import os
import shutil
import sys
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from runner.model import Answer
    from runner.supervise import Progress as Report


def say(text: str) -> None:
    """One line of leakrun's own on stderr."""
    sys.stderr.write(f"leakrun: {text}\n")


def wants_color(stream: TextIO, color: bool | None) -> bool:
    """Colours only for a terminal, and only where nothing says no (https://no-color.org)."""
    if color is not None:
        return color
    quiet = os.environ.get("NO_COLOR") or os.environ.get("CI") == "true" or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not quiet


def show_answer(answer: "Answer", stream: TextIO, *, color: bool | None, verbose: bool) -> None:
    """The answer as a person reads it."""
    from runner.cli import hyperlinks
    from runner.reports import terminal

    width = shutil.get_terminal_size((80, 24)).columns
    link = hyperlinks.url_of if hyperlinks.follows(stream, os.environ) else terminal.no_link
    terminal.render(answer, stream, width=min(width, 120), color=wants_color(stream, color), verbose=verbose, link=link)


class Progress:
    """A line on stderr that is written over while the program runs; where stderr is no terminal, warnings alone."""

    def __init__(self, *, enabled: bool) -> None:
        self._quiet = not enabled
        self._enabled = enabled and sys.stderr.isatty() and os.environ.get("CI") != "true"
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def say(self, text: str) -> None:
        """A line of its own, in the place of the one that is written over."""
        self._clear()
        say(text)

    def _clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False

    def show(self, report: "Report") -> None:
        """Write over the line; notes stay above it. Nothing while the program has the terminal."""
        if self._quiet or report.interactive:
            return
        if not self._enabled:
            _say_each(report.warning)
            return
        sys.stderr.write("\r\x1b[K")
        _say_each(report.note)
        columns = shutil.get_terminal_size((80, 24)).columns
        sys.stderr.write(progress_line(report)[: columns - 1])
        sys.stderr.flush()
        self._shown = True


def _say_each(lines: str) -> None:
    for line in lines.splitlines():
        say(line.encode(errors="replace").decode())


def progress_line(report: "Report") -> str:
    """How the run goes, in a line without its end."""
    rss = f"rss {report.rss / 1e6:.1f} MB"
    if abs(report.rss_slope) >= 1000:
        rss += f" ({report.rss_slope / 1e3:+,.0f} kB/s)"
    parts = [_clock(report.elapsed), rss, f"{report.snapshots} snapshot{'' if report.snapshots == 1 else 's'}"]
    if report.misses:
        parts.append(f"{report.misses} missed")
    if report.processes > 1:
        parts.append(f"{report.processes} processes")
    if report.state != "running":
        parts.append(report.state)
    return f"leakrun: {', '.join(parts)}"


def _clock(seconds: float) -> str:
    """12 s, 3:05, 1:02:03."""
    whole = int(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest} s"
