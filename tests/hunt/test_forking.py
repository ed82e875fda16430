"""`leakrun hunt` on a program that forks, and what it says before it begins."""

import json
import shutil
from pathlib import Path

import pytest

from runner.hunt.course import _forks
from runner.plan import Outcome, ProcessOutcome
from tests.compiling import compiled
from tests.leakrun_command import leakrun

FORKS = r"""
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static void *volatile kept[1000];
static void keep(int number) { memset(kept[number] = malloc(2000), 1, 2000); }
int main(void) {
    if (!fork()) {
        for (int number = 0; number < 300; number++) { keep(number); usleep(8000); }
        exit(kept[0] == NULL);
    }
    while (wait(NULL) > 0);
    return 0;
}
"""


@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("valgrind") is None or shutil.which("heaptrack") is None, reason="they are not installed")
def test_of_a_program_that_forks_one_that_does_not_follow_it_is_not_asked_for_a_second_word(tmp_path: Path) -> None:
    ran = leakrun("hunt", "-o", tmp_path / "hunt", "--", compiled(tmp_path, FORKS), timeout=300)
    said = json.loads((tmp_path / "hunt" / "answer.json").read_text())
    assert (said["verdict"], said["findings"][0]["function"]) == ("growing", "keep"), ran.stderr
    asked = [step["profile"] for step in said["run"]["steps"]]
    assert "massif" in asked and "heaptrack" not in asked


def test_a_process_that_is_called_as_its_parent_was_forked() -> None:
    main, worker = ProcessOutcome(1, 0, ["./server", "80"], 0.0), ProcessOutcome(2, 1, ["server: worker"], 0.1)
    other = ProcessOutcome(3, 1, ["/usr/bin/convert", "a.png"], 0.1)
    assert _forks(Outcome(pid=1, processes=[main, worker]))
    assert not _forks(Outcome(pid=1, processes=[main, other]))


def test_a_setting_that_is_not_there_is_told(tmp_path: Path) -> None:
    ran = leakrun("hunt", "--budget", "1s", "-o", tmp_path / "hunt", "--", "true", LEAKRUN_PROFLE="massif")
    assert "'LEAKRUN_PROFLE' is not a setting" in ran.stderr
    assert "PROFLE" not in leakrun("hunt", "-q", "--budget", "1s", "-o", tmp_path / "b", "--", "true", LEAKRUN_PROFLE="m").stderr
