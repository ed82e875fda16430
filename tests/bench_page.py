"""How quickly the report page is there, and answers, in headless Chromium. Generates its input; a script for `make bench`.

A page of 50,000 and one of 200,000 boxes in the flame graph; one of 25,000 sites over 24 snapshots. Times are of the page's own
clock: "painted" is from the navigation's start to the first flame graph on the canvas, the others from the call until the canvas
or the table is done.
"""

import argparse
import random
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

from runner.model import Answer, Column, Frame, Metric, Recording, Snapshot, TimeUnit, Verdict
from runner.reports.page import document, html
from runner.reports.page.document import Page, PageRun
from tests.page.browser import CHROMIUM, Browser, browser

TURNS = 9  # of which the middle one is told


def recording(boxes: int, sites: int, snapshots: int) -> Recording:
    """Stacks of up to 40 frames that make about so many boxes, or so many sites of their own."""
    rng = random.Random(11)
    made = Recording("bench", pid=1, command=["/opt/app/app"], time_unit=TimeUnit.SECONDS)
    functions = [
        Frame(f"app::part{n % 97}::work_{n}(int)", f"/src/part{n % 97}.cc", 10 + n % 900, "/opt/app/app") for n in range(4000)
    ]
    stacks: list[int] = []
    path: list[Frame] = [Frame("main", "/src/main.cc", 3, "/opt/app/app")]
    count = 0
    while count < boxes and len(stacks) < (sites or boxes):
        del path[max(1, len(path) - rng.randint(1, 6)) :]  # the next stack shares its outer part with the one before
        more = rng.choices(functions, k=min(40 - len(path), rng.randint(1, 9)))
        path += more
        leaf = [Frame(f"site_{len(stacks)}", f"/src/site{len(stacks) % 500}.cc", len(stacks), "/opt/app/app")] if sites else []
        count += len(more) + len(leaf)
        stacks.append(made.table.intern([*leaf, *reversed(path)]))
    stacks = list(dict.fromkeys(stacks))
    base = [rng.randrange(100, 100_000) for _ in stacks]
    for number in range(snapshots):
        amounts = [size + number * (size % 50) for size in base]
        made.snapshots.append(
            Snapshot(float(number), {Metric.LIVE_BYTES: sum(amounts)}, {Metric.LIVE_BYTES: Column(stacks, amounts)})
        )
    return made


def page_of(made: Recording, directory: Path) -> tuple[Path, float]:
    """The page as a file, and the seconds that it took to write."""
    began = time.perf_counter()
    answer = Answer(Verdict.INCONCLUSIVE, ["a generated recording"], run={"command": made.command, "processes": []})
    stream = BytesIO()
    html.write(document.to_dict(Page([PageRun("bench", answer, [made])])), "bench", stream)
    file = directory / "page.html"
    file.write_bytes(stream.getvalue())
    return file, time.perf_counter() - began


def middle(window: Browser, script: str) -> float:
    """Milliseconds that the script takes until it returns: the middle of several turns."""
    times = sorted(
        window.run(f"(() => {{ const began = performance.now(); {script}; return performance.now() - began; }})()")
        for _ in range(TURNS)
    )
    return float(times[TURNS // 2])


def measure(window: Browser, file: Path) -> dict[str, Any]:
    """The figures of one page."""
    painted = []
    for _ in range(3):
        window.open(file)
        window.settle()
        painted.append(window.run("leakrun.flame.first"))
    deep = "leakrun.flame._zoomTo(leakrun.flame.zoomed ? 0 : leakrun.flame.tree.children(1)[0] || 1)"
    return {
        "boxes": window.run("leakrun.flame.tree.count"),
        "painted": sorted(painted)[1],
        "zoom": middle(window, deep),
        "search": middle(
            window, "leakrun.state.search = ''; leakrun.state.put({ search: 'work_' + Math.floor(Math.random() * 999) })"
        ),
        "snapshot": middle(
            window, "leakrun.state.put({ to: leakrun.state.to ? 0 : leakrun.state.set.moments - 1 }); leakrun.sites.compute()"
        ),
        "sort": middle(window, "leakrun.sites.sortBy(leakrun.sites.sort === 'now' ? 'place' : 'now')"),
        "scroll": middle(window, "leakrun.sites.scroller.scrollTop += 5000; leakrun.sites._paint()"),
        "rows": window.run("leakrun.sites.rows.length"),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.parse_args()
    if CHROMIUM is None:
        print("no chromium here")
        return
    cases = (("50,000 boxes", (50_000, 0, 1)), ("200,000 boxes", (200_000, 0, 1)), ("25,000 sites", (10**9, 25_000, 24)))
    with tempfile.TemporaryDirectory() as place, browser() as window:
        window.size(1280, 900)
        for name, (boxes, sites, snapshots) in cases:
            file, seconds = page_of(recording(boxes, sites, snapshots), Path(place))
            found = measure(window, file)
            told = ", ".join(f"{key} {found[key]:.0f} ms" for key in ("painted", "zoom", "search", "snapshot", "sort", "scroll"))
            size = f"{file.stat().st_size / 1e6:.1f} MB written in {seconds:.1f} s"
            print(f"{name} ({found['boxes']:,} boxes, {found['rows']:,} sites): {told}; {size}")
        print("to meet: 50,000 boxes painted within 500 ms of the start, zoom and search within 50 ms")


if __name__ == "__main__":
    main()
