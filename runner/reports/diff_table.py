"""What one moment has and another has not, on a terminal and as JSON (schema leakrun.diff/1)."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TextIO

from runner.analysis.diff import UNLISTED, Change, Difference, Held, Total, Way, difference
from runner.analysis.sites import shown_stack
from runner.analysis.wording import count_text, place_text, size_text, span_text
from runner.model import TimeUnit
from runner.reports import document
from runner.reports.growth_table import signed
from runner.reports.plain import encodable, file_line, fitted, plain
from runner.reports.table import aligned

SCHEMA = "leakrun.diff/1"
_INDENT = 5


@dataclass(frozen=True, slots=True)
class Named:
    """What a side is called: its facts for the head of a report.

    snapshot, snapshots   its number, from 0, and how many there are; None where losses are compared
    time                  since the process's start, in `unit`
    processes             how many are added up, each as it was last seen
    """

    name: str
    run: str | None
    tool: str
    pid: int | None
    snapshot: int | None
    snapshots: int | None
    time: float | None
    unit: TimeUnit
    processes: int = 1

    def text(self) -> str:
        """In a few words."""
        if self.snapshot is None or self.snapshots is None:
            return f"{self.name}  what {self.tool} found at the end"
        if self.processes > 1:
            return f"{self.name}  {self.processes} processes, each as it was last seen"
        when = f" at {span_text(self.time or 0.0, self.unit)}" if self.unit is not TimeUnit.SNAPSHOTS else ""
        return f"{self.name}  snapshot {self.snapshot} of 0 to {self.snapshots - 1}{when}"


def to_dict(found: Difference, before: Named, after: Named) -> dict[str, Any]:
    """The difference as plain data."""
    return {
        "schema": SCHEMA,
        "compares": "losses" if after.snapshot is None else "snapshots",
        "before": {**_named(before), **asdict(found.before)},
        "after": {**_named(after), **asdict(found.after)},
        "delta": _delta(found),
        "counts": {way.value: found.count(way) for way in Way},
        "sites": [_change(change) for change in found.changes],
        "notes": found.notes,
    }


def _named(side: Named) -> dict[str, Any]:
    return {
        "name": side.name,
        "run": side.run,
        "tool": side.tool,
        "pid": side.pid,
        "snapshot": side.snapshot,
        "snapshots": side.snapshots,
        "time": side.time,
        "time_unit": side.unit.value,
    }


def _delta(found: Difference) -> dict[str, int | None]:
    return {"bytes": found.after.bytes - found.before.bytes, "blocks": difference(found.before.blocks, found.after.blocks)}


def _change(change: Change) -> dict[str, Any]:
    held = change.shown
    stack = shown_stack(held.recording, held.stack_id) if held.recording is not None else []
    return {
        "change": change.way.value,
        "kind": change.key.kind.value if change.key.kind else None,
        "listed": change.key.listed,
        **document.place(held.site, held.frame),
        "before": _amount(change.before),
        "after": _amount(change.after),
        "delta": {"bytes": change.bytes, "blocks": change.blocks},
        "stack": document.frames(stack),
    }


def _amount(held: Held | None) -> dict[str, int | None]:
    return {"bytes": held.bytes, "blocks": held.blocks} if held else {"bytes": 0, "blocks": 0}


def render(found: Difference, stream: TextIO, before: Named, after: Named, *, top: int, width: int) -> None:
    """Write for a person what changed: the first `top` sites, those that gained most first. What is the same is only counted."""
    lines = [*_heads(found, before, after)]
    changed = [change for change in found.changes if change.way is not Way.SAME]
    lines += _table(changed[:top], width)
    if len(changed) > top:
        lines += ["", f"and {count_text(len(changed) - top, 'more site')}: --top {len(changed)} shows all"]
    lines += ["", *(plain(f"note: {text}") for text in found.notes)] if found.notes else []
    stream.write(encodable("\n".join(lines) + "\n", stream))


def _heads(found: Difference, before: Named, after: Named) -> Iterator[str]:
    rows = [("before", _total(found.before), before.text()), ("after", _total(found.after), after.text())]
    yield from aligned(rows, right=(1,))
    counts = (
        ", ".join(f"{found.count(way)} {_WORDS[way]}" for way in _WORDS if found.count(way)) or "no site is listed on either side"
    )
    yield f"change  {signed(found.after.bytes - found.before.bytes)}: {counts}"


_WORDS = {Way.NEW: "new", Way.GROWN: "grown", Way.SHRUNK: "shrunk", Way.GONE: "gone", Way.SAME: "the same"}


def _total(total: Total) -> str:
    return size_text(total.bytes) + ("" if total.blocks is None else f" in {count_text(total.blocks, 'block')}")


def _table(changes: Sequence[Change], width: int) -> Iterator[str]:
    figures = aligned([_figures(change) for change in changes], right=(1, 2, 4, 5))
    for number, (change, line) in enumerate(zip(changes, figures, strict=True), 1):
        yield ""
        yield f"{number:3}. {fitted(plain(_place(change)), width - _INDENT)}"
        yield " " * _INDENT + fitted(line, width - _INDENT)


def _figures(change: Change) -> list[str]:
    before, after = (size_text(held.bytes) if held else "nothing" for held in (change.before, change.after))
    blocks = change.blocks
    counted = "" if not blocks else f"{'+' if blocks > 0 else ''}{count_text(blocks, 'block')}"
    return [
        change.way.value,
        signed(change.bytes),
        before,
        "->",
        after,
        counted,
        change.key.kind.value if change.key.kind else "",
    ]


def _place(change: Change) -> str:
    site = change.shown.site
    if site is None:
        return UNLISTED
    if site.file is None:
        return place_text(site.function, None, None, site.module)
    return f"{site.function or 'an unnamed function'}  {file_line(site.file, site.line)}"
