import io
import re

import pytest

from runner.analysis import Scope, conclude
from runner.model import Answer, Defect, Frame, LossKind, Note, Rate, Verdict
from runner.reports import terminal
from runner.reports.plain import fitted, plain, sparkline
from tests.analysis.recordings import GROWTH, LOSSES, MAIN, MALLOC, code, growing, losing

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def text_of(answer, *, width=80, color=False, verbose=False):
    stream = io.StringIO()
    terminal.render(answer, stream, width=width, color=color, verbose=verbose)
    return stream.getvalue()


def lost(sites, name="lose_{}"):
    records = [(LossKind.DEFINITE, 1000 * (n + 1), 3, (MALLOC, code(name.format(n), n + 10), MAIN)) for n in range(sites)]
    recording = losing(*records)
    answer = conclude([recording], Scope(LOSSES))
    answer.run = {
        "id": "memcheck-app-1",
        "directory": "/elsewhere/runs/1",
        "profile": "memcheck",
        "command": ["./app", "a b"],
        "seconds": 2.0,
    }
    return answer


def test_verdict_first_then_the_line_to_change():
    lines = text_of(lost(3)).splitlines()
    assert lines[0].startswith("leaking")
    assert "memcheck" in lines[0]
    assert next(line for line in lines if line.startswith("  1. ")).split() == ["1.", "lose_2", "/home/me/app/server.c:12"]
    assert "      lost: 3.0 kB, in 3 blocks, 50% of all" in lines
    assert "      called by main  /home/me/app/server.c:100" in lines


def test_callers_that_nobody_would_change_are_left_out_and_stand_with_v():
    stack = (MALLOC, code("lose", 7), MAIN, Frame("__libc_start_main", "csu/../csu/libc-start.c", 360))
    answer = conclude([losing((LossKind.DEFINITE, 10, 1, stack))], Scope(LOSSES))
    assert "libc_start" not in text_of(answer)
    assert "libc_start" in text_of(answer, verbose=True)


def test_commands_are_whole():
    answer = conclude([growing({(MALLOC, code("put", 7), MAIN): [n * 100_000 for n in range(31)]}, range(31))], Scope(GROWTH))
    answer.run = {"command": ["./app", "x" * 200, "two words"]}
    assert f"next: leakrun -p memcheck -- ./app {'x' * 200} 'two words'" in text_of(answer, width=60)


@pytest.mark.parametrize("title", ["redis-server *:6379", "nginx: master process /usr/sbin/nginx -g daemon off;"])
def test_a_title_is_no_command(title):
    """What a process shows that was attached to."""
    answer = conclude([growing({(MALLOC, code("put", 7), MAIN): [n * 100_000 for n in range(31)]}, range(31))], Scope(GROWTH))
    for command, offered in (([title], 0), (["/opt/my app/bin/serve", "a b"], 1), (["./my app"], 1)):
        answer.run = {"command": command}
        assert text_of(answer).count("next: leakrun -p memcheck") == offered, command


def test_it_fits_a_screen_and_counts_the_rest():
    answer = lost(40)
    answer.notes += [Note("limit", f"limit {n}") for n in range(30)]
    for n in range(30):
        recording = losing()
        recording.defects.append(Defect("InvalidRead", f"Invalid read {n}", recording.table.intern((code(f"f{n}"),))))
        answer.errors += conclude([recording], Scope(LOSSES)).errors
    lines = text_of(answer).splitlines()
    assert len(lines) <= 48
    assert any("35 more findings" in line for line in lines)
    assert any("26 more" in line for line in lines)
    everything = text_of(answer, verbose=True)
    assert all(f"lose_{n} " in everything for n in range(40))
    assert "40,000 bytes" in everything


@pytest.mark.parametrize("width", [1, 30, 40, 80, 200])
@pytest.mark.parametrize("color", [False, True])
def test_no_line_is_wider_than_the_terminal(width, color):
    answer = lost(3, name="a_namespace::a_template<int, " + "x" * 300 + ">::method_{}(int, char)")
    answer.reasons.append("word" * 100)
    lines = ESCAPE.sub("", text_of(answer, width=width, color=color)).splitlines()
    lines = [line for line in lines if not line.startswith(("run: ", "next: "))]
    assert max(map(len, lines)) <= max(width, 30)
    assert any("server.c:12" in line for line in lines) or width < 40


def test_names_cannot_command_the_terminal():
    evil = "evil\x1b]0;owned\x07\x1b[31m\u202e\x9b2J\n\r{}"
    answer = lost(2, name=evil)
    answer.run["command"] = ["./a\x1b[2J"]
    shown = text_of(answer, verbose=True) + text_of(answer)
    assert not set(shown) - {"\n"} & set(map(chr, [*range(32), *range(127, 160), 0x202E]))
    assert "\\x1b" in shown


def test_without_colour_there_is_no_escape_and_with_it_there_is():
    assert "\x1b" not in text_of(lost(1))
    assert "\x1b[1;31mleaking\x1b[0m" in text_of(lost(1), color=True)
    assert ESCAPE.sub("", text_of(lost(1), color=True)) == text_of(lost(1))


def test_growth_shows_its_rate_and_its_series():
    answer = conclude([growing({(MALLOC, code("put", 7), MAIN): [n * 100_000 for n in range(31)]}, range(31))], Scope(GROWTH))
    shown = text_of(answer)
    assert "growing: 3.0 MB, 100 kB/s, 100% of all" in shown
    assert "▁" in shown
    assert "█" in shown


def test_paths_below_the_working_directory_are_relative(monkeypatch, tmp_path):
    answer = lost(1)
    answer.findings[0].file = str(tmp_path / "src" / "a.c")
    answer.run["directory"] = str(tmp_path / "leakrun-runs" / "x")
    monkeypatch.chdir(tmp_path)
    lines = text_of(answer).splitlines()
    assert "  1. lose_0  src/a.c:10" in lines
    assert "run:  leakrun-runs/x" in lines


def test_it_says_what_to_do_next():
    assert "next: leakrun show /elsewhere/runs/1 -v" in text_of(lost(1))
    answer = lost(1)
    answer.findings[0].file = answer.findings[0].line = None
    assert "-g" in text_of(answer)


@pytest.mark.parametrize("verdict", Verdict)
def test_an_answer_with_nothing_in_it_is_shown(verdict):
    assert text_of(Answer(verdict, [])).startswith(verdict.value)


def test_a_stream_that_cannot_write_blocks_gets_question_marks():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    answer = conclude([growing({(code("put", 7),): [n * 100_000 for n in range(31)]}, range(31))], Scope(GROWTH))
    terminal.render(answer, stream, width=80, color=False, verbose=False)
    stream.flush()
    assert b"put" in raw.getvalue()


def test_sparklines_follow_time_not_number():
    bunched = [(0.0, 0), (0.1, 0), (0.2, 0), (10.0, 100)]
    assert sparkline(bunched, 4) == "▁▁▁█"
    assert sparkline([(0.0, 1), (1.0, 2)], 4) == ""
    assert sparkline([(0.0, 0), (1.0, 0), (2.0, 0)], 4) == ""


def test_long_names_keep_both_ends():
    assert fitted("abcdefghij", 5) == "ab…ij"
    assert fitted("abc", 3) == "abc"
    assert fitted("abc", 1) == "a"
    assert plain("a\tb\x00é\U0001f600") == "a\\x09b\\x00é\U0001f600"


@pytest.mark.parametrize(
    ("unit", "rate", "said"),
    [
        ("byte allocated", 0.0123, "12.3 kB per MB allocated"),
        ("byte allocated", 1.0, "1.0 MB per MB allocated"),
        ("event", 50.0, "50.0 kB per thousand allocations and frees"),
        ("snapshot", 123_456.0, "123 kB per snapshot"),
        ("instruction", 0.002, "2.0 kB per million instructions"),
    ],
)
def test_a_rate_without_a_clock_is_a_figure_that_can_be_read(unit, rate, said):
    answer = conclude([growing({(MALLOC, code("put", 7), MAIN): [n * 100_000 for n in range(31)]}, range(31))], Scope(GROWTH))
    answer.findings[0].bytes_per_second, answer.findings[0].rate = None, Rate(rate, f"bytes/{unit}")
    assert said in text_of(answer)


def test_links_take_no_columns():
    stream = io.StringIO()
    terminal.render(lost(3), stream, width=60, color=True, verbose=True, link=lambda file, line: f"file://host{file}#{line}")
    assert "\x1b]8;;file://host/home/me/app/server.c#12\x1b\\" in stream.getvalue()
    unlinked = re.sub(r"\x1b\]8;;[^\x1b]*\x1b\\", "", stream.getvalue())
    assert unlinked == text_of(lost(3), width=60, color=True, verbose=True)


def test_where_the_locale_has_no_blocks_the_growth_is_drawn_in_ascii():
    answer = conclude([growing({(MALLOC, code("put", 7), MAIN): [n * 100_000 for n in range(31)]}, range(31))], Scope(GROWTH))
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    terminal.render(answer, stream, width=80, color=False, verbose=False)
    stream.flush()
    drawn = next(line.strip() for line in raw.getvalue().decode("ascii").splitlines() if "##" in line)
    assert drawn == "".join(sorted(drawn, key="_.,-=+*#".index)) and len(set(drawn)) == 8


@pytest.mark.parametrize(
    ("ended", "place", "said"),
    [
        (None, "[heap]", "next: leakrun attach 4711 -p bpf --for 30s "),
        (None, "[shared memory]", "next: leakrun attach 4711 -p bpf-mmap --for 30s "),
        (0, "[heap]", "next: leakrun hunt -- ./app"),
    ],
    ids=["runs on", "runs on, and maps", "has ended"],
)
def test_where_no_code_is_named_the_next_tool_is_one_that_names_it(ended, place, said):
    answer = conclude([growing({(MALLOC, code("put", 7), MAIN): [n * 100_000 for n in range(31)]}, range(31))], Scope(GROWTH))
    answer.findings[0].function, answer.findings[0].file, answer.findings[0].line = place, None, None
    answer.findings[0].module = None
    stopped = {"code": ended, "signal": None, "stopped_by": None if ended is not None else "for"}
    answer.run = {"command": ["./app"], "exit": stopped, "processes": [{"pid": 4711, "command": ["./app"]}]}
    assert said in text_of(answer)


def test_a_hunt_that_found_something_leaves_the_limits_of_each_tool_to_v():
    answer = lost(1)
    answer.notes = [Note("limit", "one"), Note("limit", "two")]
    assert "limit: one" in text_of(answer)
    answer.run["steps"] = []
    assert "-v shows 2 notes" in text_of(answer) and "limit:" not in text_of(answer)
    assert "limit: one" in text_of(answer, verbose=True)
    answer.notes.append(Note("plateau", "three"))
    assert "plateau: three" in text_of(answer) and "and 2 more" in text_of(answer)
    answer.findings = []
    assert "limit: one" in text_of(answer)
