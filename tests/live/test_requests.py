"""`leakrun snapshot` and `leakrun stop`, from another process than the one that supervises the run."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.leakrun_command import answer, leakrun

QUIET = ("-p", "heapprofile", "--every", "1h")  # no snapshot but those that are asked for


@pytest.mark.parametrize("profile", ["heapprofile", "massif"])
def test_a_snapshot_is_taken_and_its_path_is_printed(start: Any, server: Path, profile: str) -> None:
    run = start("-p", profile, "--every", "1h", server)
    run.wait_for_line("up")
    asked = leakrun("snapshot", run.directory)
    assert (asked.returncode, asked.stderr) == (0, "")
    file = Path(asked.stdout.strip())
    assert file.parent == run.directory / "raw" and file.stat().st_size > 0
    run.wait_until(lambda: run.files() == [file.name])


def test_stop_loses_nothing_and_waits_until_the_run_is_complete(start: Any, server: Path) -> None:
    run = start(*QUIET, server)
    run.wait_for_line("up")
    asked = leakrun("stop", run.directory)
    assert (asked.returncode, asked.stdout.strip(), asked.stderr) == (0, str(run.directory), "")
    manifest = run.manifest
    assert (manifest["state"], manifest["exit"]["stopped_by"]) == ("complete", "stop")
    assert len(run.files()) == 1
    assert not (run.directory / "requests").exists()
    assert run.process.wait() == 0
    assert answer(run.directory)["run"]["snapshots"] == 1


def test_what_has_ended_is_said_to_have_ended(start: Any, server: Path) -> None:
    run = start(*QUIET, "--for", "300ms", server)
    run.process.wait()
    for verb in ("snapshot", "stop"):
        asked = leakrun(verb, run.directory)
        assert asked.returncode == 2
        assert "is not running: it is complete" in asked.stderr


def test_six_ask_at_once_and_each_is_answered(start: Any, server: Path) -> None:
    run = start(*QUIET, server)
    run.wait_for_line("up")
    with ThreadPoolExecutor(6) as pool:
        asked = list(pool.map(lambda _: leakrun("snapshot", run.directory), range(6)))
    assert [each.returncode for each in asked] == [0] * 6
    run.wait_until(lambda: {Path(each.stdout.strip()).name for each in asked} <= set(run.files()))
    assert list((run.directory / "requests").iterdir()) == []


def test_two_ask_for_the_end_at_once(start: Any, server: Path) -> None:
    run = start(*QUIET, server)
    run.wait_for_line("up")
    with ThreadPoolExecutor(2) as pool:
        asked = list(pool.map(lambda _: leakrun("stop", run.directory), range(2)))
    assert 0 in [each.returncode for each in asked]
    assert all(each.returncode == 0 or "is not running: it is complete" in each.stderr for each in asked)
    sent = [each["text"] for each in run.manifest["timeline"] if each["kind"] == "signal"]
    assert sent == ["sent SIGTERM"]


def test_a_snapshot_that_never_comes_is_a_miss(start: Any, compiled: Any) -> None:
    """The program takes the profiler's signal for itself."""
    source = (
        "#include <signal.h>\n#include <stdio.h>\n#include <unistd.h>\n#include <stdlib.h>\nstatic void mine(int s) {(void)s;}\n"
    )
    source += 'int main(void) { signal(SIGURG, mine); malloc(9); puts("up"); fflush(stdout); for (;;) pause(); }\n'
    run = start(*QUIET, compiled("deaf", source))
    run.wait_for_line("up")
    asked = leakrun("snapshot", run.directory)
    assert (asked.returncode, asked.stdout) == (3, "")
    assert "no snapshot of process" in asked.stderr and "no new file" in asked.stderr


STAYS = """
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void stay(int number) { (void)number; }
int main(void) {
    signal(SIGTERM, stay), signal(SIGINT, stay);
    puts("up"), fflush(stdout);
    for (;;) usleep(9), free(malloc(9));
}
"""


def test_while_it_is_waited_for_the_end_no_snapshot_is_taken(start: Any, compiled: Any) -> None:
    run = start(*QUIET, "--set", "stop.grace=5m", compiled("stays", STAYS))
    run.wait_for_line("up")
    run.process.send_signal(signal.SIGTERM)
    run.wait_until(lambda: any(each["text"] == "sent SIGTERM" for each in run.manifest["timeline"]))
    asked = leakrun("snapshot", run.directory)
    assert (asked.returncode, asked.stdout) == (3, "") and "the run is being stopped" in asked.stderr


@pytest.mark.parametrize("profile", ["heapprofile", "massif"])
def test_of_a_program_that_stays_after_both_signals_snapshots_are_taken_again(start: Any, compiled: Any, profile: str) -> None:
    run = start("-p", profile, "--every", "1h", "--set", "stop.grace=500ms", compiled("stays", STAYS))
    run.wait_for_line("up")
    run.process.send_signal(signal.SIGTERM)
    run.wait_until(lambda: any("does not end on" in each["text"] for each in run.manifest["timeline"]))
    asked = leakrun("snapshot", run.directory)
    assert (asked.returncode, asked.stderr) == (0, "")
    run.wait_until(lambda: Path(asked.stdout.strip()).name in run.files())


def test_a_profile_without_snapshots_says_so(start: Any, server: Path) -> None:
    run = start("-p", "dhat", server)
    run.wait_for_line("up")
    asked = leakrun("snapshot", run.directory)
    assert asked.returncode == 3
    assert "takes no snapshots while it runs" in asked.stderr


def test_a_stopped_leakrun_is_named(start: Any, server: Path) -> None:
    run = start(*QUIET, server)
    run.wait_for_line("up")
    os.kill(run.process.pid, signal.SIGSTOP)
    asked = leakrun("snapshot", run.directory)
    os.kill(run.process.pid, signal.SIGCONT)
    assert asked.returncode == 2
    assert f"kill -CONT {run.process.pid}" in asked.stderr


def test_a_killed_leakrun_is_named_and_so_is_what_is_left(start: Any, server: Path) -> None:
    run = start(*QUIET, server)
    run.wait_for_line("up")
    run.kill()
    for verb in ("snapshot", "stop"):
        asked = leakrun(verb, run.directory)
        assert asked.returncode == 2
        assert f"process {run.target}, still runs" in asked.stderr and "leakrun recover" in asked.stderr
    os.kill(run.target, signal.SIGKILL)
    run.wait_until(lambda: "its program has ended" in leakrun("stop", run.directory).stderr)


def test_rubbish_among_the_requests_does_no_harm(start: Any, server: Path) -> None:
    run = start(*QUIET, server)
    run.wait_for_line("up")
    place = run.directory / "requests"
    os.mkfifo(place / "a.ask")
    (place / "b.ask").symlink_to("/dev/zero")
    (place / "c.ask").mkdir()
    (place / "d.ask").write_bytes(b"[" * 100_000)
    (place / "e.ask").write_text('{"ask": "rm -rf"}')
    (place / "f.ask").write_text('["snapshot"]')
    asked = leakrun("snapshot", run.directory)
    assert asked.returncode == 0, asked.stderr
    assert {path.name for path in place.iterdir()} == {"c.ask"}


def test_dumps_that_the_manifest_does_not_know_yet_stand_where_they_were_taken(start: Any, server: Path) -> None:
    run = start("-p", "heapprofile", "--every", "100ms", server)
    run.wait_for_state("running")
    run.wait_until(lambda: len(list((run.directory / "raw").glob("*.heap"))) >= len(run.files()) + 2 >= 10)
    run.kill()
    ranked = json.loads(leakrun("growth", run.directory, "--json").stdout)["sites"][0]
    held = [bytes_ for _, bytes_ in ranked["series"]]
    assert ranked["rise"] > 0 and held == sorted(held)


def test_whoever_asks_for_the_end_again_and_again_does_not_cut_the_answer(start: Any, server: Path) -> None:
    run = start(*QUIET, server)
    run.wait_for_line("up")
    while run.process.poll() is None:
        run.process.send_signal(signal.SIGTERM)
        time.sleep(0.01)
    assert run.manifest["state"] == "complete"
    assert answer(run.directory)["run"]["snapshots"] == 1
