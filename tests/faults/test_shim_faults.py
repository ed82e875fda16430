"""Programs that a library preloaded beside the tool's, with a thread and handlers of its own, must not change."""

import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from runner.backends import lsan
from runner.formats import read_file
from tests.compiling import compiled
from tests.leakrun_command import answer, leakrun

pytestmark = [pytest.mark.timeout(300)]

WITH_SHIM = [
    pytest.param("lsan", marks=pytest.mark.skipif(lsan.find_library() is None, reason="neither liblsan nor libasan is here")),
    pytest.param("heaptrack", marks=pytest.mark.skipif(shutil.which("heaptrack") is None, reason="no heaptrack here")),
]

SOURCE = """
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static volatile int done;
void *kept[200000];
__attribute__((noinline)) static void lose(void) {
    volatile char *block = malloc(500);
    block[0] = 1;
}
static void leave(int number) { (void)number; _exit(5); }
static void leave_again(int number) { (void)number; _exit(6); }
static void *work(void *seconds) {
    usleep(300000 * (long)seconds);
    puts("worked");
    return NULL;
}
static void *allocate(void *nothing) {
    while (!done) free(malloc(500));
    return nothing;
}
static void *ask(void *nothing) {
    usleep(300000);
    kill(getpid(), SIGTERM);
    return nothing;
}
static int fork_often(void) {
    for (int i = 0; i < 200000; i++) kept[i] = malloc(16);
    for (int i = 0; i < 12; i++) {
        int pid = fork(), left = 1000;
        if (!pid) {
            for (int size = 1; size < 200000; size *= 2) free(malloc(size));
            execl("/bin/true", "true", NULL);
            _exit(1);
        }
        while (!waitpid(pid, NULL, WNOHANG) && left--) usleep(10000);
        if (left < 0) {
            kill(pid, SIGKILL);
            puts("a child hangs");
            return 7;
        }
    }
    return 0;
}
int main(int argc, char **argv) {
    pthread_t thread;
    struct sigaction seen;
    lose();
    if (!strcmp(argv[1], "leave main")) {
        pthread_create(&thread, NULL, work, (void *)1);
        pthread_exit(NULL);
    } else if (!strcmp(argv[1], "defaults")) {
        int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGURG};
        for (int i = 0; i < 4; i++)
            if (sigaction(numbers[i], NULL, &seen) || seen.sa_handler != SIG_DFL) return 7;
        if (signal(SIGTERM, SIG_IGN) != SIG_DFL || signal(SIGTERM, SIG_DFL) != SIG_IGN) return 8;
        raise(SIGTERM);
        for (;;) pause();
    } else if (!strcmp(argv[1], "end itself")) {
        kill(getpid(), SIGTERM);
    } else if (!strcmp(argv[1], "quick")) {
        quick_exit(5);
    } else if (!strcmp(argv[1], "leave in malloc")) {
        signal(SIGTERM, leave);
        pthread_create(&thread, NULL, ask, NULL);
        allocate(NULL);
    } else if (!strcmp(argv[1], "fork")) {
        pthread_create(&thread, NULL, allocate, NULL);
        int code = fork_often();
        done = 1;
        pthread_join(thread, NULL);
        return code;
    } else if (!strcmp(argv[1], "leave while leaving")) {
        for (int i = 0; i < 200000; i++) kept[i] = malloc(16);
        signal(SIGALRM, leave_again);
        ualarm(1000, 1000);
        _exit(5);
    } else if (!strcmp(argv[1], "leave while forking")) {
        memset(malloc(64 << 20), 1, 64 << 20);  // so that it is in fork() for most of the time
        signal(SIGALRM, leave);
        for (ualarm(5000 + 700 * atoi(argv[2]), 0);;) {
            int pid = fork();
            if (!pid) _exit(0);
            waitpid(pid, NULL, 0);
        }
    }
    return 0;
}
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return compiled(tmp_path, SOURCE, "-O0", "-g", "-pthread")


@pytest.fixture
def run(program: Path, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    return partial(_run, program, tmp_path / "run")


def _run(program: Path, directory: Path, how: str, *options: str) -> tuple[int, str]:
    ran = leakrun("-q", "-o", directory, *options, program, how, timeout=60)
    return ran.returncode, ran.stdout


def _is_whole(profile: str, directory: Path) -> bool:
    """What the tool had to write at the end is there."""
    if profile == "lsan":
        return bool(answer(directory)["verdict"] == "leaking")
    (raw,) = (directory / "raw").glob("heaptrack.*.raw")
    return read_file(raw).complete


@pytest.mark.parametrize("profile", WITH_SHIM)
def test_a_program_whose_main_thread_ends_first_ends_with_its_last(
    profile: str, run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    assert run("leave main", "-p", profile) == (0, "worked\n")
    assert _is_whole(profile, tmp_path / "run")


@pytest.mark.parametrize("profile", WITH_SHIM)
def test_a_program_finds_its_signals_at_their_defaults(profile: str, run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    assert run("defaults", "-p", profile) == (128 + signal.SIGTERM, "")
    assert _is_whole(profile, tmp_path / "run")


@pytest.mark.parametrize("profile", WITH_SHIM)
def test_a_program_that_ends_itself_by_a_signal_and_then_by_returning_ends_by_the_signal(
    profile: str, run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    assert run("end itself", "-p", profile) == (128 + signal.SIGTERM, "")
    assert _is_whole(profile, tmp_path / "run")


@pytest.mark.parametrize("profile", WITH_SHIM)
def test_quick_exit_is_an_end_like_others(profile: str, run: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    assert run("quick", "-p", profile) == (5, "")
    assert _is_whole(profile, tmp_path / "run")


@pytest.mark.parametrize("profile", WITH_SHIM)
def test_a_handler_that_leaves_in_the_middle_of_malloc_does_not_hang(
    profile: str, run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    for number in range(4):  # whether it was within the tool is chance: about every second time
        assert run("leave in malloc", "-p", profile) == (5, "")
        (tmp_path / "run").rename(tmp_path / f"run{number}")


@pytest.mark.parametrize("profile", WITH_SHIM[:1])
def test_a_handler_that_leaves_in_the_middle_of_the_last_check_does_not_hang(
    profile: str, run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    assert run("leave while leaving", "-p", profile)[0] in (5, 6)  # whichever comes first
    assert _is_whole(profile, tmp_path / "run")


@pytest.mark.parametrize("profile", WITH_SHIM)
def test_a_handler_that_leaves_in_the_middle_of_fork_does_not_hang(profile: str, program: Path, tmp_path: Path) -> None:
    # Whether it was within the shim is chance: every fifth time.
    often = 'for i in $(seq 15); do timeout -s KILL 20 "$0" "leave while forking" $i; [ $? = 5 ] || exit 7; done'
    ran = leakrun("-q", "-o", tmp_path / "run", "-p", profile, "sh", "-c", often, program, timeout=120)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("profile", WITH_SHIM[:1])
def test_children_forked_while_it_is_checked_for_leaks_do_not_hang(
    profile: str, run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    assert run("fork", "-p", profile, "--every", "20ms") == (0, "")
    assert answer(tmp_path / "run")["run"]["snapshots"] > 1
