"""Who has the terminal: Ctrl-C, Ctrl-Z and fg, window size, and programs that read."""

import fcntl
import os
import shlex
import signal
import struct
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.plan import EventKind, Gate, LaunchPlan, Proof, SendSignal, StopPlan, Trigger
from tests.supervise.on_terminal import Terminal

LAST = Trigger("dump", SendSignal(signal.SIGURG), Proof("dump.{pid}.*", b"whole"), Gate(catches=signal.SIGURG))
ASKS = r"""
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
static volatile sig_atomic_t ints, sizes;
static void on_int(int s) { (void)s; ints++; if (write(1, "interrupted\n", 12) < 0) _exit(9); }
static void on_size(int s) { (void)s; sizes++; }
int main(int argc, char **argv) {
    char line[100];
    struct sigaction act = {.sa_handler = on_int}, size = {.sa_handler = on_size};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGWINCH, &size, NULL);
    puts("up"), fflush(stdout);
    if (argc > 1 && strcmp(argv[1], "watch") == 0) {
        struct winsize now;
        while (!sizes) pause();
        ioctl(1, TIOCGWINSZ, &now);
        printf("size %d x %d\n", now.ws_row, now.ws_col);
        return 0;
    }
    for (;;) {
        ssize_t n = read(0, line, sizeof line - 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return 5;
        line[n] = 0;
        if (strncmp(line, "end", 3) == 0) break;
        printf("heard %s", line), fflush(stdout);
    }
    printf("ints=%d\n", (int)ints);
    return 0;
}
"""


def test_ctrl_c_on_a_program_that_does_not_read_becomes_a_snapshot_and_term(run: Any, subject: Path, texts: Any) -> None:
    words = (os.fspath(subject), f"raw={run.raw}", "int=exit", "term=exit", "code=4")
    terminal = Terminal(run.prepare(LaunchPlan(words, stop=StopPlan(grace=3600), triggers=(LAST,))), run.environment)
    terminal.read_until("up")
    terminal.type("\x03")
    assert terminal.close() == 4
    outcome = run.outcome()
    assert (outcome.code, outcome.stopped_by) == (4, "interrupt")
    assert "ints=0" in terminal.text, "the program was not to have it"
    assert [event.kind for event in outcome.timeline if event.file] == [EventKind.SNAPSHOT]
    assert texts(outcome, EventKind.SIGNAL) == ["leakrun got SIGINT from the terminal", "sent SIGTERM"]


def test_ctrl_c_in_a_program_that_reads_reaches_it_once(run: Any, compiled: Callable[..., Path], texts: Any) -> None:
    terminal = Terminal(run.prepare(LaunchPlan((os.fspath(compiled("asks", ASKS)),), triggers=(LAST,))), run.environment)
    terminal.read_until("up")
    terminal.type("words\n")
    terminal.read_until("heard words")
    terminal.type("\x03")
    terminal.read_until("interrupted")
    terminal.type("end\n")
    assert terminal.close() == 0
    outcome = run.outcome()
    assert "ints=1" in terminal.text
    assert (outcome.code, outcome.stopped_by) == (0, None)
    assert texts(outcome, EventKind.SIGNAL) == []


def test_a_program_that_does_not_read_hears_of_a_new_window_size(run: Any, compiled: Callable[..., Path]) -> None:
    terminal = Terminal(run.prepare(LaunchPlan((os.fspath(compiled("asks", ASKS)), "watch"))), run.environment)
    terminal.read_until("up")
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 41, 117, 0, 0))
    terminal.read_until("size 41 x 117")
    assert terminal.close() == 0


class Shell(Terminal):
    """An interactive bash, which knows jobs."""

    def __init__(self, environment: dict[str, str]) -> None:
        super().__init__(["bash", "--norc", "--noprofile", "-i"], {**environment, "PS1": "$ ", "TERM": "dumb"})
        self.type("bind 'set enable-bracketed-paste off'\n")

    def run(self, command: list[str]) -> None:
        self.type(shlex.join(command) + "\n")

    def leave(self) -> None:
        self.type("exit\n")
        self.close()


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_ctrl_z_stops_both_and_fg_wakes_both(run: Any, subject: Path) -> None:
    shell = Shell(run.environment)
    shell.run(run.prepare(LaunchPlan((os.fspath(subject), "term=exit", "code=6"))))
    shell.read_until("up\r\n")
    shell.type("\x1a")
    shell.read_until("Stopped")
    states = run.order.with_suffix(".states").read_text()
    pid = int(states.split("running ")[1].split()[0])
    while state(pid) != "T":  # a test that hangs here has its time limit
        time.sleep(0.01)
    shell.type("fg\n")
    shell.read_until("fg\r\n")
    while state(pid) == "T":
        time.sleep(0.01)
    shell.type("\x03")
    shell.read_until("ints=0")
    shell.type("echo code $?\n")
    shell.read_until("code 6")
    shell.leave()
    assert run.outcome().stopped_by == "interrupt"


def test_ctrl_z_in_a_program_that_reads_gives_the_shell_its_terminal(run: Any, compiled: Callable[..., Path]) -> None:
    shell = Shell(run.environment)
    shell.run(run.prepare(LaunchPlan((os.fspath(compiled("asks", ASKS)),))))
    shell.read_until("up\r\n")
    shell.type("one\n")
    shell.read_until("heard one")
    shell.type("\x1a")
    shell.read_until("Stopped")
    shell.type("echo back in the $((40+2)) shell\n")
    shell.read_until("back in the 42 shell")
    shell.type("fg\n")
    shell.read_until("fg\r\n")
    shell.type("two\n")
    shell.read_until("heard two")
    shell.type("end\n")
    shell.read_until("ints=0")
    shell.type("echo code $?\n")
    shell.read_until("code 0")
    shell.leave()


def test_in_the_background_it_stops_where_the_program_reads(run: Any, compiled: Callable[..., Path]) -> None:
    shell = Shell(run.environment)
    shell.type(shlex.join(run.prepare(LaunchPlan((os.fspath(compiled("asks", ASKS)),)))) + " &\n")
    shell.read_until("up\r\n")
    shell.type("\n")
    while "Stopped" not in shell.text:
        shell.type("jobs\n")
        shell.text += os.read(shell.master, 4096).decode()
    shell.type("fg\n")
    shell.read_until("fg\r\n")
    shell.type("now\n")
    shell.read_until("heard now")
    shell.type("end\n")
    shell.read_until("ints=0")
    shell.leave()
