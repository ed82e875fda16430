"""What a page is made of: the figures are those of the recordings, and what is left out is said."""

import json
import os
import random
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from runner.cli.report_page import Sources
from runner.errors import ErrorKind, LeakrunError
from runner.formats import read_file, samples
from runner.formats.writers.sheet import frame_name, sheet_of_losses, sheet_of_snapshot
from runner.model import Answer, Frame, LossKind, Metric, Recording, TimeUnit, Verdict
from runner.reports.page import amounts, document, html
from runner.reports.page.document import Page, PageRun
from runner.reports.page.excerpts import Source
from runner.reports.plain import plain
from tests.analysis.recordings import MALLOC, code, growing
from tests.leakrun_command import leakrun
from tests.page.conftest import IS_BUILT, written
from tests.test_golden import CASES, native_file

GOLDEN = Path(__file__).parent.parent / "golden"


def data_of(*recordings: Recording, **more: Any) -> dict[str, Any]:
    """The page's data, through JSON and back."""
    answer = Answer(Verdict.INCONCLUSIVE, ["made for a test"], run={"command": [], "processes": []})
    found: dict[str, Any] = json.loads(html.escaped(document.to_dict(Page([PageRun("test", answer, recordings)], **more))))
    return found


def amounts_at(data: dict[str, Any], dataset: dict[str, Any], place: int, metric: str) -> dict[tuple[str, ...], int]:
    """By stack (names, outermost first) what the page holds at one of its snapshots."""
    held: dict[int, int] = {}
    for change in dataset["changes"][: place + 1]:
        steps, by = change[metric]
        for stack, difference in zip(accumulate(steps), by, strict=True):
            held[stack] = held.get(stack, 0) + difference
    nodes = list(accumulate(dataset["stacks"]["nodes"]))
    found: dict[tuple[str, ...], int] = {}
    for stack, amount in held.items():
        if amount:
            path = _path(data, nodes[stack])
            found[path] = found.get(path, 0) + amount
    return found


def _path(data: dict[str, Any], node: int) -> tuple[str, ...]:
    names: list[str] = []
    while node:
        names.insert(0, data["strings"][data["frames"]["name"][data["nodes"]["frame"][node]]])
        node -= data["nodes"]["up"][node]
    return tuple(names)


def due(sheet: Any, metric: Metric) -> dict[tuple[str, ...], int]:
    found: dict[tuple[str, ...], int] = {}
    for row, amount in sheet.column(metric):
        kind = (row.kind,) if row.kind else ()
        path = (*kind, *(plain(frame_name(frame)) for frame in reversed(sheet.table.frames_of(row.stack_id))))
        found[path] = found.get(path, 0) + amount
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_the_figures_are_those_of_the_tool(case: Path) -> None:
    recording = read_file(native_file(case))
    data = data_of(recording)
    by_kind = {each["kind"]: each for each in data["runs"][0]["datasets"]}
    if recording.snapshots:
        shown = by_kind["snapshots"]
        numbers = [shown["number"][place] for place in shown["stacked"]]
        assert numbers == [number for number, each in enumerate(recording.snapshots) if Metric.LIVE_BYTES in each.columns]
        for place, number in enumerate(numbers):
            sheet = sheet_of_snapshot("test", recording, number)
            for metric in shown["metrics"]:
                assert amounts_at(data, shown, place, metric) == due(sheet, Metric(metric)), (number, metric)
    if recording.losses:
        shown = by_kind["losses"]
        for metric in (Metric.LIVE_BYTES, Metric.LIVE_BLOCKS):
            assert amounts_at(data, shown, 0, metric.value) == due(sheet_of_losses("test", [recording]), metric)
    assert by_kind


def test_no_tag_can_begin_in_the_data() -> None:
    names = ("</script><img src=x onerror=alert(1)>", "<!--<script>", "std::vector<script>", "\u202eevil", "\udc80")
    data = data_of(growing({(code(name, 5),): [1000 * n for n in range(9)] for name in names}, range(9)))
    written = html.escaped(data)
    assert "<" not in written and json.loads(written) == data
    assert {"<!--<script>", "\\u202eevil", "\\udc80"} <= set(data["strings"])


def test_what_is_too_much_is_cut_and_said_and_the_sums_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amounts, "CELLS", 30_000)
    rng = random.Random(3)
    stacks = {(MALLOC, code(f"site_{n}", n), code("main", 1)): [rng.randrange(10**6) for _ in range(90)] for n in range(2000)}
    recording = growing(stacks, range(90))
    shown = data_of(recording)["runs"][0]["datasets"][0]
    assert len(shown["number"]) == 90  # the totals of all
    assert amounts.FEWEST_MOMENTS <= len(shown["stacked"]) < 90
    assert sum(len(change["live_bytes"][0]) for change in shown["changes"]) <= 1.1 * amounts.CELLS
    said = " ".join(shown["left_out"])
    assert f"{len(shown['stacked'])} of its 90 snapshots" in said and "largest of 2,000 stacks" in said
    data = data_of(recording)
    for place, at in enumerate(shown["stacked"]):
        held = amounts_at(data, shown, place, "live_bytes")
        assert sum(held.values()) == recording.snapshots[at].totals[Metric.LIVE_BYTES]
        assert any("left out of this page" in path[-1] for path in held)


def test_sites_know_their_growth_and_their_stacks() -> None:
    series = [n * 10_000 for n in range(20)]
    recording = growing(
        {(MALLOC, code("grows", 7), code("main", 1)): series, (MALLOC, code("stays", 9)): [50_000] * 20}, range(20)
    )
    data = data_of(recording)
    shown = data["runs"][0]["datasets"][0]
    sites = shown["sites"]
    named = {data["strings"][name]: place for place, name in enumerate(sites["function"])}
    assert data["strings"][sites["shape"][named["grows"]]] == "growing"
    assert sites["slope"][named["grows"]] == pytest.approx(10_000)
    assert sites["line"][named["grows"]] == 7
    assert sorted(shown["stacks"]["site"]) == sorted(named[name] for name in ("grows", "stays"))


def test_losses_stand_under_their_kind() -> None:
    recording = read_file(native_file(GOLDEN / "memcheck_xml" / "leaks"))
    data = data_of(recording)
    shown = next(each for each in data["runs"][0]["datasets"] if each["kind"] == "losses")
    outermost = {path[0] for path in amounts_at(data, shown, 0, "live_bytes")}
    assert outermost == {loss.kind.value for loss in recording.losses if loss.bytes} and LossKind.DEFINITE.value in outermost


# ---- source


def test_source_is_shown_where_it_is_found(tmp_path: Path) -> None:
    source = tmp_path / "app.c"
    source.write_text("".join(f"line {number}\n" for number in range(1, 30)))
    os.utime(source, (1000, 1000))
    for file in (str(source), "app.c", "/somewhere/else/app.c"):
        recording = growing({(code("grows", 10, file=file),): [n * 10_000 for n in range(20)]}, range(20))
        shown = data_of(recording, source=Sources([tmp_path], started=2000.0).find)["source"][file]
        assert shown == {"newer": False, "lines": {str(number): f"line {number}" for number in range(7, 14)}}
    assert Sources([tmp_path], started=500.0).find("app.c") == Source(source.read_text().splitlines(), newer=True)
    assert Sources([tmp_path]).find("not-there.c") is None


@pytest.mark.parametrize("content", [b"\0binary", b"x" * (5 << 20)])
def test_what_is_no_source_is_not_shown(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "app.c").write_bytes(content)
    assert Sources([tmp_path]).find("app.c") is None
    assert Sources([tmp_path]).find(str(tmp_path)) is None
    assert Sources([tmp_path]).find("a" * 5000) is None


def test_a_line_beyond_the_end_shows_nothing(tmp_path: Path) -> None:
    (tmp_path / "app.c").write_text("one line\n")
    recording = growing({(code("grows", 10, file="app.c"),): [n * 10_000 for n in range(20)]}, range(20))
    assert data_of(recording, source=Sources([tmp_path]).find)["source"] == {}


# ---- samples.csv


def test_samples_are_read_by_process_and_a_cut_line_is_left_out() -> None:
    lines = [
        "time_s,pid,rss_bytes,pss_bytes,anonymous_bytes,stack_bytes\n",
        "0.1,5,100,,,8\n",
        "0.1,6,1,2,3,4\n",
        "0.2,5,200,150,90,8\n",
        "0.3,5,3",
    ]
    found = samples.read(lines)
    assert (found[5].times, found[5].rss, found[5].pss, found[5].stack) == ([0.1, 0.2], [100, 200], [None, 150], [8, 8])
    assert list(found) == [5, 6]


# ---- the command


def test_without_its_script_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(html, "files", lambda _: tmp_path)
    with pytest.raises(LeakrunError) as error:
        html.write({}, "title", BytesIO())
    assert error.value.kind is ErrorKind.UNMEASURED and "make setup" in error.value.hint


needs_script = pytest.mark.skipif(not IS_BUILT, reason="the page's script is not built: `make setup` builds it")


def page_data(file: Path) -> dict[str, Any]:
    text = file.read_text()
    found: dict[str, Any] = json.loads(text.split('<script type="application/json" id="data">')[1].split("</script>")[0])
    return found


def test_secrets_stay_out_of_the_page(subject: Path, tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    ran = leakrun("profiles", "memcheck")
    profile.write_text(ran.stdout + "\nredact: [TOKEN, hunter]\n")
    ran = leakrun("-q", "-p", profile, "--env", "TOKEN=quite-secret", "-o", tmp_path / "run", subject, "--password=hunter2")
    assert ran.returncode == 0, ran.stderr
    text = written(tmp_path, "run").read_text()
    assert "[redacted]" in text and "quite-secret" not in text and "hunter2" not in text


@needs_script
def test_files_of_one_series_are_one_run_and_others_are_not(tmp_path: Path, runs: Path) -> None:
    dumps = sorted((runs / "heapprofile" / "raw").glob("*.heap"))
    assert len(page_data(written(tmp_path, *dumps))["runs"]) == 1
    two = [native_file(GOLDEN / "massif" / name) for name in ("c", "cxx")]
    found = page_data(written(tmp_path, *two))
    assert len(found["runs"]) == 2 and len(found["comparisons"]) == 1 and found["comparisons"][0]["columns"]["after"]


@needs_script
def test_what_no_profiler_wrote_is_left_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("of another kind\n")
    one, two = (native_file(GOLDEN / "massif" / name) for name in ("c", "cxx"))
    found = page_data(written(tmp_path, one, tmp_path / "notes.txt", two))
    assert [run["name"] for run in found["runs"]] == [f"{one} and 1 more", str(two)]
    assert "notes.txt: not a file that leakrun can read" in json.dumps(found["runs"][0])
    assert found["comparisons"][0]["columns"]["after"]


@needs_script
def test_what_can_not_be_compared_is_said(runs: Path) -> None:
    (comparison,) = page_data(written(runs, "memcheck", "massif"))["comparisons"]
    assert "can't be compared" in comparison["why"] and "columns" not in comparison


@needs_script
def test_options_are_where_the_page_opens(runs: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    words = ("--focus", "keep", "--ignore", "main", "--lines", "--sample", "alloc_space", "--runs-dir", runs)
    ran = leakrun("report", "heapprofile@3", "-f", "html", "-o", file, *words)
    assert ran.returncode == 0 and ran.stderr == ""
    chosen = page_data(file)["chosen"]
    assert chosen == {
        "run": 0,
        "pid": None,
        "to": 3,
        "search": "keep",
        "hide": "main",
        "lines": True,
        "sample": "allocated_bytes",
    }


@needs_script
def test_licences_stand_in_the_page(runs: Path) -> None:
    text = written(runs, "memcheck").read_text()
    assert "uplot" in text and "Permission is hereby granted" in text


def test_a_page_of_totals_alone_has_no_stacks() -> None:
    recording = Recording("massif", time_unit=TimeUnit.SECONDS)
    recording.table.intern([Frame("main")])
    shown = data_of(recording)["runs"][0]["datasets"][0]
    assert (shown["kind"], shown["metrics"], shown["changes"]) == ("none", [], [])
