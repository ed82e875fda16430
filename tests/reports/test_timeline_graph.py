"""The timeline as a terminal shows it: of golden files that the real tools wrote, and of figures that are known."""

import io
from pathlib import Path

import pytest

from runner import formats
from runner.analysis.curve import Curve, Point, curves
from runner.model import TimeUnit
from runner.reports import timeline_graph
from tests.leakrun_command import leakrun

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
MASSIF = sorted(path for path in (GOLDEN / "massif").rglob("massif.out*") if path.is_file())


def drawn(curve, *, encoding="utf-8", width=80, height=12):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    timeline_graph.render([curve], stream, width=width, height=height)
    stream.flush()
    return raw.getvalue().decode(encoding).splitlines()[1:]


def rising(points, **more):
    return Curve("live heap", "massif", 17, TimeUnit.SECONDS, points, points[-1].time, **more)


RAMP = rising([Point(float(n), n * 1000, detailed=n % 10 == 0, peak=n == 70) for n in range(71)])


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("width", [30, 80, 200])
def test_it_is_as_wide_as_asked_and_as_high(encoding, width):
    lines = drawn(RAMP, encoding=encoding, width=width)
    assert max(map(len, lines)) <= width
    assert sum("|" in line or "│" in line for line in lines) == 12


def test_a_ramp_rises_from_corner_to_corner():
    rows = [line.partition("│")[2] for line in drawn(RAMP) if "│" in line]
    filled = [row.count("█") for row in rows]
    assert filled == sorted(filled) and filled[0] < 8 < 60 < filled[-1]
    assert all(len(row) == 70 for row in rows)


def test_the_top_is_named_and_the_ends_of_time():
    lines = drawn(RAMP)
    assert lines[0] == "live heap of process 17, massif"
    assert lines[1].startswith(" 70.0 kB │")
    assert lines[-2].split() == ["0", "70", "s"]
    assert lines[-1].strip() == "71 snapshots, most 70.0 kB at 70 s, ● 8 with stacks, ▲ the peak"


def test_ascii_marks_the_columns_as_ms_print_does():
    lines = drawn(RAMP, encoding="ascii")
    lowest = next(line for line in reversed(lines) if "|" in line).partition("|")[2]
    assert lowest.count("#") == 1 and lowest.count("@") in (6, 7)
    assert "# the peak" in lines[-1] and "@ 8 with stacks" in lines[-1]


def test_a_peak_between_two_columns_is_not_lost():
    spike = rising([Point(0.0, 10), Point(500.0, 10), Point(500.1, 9000), Point(500.2, 10), Point(1000.0, 10)])
    rows = [line.partition("│")[2] for line in drawn(spike) if "│" in line]
    assert rows[0].strip() == "█"
    assert rows[0].index("█") == 35


def test_what_was_last_seen_holds_until_something_else_is():
    steps = rising([Point(0.0, 100), Point(50.0, 200), Point(100.0, 200)])
    top = drawn(steps)[1].partition("│")[2]
    assert top == " " * 35 + "█" * 35


def test_marks_tell_nothing_where_every_snapshot_has_stacks():
    assert "with stacks" not in drawn(rising([Point(float(n), n + 1, detailed=True) for n in range(9)]))[-1]


@pytest.mark.parametrize("path", MASSIF, ids=lambda path: str(path.parent.name))
def test_massif_is_drawn_as_it_is_read(path):
    recordings = formats.read_files([path])
    for curve in curves(recordings):
        lines = drawn(curve)
        assert max(map(len, lines)) <= 80
        assert f"{len(curve.points):,} snapshot" in lines[-1]
        assert {point.peak for point in curve.points} == {each.peak for each in recordings[0].snapshots}


def test_the_command_draws_below_the_answer_and_in_ascii_where_it_must():
    path = next(path for path in MASSIF if any(curves(formats.read_files([path]))))
    shown = leakrun("show", "--graph", path, PYTHONIOENCODING="ascii")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.isascii() and "|" in shown.stdout and ":" in shown.stdout
    assert "└" in leakrun("show", "--graph", path, PYTHONIOENCODING="utf-8").stdout


def test_what_has_no_time_is_said():
    path = next((GOLDEN / "memcheck_xml").rglob("*.xml"))
    shown = leakrun("show", "--graph", path)
    assert shown.returncode == 0, shown.stderr
    assert "no timeline" in shown.stdout
