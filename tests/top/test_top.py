"""`leakrun top`, driven by textual's pilot, on real runs in progress."""

import asyncio
import os
import subprocess
import time
from pathlib import Path

import pytest

textual = pytest.importorskip("textual", reason="`leakrun top` needs textual, an extra")

from textual.widgets import DataTable, Static  # noqa: E402

from runner.errors import LeakrunError  # noqa: E402
from runner.rundir import RunDirectory  # noqa: E402
from runner.top.app import Top  # noqa: E402
from runner.top.watching import ProcessWatch, RunWatch, find  # noqa: E402
from tests.leakrun_command import COMMAND, leakrun  # noqa: E402

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static char *kept[100000];
static void hoard(int n) { kept[n] = memset(malloc(20000), 1, 20000); }
int main(void) {
    for (int n = 0; n < 100000; n++) {
        hoard(n);
        if (n == 20) puts("up"), fflush(stdout);
        usleep(10000);
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    directory = tmp_path_factory.mktemp("program")
    (directory / "hoarder.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-g", "-o", directory / "hoarder", directory / "hoarder.c"], check=True)
    return directory / "hoarder"


@pytest.fixture
def started(program, tmp_path):
    """A run in progress: its directory, and its leakrun."""
    directory = tmp_path / "runs" / "run"
    directory.parent.mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LEAKRUN_")}
    command = [*COMMAND, "-q", "-p", "heapprofile", "--every", "300ms", "-o", str(directory), str(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean) as process:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        yield directory, process
        if process.poll() is None:
            leakrun("stop", directory)
        process.kill()


def screen(app):
    return {name: str(app.query_one(f"#{name}", Static).render()) for name in ("head", "rss", "heap", "said")}


def taken(run):
    return sum(each["kind"] == "snapshot" for each in run.read_manifest()["timeline"])


async def until(pilot, true):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, screen(pilot.app)
        await pilot.pause(0.05)


def drive(watch, body, size=(120, 40)):
    app = Top(watch, period=0.1)

    async def driven():
        async with app.run_test(size=size) as pilot:
            await body(app, pilot)

    asyncio.run(driven())


def test_a_run_in_progress_is_seen_growing_and_the_keys_snapshot_and_stop(started):
    directory, process = started
    run = RunDirectory(directory)

    async def body(app, pilot):
        table = app.query_one(DataTable)
        await until(pilot, lambda: table.row_count and "hoard" in str(table.get_row_at(0)[0]))
        assert str(table.get_row_at(0)[1]).endswith("hoarder.c:7")
        await until(pilot, lambda: "│" in screen(app)["rss"] and "│" in screen(app)["heap"])
        assert "live heap" in screen(app)["heap"] and "running" in screen(app)["head"]
        before = taken(run)
        await pilot.press("s")
        await until(pilot, lambda: any("taken" in each.message for each in app._notifications))
        await until(pilot, lambda: taken(run) > before)
        await pilot.press("x")
        await pilot.pause(0.3)
        assert run.read_manifest()["state"] == "running", "one press only asks"
        await pilot.press("x")
        await until(pilot, lambda: "complete" in screen(app)["head"])
        await pilot.press("s")
        await until(pilot, lambda: any("is not running" in each.message for each in app._notifications))

    drive(RunWatch(run), body)
    assert process.wait(timeout=30) == 0
    assert run.read_manifest()["exit"]["stopped_by"] == "stop"


def test_leaving_leaves_it_running(started):
    directory, process = started

    async def body(app, pilot):
        await until(pilot, lambda: "running" in screen(app)["head"])
        await pilot.press("q")

    drive(RunWatch(RunDirectory(directory)), body)
    assert process.poll() is None


@pytest.mark.parametrize("size", [(20, 8), (80, 24), (200, 60)])
def test_any_size_of_terminal_will_do(started, size):
    async def body(app, pilot):
        await until(pilot, lambda: app.query_one(DataTable).row_count)
        await pilot.resize_terminal(60, 20)
        await pilot.pause(0.2)

    drive(RunWatch(RunDirectory(started[0])), body, size)


def test_a_pid_leads_to_its_run_or_else_to_its_memory(started, program):
    directory, _ = started
    target = RunDirectory(directory).read_manifest()["process"]["pid"]
    found = find(str(target), directory.parent)
    assert isinstance(found, RunWatch) and found.run.path == directory
    with subprocess.Popen([program], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"up\n"
        watch = find(str(other.pid), directory.parent)
        assert isinstance(watch, ProcessWatch)

        async def body(app, pilot):
            await until(pilot, lambda: "│" in screen(app)["rss"])
            assert f"leakrun attach {other.pid}" in screen(app)["said"]
            await pilot.press("s")
            await until(pilot, lambda: any("no run of leakrun" in each.message for each in app._notifications))
            other.kill()
            await until(pilot, lambda: "ended" in screen(app)["head"])

        drive(watch, body)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(LeakrunError, match="no process 999999999"):
        find("999999999", tmp_path)
    with pytest.raises(LeakrunError, match="there is no such run"):
        find("nonesuch", tmp_path)


def test_the_samples_of_a_long_run_are_thinned(started):
    directory, process = started
    leakrun("stop", directory)
    process.wait()
    with (directory / "samples.csv").open("a") as file:
        file.writelines(f"{100 + n}.000,{pid},{n},,,\n" for n in range(5000) for pid in (1, 2))
        file.write("99999.0,1,")  # half a line
    watch = RunWatch(RunDirectory(directory))
    first = watch.glance().rss
    assert first is not None and len(first.points) <= 1000
    assert first.points[-1].size % 2 == 0 and first.points[-1].time < 99999
    again = watch.glance().rss
    assert again == first


def test_the_command_without_a_terminal_or_without_textual_says_what_to_do(started, tmp_path):
    directory, _ = started
    said = leakrun("top", directory)
    assert said.returncode == 2 and "needs a terminal" in said.stderr
    (tmp_path / "textual.py").write_text("raise ModuleNotFoundError('no textual', name='textual')\n")
    path = f"{tmp_path}:{Path(__file__).resolve().parent.parent.parent}"
    said = leakrun("top", directory, PYTHONPATH=path)
    assert said.returncode == 3
    assert said.stderr.splitlines() == [
        "leakrun: `leakrun top` needs textual, which is not installed",
        "  pip install 'leakrun[top]'",
    ]
