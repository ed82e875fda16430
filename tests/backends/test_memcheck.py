"""memcheck on programs that a signal ends, and on their exit codes."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.leakrun_command import answer, leakrun

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed"),
]

# Only a register points to the table; `forgotten` is lost indeed.
PROGRAM = r"""
#include <stdlib.h>
#include <string.h>
struct table { char *rows; };
__attribute__((noinline)) static struct table *table_new(void) {
    struct table *made = malloc(sizeof *made);
    made->rows = calloc(1, 3000);
    return made;
}
__attribute__((noinline)) static void forget(void) {
    char *volatile forgotten = malloc(700);
    memset(forgotten, 1, 700);
    forgotten = 0;
}
int main(void) {
    forget();
    struct table *held = table_new();
    for (;;) __asm__ volatile("" : "+r"(held));
}
"""


def compiled(directory: Path, source: str = PROGRAM) -> Path:
    (directory / "app.c").write_text(source)
    subprocess.run(["gcc", "-O2", "-g", "-o", directory / "app", directory / "app.c"], check=True, timeout=60)
    return directory / "app"


def test_what_registers_held_when_it_was_stopped_is_not_lost(tmp_path: Path) -> None:
    leakrun("-p", "memcheck", "--for", "3s", "-o", tmp_path / "run", "--", compiled(tmp_path))
    said = answer(tmp_path / "run")
    assert [(each["function"], each["bytes"]) for each in said["findings"]] == [("forget", 700)]
    assert sum(note["bytes"] or 0 for note in said["notes"] if note["kind"] == "reachable-at-exit") == 3008
    assert any("(3,008 bytes) is not called lost" in note["text"] for note in said["notes"])


def test_a_signal_of_somebody_elses_is_told(tmp_path: Path) -> None:
    leakrun("-p", "memcheck", "-o", tmp_path / "run", "--", "timeout", "-s", "TERM", "3", compiled(tmp_path))
    said = answer(tmp_path / "run")
    assert any("looks into no registers" in note["text"] for note in said["notes"])


LEAKY = r"""
#include <stdlib.h>
#include <string.h>
__attribute__((noinline)) static void forget(void) {
    char *volatile forgotten = malloc(700);
    memset(forgotten, 1, 700);
    forgotten = 0;
}
int main(int argc, char **argv) {
    if (argc > 2) forget();
    return atoi(argv[1]);
}
"""


def test_an_exit_code_that_valgrind_put_in_the_programs_place_is_told_apart(tmp_path: Path) -> None:
    app = compiled(tmp_path, LEAKY)
    for name, words, code, recorded in (
        ("replaced", ("--tool-arg=--error-exitcode=77", app, "0", "leak"), 0, (77, True)),
        ("own", ("--tool-arg=--error-exitcode=77", app, "77"), 77, (77, False)),
        ("kept", (app, "3", "leak"), 3, (3, False)),
    ):
        ran = leakrun("-q", "-p", "memcheck", "-o", tmp_path / name, *words, VALGRIND_OPTS="--error-exitcode=55")
        assert ran.returncode == code, ran.stderr
        said = answer(tmp_path / name)
        assert (said["run"]["exit"]["code"], said["run"]["exit"]["by_tool"]) == recorded
        assert any("exit code 77 is valgrind's" in note["text"] for note in said["notes"]) == recorded[1]


def test_so_it_is_in_a_log_that_leakrun_did_not_make(tmp_path: Path) -> None:
    log = ["valgrind", "--leak-check=full", f"--log-file={tmp_path}/log"]
    subprocess.run(["timeout", "-s", "TERM", "3", *log, compiled(tmp_path)], check=False, timeout=60)
    assert any("looks into no registers" in note["text"] for note in answer(tmp_path / "log")["notes"])


def test_a_place_for_temporary_files_that_is_not_there_is_named(tmp_path: Path) -> None:
    ran = leakrun("-p", "memcheck", "-o", tmp_path / "run", "true", TMPDIR=str(tmp_path / "gone"))
    assert ran.returncode == 3 and not (tmp_path / "run").exists()
    wrong, advice = ran.stderr.splitlines()
    assert f"{tmp_path}/gone (TMPDIR) can't be written" in wrong and "set TMPDIR" in advice
    other = leakrun("-p", "pmap", "--for", "500ms", "-o", tmp_path / "other", "sleep", "9", TMPDIR=str(tmp_path / "gone"))
    assert other.returncode == 0


def test_it_is_looked_for_where_the_program_will_have_it(tmp_path: Path) -> None:
    ran = leakrun("-p", "memcheck", "-o", tmp_path / "run", "--env", f"TMPDIR={tmp_path}/gone", "true")
    assert ran.returncode == 3 and f"{tmp_path}/gone (TMPDIR) can't be written" in ran.stderr
    (tmp_path / "mine.yaml").write_text(f"extends: memcheck\nenv: {{TMPDIR: {tmp_path}/gone}}\n")
    ran = leakrun("-p", tmp_path / "mine.yaml", "-o", tmp_path / "run", "true")
    assert ran.returncode == 3 and f"{tmp_path}/gone (TMPDIR) can't be written" in ran.stderr
    good = leakrun("-q", "-p", "memcheck", "-o", tmp_path / "run", "--env", f"TMPDIR={tmp_path}", "true", TMPDIR="/nonexistent")
    assert good.returncode == 0, good.stderr
