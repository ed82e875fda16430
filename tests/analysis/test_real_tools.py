"""Blame and verdict on what the real tools write about programs compiled here."""

import shutil
import subprocess

import pytest

from runner import formats
from runner.analysis import Scope, conclude
from runner.model import Verdict
from tests.analysis.recordings import GROWTH, LOSSES
from tests.leakrun_command import answer as answer_of
from tests.leakrun_command import leakrun

pytestmark = pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")

HEAD = """
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>
#include <time.h>
#include <unistd.h>
#define APART __attribute__((noinline))
static double now() { timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
template <class F> static void for_seconds(double s, F f) { double end = now() + s; while (now() < end) { f(); usleep(4000); } }
static void *volatile sink;
APART static void wipe() { volatile char a[4096]; memset((void *)a, 0, sizeof a); sink = nullptr; }
"""

LOST = {
    "behind a wrapper": (
        "APART void *xmalloc(size_t n) { void *p = malloc(n); if (!p) abort(); return p; }\n"
        "APART void use() { char *p = (char *)xmalloc(30); sink = p; }  // blame\n"
        "int main() { for (int i = 0; i < 9; i++) use(); wipe(); }\n"
    ),
    "strdup": 'APART void use() { sink = strdup("a text of some length"); }  // blame\nint main() { use(); use(); wipe(); }\n',
    "a container's memory": (
        "struct Job { std::vector<int> v; };\n"
        "APART void use() { Job *j = new Job; sink = j;  // blame\n  j->v.assign(200, 1); }\n"
        "int main() { for (int i = 0; i < 9; i++) use(); wipe(); }\n"
    ),
    "a class's own method": (
        "struct Session { char *name = nullptr; APART void rename(const char *n) {\n"
        "  name = strdup(n); } };  // blame\n"
        'int main() { Session s; sink = &s; for (int i = 0; i < 9; i++) s.rename("somebody"); s.name = nullptr; wipe(); }\n'
    ),
}

GROWS = {
    "a map": (
        "static std::map<int, std::unique_ptr<std::string>> cache;\n"
        "APART void put(int i) { cache.emplace(i, std::make_unique<std::string>(900, 'x')); }  // blame\n"
        "int main() { int i = 0; for_seconds(2.5, [&] { put(i++); free(malloc(5000)); }); }\n"
    ),
    "behind an unnamed wrapper, beside a big buffer": (
        "APART void *obtain(size_t n) { void *p = malloc(n); sink = p; return p; }\n"
        "static std::vector<void *> kept;\n"
        "APART void serve() {\n  kept.push_back(obtain(700)); }  // blame\n"
        "APART void parse() {\n  void *p = obtain(70000); memset(p, 1, 70000); free(p); }\n"
        "int main() { int turn = 0; kept.reserve(100000); std::vector<char> big(5000000);\n"
        "  for_seconds(2.5, [&] { if (++turn % 2) { parse(); serve(); } else { serve(); parse(); } }); }\n"
    ),
}

CLEAN = {
    "a bounded cache": (
        "static std::map<int, std::string> cache;\n"
        "APART void put(int i) { cache[i % 20] = std::string(3000 + i % 7, 'x'); }\n"
        "int main() { int i = 0; for_seconds(2.5, [&] { put(i++); }); }\n"
    ),
    "a queue that fills and empties": (
        "static std::vector<std::string> queue;\n"
        "APART void put(int i) { if (i % 25 == 0) queue.clear(); queue.push_back(std::string(4000, 'x')); }\n"
        "int main() { int i = 0; for_seconds(2.5, [&] { put(i++); }); }\n"
    ),
}


def built(tmp_path, body, optimise):
    source = HEAD + body
    (tmp_path / "app.cpp").write_text(source)
    command = ["g++", "-g", optimise, "-pthread", "-o", tmp_path / "app", tmp_path / "app.cpp"]
    subprocess.run(command, check=True, capture_output=True)
    lines = [number for number, line in enumerate(source.splitlines(), 1) if "// blame" in line]
    return tmp_path / "app", lines


def massif(tmp_path, app):
    out = tmp_path / "massif.out"
    options = ["--time-unit=ms", "--threshold=0", "--detailed-freq=1", "--fullpath-after="]
    subprocess.run(["valgrind", "--tool=massif", *options, f"--massif-out-file={out}", app], check=True, capture_output=True)
    return formats.read_file(out)


@pytest.mark.parametrize("optimise", ["-O0", "-O2"])
@pytest.mark.parametrize("name", LOST)
def test_memcheck_the_lost_line_is_first(tmp_path, name, optimise):
    app, lines = built(tmp_path, LOST[name], optimise)
    out = tmp_path / "memcheck.xml"
    options = ["--leak-check=full", "--show-leak-kinds=all", "--xml=yes", f"--xml-file={out}", "--num-callers=30"]
    subprocess.run(["valgrind", *options, app], check=True, capture_output=True)
    answer = conclude([formats.read_file(out)], Scope(LOSSES))
    assert answer.verdict is Verdict.LEAKING
    assert [finding.line for finding in answer.findings] == lines
    assert sum(finding.share for finding in answer.findings) == pytest.approx(1)


@pytest.mark.parametrize("optimise", ["-O0", "-O2"])
@pytest.mark.parametrize("name", GROWS)
def test_massif_the_growing_line_is_first(tmp_path, name, optimise):
    app, lines = built(tmp_path, GROWS[name], optimise)
    answer = conclude([massif(tmp_path, app)], Scope(GROWTH))
    assert answer.verdict is Verdict.GROWING, answer.reasons
    assert [finding.line for finding in answer.findings] == lines


@pytest.mark.parametrize("name", CLEAN)
def test_massif_what_does_not_grow_is_clean(tmp_path, name):
    app, _ = built(tmp_path, CLEAN[name], "-O1")
    answer = conclude([massif(tmp_path, app)], Scope(GROWTH))
    assert answer.verdict is Verdict.CLEAN, (answer.reasons, answer.findings)


def test_memcheck_one_leak_check_on_the_way_takes_nothing_from_what_the_end_says(tmp_path):
    app, _ = built(
        tmp_path, "static void *volatile held; int main() { for (;;) { free(held); held = malloc(100); usleep(2000); } }", "-O1"
    )
    run = tmp_path / "run"
    leakrun("-q", "-p", "memcheck", "--for", "4s", "-o", run, app)
    answer = answer_of(run)
    assert answer["run"]["snapshots"] == 1
    assert answer["verdict"] == "clean", answer["reasons"]
    assert any(note["kind"] == "limit" and "growth was not judged" in note["text"] for note in answer["notes"])
