"""The screen of `leakrun top`: memory over time above, the sites that grow below, and keys to snapshot and to stop.

Needs textual (the extra `top`). Whatever waits, for a snapshot, for the end or for a reader, does so in a thread.
"""

import io
from collections.abc import Callable
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import DataTable, Footer, Static

from runner import live
from runner.analysis.curve import Curve
from runner.analysis.wording import count_text, seconds_text, size_text
from runner.errors import LeakrunError
from runner.reports import timeline_graph
from runner.reports.growth_table import signed
from runner.reports.plain import file_line, plain, sparkline
from runner.top.watching import Glance, RunWatch, Sites, Watch

_PERIOD = 0.5  # seconds between two glances
_SPARK = 16
_COLUMNS = ("site", "where", "shape", "now", "rise", "rate", "over time")


class Top(App[None]):
    """Looks at a watch again and again until the user has seen enough. The run goes on without it."""

    CSS = """
    #head { height: auto; padding: 0 1; text-style: bold; }
    #graphs { height: 50%; min-height: 8; }
    #graphs Static { width: 1fr; height: 100%; padding: 0 1; }
    #said { height: auto; padding: 0 1; color: $text-muted; }
    DataTable { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "snapshot", "snapshot"),
        Binding("x", "stop", "stop the run"),
        Binding("q", "quit", "leave it running"),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, watch: Watch, period: float = _PERIOD) -> None:
        super().__init__()
        self._watch, self._period = watch, period
        self._glance: Glance | None = None
        self._sites: Sites | None = None
        self._read_at: tuple[int, str] | None = None  # snapshots and state when the sites were last read
        self._reading = False
        self._stop_asked = False
        # Kept, since a glance may come when the screen is being taken down, and finds nothing by name any more.
        self._head, self._said = Static(id="head", markup=False), Static(id="said", markup=False)
        self._graphs = {name: Static(id=name, markup=False) for name in ("rss", "heap")}
        self._table: DataTable[object] = DataTable(cursor_type="row", zebra_stripes=True)

    def compose(self) -> ComposeResult:
        """The parts of the screen."""
        yield self._head
        with Horizontal(id="graphs"):
            yield from self._graphs.values()
        yield self._said
        yield self._table
        yield Footer()

    def on_mount(self) -> None:
        """Begin to look."""
        self._table.add_columns(*_COLUMNS)
        self.look()
        self.set_interval(self._period, self.look)

    def look(self) -> None:
        """One glance; the sites too where a snapshot is new."""
        try:
            glance = self._watch.glance()
        except LeakrunError as error:
            self._tell(error)
            return
        self._glance = glance
        self._head.update(_head(glance))
        self._draw("rss", glance.rss)
        at = (glance.snapshots, glance.state)
        if at != self._read_at and not self._reading:
            self._reading, self._read_at = True, at
            self.run_worker(self._read_sites, thread=True)

    def _read_sites(self) -> None:
        try:
            sites = self._watch.sites()
        except LeakrunError as error:
            sites = Sites(None, nothing=error.message)
        except OSError:  # a file was moved while it was read: look again
            self._reading, self._read_at = False, None
            return
        self._in_the_loop(self._show_sites, sites)

    def _in_the_loop(self, what: Callable[..., object], *values: object) -> None:
        """Call it where the screen may be changed, unless the user has left meanwhile."""
        try:
            self.call_from_thread(what, *values)
        except RuntimeError:
            if self.is_running:
                raise

    def _show_sites(self, sites: Sites) -> None:
        self._reading, self._sites = False, sites
        self._draw("heap", sites.heap)
        self._said.update(plain(sites.nothing))
        table = self._table
        row = table.cursor_row
        table.clear()
        for each in sites.ranked:
            function = each.site.function if each.site else None
            where = file_line(each.site.file, each.site.line) if each.site and each.site.file else ""
            table.add_row(
                _cell(function or (each.site.module if each.site else None) or "the stack as a whole"),
                _cell(where),
                each.shape.value,
                size_text(each.last),
                signed(each.rise) if each.first is not None else "",
                f"{size_text(each.slope)}/{each.recording.time_unit.value}" if each.rise and each.first is not None else "",
                sparkline(each.series(), _SPARK),
            )
        if sites.ranked:
            table.move_cursor(row=min(row, len(sites.ranked) - 1))

    def _draw(self, name: str, curve: Curve | None) -> None:
        place = self._graphs[name]
        width, height = place.size.width - 2, place.size.height
        if curve is None or width < 1:
            place.update(f"{name}: nothing yet" if curve is None else "")
            return
        text = io.StringIO()
        timeline_graph.render([curve], text, width=width, height=max(3, height - 5))
        place.update(text.getvalue().lstrip("\n"))

    def on_resize(self) -> None:
        """Draw again, for the size that is now."""
        self.call_after_refresh(self._redraw)

    def _redraw(self) -> None:
        self._draw("rss", self._glance.rss if self._glance else None)
        self._draw("heap", self._sites.heap if self._sites else None)

    def action_snapshot(self) -> None:
        """Take one now of each process, and say what came of it."""
        self._ask(self._take_snapshot)

    def action_stop(self) -> None:
        """End the run, when the key is pressed twice."""
        if not self._stop_asked:
            self._stop_asked = True
            self.notify("x once more ends the program, with nothing lost", title="stop")
            self.set_timer(5.0, self._forget_stop)
            return
        self._forget_stop()
        self.notify("stopping: the last snapshot, the signal, and time to write")
        self._ask(self._stop)

    def _forget_stop(self) -> None:
        self._stop_asked = False

    def _ask(self, what: Callable[[RunWatch], str]) -> None:
        watch = self._watch
        if not isinstance(watch, RunWatch):
            self.notify("this process is no run of leakrun", severity="warning")
            return
        self.run_worker(lambda: self._asked(what, watch), thread=True)

    def _asked(self, what: Callable[[RunWatch], str], watch: RunWatch) -> None:
        try:
            said = what(watch)
        except LeakrunError as error:
            self._in_the_loop(self._tell, error)
            return
        self._in_the_loop(self.notify, plain(said))
        self._in_the_loop(self.look)

    def _take_snapshot(self, watch: RunWatch) -> str:
        taken = live.snapshot(watch.run)
        missed = [f"process {each.pid}: {each.reason}" for each in taken if not each.file]
        return "; ".join(missed) or f"{count_text(len(taken), 'snapshot')} taken"

    def _stop(self, watch: RunWatch) -> str:
        manifest = live.stop(watch.run)
        return f"the run is {manifest['state']}: leakrun show {watch.run.id}"

    def _tell(self, error: LeakrunError) -> None:
        self.notify(plain(f"{error.message}\n{error.hint}".strip()).replace("\\x0a", "\n"), severity="error", markup=False)


def _cell(text: str) -> object:
    """Text for the table, where brackets are no markup."""
    from rich.text import Text

    return Text(plain(text))


def _head(glance: Glance) -> str:
    parts = [glance.name, glance.state, seconds_text(glance.elapsed)]
    if glance.rss is not None:
        parts.append(f"rss {size_text(glance.rss.points[-1].size)}")
    if glance.processes > 1:
        parts.append(f"{glance.processes} processes")
    parts.append(count_text(glance.snapshots, "snapshot"))
    if glance.misses:
        parts.append(f"{glance.misses} missed")
    if glance.lost:
        parts.append(glance.lost)
    return plain("   ".join(parts))
