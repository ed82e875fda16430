"""`leakrun check` on real runs: exit codes, baselines over builds, and files that are written."""

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.test_export import line_of
from tests.leakrun_command import answer, leakrun


def check(runs_dir: Path, *words: object, code: int):
    ran = leakrun("check", *words, "--runs-dir", runs_dir)
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    return ran


@pytest.fixture(scope="module")
def clean_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("clean")
    (place / "p.c").write_text("#include <stdlib.h>\nint main(void) { free(malloc(10)); return 0; }\n")
    subprocess.run(["gcc", "-g", "-o", place / "p", place / "p.c"], check=True, timeout=60)
    assert leakrun("-q", "-p", "memcheck", "-o", place / "run", place / "p").returncode == 0
    return place / "run"


def test_a_leak_fails_at_its_line(runs_dir: Path) -> None:
    ran = check(runs_dir, "memcheck-old", code=1)
    assert f"leaky.c:{line_of('lose')}:1: error: 3,500 bytes in 5 blocks lost in lose [lost]\n" in ran.stdout
    assert "check failed: 1 new in 1 run" in ran.stderr


_STRINGS = """
#include <stdlib.h>
static char *all[40];
/* Its header stands before what it points to, as that of redis's sds. */
char *new_string(void) { return (char *)malloc(32) + 8; }
int main(void) { for (int i = 0; i < 40; i++) all[i] = new_string(); return 0; }
"""


def test_suspects_fail_until_they_are_let_pass(tmp_path: Path) -> None:
    (tmp_path / "p.c").write_text(_STRINGS)
    subprocess.run(["gcc", "-g", "-O0", "-o", tmp_path / "p", tmp_path / "p.c"], check=True, timeout=60)
    run, known = tmp_path / "run", tmp_path / "known.json"
    leakrun("-q", "-p", "memcheck", "-o", run, tmp_path / "p")
    said = answer(run)
    assert (said["verdict"], said["doubts"], [each["kind"] for each in said["findings"]]) == ("inconclusive", [], ["suspect"])
    assert "error: 1,280 bytes in 40 blocks" in check(tmp_path, run, code=1).stdout
    check(tmp_path, run, "--fail-on", "lost,errors", code=0)
    check(tmp_path, run, "--baseline", known, "--update-baseline", code=0)
    check(tmp_path, run, "--baseline", known, code=0)
    leakrun("suppress", run, "1", "-o", tmp_path / "known.supp")
    check(tmp_path, run, "--suppressions", tmp_path / "known.supp", code=0)


def test_a_clean_run_passes(clean_run: Path, runs_dir: Path) -> None:
    assert check(runs_dir, clean_run, code=0).stdout == ""
    assert check(runs_dir, clean_run, "-q", code=0).stderr == ""


def test_a_list_of_what_lives_does_not_pass(runs_dir: Path) -> None:
    heap = sorted((runs_dir / "heapprofile-old" / "raw").glob("*.heap"))[-1]
    ran = check(runs_dir, heap, code=3)
    assert ": error: inconclusive: " in ran.stdout and "not passed" in ran.stderr


def test_a_killed_run_does_not_pass(tmp_path: Path) -> None:
    leakrun("-q", "-p", "massif", "-o", tmp_path / "killed", "bash", "-c", "kill -9 $$")
    assert "inconclusive" in check(tmp_path, tmp_path / "killed", code=3).stdout


def test_a_cut_file_does_not_pass_though_all_in_it_is_known(runs_dir: Path, tmp_path: Path) -> None:
    (whole,) = (runs_dir / "memcheck-old" / "raw").glob("memcheck.*.xml")
    text = whole.read_bytes()
    cut = tmp_path / "memcheck.xml"
    cut.write_bytes(text[: text.rindex(b"</error>") + len(b"</error>")])
    known = tmp_path / "known.json"
    check(runs_dir, whole, "--baseline", known, "--update-baseline", code=0)
    check(runs_dir, whole, "--baseline", known, code=0)
    ran = check(runs_dir, cut, "--baseline", known, code=3)
    assert "inconclusive" in ran.stdout
    before = known.read_text()
    check(runs_dir, cut, "--baseline", known, "--update-baseline", code=3)
    assert known.read_text() == before


def test_several_runs_are_one_gate(runs_dir: Path, clean_run: Path) -> None:
    ran = check(runs_dir, clean_run, "memcheck-old", "massif-old", code=1)
    assert "growing_list [growing]" in ran.stdout and "lose [lost]" in ran.stdout


def test_only_what_is_asked_for_fails(runs_dir: Path) -> None:
    assert "(not asked for)" in check(runs_dir, "memcheck-old", "--fail-on", "errors", code=0).stdout
    assert "growing" in check(runs_dir, "memcheck-old", "--fail-on", "growing", code=3).stdout
    check(runs_dir, "memcheck-old", "--fail-on", "lost,growing,errors", code=1)


def test_limits(runs_dir: Path) -> None:
    check(runs_dir, "memcheck-old", "--max-bytes", "3500", code=0)
    check(runs_dir, "memcheck-old", "--max-bytes", "3499", code=1)
    check(runs_dir, "massif-old", "--max-rate", "1G/s", code=0)
    ran = check(runs_dir, "massif-old", "--max-rate", "100K/s", code=1)
    assert "growing_list" in next(line for line in ran.stdout.splitlines() if ": error:" in line)


def test_a_baseline_holds_over_another_build(runs_dir: Path, tmp_path: Path) -> None:
    known = tmp_path / "known.json"
    ran = check(runs_dir, "massif-old", "memcheck-old", "--baseline", known, "--update-baseline", code=0)
    assert "3 known" in ran.stderr and ": error:" not in ran.stdout
    assert len(json.loads(known.read_text())["findings"]) == 3
    assert "passed against" in check(runs_dir, "massif-old", "memcheck-old", "--baseline", known, code=0).stderr
    lines = check(runs_dir, "heapprofile-new", "--baseline", known, code=1).stdout.splitlines()
    assert [line.split()[-2] for line in lines if ": error:" in line] == ["fresh_leak"]
    assert {line.split(" in ")[-1] for line in lines if "(known)" in line} == {
        "growing_list [growing] (known)", "lose [growing] (known)",
    }  # fmt: skip
    worse = check(runs_dir, "memcheck-new", "--baseline", known, code=1)
    assert "(worse: 3,500 bytes in 5 blocks in the baseline)" in worse.stdout
    check(runs_dir, "memcheck-new", "--baseline", known, "--tolerance", "40", code=0)


def test_what_is_gone_is_told(clean_run: Path, runs_dir: Path, tmp_path: Path) -> None:
    known = tmp_path / "known.json"
    check(runs_dir, "massif-old", "memcheck-old", "--baseline", known, "--update-baseline", code=0)
    ran = check(runs_dir, clean_run, "--baseline", known, code=0)
    assert "1 gone" in ran.stderr and "gone: lost at lose" in ran.stderr
    check(runs_dir, clean_run, "--baseline", known, "--update-baseline", code=0)
    kinds = [entry["kind"] for entry in json.loads(known.read_text())["findings"]]
    assert kinds == ["growing", "growing"], "what memcheck can't see stays"


def test_every_format_goes_to_a_file(runs_dir: Path, tmp_path: Path) -> None:
    for name in ("text", "sarif", "junit", "gitlab", "github"):
        ran = check(runs_dir, "memcheck-old", "-f", name, "-o", tmp_path / name, code=1)
        assert ran.stdout == ""
    log = json.loads((tmp_path / "sarif").read_text())
    (found,) = log["runs"][0]["results"]
    assert found["locations"][0]["physicalLocation"]["region"]["startLine"] == line_of("lose")
    suites = ElementTree.parse(tmp_path / "junit").getroot()
    assert (suites.get("tests"), suites.get("failures")) == ("1", "1")
    (entry,) = json.loads((tmp_path / "gitlab").read_text())
    assert entry["location"]["lines"]["begin"] == line_of("lose")
    assert (tmp_path / "github").read_text().startswith("::error file=")
    assert "leaky.c:" in (tmp_path / "text").read_text()


def test_errors_of_use_fail_too(tmp_path: Path) -> None:
    body = "volatile char *p = malloc(4);\n  char c = p[4];\n  free((void *)p);\n  return c & 0;"
    source = f"#include <stdlib.h>\nint main(void) {{\n  {body}\n}}\n"
    (tmp_path / "p.c").write_text(source)
    subprocess.run(["gcc", "-g", "-w", "-o", tmp_path / "p", tmp_path / "p.c"], check=True, timeout=60)
    assert leakrun("-q", "-p", "memcheck", "-o", tmp_path / "run", tmp_path / "p").returncode == 0
    assert answer(tmp_path / "run")["verdict"] == "clean"
    assert "p.c:4:1: error: Invalid read of size 1 in main [InvalidRead]" in check(tmp_path, tmp_path / "run", code=1).stdout
    check(tmp_path, tmp_path / "run", "--fail-on", "lost", code=0)
    check(tmp_path, tmp_path / "run", "--baseline", tmp_path / "b", "--update-baseline", code=0)
    check(tmp_path, tmp_path / "run", "--baseline", tmp_path / "b", code=0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fail-on", "leaks"], "'leaks'"),
        (["--max-bytes", "many"], "--max-bytes"),
        (["--max-rate", "5K"], "--max-rate"),
        (["--update-baseline"], "--baseline"),
        (["--baseline", "missing.json"], "missing.json"),
        (["--baseline", "/etc/passwd"], "not a baseline"),
        (["--suppressions", "missing.supp"], "missing.supp"),
        (["--suppressions", "/etc/passwd"], "/etc/passwd:1:"),
        (["-f", "html"], "html"),
        (["nothing-there"], "nothing-there"),
        (["--tolerance", "-5"], "--tolerance"),
        (["-o", "/nowhere/at/all"], "/nowhere/at/all"),
    ],
)
def test_a_mistake_is_told_clearly(words: list[str], said: str, runs_dir: Path) -> None:
    ran = check(runs_dir, "memcheck-old", *words, code=2)
    assert said in ran.stderr and ran.stdout == ""
