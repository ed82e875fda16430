"""Memory that is held and does not live: told from samples.csv beside the heap's own figures."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from runner.analysis import Scope, conclude
from runner.formats.samples import Samples
from runner.model import Verdict
from runner.reading import conclude_run
from runner.rundir import RunDirectory
from tests.analysis.recordings import GROWTH, MAIN, MALLOC, code, growing

TIMES = np.linspace(0, 20, 41)
SITE = (MALLOC, code("work", 7), MAIN)
MB = 1e6

# Of each twentieth block the room goes to a larger size: as many bytes live as before, in ever more pages.
PIECES = """
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#define N 4000
static char *a[N];
static int size[N];
static void put(int i, int n) { a[i] = malloc(n); memset(a[i], 1, n); size[i] = n; }
int main(void) {
    for (int i = 0; i < N; i++) put(i, 1800);
    for (int round = 0; round < 24; round++) {
        int bigger = 2100 + round * 330;
        long room = 0;
        for (int i = round % 20; i < N; i += 20) if (a[i]) { room += size[i]; free(a[i]); a[i] = NULL; }
        for (int i = round % 20; i < N && room > 0; i += 20) { put(i, bigger); room -= bigger; }
        struct timespec nap = {0, 120000000};
        while (nanosleep(&nap, &nap) == -1 && errno == EINTR) {}
    }
}
"""


def notes_of(live, resident):
    recording = growing({SITE: live}, TIMES)
    samples = Samples(list(TIMES), [None, *(round(size) for size in resident[1:])])
    answer = conclude([recording], Scope(GROWTH, resident={1: samples}))
    return answer.verdict, {note.kind: note.text for note in answer.notes if note.kind in ("retained", "fragmentation")}


def test_what_was_freed_and_is_still_resident_is_retained():
    live = np.where(TIMES < 10, 60 * MB, 1 * MB)
    verdict, notes = notes_of(live, np.full(41, 64 * MB))
    assert verdict is Verdict.CLEAN
    assert notes["retained"].startswith("live memory fell from 60.0 MB to 1.0 MB, and 64.0 MB are still resident")
    assert notes_of(live, np.where(TIMES < 10, 64 * MB, 5 * MB))[1] == {}


def test_resident_memory_that_grows_while_no_more_lives_is_in_pieces():
    verdict, notes = notes_of(np.full(41, 10 * MB), 12 * MB + 1 * MB * TIMES)
    assert verdict is Verdict.CLEAN
    assert notes["fragmentation"].startswith("resident memory rose from 12.5 MB to 32.0 MB while no more than 10.0 MB lived")


@pytest.mark.parametrize(
    "live, resident",
    [
        (10 * MB + 1 * MB * TIMES, 12 * MB + 1.1 * MB * TIMES),  # it grows because more lives
        (np.full(41, 10 * MB), 12 * MB + 0.05 * MB * TIMES),  # by little
        (30 * MB + 25 * MB * np.sin(TIMES * 3), np.full(41, 60 * MB)),  # it comes and goes
    ],
)
def test_what_lives_explains_what_is_resident(live, resident):
    assert notes_of(live, resident)[1] == {}


def test_a_heap_that_falls_to_pieces_is_noted_in_a_real_run(tmp_path):
    (tmp_path / "app.c").write_text(PIECES)
    subprocess.run(["gcc", "-g", "-O1", "-o", tmp_path / "app", tmp_path / "app.c"], check=True)
    command = [sys.executable, "-m", "runner", "-q", "-p", "heapprofile", "-o", tmp_path / "run", "--", tmp_path / "app"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 3 and not shutil.which("google-pprof"):
        pytest.skip("tcmalloc is not installed")
    assert done.returncode == 0, done.stderr
    answer = conclude_run(RunDirectory(tmp_path / "run"))
    assert "fragmentation" in [note.kind for note in answer.notes], (answer.reasons, answer.notes)
    assert answer.findings == []
