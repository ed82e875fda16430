"""Sites ranked by growth, on a terminal and as JSON (schema leakrun.growth/1)."""

from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from runner.analysis.ranking import Ranked, Ranking, Watched
from runner.analysis.sites import shown_stack
from runner.analysis.wording import count_text, place_text, rate_text, share_text, size_text, span_text
from runner.model import FindingKind, TimeUnit
from runner.reports import document
from runner.reports.plain import encodable, file_line, fitted, plain, sparkline
from runner.reports.table import aligned

SCHEMA = "leakrun.growth/1"
_SPARK = 16
_INDENT = 5


def to_dict(ranking: Ranking, name: str, notes: Sequence[str], top: int | None) -> dict[str, Any]:
    """The ranking as plain data; `name` is what it is of, `top` how many sites are given (None: all)."""
    return {
        "schema": SCHEMA,
        "name": name,
        "processes": [_process(watched) for watched in ranking.processes],
        "count": len(ranking.sites),
        "sites": [_site(number, each) for number, each in enumerate(ranking.sites[:top], 1)],
        "notes": [*_sayings(ranking), *notes],
    }


def _process(watched: Watched) -> dict[str, Any]:
    return {
        "pid": watched.recording.pid,
        "command": watched.recording.command,
        "tool": watched.recording.tool,
        "snapshots": watched.snapshots,
        "span": watched.span,
        "time_unit": watched.recording.time_unit.value,
        "unjudged": watched.unjudged,
    }


def _site(number: int, each: Ranked) -> dict[str, Any]:
    unit = each.recording.time_unit
    return {
        "rank": number,
        "kind": each.kind.value,
        "shape": each.shape.value,
        **document.place(each.site, each.frame),
        "first": each.first,
        "last": each.last,
        "rise": each.rise,
        "rate": {"value": each.slope, "unit": f"bytes/{unit.value}"},
        "bytes_per_second": each.slope if unit is TimeUnit.SECONDS else None,
        "share": each.share,
        "pids": each.pids,
        "series": [list(point) for point in each.series()],
        "stack": document.frames(shown_stack(each.recording, each.stack_id)),
    }


def render(ranking: Ranking, stream: TextIO, *, name: str, notes: Sequence[str], top: int, width: int) -> None:
    """Write the first `top` sites for a person: the place, and below it what it does."""
    lines = [*_heads(ranking, name), *_table(ranking.sites[:top], width)]
    if len(ranking.sites) > top:
        lines.append(f"and {count_text(len(ranking.sites) - top, 'more site')}: --top {len(ranking.sites)} shows all")
    said = [*_sayings(ranking), *notes]
    lines += ["", *(plain(f"note: {text}") for text in said)] if said else []
    stream.write(encodable("\n".join(lines) + "\n", stream))


def _heads(ranking: Ranking, name: str) -> Iterator[str]:
    yield plain(name)
    for watched in ranking.processes:
        who = "" if watched.recording.pid is None else f"process {watched.recording.pid}: "
        what = count_text(watched.snapshots, "snapshot")
        if watched.snapshots > 1 and watched.recording.time_unit is not TimeUnit.SNAPSHOTS:
            what += f" over {span_text(watched.span, watched.recording.time_unit)}"
        yield f"  {who}{what}"


def _sayings(ranking: Ranking) -> Iterator[str]:
    """What bounds the ranking: each thing once."""
    for watched in ranking.processes:
        who = "" if len(ranking.processes) == 1 or watched.recording.pid is None else f"process {watched.recording.pid}: "
        if watched.unjudged:
            yield f"{who}growth can't be judged: {watched.unjudged}"
    said = [text for watched in ranking.processes for text in (*watched.recording.flaws, *watched.recording.limits)]
    yield from dict.fromkeys(said)


def _table(sites: Sequence[Ranked], width: int) -> Iterator[str]:
    figures = list(aligned([_figures(each) for each in sites], right=(1, 2, 3, 5)))
    for number, (each, line) in enumerate(zip(sites, figures, strict=True), 1):
        yield ""
        yield f"{number:3}. {fitted(plain(_place(each)), width - _INDENT)}"
        spark = sparkline(each.series(), _SPARK)
        yield " " * _INDENT + fitted(line, width - _INDENT)
        if spark:
            yield " " * _INDENT + spark


def _figures(each: Ranked) -> list[str]:
    first = "" if each.first is None else size_text(each.first)
    rise = "" if each.first is None else signed(each.rise)
    share = f"{share_text(each.share)} of all" if each.share else ""
    rate = "" if each.first is None or not each.rise else _rate(each)
    return [each.shape.value, rise, rate, first, "->" if first else "", size_text(each.last), share, _whose(each)]


def _whose(each: Ranked) -> str:
    return f"in {len(each.pids)} processes" if len(each.pids) > 1 else ""


def signed(size: int) -> str:
    """A difference of bytes with its sign; 0 has none."""
    return f"+{size_text(size)}" if size > 0 else size_text(size)


def _rate(each: Ranked) -> str:
    unit = each.recording.time_unit
    return f"{size_text(each.slope)}/s" if unit is TimeUnit.SECONDS else rate_text(each.slope, unit)


def _place(each: Ranked) -> str:
    if each.site is None:
        return "the stack as a whole" if each.kind is FindingKind.STACK_GROWTH else "an unnamed place"
    site = each.site
    if site.file is None:
        return place_text(site.function, None, None, site.module)
    return f"{site.function or 'an unnamed function'}  {file_line(site.file, site.line)}"
