"""massif's own clock and its idle processes, with the real tool."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.leakrun_command import answer, leakrun

pytestmark = pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")


def built(tmp_path: Path, body: str) -> Path:
    source = tmp_path / "app.c"
    source.write_text(f"#include <stdlib.h>\n#include <sys/wait.h>\n#include <unistd.h>\n{body}")
    subprocess.run(["gcc", "-g", "-O0", "-o", tmp_path / "app", source], check=True, timeout=60)
    return tmp_path / "app"


def test_a_program_that_allocates_once_and_then_waits_is_clean(tmp_path: Path) -> None:
    app = built(tmp_path, "int main(void) { char *kept = malloc(50000); kept[0] = 1; sleep(2); return kept[0] - 1; }")
    assert leakrun("-q", "-p", "massif", "-o", tmp_path / "run", app).returncode == 0
    assert answer(tmp_path / "run")["verdict"] == "clean"


def test_a_master_that_only_forks_is_no_reason_to_doubt(tmp_path: Path) -> None:
    worker = "for (int i = 0; i < 100; i++) { free(malloc(1000 + i)); usleep(15000); } return 0;"
    app = built(tmp_path, f"int main(void) {{ if (fork() == 0) {{ {worker} }} while (wait(NULL) > 0) continue; return 0; }}")
    assert leakrun("-q", "-p", "massif", "-o", tmp_path / "run", app).returncode == 0
    said = answer(tmp_path / "run")
    assert said["verdict"] == "clean", said["reasons"]
    assert any("allocated nothing" in note["text"] for note in said["notes"])


def test_a_worker_that_crashed_is_never_clean(tmp_path: Path) -> None:
    """Its parent hides how it ended; valgrind's log tells."""
    master = "for (int i = 0; i < 100; i++) { free(malloc(1000 + i)); usleep(15000); } while (wait(NULL) > 0) continue; return 0;"
    app = built(tmp_path, f"int main(void) {{ if (fork() == 0) __builtin_trap(); {master} }}")
    assert leakrun("-q", "-p", "massif", "-o", tmp_path / "run", app).returncode == 0
    said = answer(tmp_path / "run")
    assert said["verdict"] == "inconclusive"
    assert any("it crashed (SIGILL)" in reason for reason in said["reasons"])


@pytest.mark.parametrize("every", ["1h", "500ms"])
def test_a_worker_whose_parent_kills_it_before_it_has_written_has_a_way_out(every: str, tmp_path: Path) -> None:
    """As servers do on TERM that shut down gracefully on QUIT."""
    ends = "static void end(int got) { kill(worker, got == SIGQUIT ? SIGTERM : SIGKILL); while (wait(NULL) > 0) {} exit(0); }"
    work = "for (int i = 0;; i++) { *(int *volatile *)malloc(1000) = &i; usleep(15000); }"
    app = built(
        tmp_path,
        f"#include <signal.h>\nstatic int worker;\n{ends}\nint main(void) {{ if (!(worker = fork())) {{ {work} }}"
        " free(malloc(10)); signal(SIGTERM, end); signal(SIGQUIT, end); for (;;) pause(); }",
    )
    words = ("-q", "-p", "massif", "--every", every, "--for", "4s")
    assert leakrun(*words, "-o", tmp_path / "term", app).returncode == 0
    assert leakrun(*words, "--set", "stop.signal=QUIT", "-o", tmp_path / "quit", app).returncode == 0
    told = [any("stop.signal=QUIT" in reason for reason in answer(tmp_path / run)["doubts"]) for run in ("term", "quit")]
    assert told == [True, False]


def test_a_program_that_allocates_nothing_at_all_is_not_called_clean(tmp_path: Path) -> None:
    app = built(tmp_path, "int main(void) { sleep(2); return 0; }")
    assert leakrun("-q", "-p", "massif", "-o", tmp_path / "run", app).returncode == 0
    said = answer(tmp_path / "run")
    assert said["verdict"] == "inconclusive"
    assert "saw no allocation" in said["reasons"][0]


def test_what_the_tool_here_can_not_do_is_said_in_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """valgrind without vgdb measures, and takes no snapshots on the way."""
    app = built(tmp_path, "int main(void) { char *kept = malloc(50000); kept[0] = 1; usleep(100000); return kept[0] - 1; }")
    (tmp_path / "bin").mkdir()
    for each in Path(shutil.which("valgrind") or "/usr/bin/valgrind").parent.iterdir():
        if each.name != "vgdb":
            (tmp_path / "bin" / each.name).symlink_to(each)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert leakrun("-q", "-p", "massif", "-o", tmp_path / "run", app).returncode == 0
    said = answer(tmp_path / "run")
    assert any(note["kind"] == "limit" and "vgdb is missing" in note["text"] for note in said["notes"])


def test_of_a_static_program_the_system_calls_are_seen_though_its_malloc_is_not(tmp_path: Path) -> None:
    loop = "for (int i = 0; i < 700; i++) { keep(); usleep(3000); }"
    built(tmp_path, f"static char *keep(void) {{ return malloc(2000); }}\nint main(void) {{ {loop} }}")
    subprocess.run(["gcc", "-g", "-O0", "-static", "-o", tmp_path / "app", tmp_path / "app.c"], check=True, timeout=60)
    assert leakrun("-q", "-p", "massif", "-o", tmp_path / "blocks", tmp_path / "app").returncode == 3
    assert leakrun("-q", "-p", "massif-pages", "-o", tmp_path / "run", tmp_path / "app").returncode == 0
    first = answer(tmp_path / "run")["findings"][0]
    assert (first["kind"], first["function"], first["line"]) == ("mapping-growth", "keep", 4)
