"""tcmalloc's heap checker driven by leakrun: real programs, every way to end, and what is refused."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runner.backends import _heapcheck_files
from runner.backends.heapprofile import find_library
from runner.plan import Outcome
from tests.examples_truth import Example, all_examples, build
from tests.leakrun_command import answer, leakrun

pytestmark = [pytest.mark.skipif(find_library() is None, reason="needs libtcmalloc"), pytest.mark.timeout(300)]

SOURCE = """\
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
static void *held;
__attribute__((noinline)) static void lose(int n) { volatile char *p = malloc(n); p[0] = 1; p = 0; }  /* line 6 */
__attribute__((noinline)) static void hold(void) { held = malloc(5000); }                             /* line 7 */
__attribute__((noinline)) static void wipe(void) { volatile char room[4000]; memset((char *)room, 0, sizeof room); }
int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "";
  hold();
  if (strchr(how, 'l')) for (int i = 0; i < 20; i++) lose(100);
  wipe();
  if (strchr(how, 'f') && fork() == 0) { usleep(300000); for (int i = 0; i < 7; i++) lose(200); exit(6); }
  if (strchr(how, 'f')) wait(0);
  if (strchr(how, 'x')) execl(argv[0], argv[0], "l", (char *)0);
  if (strchr(how, 's')) pause();
  if (strchr(how, 'r')) raise(40);
  if (strchr(how, '_')) _exit(4);
  return strchr(how, '3') ? 3 : 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("heapcheck")
    (directory / "ends.c").write_text(SOURCE)
    subprocess.run(["gcc", "-g", "-O0", "-o", directory / "ends", directory / "ends.c"], check=True, timeout=60)
    return directory / "ends"


def exit_of(run: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((run / "manifest.json").read_text())["exit"]
    return said


def texts(said: dict[str, Any], kind: str = "limit") -> str:
    return "\n".join(note["text"] for note in said["notes"] if note["kind"] == kind)


EXAMPLES = [
    each
    for each in all_examples()
    if not each.stop_signal and (each.clean or each.expected("lost")) and each.name != "forking_worker"
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, dict[str, Any]]]:
    directory = tmp_path_factory.mktemp("examples")

    def measured(example: Example) -> tuple[int, dict[str, Any]]:
        run = directory / f"{example.name}-run"
        ran = leakrun("-p", "heapcheck", "-o", run, build(example, directory), *(example.args or ("2",)))
        return ran.returncode, answer(run)

    with ThreadPoolExecutor(3) as pool:
        return dict(zip((example.name for example in EXAMPLES), pool.map(measured, EXAMPLES), strict=True))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_examples(example: Example, answers: dict[str, tuple[int, dict[str, Any]]]) -> None:
    code, said = answers[example.name]
    assert code == 0 and said["run"]["complete"], said["reasons"]
    expected = [(each.function, each.line) for each in example.expected("lost")]
    found = [(each["function"], each["line"]) for each in said["findings"]]
    assert said["verdict"] == ("leaking" if expected else "clean"), said["reasons"]
    assert found[: len(expected)] == expected or set(expected) <= set(found)
    assert bool(found) == bool(expected)


@pytest.mark.parametrize("profile", ["heapcheck", "heapcheck-strict"])
def test_what_is_lost_is_named_and_what_is_held_is_not(program: Path, tmp_path: Path, profile: str) -> None:
    ran = leakrun("-p", profile, "-o", tmp_path / "run", program, "l")
    said = answer(tmp_path / "run")
    (finding,) = said["findings"]
    assert (finding["kind"], finding["function"], finding["line"]) == ("lost", "lose", 6)
    # The last of the pointers may still stand in a register or on the stack: the checker itself says that it is no guarantee.
    assert finding["bytes"] in (1900, 2000) and finding["bytes"] == 100 * finding["blocks"]
    assert said["heap_summary"]["in_use_at_exit"] == {"bytes": 7000, "blocks": 21}
    assert ran.returncode == 0 and "Leak check" not in ran.stderr


def test_draconian_lists_what_is_not_freed_without_calling_it_lost(program: Path, tmp_path: Path) -> None:
    leakrun("-p", "heapcheck-draconian", "-o", tmp_path / "run", program, "l")
    said = answer(tmp_path / "run")
    (finding,) = said["findings"]
    assert (finding["kind"], finding["function"], finding["bytes"]) == ("suspect", "lose", 2000)
    noted = {note["function"]: note["bytes"] for note in said["notes"] if note["kind"] == "possibly-lost"}
    assert noted == {"hold": 5000}
    assert "draconian does not follow pointers" in texts(said)


def test_draconian_on_what_is_only_held_is_neither_clean_nor_leaking(program: Path, tmp_path: Path) -> None:
    leakrun("-p", "heapcheck-draconian", "-o", tmp_path / "run", program)
    said = answer(tmp_path / "run")
    assert said["verdict"] == "inconclusive" and "draconian" in said["reasons"][0]


def test_a_check_that_a_signal_ended_in_its_middle_is_no_check(program: Path, tmp_path: Path) -> None:
    """The dump at the end is there before the check is over."""
    leakrun("-p", "heapcheck", "-o", tmp_path / "run", program)
    pid = answer(tmp_path / "run")["run"]["processes"][0]["pid"]
    (whole,) = _heapcheck_files.read(tmp_path / "run" / "raw", "normal", Outcome(pid=pid, code=0))
    (broken_off,) = _heapcheck_files.read(tmp_path / "run" / "raw", "normal", Outcome(pid=pid, signum=13))
    assert whole.complete and not whole.flaws
    assert not broken_off.complete and "SIGPIPE ended the program before the check was over" in broken_off.flaws[0]


def test_the_checkers_exit_code_is_not_the_programs(program: Path, tmp_path: Path) -> None:
    assert leakrun("-p", "heapcheck", "-o", tmp_path / "leaks", program, "l3").returncode == 0
    ended = exit_of(tmp_path / "leaks")
    assert (ended["code"], ended["by_tool"]) == (1, True)
    assert "exit code 1 is the heap checker's" in texts(answer(tmp_path / "leaks"))
    assert leakrun("-p", "heapcheck", "--error-exitcode", 9, "-o", tmp_path / "gate", program, "l").returncode == 9
    assert leakrun("-p", "heapcheck", "-o", tmp_path / "own", program, "3").returncode == 3
    assert exit_of(tmp_path / "own")["by_tool"] is False


def test_a_program_that_loses_nothing_is_clean(program: Path, tmp_path: Path) -> None:
    assert leakrun("-p", "heapcheck", "-o", tmp_path / "run", program).returncode == 0
    said = answer(tmp_path / "run")
    assert said["verdict"] == "clean" and said["run"]["complete"], said["reasons"]
    assert "not checked" not in texts(said)  # what the checker starts to look at the threads is no child of the program


@pytest.mark.parametrize("how", ["_", "l_"])
def test_who_ends_without_the_check_is_not_called_clean(program: Path, tmp_path: Path, how: str) -> None:
    ran = leakrun("-p", "heapcheck", "-o", tmp_path / "run", program, how)
    said = answer(tmp_path / "run")
    assert ran.returncode == 3 and said["verdict"] == "inconclusive"
    assert any("_exit()" in reason and "memcheck" in reason for reason in said["reasons"])


def test_who_is_ended_by_a_signal_is_told_so(program: Path, tmp_path: Path) -> None:
    ran = leakrun("-p", "heapcheck", "--for", "500ms", "-o", tmp_path / "run", program, "ls")
    said = answer(tmp_path / "run")
    assert ran.returncode == 3 and said["verdict"] == "inconclusive"
    assert any("SIGTERM ended the program" in reason for reason in said["reasons"])


def test_a_real_time_signal_is_told(program: Path, tmp_path: Path) -> None:
    ran = leakrun("-p", "heapcheck", "-o", tmp_path / "run", program, "r")
    assert ran.returncode == 3 and "SIGRTMIN+6 ended the program" in " ".join(ran.stderr.split())


def test_a_forked_child_is_not_checked_and_that_is_said(program: Path, tmp_path: Path) -> None:
    leakrun("-p", "heapcheck", "-o", tmp_path / "run", program, "lf")
    said = answer(tmp_path / "run")
    assert said["findings"][0]["function"] == "lose"
    assert "1 child process was not checked" in texts(said)


def test_what_a_shell_starts_is_checked(program: Path, tmp_path: Path) -> None:
    ran = leakrun("-p", "heapcheck", "-o", tmp_path / "run", "sh", "-c", f"{program} l; exit 5")
    said = answer(tmp_path / "run")
    assert ran.returncode == 5  # the shell's own; the code that the checker has put in the child's place is the child's
    assert (said["verdict"], said["findings"][0]["function"]) == ("leaking", "lose")


def test_another_program_by_exec(program: Path, tmp_path: Path) -> None:
    leakrun("-p", "heapcheck", "-o", tmp_path / "run", program, "x")
    assert answer(tmp_path / "run")["findings"][0]["function"] == "lose"


def test_the_bare_file_says_the_same(program: Path, tmp_path: Path) -> None:
    leakrun("-p", "heapcheck", "-o", tmp_path / "run", program, "l")
    (file,) = (tmp_path / "run" / "raw").glob("*._main_-end.heap")
    bare, run = answer(file), answer(tmp_path / "run")
    shown = [[(each["kind"], each["function"], each["line"], each["bytes"]) for each in said["findings"]] for said in (bare, run)]
    assert shown[0] == shown[1] != []
    assert bare["verdict"] == "leaking"


def test_a_library_without_the_checker_is_refused(program: Path, tmp_path: Path) -> None:
    # gperftools 2.17 is not to be had here: what tells it is the version, and that the checker's variables are not in it.
    newer = tmp_path / "libtcmalloc.so.4"
    newer.write_bytes(b"\x7fELF gperftools 2.17\0HEAPPROFILE\0")
    ran = leakrun("-p", "heapcheck", "--set", f"library={newer}", "-o", tmp_path / "run", program)
    assert ran.returncode == 3
    assert "2.17" in ran.stderr and "no heap checker" in ran.stderr and "--profile memcheck" in ran.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "told", "code"),
    [
        (("--set", "library=/nonexistent/libtcmalloc.so"), "apt-get install", 3),
        (("--set", "mode=lenient"), "mode", 2),
        (("--every", "1s"), "no snapshots", 2),
        (("--tool-arg", "x"), "no command line", 2),
    ],
)
def test_mistakes_are_told_in_a_line(program: Path, tmp_path: Path, words: tuple[str, ...], told: str, code: int) -> None:
    ran = leakrun("-p", "heapcheck", *words, "-o", tmp_path / "run", program)
    assert ran.returncode == code and told in ran.stderr and "Traceback" not in ran.stderr
    assert not (tmp_path / "run").exists()


def test_a_static_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.c").write_text("int main(void) { return 0; }")
    subprocess.run(["gcc", "-static", "-o", tmp_path / "s", tmp_path / "s.c"], check=True, timeout=60)
    ran = leakrun("-p", "heapcheck", "-o", tmp_path / "run", tmp_path / "s")
    assert ran.returncode == 3 and "statically linked" in ran.stderr
