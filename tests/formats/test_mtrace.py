"""mtrace's log: replayed as glibc wrote it, over events and over time, and what becomes of lines that don't fit."""

import io
import re
import subprocess
from pathlib import Path

import pytest

from runner.answers import answer_of
from runner.formats import mtrace, read_file
from runner.model import Metric, Recording, TimeUnit, check_valid
from runner.symbols.resolve import resolve

GOLDEN = Path(__file__).parents[1] / "golden" / "mtrace"
CASE = GOLDEN / "c" / "mtrace.log"
PLACE = "@ ./app:[0x11c4]"


def recording_of(text: bytes | str) -> Recording:
    found = mtrace.read(io.BytesIO(text.encode() if isinstance(text, str) else text), "mtrace.log")
    check_valid(found)
    return found


def log(*rows: str) -> str:
    return "\n".join(["= Start", *rows, ""])


def last(recording: Recording, metric: Metric) -> dict[int | None, int]:
    """By the address of its frame, the amount of each stack in the last snapshot."""
    column = recording.snapshots[-1].columns[metric]
    return {recording.table.frames_of(stack)[0].address: amount for stack, amount in column.items()}


def replayed(rows: list[str]) -> dict[int, int]:
    """Live bytes by caller, by a replay of one line at a time that has nothing in common with the reader's."""
    blocks: dict[str, tuple[int, int]] = {}
    for row in rows:
        event = re.fullmatch(r"@ .*\[(0x\w+)\] ([-+<>]) (0x\w+)(?: (0x\w+))?", row)
        if event and event[2] in "+>":
            blocks[event[3]] = (int(event[1], 16), int(event[4], 16))
        elif event:
            del blocks[event[3]]
    live: dict[int, int] = {}
    for caller, size in blocks.values():
        live[caller] = live.get(caller, 0) + size
    return live


def test_what_lives_at_the_end_is_what_was_not_freed() -> None:
    recording = read_file(CASE)
    assert recording.complete and recording.tool == "mtrace"
    assert last(recording, Metric.LIVE_BYTES) == replayed(CASE.read_text().splitlines())
    assert recording.snapshots[-1].totals == {
        Metric.LIVE_BYTES: 32 * 500 + 5,
        Metric.LIVE_BLOCKS: 33,
        Metric.ALLOCATED_BYTES: 64 * 500 + 64 * 32 + sum(100 * (n + 1) for n in range(64)) + 5,
        Metric.ALLOCATED_BLOCKS: 64 * 3 + 1,
    }


def test_each_snapshot_is_what_lived_after_as_many_events() -> None:
    recording = read_file(CASE)
    rows = [row for row in CASE.read_text().splitlines() if row.startswith("@")]
    rows_of_events: list[int] = [number for number, row in enumerate(rows, 1) if " ! " not in row]
    assert recording.time_unit is TimeUnit.EVENTS and len(recording.snapshots) >= 20
    for snapshot in recording.snapshots:
        upto = rows_of_events[int(snapshot.time) - 1] if snapshot.time else 0
        assert snapshot.totals[Metric.LIVE_BYTES] == sum(replayed(rows[:upto]).values())


def test_snapshots_are_spread_over_the_whole_log() -> None:
    events = [row for n in range(4000) for row in (f"{PLACE} + {0x1000 + n * 16:#x} 0x8", f"{PLACE} - {0x1000 + n * 16:#x}")]
    times = [snapshot.time for snapshot in recording_of(log(*events)).snapshots]
    assert len(times) == mtrace.SNAPSHOTS
    assert times[-1] == 8000
    assert max(b - a for a, b in zip([0.0, *times], times, strict=False)) < 200


def timed(*parts: int | str) -> bytes:
    """A log as the shim's looks: numbers are times in milliseconds."""
    rows = [
        f"= leakrun time {part}" if isinstance(part, int) else part
        for part in ("= leakrun clock 1700000000000", 0, "= Start", *parts)
    ]
    return "\n".join([*rows, ""]).encode()


def live_by_time(text: bytes, seconds: float | None = None) -> dict[float, int]:
    recording = mtrace.read(io.BytesIO(text), "mtrace.log", None if seconds is None else 1_700_000_000 + seconds)
    check_valid(recording)
    assert recording.time_unit is TimeUnit.SECONDS
    return {round(each.time, 3): each.totals[Metric.LIVE_BLOCKS] for each in recording.snapshots}


def test_a_log_that_ends_when_it_began_has_its_time_in_seconds_all_the_same() -> None:
    rows = timed(*[f"{PLACE} + {0x1000 + n * 16:#x} 0x10" for n in range(30)])
    assert (
        max(live_by_time(rows).values()) == max(live_by_time(rows, 0.0).values()) == max(live_by_time(rows, -0.02).values()) == 30
    )


def test_times_in_the_log_place_its_events() -> None:
    block = [f"{PLACE} + {0x1000 + n * 16:#x} 0x10" for n in range(30)]
    live = live_by_time(timed(*block[:5], 2000, *block[5:10], 4000, *block[10:]), 10.0)
    assert (live[1.9], live[2.0], live[2.1], live[3.9], live[4.1], live[10.0]) == (5, 10, 10, 10, 30, 30)
    assert len(live) == mtrace.SNAPSHOTS


def test_the_last_time_is_the_end_where_nobody_knows_better() -> None:
    live = live_by_time(timed(f"{PLACE} + 0xa0 0x8", 500, f"{PLACE} + 0xb0 0x8", 1000, f"{PLACE} - 0xa0"))
    assert max(live) == 1.0
    assert (live[0.4], live[0.6]) == (1, 2)


def test_the_last_time_is_found_before_many_events() -> None:
    events = [row for n in range(40_000) for row in (f"{PLACE} + 0xa0 0x8", f"{PLACE} - 0xa0")]
    assert max(live_by_time(timed(700, *events))) == 0.7


def test_a_time_that_is_damaged_or_goes_back_is_passed_over() -> None:
    text = timed(900, f"{PLACE} + 0xa0 0x8", 200, f"{PLACE} + 0xb0 0x8", 1000).replace(b"time 200", b"time x")
    assert live_by_time(text, 1.0)[1.0] == 2
    assert live_by_time(timed(900, f"{PLACE} + 0xa0 0x8", 200, f"{PLACE} + 0xb0 0x8"), 1.0)[1.0] == 2


def test_a_log_without_times_says_so() -> None:
    assert any("no times" in limit for limit in read_file(CASE).limits)


def test_no_snapshot_stands_between_the_two_lines_of_a_realloc() -> None:
    grown = [
        row
        for n in range(300)
        for row in (f"@ ./app:[0x20] < {0xA0 + n * 16:#x}", f"@ ./app:[0x20] > {0xB0 + n * 16:#x} {100 + n:#x}")
    ]
    recording = recording_of(log("@ ./app:[0x20] + 0xa0 0x63", *grown))
    blocks = [snapshot.totals[Metric.LIVE_BLOCKS] for snapshot in recording.snapshots]
    assert len(blocks) > 50 and set(blocks[1:]) == {1}


def test_realloc_moves_a_block_to_its_own_caller_and_a_failed_one_changes_nothing() -> None:
    recording = recording_of(
        log(
            "@ ./app:[0x10] + 0xa0 0x64",
            "@ ./app:[0x20] < 0xa0",
            "@ ./app:[0x20] > 0xb0 0xc8",
            "@ ./app:[0x30] ! 0xb0 0x7fffffffffffffff",
            "@ ./app:[0x30] + (nil) 0x7fffffffffffffff",
        )
    )
    assert recording.complete
    assert last(recording, Metric.LIVE_BYTES) == {0x20: 200}


@pytest.mark.parametrize(
    ("row", "module", "address"),
    [
        ("@ /opt/my app/bin:(f+1a)[0x1a] + 0xa0 0x8", "/opt/my app/bin", 0x1A),
        ("@ /opt/my app:[0x1a] + 0xa0 0x8", "/opt/my app", 0x1A),
        ("@ /opt/a:b[1].so:(_ZN1aC1Ev+1a)[0x2b] + 0xa0 0x8", "/opt/a:b[1].so", 0x2B),
        ("@ [0x7f0012345678] + 0xa0 0x8", None, 0x7F0012345678),
        ("+ 0xa0 0x8", None, None),
    ],
)
def test_a_place_is_taken_apart(row: str, module: str | None, address: int | None) -> None:
    recording = recording_of(log(row))
    assert recording.complete
    assert recording.table.frames_of(0)[0][3:5] == (module, address)
    assert recording.snapshots[-1].totals[Metric.LIVE_BYTES] == 8


def test_a_block_with_spaces_in_its_path_is_freed_too() -> None:
    recording = recording_of(log("@ /opt/my app:[0x1a] + 0xa0 0x8", "@ /opt/my app:[0x1b] - 0xa0"))
    assert recording.complete and recording.snapshots[-1].totals[Metric.LIVE_BYTES] == 0


def test_the_shim_s_heading_says_whose_log_it_is() -> None:
    recording = read_file(next((GOLDEN / "fork").glob("*.log")))
    assert (recording.pid, recording.parent_pid, recording.command) == (15041, 15040, ["/srv/forks"])
    assert {frame.module for frame in recording.table.frames} == {"/srv/forks"}  # which the log itself calls ./forks


@pytest.mark.parametrize("title", ["app", "nginx: worker process", "postgres: writer /data", ""])
def test_a_program_that_gives_itself_a_title_is_still_the_program(title: str) -> None:
    heading = "= leakrun program app\n= leakrun path /opt/app\n"
    library, other = "@ ./plugin.so:[0x30] + 0xc0 0x8", "@ /opt/other:[0x40] + 0xd0 0x8"
    recording = recording_of(f"{heading}@ app:[0x10] + 0xa0 0x8\n@ {title}:[0x20] + 0xb0 0x8\n{library}\n{other}\n")
    modules = {frame.address: frame.module for frame in recording.table.frames}
    assert modules == {0x10: "/opt/app", 0x20: "/opt/app", 0x30: "./plugin.so", 0x40: "/opt/other"}


def test_a_title_that_begins_with_the_program_s_path_is_still_the_program() -> None:
    heading = "= leakrun program /opt/app\n= leakrun path /opt/app\n"
    recording = recording_of(f"{heading}@ /opt/app *:6379:[0x10] + 0xa0 0x8\n@ /opt/apprentice:[0x20] + 0xb0 0x8\n")
    assert {frame.address: frame.module for frame in recording.table.frames} == {0x10: "/opt/app", 0x20: "/opt/apprentice"}


def test_the_end_of_its_parent_s_line_is_no_damage_in_a_child_s_log() -> None:
    heading = "= leakrun pid 12\n= leakrun began fork\n"
    assert recording_of(f"{heading}ain+5)[0x9] - 0x77\n{PLACE} + 0xa0 0x8\n").complete
    assert not recording_of(f"{heading}{PLACE} + 0xa0 0x8\nain+5)[0x9] - 0x77\n").complete
    assert not recording_of(f"= Start\nain+5)[0x9] - 0x77\n{PLACE} + 0xa0 0x8\n").complete


def test_frees_of_older_blocks_are_a_limit_where_they_are_many() -> None:
    frees = [f"{PLACE} - {0x1000 + n * 16:#x}" for n in range(100)]
    few = recording_of(log(f"{PLACE} + 0xa0 0x8", *frees[:5]))
    many = recording_of(log(f"{PLACE} + 0xa0 0x8", *frees))
    assert few.complete and many.complete
    assert not any("before the trace began" in limit for limit in few.limits)
    assert any("100 frees are of blocks allocated before the trace began" in limit for limit in many.limits)


def test_a_block_that_is_handed_out_twice_lives_once() -> None:
    recording = recording_of(log("@ ./app:[0x10] + 0xa0 0x64", "@ ./app:[0x20] + 0xa0 0x10"))
    assert last(recording, Metric.LIVE_BYTES) == {0x20: 16}
    assert any("handed out again" in limit for limit in recording.limits)


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        (log(f"{PLACE} + 0xa0 0x8", f"{PLACE} * 0xa0"), "1 of its lines can't be read"),
        (log(f"{PLACE} + 0xa0 0x8", f"{PLACE} + 0xb0 0xfffffffffffffffff"), "1 of its lines can't be read"),
        (log(f"{PLACE} + 0xa0 0x8", f"{PLACE} + 0xb0"), "1 of its lines can't be read"),
        (log(f"{PLACE} + 0xa0 0x8") + f"{PLACE} - 0xa", mtrace.CUT),
        (log(), "holds no event"),
    ],
)
def test_what_cannot_be_read_is_a_flaw_and_the_rest_is_kept(text: str, flaw: str) -> None:
    recording = recording_of(text)
    assert not recording.complete
    assert flaw in " ".join(recording.flaws)
    assert sum(last(recording, Metric.LIVE_BYTES).values()) in (0, 8)


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    recording = recording_of(log(f"{PLACE} + 0xa0 0x8").encode() + b"@" * 3_000_000)
    assert not recording.complete
    assert last(recording, Metric.LIVE_BYTES) == {0x11C4: 8}


@pytest.mark.parametrize("flags", [("-pie", "-fPIE"), ("-no-pie",), ("-no-pie", "-Wl,-z,noseparate-code")])
def test_a_bare_log_s_addresses_become_lines(flags: tuple[str, ...], tmp_path: Path) -> None:
    source = GOLDEN / "c" / "traced.c"
    subprocess.run(["gcc", "-g", "-O0", *flags, "-o", tmp_path / "traced", source], check=True, timeout=60)
    subprocess.run(
        ["./traced"],
        cwd=tmp_path,
        env={"LD_PRELOAD": "libc_malloc_debug.so.0", "MALLOC_TRACE": "here.log"},
        check=True,
        timeout=60,
    )
    recording = read_file(tmp_path / "here.log")
    resolve([recording], search=[tmp_path / "traced"])
    check_valid(recording)
    live = {
        frame.signature: (Path(frame.file or "").name, frame.line, amount)
        for stack, amount in recording.snapshots[-1].columns[Metric.LIVE_BYTES].items()
        for frame in recording.table.frames_of(stack)[:1]
    }
    line = next(number for number, text in enumerate(source.read_text().splitlines(), 1) if "malloc(500)" in text)
    assert live["keep"] == ("traced.c", line, 32 * 500)


def test_addresses_themselves_are_found_in_what_is_not_moved(tmp_path: Path) -> None:
    """glibc up to 2.31 or so writes "[%p]", malloc/mtrace.c: made here from the log of a newer one."""
    source = GOLDEN / "c" / "traced.c"
    subprocess.run(["gcc", "-g", "-O0", "-no-pie", "-o", tmp_path / "traced", source], check=True, timeout=60)
    trace = {"LD_PRELOAD": "libc_malloc_debug.so.0", "MALLOC_TRACE": "here.log"}
    subprocess.run(["./traced"], cwd=tmp_path, env=trace, check=True, timeout=60)
    text = (tmp_path / "here.log").read_text()
    itself = re.sub(r"(traced:[^[]*\[)0x([0-9a-f]+)", lambda at: f"{at[1]}{int(at[2], 16) + 0x400000:#x}", text)
    assert itself != text
    (tmp_path / "old.log").write_text(itself)
    named = []
    for name in ("here.log", "old.log"):
        recording = read_file(tmp_path / name)
        resolve([recording], search=[tmp_path / "traced"])
        live = recording.snapshots[-1].columns[Metric.LIVE_BYTES]
        named.append([[frame[:3] for frame in recording.table.frames_of(stack)[:1]] for stack, _ in live.items()])
    assert named[0] == named[1] and any(frames[0][0] == "keep" for frames in named[0])


def test_an_address_in_what_was_moved_has_the_name_that_the_log_gives_it() -> None:
    recording = recording_of(
        log("@ ./app:(grow+0x1b)[0x55c59d57f1c4] + 0xa0 0x8", "@ ./app:(grow+0x20)[0x55c59d57f1c9] + 0xb0 0x10")
    )
    frames = recording.table.frames_of(0)
    assert [frame.signature for frame in frames] == ["grow"] and last(recording, Metric.LIVE_BYTES) == {None: 24}
    assert not any("-rdynamic" in limit for limit in recording.limits)
    nameless = recording_of(log("@ ./app:[0x55c59d57f1c4] + 0xa0 0x8"))
    assert any("-rdynamic" in limit for limit in nameless.limits)


def test_where_the_binary_is_absent_the_log_s_own_symbols_are_the_names(tmp_path: Path) -> None:
    source = """\
#include <mcheck.h>
#include <cstdlib>
#include <cstring>
namespace app { struct Store { void *volatile kept; void keep(int size); }; }
void app::Store::keep(int size) { kept = malloc(size); }
static void hide(app::Store &store) { store.kept = malloc(3); }
int main() { app::Store store; mtrace(); store.keep(100); hide(store); return strdup("text") == nullptr; }
"""
    (tmp_path / "app.cc").write_text(source)
    subprocess.run(["g++", "-g", "-O0", "-rdynamic", "-o", tmp_path / "app", "app.cc"], cwd=tmp_path, check=True, timeout=60)
    trace = {"LD_PRELOAD": "libc_malloc_debug.so.0", "MALLOC_TRACE": "here.log"}
    subprocess.run(["./app"], cwd=tmp_path, env=trace, check=True, timeout=60)
    log_file = tmp_path / "here.log"
    log_file.write_text(re.sub(r"@ /\S*/(libc\.so\.6:)", r"@ /not/here/\1", log_file.read_text()))
    absent, present = read_file(log_file), read_file(log_file)
    resolve([absent])
    resolve([present], search=[tmp_path / "app"])
    check_valid(absent)
    named = {frame.signature: frame for frame in absent.table.frames}
    assert {"app::Store::keep(int)", "__strdup", None} == named.keys()  # hide() is static, and exported nowhere
    assert named["app::Store::keep(int)"][1:4] == (None, None, "./app")
    assert any("1 address has no name; give the file with --exe" in limit for limit in absent.limits)
    assert any("libc.so.6" in limit and "its files and lines are not known; give the file" in limit for limit in absent.limits)
    lines = {frame.signature: frame.line for frame in present.table.frames}
    assert lines["app::Store::keep(int)"] == 5 and lines["hide(app::Store&)"] == 6


def test_a_log_that_is_too_short_asks_for_no_snapshots(tmp_path: Path) -> None:
    file = tmp_path / "mtrace.log"
    file.write_text(log(*(f"{PLACE} + {64 * n:#x} 0x20" for n in range(1, 4))))
    answer = answer_of([str(file)], tmp_path)
    assert any("of the 8 that are needed: run it longer" in each for each in answer.reasons), answer.reasons
    assert not any("--every" in each for each in answer.reasons)
