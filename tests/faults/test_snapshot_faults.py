"""Snapshots by signal: none may end the program, whatever it does, and what did not arrive is said."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from tests.faults.conftest import AS_ROOT
from tests.leakrun_command import COMMAND, answer, leakrun


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    timeline = json.loads((run / "manifest.json").read_text())["timeline"]
    return [each for each in timeline if each["kind"] == kind]


def events_so_far(run: Path, kind: str) -> list[dict[str, Any]]:
    return events(run, kind) if (run / "manifest.json").exists() else []


def test_a_program_that_is_replaced_by_exec_again_and_again_survives(leaker: Path, tmp_path: Path) -> None:
    ran = leakrun("-p", "heapprofile", "--every", "10ms", "-o", tmp_path / "run", leaker, "reexec", "5", "60")
    assert ran.returncode == 0, ran.stderr
    said = answer(tmp_path / "run")
    assert len(events(tmp_path / "run", "snapshot")) >= 8
    assert said["findings"][0]["function"] == "leaks", said["reasons"]


def test_a_signal_that_leakrun_inherited_ignored_and_blocked_still_makes_snapshots(leaker: Path, tmp_path: Path) -> None:
    def spoil() -> None:
        signal.signal(signal.SIGURG, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGURG})

    words = [*COMMAND, "-q", "-p", "heapprofile", "--every", "200ms", "-o", str(tmp_path / "run"), str(leaker), "work", "3"]
    assert subprocess.run(words, preexec_fn=spoil, timeout=60, check=False).returncode == 0
    assert len(events(tmp_path / "run", "snapshot")) >= 8 and not events(tmp_path / "run", "miss")


def test_a_target_that_takes_the_signal_for_itself_is_never_clean(leaker: Path, tmp_path: Path) -> None:
    ran = leakrun("-p", "heapprofile", "--every", "300ms", "-o", tmp_path / "run", leaker, "own-handler", "12")
    assert ran.returncode == 0 and ran.stdout == "heard 1\n", ran.stderr
    said = answer(tmp_path / "run")
    assert events(tmp_path / "run", "miss")
    assert said["verdict"] not in ("clean", "growing")
    assert any("came to nothing" in note["text"] for note in said["notes"]), said


def test_four_threads_that_allocate_while_signals_come_every_5_ms(start: Any, leaker: Path) -> None:
    run = start("-p", "heapprofile", "--every", "200ms", leaker, "threads", "6")
    run.wait_until(lambda: (run.directory / "manifest.json").exists() and len(run.files()) >= 2)
    ended = threading.Event()

    def pester() -> None:
        target = run.target
        while not ended.wait(0.005):
            try:
                os.kill(target, signal.SIGURG)
            except ProcessLookupError:
                return

    thread = threading.Thread(target=pester)
    thread.start()
    code = run.process.wait(120)
    ended.set()
    thread.join()
    assert code == 0
    said = answer(run.directory)
    assert len(run.files()) >= 8
    assert said["findings"][0]["function"] == "leaks", said["reasons"]


def test_term_again_and_again_during_massifs_final_write(start: Any, leaker: Path) -> None:
    run = start("-p", "massif", "--set", "depth=100", leaker, "work", "600")
    run.wait_for_state("running")
    time.sleep(4)
    while run.process.poll() is None:
        run.process.send_signal(signal.SIGTERM)
        time.sleep(0.02)
    said = answer(run.directory)
    assert said["run"]["complete"] and said["run"]["exit"]["signal"] == "SIGTERM"
    assert list((run.directory / "raw").glob("massif.*.out"))
    named = [each["function"] for each in [*said["findings"], *said["notes"]] if each.get("bytes")]
    assert "leaks" in named


def test_a_massif_that_is_killed_soon_has_its_first_checkpoint(start: Any, leaker: Path) -> None:
    run = start("-p", "massif", leaker, "work", "600")
    run.wait_until(lambda: events_so_far(run.directory, "snapshot"))
    os.kill(run.target, signal.SIGKILL)
    assert run.process.wait() == 128 + signal.SIGKILL
    said = answer(run.directory)
    named = [each["function"] for each in [*said["findings"], *said["notes"]] if each.get("bytes")]
    assert "leaks" in named and said["verdict"] != "clean" and not said["run"]["complete"]


STAYS = """
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
static void stay(int number) { (void)number; }
__attribute__((noinline)) static void leaks(void) { *(void *volatile *)malloc(20000) = 0; }
int main(void) {
    signal(SIGTERM, stay), signal(SIGINT, stay);
    for (;;) leaks(), usleep(20000);
}
"""


def test_a_program_that_stays_has_a_checkpoint_of_after_both_signals(start: Any, compiled: Any) -> None:
    run = start("-p", "massif", "--set", "stop.grace=1s", compiled("stays", STAYS))
    run.wait_until(lambda: events_so_far(run.directory, "snapshot"))
    run.process.send_signal(signal.SIGTERM)
    run.wait_until(lambda: any(each["text"] == "sent SIGINT" for each in events_so_far(run.directory, "signal")))
    interrupted = events(run.directory, "signal")[-1]["time"]
    run.wait_until(lambda: events(run.directory, "snapshot")[-1]["time"] > interrupted)
    os.kill(run.target, signal.SIGKILL)
    assert run.process.wait() == 128 + signal.SIGKILL
    assert "leaks" in [each["function"] for each in answer(run.directory)["findings"]]


DROPS = """
#include <grp.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    for (int worker = 0; worker < 2; worker++) if (fork() == 0) {
        if (setgroups(0, NULL) || setgid(65534) || setuid(65534)) _exit(9);
        for (int i = 0; i < 50; i++) { *(void *volatile *)malloc(sizeof(void *)) = 0; usleep(100000); }
        exit(0);
    }
    while (wait(NULL) > 0) {}
    return 0;
}
"""


@AS_ROOT
def test_workers_of_which_no_snapshot_is_possible_are_counted_in_the_answer(compiled: Any, tmp_path: Path) -> None:
    words = ("-p", "massif", "--every", "200ms", "-o", tmp_path / "run", compiled("drops", DROPS))
    assert leakrun(*words).returncode == 0
    limits = [note["text"] for note in answer(tmp_path / "run")["notes"] if note["kind"] == "limit"]
    said = [text for text in limits if "dropped its user" in text]
    assert len(said) == 1 and "no snapshot of 2 processes" in said[0], limits


def test_snapshots_that_are_rarer_than_asked_for_are_told_in_the_answer(leaker: Path, tmp_path: Path) -> None:
    slow = tmp_path / "bin" / "vgdb"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\nsleep 0.3\nexec {shutil.which("vgdb")} "$@"\n')
    slow.chmod(0o755)
    words = ("-p", "massif", "--every", "100ms", "-o", tmp_path / "run", leaker, "work", "4")
    assert leakrun(*words, PATH=f"{slow.parent}:{os.environ['PATH']}").returncode == 0
    limits = [note["text"] for note in answer(tmp_path / "run")["notes"] if note["kind"] == "limit"]
    assert sum("less often than asked for" in text for text in limits) == 1, limits
