"""The report page in a real browser: what somebody sees, and what mouse and keys do."""

import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from runner.model import Answer, Recording, Verdict
from runner.reports.page import document, html
from runner.reports.page.document import Page, PageRun
from tests.analysis.recordings import code, growing
from tests.page.browser import Browser
from tests.page.conftest import HOSTILE, IS_BUILT, written

pytestmark = pytest.mark.timeout(300)


def opened(window: Browser, page: Path) -> Browser:
    window.open(page)
    window.settle()
    return window


def text(window: Browser, selector: str) -> str:
    found: str = window.run(f"document.querySelector({selector!r}).innerText")
    return found


def box(window: Browser, selector: str) -> dict[str, float]:
    """Where an element is in the window, once it was scrolled to the middle."""
    script = f"""(() => {{
        const node = document.querySelector({selector!r});
        node.scrollIntoView({{ block: "center" }});
        const {{ left, top, width, height }} = node.getBoundingClientRect();
        return {{ left, top, width, height }};
    }})()"""
    found: dict[str, float] = window.run(script)
    window.settle()
    return found


def press(window: Browser, selector: str) -> None:
    """A click in the middle of an element."""
    at = box(window, selector)
    window.click(at["left"] + at["width"] / 2, at["top"] + at["height"] / 2)
    window.settle()


def rows(window: Browser) -> list[dict[str, str]]:
    """The table of sites as it is on the screen, by the names of its columns."""
    script = """(() => {
        const names = [...document.querySelectorAll(".sites th button")].map((head) => head.dataset.sort);
        return [...document.querySelectorAll(".sites tbody tr:not(.spacer):not(.detail)")].map((row) =>
            Object.fromEntries([...row.cells].map((cell, at) => [names[at], cell.innerText.trim()])));
    })()"""
    found: list[dict[str, str]] = window.run(script)
    return found


# ---- what is seen at once


def test_the_top_says_the_verdict_and_shows_the_source_line(window: Browser, page: Path) -> None:
    opened(window, page)
    assert text(window, ".pill") == "growing"
    assert "Keeper<script>::keep" in text(window, ".finding h3")
    assert "new T" in text(window, ".finding .source .at")
    assert window.run("document.querySelector('.finding').getBoundingClientRect().bottom") < 900
    assert window.run("document.title").startswith("growing at Keeper<script>::keep")


def test_it_fetches_nothing_and_complains_of_nothing(window: Browser, page: Path) -> None:
    opened(window, page)
    assert [url for url in window.requests if not url.startswith("file://")] == []
    assert len([url for url in window.requests if url.startswith("file://")]) == 1


def test_names_are_texts_whatever_is_in_them(window: Browser, page: Path) -> None:
    opened(window, page)
    assert HOSTILE in window.run("document.querySelector('.sites').innerText")
    press(window, "#calls [data-inward=false]")
    assert HOSTILE in text(window, ".calls")
    assert window.run("document.querySelectorAll('img, iframe, object').length") == 0
    assert window.run("document.scripts.length") == 2
    assert window.run("window.broken === undefined")


def test_a_script_in_the_page_that_is_not_its_own_is_not_run(window: Browser, page: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.html"
    changed.write_text(
        page.read_text().replace('<div id="page">', '<img src="data:," onerror="window.broken=1"><div id="page">', 1)
    )
    opened(window, changed)
    assert window.run("window.broken === undefined")
    assert any("Content Security Policy" in said for said in window.complaints)
    window.complaints.clear()


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1280, True)])
def test_it_fits_the_screen_and_takes_its_colours(width: int, dark: bool, window: Browser, page: Path) -> None:
    window.size(width, 800, dark=dark)
    opened(window, page)
    assert window.run("document.documentElement.scrollWidth") <= width
    lightness = window.run(
        "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).reduce((sum, part) => sum + Number(part), 0)"
    )
    assert (lightness < 200) is dark
    canvas = "document.querySelector('.flame-box canvas')"
    painted = f"new Set({canvas}.getContext('2d').getImageData(0, 0, {canvas}.width, {canvas}.height).data).size"
    assert window.run(painted) > 10


# ---- the timeline


def test_a_range_that_is_dragged_over_is_the_difference_below(window: Browser, page: Path) -> None:
    opened(window, page)
    before = rows(window)
    at = box(window, ".u-over")
    middle = at["top"] + at["height"] / 2
    window.drag((at["left"] + 0.3 * at["width"], middle), (at["left"] + 0.7 * at["width"], middle))
    window.settle()
    chosen = window.run("[leakrun.state.from.k, leakrun.state.to, leakrun.state.set.moments]")
    assert 0 < chosen[0] < chosen[1] < chosen[2] - 1
    assert " less " in text(window, "#chosen")
    after = rows(window)
    assert {row["place"] for row in after} == {row["place"] for row in before}
    assert after[0]["now"] != before[0]["now"]
    assert "Red grew" in text(window, ".legend")


def test_two_snapshots_that_are_clicked_are_compared(window: Browser, page: Path) -> None:
    opened(window, page)
    at = box(window, ".u-over")
    for part in (0.25, 0.75):
        window.click(at["left"] + part * at["width"], at["top"] + 20)
        window.settle()
    times = window.run("[leakrun.state.set.timeOf(leakrun.state.from.k), leakrun.state.set.timeOf(leakrun.state.to)]")
    last = window.run("leakrun.state.set.timeOf(leakrun.state.set.moments - 1)")
    assert times[0] < 0.5 * last < times[1]
    window.key("x")
    assert window.run("leakrun.state.from") is None


def test_lines_can_be_switched_off(window: Browser, page: Path) -> None:
    opened(window, page)
    was = window.run("leakrun.timeline.plot.series.filter((each) => each.show).length")
    press(window, "#timeline .chip")
    assert text(window, "#timeline .chip[aria-pressed=false]")
    assert window.run("leakrun.timeline.plot.series.filter((each) => each.show).length") == was - 1


# ---- the flame graph


def test_a_box_that_is_clicked_fills_the_width(window: Browser, page: Path) -> None:
    opened(window, page)
    at = box(window, ".flame-box canvas")
    window.click(at["left"] + 30, at["top"] + at["height"] - 9)
    window.settle()
    zoomed = window.run("leakrun.flame.tree.name(leakrun.flame.zoomed)")
    assert zoomed not in ("all", "main")
    assert text(window, ".crumbs").endswith(zoomed)
    assert window.run("leakrun.flame.scale * leakrun.flame.tree.total[leakrun.flame.zoomed]") == pytest.approx(at["width"], abs=1)
    press(window, ".crumbs button")
    assert window.run("leakrun.flame.zoomed") == 0


def test_the_flame_graph_is_walked_by_keys(window: Browser, page: Path) -> None:
    opened(window, page)
    window.run("document.querySelector('.flame-box canvas').focus()")
    for key in ("ArrowDown", "ArrowDown"):
        window.key(key)
    first = text(window, "#flame-said")
    window.key("ArrowRight")
    assert text(window, "#flame-said") != first
    window.key("Enter")
    assert window.run("leakrun.flame.tree.depth[leakrun.flame.zoomed]") == 2
    window.key("Backspace")
    assert window.run("leakrun.flame.tree.depth[leakrun.flame.zoomed]") == 1
    window.key("Escape")
    assert window.run("leakrun.flame.zoomed") == 0


def test_a_search_says_how_much_it_found(window: Browser, page: Path) -> None:
    opened(window, page)
    window.key("/")
    window.type("keep")
    window.settle()
    share = float(text(window, "#flame-found").split(",")[-1].split()[0])
    due = next(float(row["share"].split()[0]) for row in rows(window) if "keep" in row["place"])
    assert share == pytest.approx(due, abs=1)
    window.run("leakrun.state.put({ search: '/keep(/' })")
    assert window.run("document.querySelector('#search').hasAttribute('aria-invalid')")
    window.run("leakrun.state.put({ search: '/(?i)KEEP/', hide: '/(?P<not>javascript)/' })")
    assert float(text(window, "#flame-found").split(",")[-1].split()[0]) == share
    assert window.run("[...document.querySelectorAll('[aria-invalid]')].map((input) => input.id)") == ["hide"]


def test_what_is_hidden_leaves_its_callees_with_its_callers(window: Browser, page: Path) -> None:
    opened(window, page)
    total = window.run("leakrun.flame.tree.total[0]")
    window.run("leakrun.state.put({ hide: '/^main$/' })")
    assert window.run("[...leakrun.flame.tree.children(0)].map((box) => leakrun.flame.tree.name(box))").count("main") == 0
    assert window.run("leakrun.flame.tree.total[0]") == total
    named = "new Set([...leakrun.flame.tree.frame].slice(1).map((frame) => leakrun.page.frames.nameOf(frame)))"
    window.run("leakrun.state.put({ hide: '' })")
    own = set(window.run(f"[...{named}]"))
    window.run("leakrun.state.put({ machinery: false })")
    everything = set(window.run(f"[...{named}]"))
    assert "main" in own < everything


def test_blocks_and_bytes_allocated_are_shown_where_the_tool_counts_them(window: Browser, runs: Path) -> None:
    opened(window, written(runs, "heapprofile"))
    options = window.run("[...document.querySelectorAll('#flame select option')].map((option) => option.value)")
    assert options == ["live_bytes", "live_blocks", "allocated_bytes", "allocated_blocks"]
    window.key("b")
    assert window.run("leakrun.state.metric") == "live_blocks"
    assert "live blocks" in text(window, "#flame-said")


# ---- the sites


def test_a_head_sorts_and_sorts_the_other_way(window: Browser, page: Path) -> None:
    opened(window, page)

    def amounts() -> list[float]:
        found: list[float] = window.run("leakrun.sites.shown.map((row) => row.change)")
        return found

    press(window, "[data-sort=change]")
    assert amounts() == sorted(amounts(), reverse=True)
    assert text(window, "th[aria-sort=descending]").startswith("Since start")
    window.key("Enter")  # the head has the focus
    window.settle()
    assert amounts() == sorted(amounts())
    press(window, "[data-sort=place]")
    names = window.run("leakrun.sites.shown.map((row) => leakrun.state.set.siteName(row.site))")
    assert names == window.run(
        "[...leakrun.sites.shown].map((row) => leakrun.state.set.siteName(row.site)).sort((a, b) => a.localeCompare(b))"
    )


def test_a_site_opens_to_its_source_and_stacks_by_key(window: Browser, page: Path) -> None:
    opened(window, page)
    window.run("document.querySelector('#sites .scroller').focus()")
    names = [row["place"] for row in rows(window)]
    place = next(number for number, name in enumerate(names) if "script" in name and "Keeper" in name)
    for _ in range(place):
        window.key("ArrowDown")
    window.key("Enter")
    window.settle()
    assert "new T" in text(window, ".detail .source .at")
    assert "main" in text(window, ".detail .frames")
    window.key("Enter")
    window.settle()
    assert window.run("document.querySelector('.detail')") is None


def test_a_filter_leaves_what_it_names(window: Browser, page: Path) -> None:
    opened(window, page)
    press(window, "#filter")
    window.type("keeper")
    window.settle()
    assert ["Keeper" in row["place"] for row in rows(window)] == [True]
    assert text(window, "#sites-count").startswith("1 site of")


def test_callers_are_found_from_the_allocation_outward(window: Browser, page: Path) -> None:
    opened(window, page)
    press(window, "#calls [data-inward=false]")
    first = "document.querySelector('.calls tbody tr')"
    assert "keep" in window.run(f"{first}.innerText")
    window.run(f"{first}.focus()")
    window.key("ArrowRight")
    window.settle()
    assert "main" in window.run(f"{first}.nextElementSibling.innerText")
    window.key("ArrowLeft")
    assert window.run(f"{first}.getAttribute('aria-expanded')") == "false"


def page_of(place: Path, recording: Recording) -> Path:
    """A page of a recording that was made by hand."""
    if not IS_BUILT:
        pytest.skip("the page's script is not built: `make setup` builds it")
    answer = Answer(Verdict.INCONCLUSIVE, ["made for a test"], run={"command": ["app"], "processes": []})
    stream = BytesIO()
    html.write(document.to_dict(Page([PageRun("test", answer, [recording])])), "test", stream)
    file = place / "page.html"
    file.write_bytes(stream.getvalue())
    return file


def test_what_is_gone_since_the_earlier_snapshot_is_listed_apart(window: Browser, tmp_path: Path) -> None:
    main, load = code("main", 1), code("load", 20)
    series = {
        (code("parse", 30), load, main): [9000, 4000, 0, 0],
        (code("index", 40), load, main): [1000, 2000, 5000, 8000],
        (code("shrinks", 50), main): [8000, 8000, 8000, 2000],
    }
    opened(window, page_of(tmp_path, growing(series, range(4))))
    assert window.run("document.querySelector('#vanished').childElementCount") == 0
    window.run("leakrun.state.range(0, 3)")
    window.settle()
    gone = text(window, "#vanished")
    assert "Gone since then: 1" in gone and "-9.0 kB parse under load ← main" in gone
    script = """(() => {
        const { tree } = leakrun.flame;
        const boxes = [...Array(tree.count).keys()];
        return Object.fromEntries(boxes.map((box) => [tree.name(box), [tree.total[box], tree.base[box]]]));
    })()"""
    named = window.run(script)
    assert (named["index"], named["shrinks"], named["load"]) == ([8000, 1000], [2000, 8000], [8000, 10000])
    changes = {row["place"].split()[1]: row["change"] for row in rows(window)}
    assert changes == {"index": "+7.0 kB", "shrinks": "-6.0 kB", "parse": "-9.0 kB"}


def test_it_opens_before_what_is_freed_at_the_end(window: Browser, tmp_path: Path) -> None:
    opened(window, page_of(tmp_path, growing({(code("cache", 3),): [*(n * 10_000.0 for n in range(40)), 500.0]}, range(41))))
    assert "snapshot 39 " in text(window, "#chosen") and "before what it had was freed" in text(window, "#chosen")
    assert rows(window)[0]["now"] == "390 kB"
    window.key("]")
    assert "snapshot 40 (40 s)." in text(window, "#chosen")


def test_of_many_rows_only_those_on_the_screen_are_there(window: Browser, tmp_path: Path) -> None:
    series = {(code(f"site_{n:05}", n + 1), code("main", 1)): [(n + 1) * 100.0] * 2 for n in range(5000)}
    opened(window, page_of(tmp_path, growing(series, range(2))))
    assert text(window, "#sites-count") == "5,000 sites"
    assert rows(window)[0]["place"].startswith("▸ site_04999") and len(rows(window)) < 60
    window.run("document.querySelector('#sites .scroller').focus()")
    window.key("End")
    window.settle()
    assert rows(window)[-1]["place"].startswith("▸ site_00000") and len(rows(window)) < 60
    window.key("Enter")
    window.settle()
    assert "main" in text(window, ".detail .frames")


# ---- the rest


def test_errors_of_use_stand_with_their_source(window: Browser, runs: Path) -> None:
    opened(window, written(runs, "memcheck"))
    assert "InvalidWrite" in text(window, "#errors")
    assert "four[4] = 1;" in text(window, "#errors .source .at")
    assert "definitely lost" in text(window, "#sites")
    assert "rss" in text(window, "#timeline")


def test_several_runs_stand_together(window: Browser, runs: Path) -> None:
    opened(window, written(runs, "massif", "heapprofile"))
    said = text(window, "#runs")
    assert "named by every run" in said and "From massif to heapprofile" in said
    cells = window.run(
        "[...document.querySelectorAll('#runs table tr')].map((row) => [...row.cells].map((cell) => cell.innerText))"
    )
    assert any("keep" in row[0] and row[1] == "2 of 2" for row in cells)
    window.run("leakrun.state.choose(leakrun.page.sets[1])")
    window.settle()
    assert "heapprofile" in window.run("document.querySelector('.picker select').selectedOptions[0].text")
    # The other run is subtracted by names: nearly nothing is left of what both have.
    window.run("leakrun.state.put({ from: { set: leakrun.page.sets[0], k: leakrun.page.sets[0].moments - 1 } })")
    window.settle()
    kept = next(
        row
        for row in window.run("leakrun.sites.shown.map((row) => ({ name: leakrun.state.set.siteName(row.site), ...row }))")
        if "Keeper" in row["name"]
    )
    assert abs(kept["change"]) < 0.1 * kept["now"]


def test_a_run_that_recorded_nothing_says_so_and_hides_no_other(window: Browser, runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "heapprofile", tmp_path / "empty")
    for dump in (tmp_path / "empty" / "raw").iterdir():
        dump.unlink()
    shutil.copytree(runs / "massif", tmp_path / "massif")
    opened(window, written(tmp_path, "empty", "massif"))
    assert text(window, "#verdict .pill") == "inconclusive" and "left no" in text(window, "#verdict")
    assert "Nothing bounded" not in text(window, "#limits").split("massif")[0]
    assert "recorded nothing" in text(window, "#runs") and "keep" in text(window, "#sites")
    opened(window, written(tmp_path, "empty"))
    assert "No stacks were recorded" in window.run("document.body.innerText")


def test_a_base_is_where_the_page_opens(window: Browser, runs: Path) -> None:
    opened(window, written(runs, "massif@-1", "--base", "massif@5"))
    state: list[Any] = window.run("[leakrun.state.from.k, leakrun.state.to, leakrun.state.set.moments]")
    assert (state[0], state[1]) == (5, state[2] - 1)


def test_parts_and_snapshots_are_reached_by_keys(window: Browser, page: Path) -> None:
    opened(window, page)
    to = window.run("leakrun.state.to")
    window.key("[")
    window.key("{", shift=True)
    assert window.run("[leakrun.state.to, leakrun.state.from.k]") == [to - 1, to - 2]
    window.key("?", shift=True)
    assert window.run("document.querySelector('dialog').open")
    window.key("Escape")
    window.settle()
    window.key("3")
    assert window.run("document.activeElement.id") == "flame-title"
    for _ in range(3):
        window.key("Tab")
    assert window.run("document.activeElement.closest('#flame') !== null")


def test_every_control_has_a_name(window: Browser, runs: Path) -> None:
    opened(window, written(runs, "massif", "heapprofile"))
    nodes = window.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "combobox", "searchbox", "checkbox", "link", "application", "img"}
    nameless = [
        node for node in nodes if node.get("role", {}).get("value") in roles and not node.get("name", {}).get("value", "").strip()
    ]
    assert nameless == []
    assert len([node for node in nodes if node.get("role", {}).get("value") in roles]) > 30
