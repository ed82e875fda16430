"""A program that ends by no signal holds up no hunt."""

from pathlib import Path

import pytest

from tests.compiling import compiled
from tests.leakrun_command import answer, leakrun

STAYS = """
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
int main(void) {
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    for (;;) { *(int *volatile *)malloc(5000) = 0; usleep(5000); }
}
"""


@pytest.mark.timeout(300)
def test_a_program_that_ends_by_no_signal_is_killed_in_each_step(tmp_path: Path) -> None:
    words = ("hunt", "--for", "2s", "--budget", "60s", "-o", tmp_path / "hunt", "--", compiled(tmp_path, STAYS))
    ran = leakrun(*words, timeout=200)
    assert ran.returncode == 0 and "does not end on SIGTERM and SIGINT" in ran.stderr, ran.stderr
    said = answer(tmp_path / "hunt")
    assert len(said["run"]["steps"]) >= 2 and said["verdict"] == "growing", said["reasons"]
