"""One process of a run as a page shows it: its snapshots, or what was in use when it ended, by stack and by site."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.analysis.blame import HIDDEN, Blamer
from runner.analysis.frames import Role
from runner.analysis.growth import blamers_of
from runner.analysis.ranking import Ranked, rank
from runner.analysis.sites import Site, site_of
from runner.analysis.timeline import Timeline, timeline
from runner.formats.writers.sheet import frame_name
from runner.model import Frame, LossKind, Metric, Recording, TimeUnit
from runner.reports.page import amounts
from runner.reports.page.tables import Tables

_TOTALS = (*amounts.METRICS, Metric.STACK_BYTES, Metric.HEAP_EXTRA_BYTES, Metric.RSS_BYTES, Metric.PSS_BYTES, Metric.MAPPED_BYTES)
_MOST_POINTS = 2000  # of the totals over time


_SITE_COLUMNS = ("function", "file", "line", "module", "shape", "slope", "share")
# Of a process that nothing is known of by stack: what the system saw of it can still be shown.
_NOTHING: dict[str, Any] = {
    **{name: [] for name in ("number", "time", "label", "peak", "stacked", "metrics", "changes", "left_out")},
    "totals": {},
    "stacks": {"nodes": [], "site": []},
    "sites": {name: [] for name in _SITE_COLUMNS},
}


@dataclass(slots=True)
class Sites:
    """Sites by number, as columns; `ranked` is what the analysis of growth says of one, None where it says nothing."""

    tables: Tables
    numbers: dict[tuple[object, ...], int] = field(default_factory=dict)
    rows: list[tuple[object, ...]] = field(default_factory=list)

    def of(self, site: Site | None, frame: Frame | None, kind: str, ranked: Ranked | None = None) -> int:
        """The number of a site. One without a place is that of a frame that stands for many stacks."""
        key = (site, kind) if site else (frame, kind)
        number = self.numbers.setdefault(key, len(self.rows))
        if number == len(self.rows):
            self.rows.append(self._row(site, frame, kind, ranked))
        return number

    def _row(self, site: Site | None, frame: Frame | None, kind: str, ranked: Ranked | None) -> tuple[object, ...]:
        string = self.tables.string
        shape = (ranked.shape.value, _finite(ranked.slope), ranked.share) if ranked else (kind, None, 0)
        if site is None:
            return (string(frame_name(frame or Frame())), 0, 0, 0, string(shape[0]), *shape[1:])
        name = site.function or frame_name(frame or Frame(module=site.module, address=site.address))
        return (string(name), string(site.file), site.line or 0, string(site.module), string(shape[0]), *shape[1:])

    def to_dict(self) -> dict[str, list[Any]]:
        """As columns."""
        columns = [list(column) for column in zip(*self.rows, strict=True)] or [[] for _ in _SITE_COLUMNS]
        return dict(zip(_SITE_COLUMNS, columns, strict=True))


def _finite(slope: float) -> float | None:
    return round(slope, 6) if math.isfinite(slope) else None


class _Stacks:
    """The stacks of one dataset: their nodes and their sites, by the place that they have in the page."""

    def __init__(self, tables: Tables, sites: Sites) -> None:
        self._tables, self._sites = tables, sites
        self._places: dict[tuple[int, int], int] = {}
        self.nodes: list[int] = []
        self.site: list[int] = []

    def place(self, frames: Sequence[int], site: int) -> int:
        """The place of a stack of frame numbers, outermost first; stacks of one place and one site are one."""
        node = self._tables.node(frames)
        place = self._places.setdefault((node, site), len(self.nodes))
        if place == len(self.nodes):
            self.nodes.append(node)
            self.site.append(site)
        return place

    def extra(self, frame: Frame) -> int:
        """The place of a frame that stands for many stacks."""
        return self.place([self._tables.frame(frame, Role.HIDDEN)], self._sites.of(None, frame, "not listed"))

    def to_dict(self) -> dict[str, list[int]]:
        """Nodes as differences, and sites."""
        return {"nodes": [node - before for before, node in zip([0, *self.nodes], self.nodes, strict=False)], "site": self.site}


def datasets(recordings: Sequence[Recording], wrappers: Sequence[str], warmup: float, tables: Tables) -> list[dict[str, Any]]:
    """What each process says: its snapshots, where it has any, and what was in use when it ended, where the tool looked."""
    lines = [timeline(recording, warmup) for recording in recordings]
    blamers = blamers_of(recordings, lines, wrappers)
    ranked: dict[tuple[Site | None, int | None], Ranked] = {}
    for each in rank(recordings, wrappers, warmup).sites:
        pids: list[int | None] = [*each.pids] or [None]
        for pid in pids:
            ranked.setdefault((each.site, pid), each)
    found = []
    for recording, line, blamer in zip(recordings, lines, blamers, strict=True):
        if recording.snapshots:
            found.append({**_of_snapshots(recording, blamer, ranked, tables), "last": _last(recording, line)})
        if recording.losses:
            found.append(_of_losses(recording, blamer, tables))
        if not (recording.snapshots or recording.losses):
            found.append({**_facts(recording, "none"), **_NOTHING})
    return found


def _last(recording: Recording, line: Timeline) -> int:
    """The number of the last snapshot before the program freed what it had at its end: what the page opens with."""
    last = line.snapshots[-1] if line.snapshots else None
    return next((number for number, each in enumerate(recording.snapshots) if each is last), len(recording.snapshots) - 1)


def _facts(recording: Recording, kind: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "pid": recording.pid,
        "tool": recording.tool,
        "version": recording.tool_version,
        "unit": recording.time_unit.value,
        "complete": recording.complete,
        "flaws": list(recording.flaws),
        "limits": list(recording.limits),
    }


def _of_snapshots(
    recording: Recording, blamer: Blamer, ranked: dict[tuple[Site | None, int | None], Ranked], tables: Tables
) -> dict[str, Any]:
    kept, sites = amounts.keep(recording), Sites(tables)
    stacks = _Stacks(tables, sites)
    frames = [tables.frame(frame, role) for frame, role in zip(recording.table.frames, blamer.roles, strict=True)]
    for each in (each for (site, pid), each in ranked.items() if pid == recording.pid and site is not None):
        sites.of(each.site, each.frame, "", each)  # so that they stand in the order of their rank

    def place(stack_id: int) -> int:
        blamed = None if blamer.positions[stack_id] == HIDDEN else blamer.frame(stack_id)
        site = site_of(blamed) if blamed else None
        number = sites.of(site, blamed, "not listed" if site is None else "", ranked.get((site, recording.pid)) if site else None)
        return stacks.place([frames[frame_id] for frame_id in reversed(recording.table.stacks[stack_id])], number)

    metrics = amounts.metrics_of(recording, kept.numbers) if kept.numbers else []
    changes = amounts.changes(recording, kept, metrics, place, stacks.extra)
    return {
        **_facts(recording, "snapshots"),
        **_totals(recording, kept.numbers, tables),
        "metrics": [metric.value for metric in metrics],
        "stacks": stacks.to_dict(),
        "sites": sites.to_dict(),
        "changes": changes,
        "left_out": kept.said,
    }


def _totals(recording: Recording, numbers: Sequence[int], tables: Tables) -> dict[str, Any]:
    """The snapshots over time, thinned out where they are very many; `stacked` are the places of those with stacks."""
    all_of_them = recording.snapshots
    every = max(1, len(all_of_them) // _MOST_POINTS)
    shown = sorted({*range(0, len(all_of_them), every), *numbers})
    chosen = [all_of_them[number] for number in shown]
    known = [metric for metric in _TOTALS if any(metric in snapshot.totals for snapshot in chosen)]
    place = {number: at for at, number in enumerate(shown)}
    return {
        "number": shown,
        "time": [
            snapshot.time if recording.time_unit is not TimeUnit.SNAPSHOTS else number
            for number, snapshot in zip(shown, chosen, strict=True)
        ],
        "label": [tables.string(snapshot.label) for snapshot in chosen],
        "peak": [place[number] for number in shown if all_of_them[number].peak],
        "totals": {metric.value: [snapshot.totals.get(metric) for snapshot in chosen] for metric in known},
        "stacked": [place[number] for number in numbers],
    }


def _of_losses(recording: Recording, blamer: Blamer, tables: Tables) -> dict[str, Any]:
    """Each record under its kind. What is lost through other blocks stands at its own stack where the tool lists it."""
    sites = Sites(tables)
    stacks = _Stacks(tables, sites)
    indirect = any(loss.kind is LossKind.INDIRECT for loss in recording.losses)
    size: dict[int, int] = {}
    count: dict[int, int] = {}
    for loss in recording.losses:
        frame = (
            recording.table.frames[recording.table.stacks[loss.stack_id][0]] if recording.table.stacks[loss.stack_id] else None
        )
        blamed = None if blamer.positions[loss.stack_id] == HIDDEN else blamer.frame(loss.stack_id)
        site = site_of(blamed) if blamed else None
        path = [tables.frame(Frame(signature=loss.kind.value), Role.HIDDEN)]
        path += [
            tables.frame(recording.table.frames[i], blamer.roles[i]) for i in reversed(recording.table.stacks[loss.stack_id])
        ]
        place = stacks.place(path, sites.of(site, blamed or frame, loss.kind.value))
        size[place] = size.get(place, 0) + loss.bytes - (loss.indirect_bytes if indirect else 0)
        count[place] = count.get(place, 0) + loss.blocks
    metrics = {Metric.LIVE_BYTES.value: size, Metric.LIVE_BLOCKS.value: count}
    return {
        **_facts(recording, "losses"),
        "number": [0],
        "time": [recording.end or 0],
        "label": [tables.string("when it ended")],
        "peak": [],
        "totals": {name: [sum(column.values())] for name, column in metrics.items()},
        "stacked": [0],
        "metrics": list(metrics),
        "stacks": stacks.to_dict(),
        "sites": sites.to_dict(),
        "changes": [
            {name: [[1 if at else 0 for at in range(len(column))], list(column.values())] for name, column in metrics.items()}
        ],
        "left_out": [],
    }
