import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.plan import EventKind, LaunchPlan, Outcome, ProcessOutcome, StopPlan

TCMALLOC = next(iter(sorted(Path("/usr/lib").glob("*/libtcmalloc.so.4"))), None)

DAEMON = """
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc;
    if (fork()) return 3;
    setsid();
    if (fork()) _exit(0);
    printf("daemon %d\\n", (int)getpid());
    fflush(stdout);
    sleep(atoi(argv[1]));
    return 0;
}
"""

FORKS = """
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    for (int i = 0; i < atoi(argv[1]); i++)
        if (fork() == 0) { usleep(argc > 2 ? atoi(argv[2]) : 0); _exit(i % 7); }
    while (wait(NULL) > 0) {}
    return 0;
}
"""

LEADER_LEAVES = """
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
static void *work(void *unused) { (void)unused; sleep(1); exit(6); }
int main(void) { pthread_t t; pthread_create(&t, NULL, work, NULL); pthread_exit(NULL); }
"""


def process(outcome: Outcome, *command: str) -> ProcessOutcome:
    return next(one for one in outcome.processes if one.command == list(command))


def test_children_are_found_with_what_they_run(run: Any) -> None:
    outcome = run.start(LaunchPlan(("sh", "-c", "sleep 0.4 & setsid sleep 0.5 & wait; exit 2"))).outcome()
    assert outcome.code == 2
    first, own_session = process(outcome, "sleep", "0.4"), process(outcome, "sleep", "0.5")
    assert {first.parent_pid, own_session.parent_pid} == {outcome.pid}
    assert all(one.ended is not None and one.start_ticks > 0 for one in outcome.processes)
    main = outcome.processes[0]
    assert (main.pid, main.parent_pid, main.code) == (outcome.pid, run.process.pid, 2)


def test_an_exec_is_followed(run: Any) -> None:
    outcome = run.start(LaunchPlan(("sh", "-c", "sleep 0.3; exec sleep 0.4"))).outcome()
    assert process(outcome, "sleep", "0.4").pid == outcome.pid


def test_forks_without_exec_are_processes(run: Any, compiled: Callable[..., Path]) -> None:
    outcome = run.start(LaunchPlan((os.fspath(compiled("forks", FORKS)), "3", "400000"))).outcome()
    assert len(outcome.processes) == 4


def test_hundreds_of_quick_children_leave_nothing(run: Any, compiled: Callable[..., Path]) -> None:
    outcome = run.start(LaunchPlan((os.fspath(compiled("forks", FORKS)), "500", "20000"))).outcome()
    assert outcome.code == 0
    assert all(one.ended is not None for one in outcome.processes)


def test_a_daemon_is_watched_after_the_program_has_ended(run: Any, compiled: Callable[..., Path], texts: Any) -> None:
    outcome = run.start(LaunchPlan((os.fspath(compiled("daemon", DAEMON)), "1"), stop=StopPlan(grace=0.2))).outcome()
    assert outcome.code == 3
    assert outcome.seconds >= 1
    assert "stopping" not in run.states, "nobody has asked for its end"
    daemon = max(outcome.processes, key=lambda process: process.ended or 0.0)
    assert (daemon.code, daemon.parent_pid != 1) == (0, True)
    assert any("watched to the end" in text for text in texts(outcome, EventKind.NOTE))


def test_a_daemon_ends_when_the_run_is_stopped(run: Any, compiled: Callable[..., Path]) -> None:
    run.start(LaunchPlan((os.fspath(compiled("daemon", DAEMON)), "1000"))).wait_for_line_start("daemon")
    time.sleep(0.3)
    run.send(signal.SIGTERM)
    outcome = run.outcome()
    assert (outcome.code, outcome.stopped_by) == (3, "terminate")
    assert signal.SIGTERM in {each.signum for each in outcome.processes}


def test_what_hangs_after_the_program_is_ended(run: Any, texts: Any) -> None:
    outcome = run.start(LaunchPlan(("sh", "-c", "sleep 1000 & exit 5"), stop=StopPlan(grace=0.3))).outcome()
    assert (outcome.code, outcome.stopped_by) == (5, None)
    assert any("did nothing" in text for text in texts(outcome, EventKind.NOTE))
    assert process(outcome, "sleep", "1000").signum == signal.SIGTERM


def test_what_works_after_the_program_is_let_work(run: Any) -> None:
    # Longer than the grace, which is long enough for a machine on which a busy process may wait for its turn.
    busy = "(end=$(($(date +%s) + 5)); while [ $(date +%s) -lt $end ]; do :; done; echo done) & exit 5"
    outcome = run.start(LaunchPlan(("sh", "-c", busy), stop=StopPlan(grace=2.5))).outcome()
    assert outcome.code == 5
    assert run.stdout == "done\n"


def test_a_server_behind_a_shell_is_stopped_too(run: Any) -> None:
    plan = LaunchPlan(("sh", "-c", "echo up; sleep 1000; true"), stop=StopPlan(grace=60))
    run.start(plan).wait_for_line("up")
    time.sleep(0.2)
    run.send(signal.SIGTERM)
    outcome = run.outcome()
    assert outcome.signum == signal.SIGTERM
    assert process(outcome, "sleep", "1000").signum == signal.SIGTERM


def test_what_ignores_everything_after_the_program_is_killed(run: Any, subject: Path) -> None:
    script = f"{subject} term=ignore int=ignore & echo started; wait"
    run.start(LaunchPlan(("sh", "-c", script), stop=StopPlan(grace=0.4))).wait_for_line("up")
    run.send(signal.SIGTERM)
    outcome = run.outcome()
    assert outcome.processes[-1].signum == signal.SIGKILL
    assert [event.text for event in outcome.timeline if event.pid == outcome.processes[-1].pid][-3:] == [
        "sent SIGINT",
        "sent SIGKILL",
        "ended by SIGKILL",
    ]


def test_a_program_whose_first_thread_leaves_lives_on(run: Any, compiled: Callable[..., Path]) -> None:
    outcome = run.start(LaunchPlan((os.fspath(compiled("leader", LEADER_LEAVES, "-pthread")),))).outcome()
    assert (outcome.code, outcome.stopped_by) == (6, None)
    assert outcome.seconds >= 1


def test_usage_is_the_programs(run: Any, compiled: Callable[..., Path]) -> None:
    source = """
    #include <stdlib.h>
    #include <string.h>
    #include <time.h>
    int main(void) { memset(malloc(90 << 20), 1, 90 << 20); while (clock() < CLOCKS_PER_SEC / 2) {} return 0; }
    """
    outcome = run.start(LaunchPlan((os.fspath(compiled("burn", source)),))).outcome()
    assert 90 << 20 <= outcome.max_rss_bytes < 110 << 20
    assert 0.4 < outcome.user_seconds + outcome.system_seconds < 1.5


def test_a_small_program_is_not_given_our_own_size(run: Any) -> None:
    assert 0 < run.start(LaunchPlan(("sleep", "0.2"))).outcome().max_rss_bytes < 8 << 20


def test_the_tool_is_seen_even_in_a_short_program(run: Any) -> None:
    plan = LaunchPlan(("sleep", "0.03"), env={"LD_PRELOAD": os.fspath(TCMALLOC)}, loaded="libtcmalloc")
    assert run.start(plan).outcome().processes[0].loaded


def test_a_tool_that_is_not_there_is_not_seen(run: Any) -> None:
    outcome = run.start(LaunchPlan(("sleep", "0.2"), loaded="libtcmalloc")).outcome()
    assert not outcome.processes[0].loaded


def test_an_exec_that_drops_the_tool_is_noticed(run: Any) -> None:
    plan = LaunchPlan(
        ("sh", "-c", "sleep 0.3; exec env -u LD_PRELOAD sleep 0.4"), env={"LD_PRELOAD": os.fspath(TCMALLOC)}, loaded="libtcmalloc"
    )
    assert not run.start(plan).outcome().processes[0].loaded


def test_samples_follow_the_program(run: Any, subject: Path) -> None:
    outcome = run.start(LaunchPlan((os.fspath(subject), "grow=100000", "life=1000"))).outcome()
    lines = (run.directory / "samples.csv").read_text().splitlines()
    assert lines[0] == "time_s,pid,rss_bytes,pss_bytes,anonymous_bytes,stack_bytes"
    rows = [line.split(",") for line in lines[1:]]
    assert {int(row[1]) for row in rows} == {outcome.pid}
    rss = [int(row[2]) for row in rows]
    assert len(rows) >= 5 and rss[-1] - rss[1] > 4_000_000
    assert any(row[3] and int(row[3]) <= int(row[2]) for row in rows)  # pss, where it was read
    assert all(int(row[5]) > 0 for row in rows)
    assert [float(row[0]) for row in rows] == sorted(float(row[0]) for row in rows)


def test_maps_of_a_library_that_came_and_went_are_kept(run: Any, subject: Path, compiled: Callable[..., Path]) -> None:
    library = compiled("libplug.so", "int plug(void) { return 1; }", "-shared", "-fPIC")
    words = (os.fspath(subject), f"lib={library}", "load_after=1200", "life=3200")
    outcome = run.start(LaunchPlan(words)).outcome()
    kept = sorted((run.directory / "maps").iterdir())
    assert [path.name for path in kept] == [f"{outcome.pid}.{number}.txt" for number in range(len(kept))]
    assert ["libplug" in path.read_text() for path in kept] == [False, True]
    assert all("subject" in path.read_text() for path in kept)
