"""`leakrun suppress`: valgrind and LeakSanitizer really leave out what it wrote, and nothing else."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.leakrun_command import answer, leakrun

C_SOURCE = """
#include <stdlib.h>
static void *xmalloc(size_t size) { void *block = malloc(size); return block ? block : xmalloc(size); }
__attribute__((noinline)) static void first(void) { void *volatile block = xmalloc(100); block = 0; }
__attribute__((noinline)) static void second(void) { void *volatile block = xmalloc(30); block = 0; }
int main(void) { for (int i = 0; i < 5; i++) first(); second(); return 0; }
"""
CXX_SOURCE = """
#include <cstdlib>
#include <vector>
namespace ours {
namespace { struct Box { void *held; Box() { held = malloc(500); } int lose(std::vector<int> v, const char *) const {
    void *volatile block = malloc(400 + v.size()); block = 0; return 0; } }; }
template <class T> __attribute__((noinline)) T *make(T value) { return new T[75]{value}; }
}
static void plain() { void *volatile block = malloc(200); block = 0; }
int main() {
    { ours::Box box; box.lose({1, 2}, "x"); box.held = 0; }
    int *volatile made = ours::make<int>(3); made = 0;
    plain();
#ifndef NO_LAMBDA // gcc's LeakSanitizer calls every lambda "operator()": they can't be told apart there
    auto lambda = [](int n) { void *volatile block = malloc(n); block = 0; };
    lambda(100);
#endif
}
"""


@pytest.fixture(scope="module", params=["c", "cc"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A memcheck run, RUN, beside its program, p."""
    place = tmp_path_factory.mktemp(request.param)
    source = place / f"p.{request.param}"
    source.write_text(C_SOURCE if request.param == "c" else CXX_SOURCE)
    compiler = "gcc" if request.param == "c" else "g++"
    subprocess.run([compiler, "-g", "-O0", "-w", "-o", place / "p", source], check=True, timeout=120)
    subprocess.run(
        [compiler, "-g", "-O0", "-w", "-DNO_LAMBDA", "-fsanitize=leak", "-o", place / "p_lsan", source], check=True, timeout=120
    )
    ran = leakrun("-q", "-p", "memcheck", "-o", place / "RUN", place / "p")
    assert ran.returncode == 0, ran.stderr
    return place / "RUN"


def entries(run: Path, format_: str) -> list[str]:
    """The entry for each finding, in the order of rank."""
    texts = []
    for finding in answer(run)["findings"]:
        ran = leakrun("suppress", run, finding["rank"], "-f", format_)
        assert ran.returncode == 0, ran.stderr
        texts.append(ran.stdout)
    return texts


def valgrind(program: Path, suppressions: Path) -> int:
    command = ["valgrind", "-q", "--leak-check=full", "--error-exitcode=9", f"--suppressions={suppressions}", program]
    return subprocess.run(command, capture_output=True, timeout=120, check=False).returncode


def test_valgrind_leaves_out_what_is_suppressed(run: Path, tmp_path: Path) -> None:
    texts = entries(run, "valgrind")
    assert len(texts) >= 2
    (tmp_path / "all.supp").write_text("".join(texts))
    (tmp_path / "but_first.supp").write_text("".join(texts[1:]))
    (tmp_path / "first.supp").write_text(texts[0])
    program = run.parent / "p"
    assert valgrind(program, tmp_path / "all.supp") == 0
    assert valgrind(program, tmp_path / "but_first.supp") == valgrind(program, tmp_path / "first.supp") == 9


@pytest.mark.skipif("TracerPid:\t0" not in Path("/proc/self/status").read_text(), reason="LeakSanitizer can't run under a tracer")
def test_lsan_leaves_out_what_is_suppressed(run: Path, tmp_path: Path) -> None:
    def code(*texts: str) -> int:
        (tmp_path / "lsan.supp").write_text("".join(texts))
        options = f"suppressions={tmp_path}/lsan.supp:use_stacks=0:use_registers=0"
        environment = {**os.environ, "LSAN_OPTIONS": options}
        return subprocess.run([run.parent / "p_lsan"], env=environment, capture_output=True, timeout=60, check=False).returncode

    texts = entries(run, "lsan")
    assert code() == 23
    assert code(*texts) == 0
    assert code(*texts[1:]) == 23


@pytest.mark.parametrize("format_", ["valgrind", "lsan"])
def test_check_leaves_out_what_is_suppressed(format_: str, run: Path, tmp_path: Path) -> None:
    texts = entries(run, format_)
    file = tmp_path / "known.supp"
    file.write_text("".join(texts))
    ran = leakrun("check", run, "--suppressions", file)
    assert ran.returncode == 0 and ran.stdout == "", ran.stdout
    file.write_text("".join(texts[1:]))
    ran = leakrun("check", run, "--suppressions", file)
    first = answer(run)["findings"][0]
    assert ran.returncode == 1 and len(ran.stdout.splitlines()) == 1 and f":{first['line']}:1: error: " in ran.stdout
    assert ran.stderr.count("suppressed: 1 record") + ran.stderr.count("suppressed: 2 records") == len(texts) - 1


@pytest.mark.parametrize(("words", "said"), [(["99"], "no finding 99"), (["0"], "RANK"), (["one"], "RANK")])
def test_a_mistake_is_told_clearly(words: list[str], said: str, run: Path) -> None:
    ran = leakrun("suppress", run, *words)
    assert ran.returncode == 2 and said in ran.stderr and ran.stdout == "" and "Traceback" not in ran.stderr


def test_growth_can_be_suppressed_too(runs_dir: Path, tmp_path: Path) -> None:
    run = runs_dir / "massif-old"
    texts = [leakrun("suppress", run, each["rank"]).stdout for each in answer(run)["findings"]]
    (tmp_path / "known.supp").write_text("".join(texts))
    assert leakrun("check", run).returncode == 1
    assert leakrun("check", run, "--suppressions", tmp_path / "known.supp").returncode == 0
