"""Links in the answer: only where the terminal follows them, only to files that are there."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli import hyperlinks

LINK = re.compile(r"\x1b\]8;;([^\x1b]*)\x1b\\([^\x1b]*(?:\x1b\[[^m]*m[^\x1b]*)*)\x1b\]8;;\x1b\\")


class Terminal:
    def __init__(self, tty=True):
        self.tty = tty

    def isatty(self):
        return self.tty


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7200"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "5000"}, False),
        ({"TERM": "xterm-256color", "VTE_VERSION": "what"}, False),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "foot"}, True),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode"}, True),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, False),
        ({"TERM": "screen-256color", "VTE_VERSION": "7200"}, False),
        ({"TERM": "dumb", "VTE_VERSION": "7200"}, False),
        ({"TERM": "xterm-kitty", "CI": "true"}, False),
        ({"TERM": "xterm-kitty", "FORCE_HYPERLINK": "0"}, False),
        ({"TERM": "tmux-256color", "FORCE_HYPERLINK": "1"}, True),
    ],
)
def test_who_follows_links(environment, expected):
    assert hyperlinks.follows(Terminal(), environment) is expected
    assert hyperlinks.follows(Terminal(tty=False), environment) is False


def test_a_link_leads_to_the_line_of_a_file_that_is_there(tmp_path):
    source = tmp_path / "a b%ü.c"
    source.write_text("int x;\n")
    assert hyperlinks.url_of(str(source), 7).endswith("/a%20b%25%C3%BC.c#7")
    assert hyperlinks.url_of(str(source), None).endswith(".c")
    assert hyperlinks.url_of(str(tmp_path / "gone.c"), 7) == ""
    assert hyperlinks.url_of("\0", 7) == ""


def shown_on_a_terminal(run: Path, **environment: str) -> str:
    """What `leakrun show` writes to a terminal of its own."""
    leader, follower = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "CI", "FORCE_HYPERLINK"}}
    command = [sys.executable, "-m", "runner", "show", str(run)]
    subprocess.run(command, stdout=follower, env=clean | environment, check=True, timeout=60)
    os.close(follower)
    read = []
    try:
        while chunk := os.read(leader, 65536):
            read.append(chunk)
    except OSError:  # the terminal is closed
        pass
    os.close(leader)
    return b"".join(read).decode()


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """A run of a program that leaks, whose source is there."""
    source = tmp_path / "leaky.c"
    source.write_text(
        "#include <stdlib.h>\nstatic void lose(void) { *(char *)malloc(50) = 1; }\nint main(void) { lose(); return 0; }\n"
    )
    subprocess.run(["gcc", "-g", "-o", tmp_path / "leaky", source], check=True)
    command = [sys.executable, "-m", "runner", "-q", "-p", "memcheck", "-o", tmp_path / "run", tmp_path / "leaky"]
    subprocess.run(command, check=True, timeout=60)
    return tmp_path / "run"


def test_the_answer_links_its_places_on_a_terminal_that_follows(leaky):
    links = LINK.findall(shown_on_a_terminal(leaky, TERM="xterm-kitty"))
    assert links[0][0].endswith("leaky.c#2") and "leaky.c:2" in links[0][1]
    assert links[1][0].endswith("leaky.c#3") and "called by main" in links[1][1]


def test_the_answer_has_no_links_elsewhere(leaky):
    assert "\x1b]8" not in shown_on_a_terminal(leaky, TERM="xterm")
    (leaky.parent / "leaky.c").unlink()
    assert "\x1b]8" not in shown_on_a_terminal(leaky, TERM="xterm-kitty")
