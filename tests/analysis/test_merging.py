"""Processes of one run, each as it was last seen, added up."""

import json
import shutil
import subprocess

import pytest

from runner.analysis.merging import last_seen, together
from runner.model import Frame, Metric, check_valid
from tests.analysis.recordings import MAIN, MALLOC, code, growing
from tests.leakrun_command import answer, leakrun

PUT, GET = (MALLOC, code("put", 7), MAIN), (MALLOC, code("get", 9), MAIN)

WORKERS = """
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static void *volatile *kept;
__attribute__((noinline)) static void keep(int number) { memset(kept[number] = malloc(3000), 1, 3000); }  // keep
int main(int count, char **words) {
  int leaking = atoi(words[1]);
  for (int worker = 0; worker < 3; worker++)
    if (!fork()) {
      kept = calloc(300, sizeof *kept);
      for (int i = 0; i < 300; i++) { free(malloc(100)); if (worker < leaking) keep(i); usleep(10000); }
      _exit(0);
    }
  while (wait(0) > 0) {}
  return count == 0;
}
"""


def test_stacks_are_added_up_and_those_of_one_process_stay():
    one, other = growing({PUT: [0, 100], GET: [0, 7]}, [0, 1]), growing({PUT: [0, 30]}, [0, 5], pid=2)
    merged = together([one, other])
    check_valid(merged)
    (snapshot,) = merged.snapshots
    amounts = {merged.table.frames_of(stack)[1].signature: size for stack, size in snapshot.columns[Metric.LIVE_BYTES].items()}
    assert amounts == {"put": 130, "get": 7}
    assert snapshot.totals[Metric.LIVE_BYTES] == 137
    assert snapshot.time == 5


def test_what_only_one_counts_is_left_out():
    counting = growing({PUT: [0, 100]}, [0, 1], allocated={PUT: 900})
    merged = together([counting, growing({PUT: [0, 30]}, [0, 1], pid=2)])
    assert set(merged.snapshots[0].columns) == {Metric.LIVE_BYTES}


def test_a_process_that_holds_nothing_is_none_of_those():
    idle, busy = growing({PUT: [0, 0]}, [0, 1]), growing({PUT: [0, 5]}, [0, 1], pid=2)
    assert last_seen([idle, busy]) == [busy]
    assert last_seen([idle]) == []


def test_flaws_of_all_are_kept_once():
    one, other = growing({PUT: [0, 1]}, [0, 1]), growing({(Frame("f"),): [0, 1]}, [0, 1], pid=2)
    one.flaws, other.flaws, other.complete = ["cut"], ["cut", "gone"], False
    merged = together([one, other])
    assert (merged.flaws, merged.complete) == (["cut", "gone"], False)


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
@pytest.mark.parametrize("leaking", [1, 3])
def test_workers_that_hold_memory_are_what_is_compared_drawn_and_judged(tmp_path, leaking):
    (tmp_path / "workers.c").write_text(WORKERS)
    subprocess.run(["gcc", "-g", "-O1", "-o", tmp_path / "workers", tmp_path / "workers.c"], check=True)
    run, idle = tmp_path / "run", tmp_path / "idle"
    for directory, count in ((run, leaking), (idle, 0)):
        assert leakrun("-q", "-p", "massif", "-o", directory, tmp_path / "workers", count).returncode == 0
    said = answer(run)
    (found,) = said["findings"]
    assert (found["function"], len(found["pids"])) == ("keep", leaking)
    held = leaking * 300 * 3000
    assert found["bytes"] == pytest.approx(held, rel=0.05)
    folded = dict(line.rsplit(" ", 1) for line in leakrun("export", run, "-f", "folded").stdout.splitlines())
    assert int(folded["main;keep"]) == pytest.approx(held, rel=0.05)
    compared = json.loads(leakrun("diff", idle, run, "--json").stdout)
    (kept,) = (site for site in compared["sites"] if site["function"] == "keep")
    assert (kept["change"], kept["after"]["bytes"]) == ("new", int(folded["main;keep"]))
