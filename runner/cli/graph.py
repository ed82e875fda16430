"""What `leakrun show --graph` adds: the timeline of all that was recorded over time."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from runner.analysis.curve import Curve
    from runner.reading import Query

MOST = 4  # curves: processes that had most


def show_graph(what: Sequence[str], runs_dir: Path, query: "Query", stream: TextIO) -> None:
    """Draw the largest of the processes; of a run whose tool keeps no time, the resident memory that was sampled beside it."""
    from runner import reading
    from runner.analysis.curve import curves
    from runner.reports import timeline_graph

    evidence = reading.evidence_of(what, runs_dir, query)
    drawn = list(curves(evidence.recordings))
    if not drawn and evidence.run is not None:
        drawn = list(_resident(evidence.run.samples))
    width = min(shutil.get_terminal_size((80, 24)).columns, 120)
    if not drawn:
        stream.write("\nno timeline: nothing was recorded at two moments or more (-p massif, --every 500ms)\n")
        return
    largest = sorted(drawn, key=lambda curve: max(point.size for point in curve.points), reverse=True)[:MOST]
    timeline_graph.render([curve for curve in drawn if curve in largest], stream, width=width)
    if len(drawn) > len(largest):
        stream.write(f"\nnot drawn: {len(drawn) - len(largest)} more, smaller ones\n")


def _resident(path: Path) -> Iterator["Curve"]:
    """The rss of each process by the samples of the run; nothing where there are none."""
    from runner.analysis.curve import Curve, Point
    from runner.formats import samples
    from runner.model import TimeUnit

    for pid, process in samples.read_file(path).items():
        points = [Point(time, rss) for time, rss in zip(process.times, process.rss, strict=True) if rss is not None]
        if len(points) > 1 and points[-1].time > points[0].time:
            yield Curve(
                "rss", "sampled, the memory of the tool itself included", pid, TimeUnit.SECONDS, points, points[-1].time, "sample"
            )
