"""Runs in places with characters that tools take for their own, and what a run leaves there."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.leakrun_command import COMMAND, answer, leakrun

SOURCE = """
#include <stdlib.h>
#include <unistd.h>
static void *kept[1000];
__attribute__((noinline)) static void keep(int i) { kept[i] = malloc(5000); }
int main(void) { for (int i = 0; i < 500; i++) { keep(i); usleep(5000); } return kept[0] == 0; }
"""
ODD = "100% odd %p %q{HOME} é"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("odd") / ODD
    directory.mkdir()
    (directory / "p.c").write_text(SOURCE)
    subprocess.run(["gcc", "-g", "-o", directory / "p", directory / "p.c"], check=True)
    return directory / "p"


@pytest.mark.parametrize("profile", ["memcheck", "massif", "heapprofile"])
def test_a_directory_with_an_odd_name(profile: str, program: Path) -> None:
    ran = leakrun("-q", "-p", profile, "--runs-dir", "runs %n\nx", "./p", cwd=program.parent)
    assert (ran.returncode, ran.stdout) == (0, "")
    runs = [path for path in (program.parent / "runs %n\nx").iterdir() if path.name.startswith(f"{profile}-")]
    said = answer(runs[0])
    assert said["run"]["complete"]
    if profile != "memcheck":
        assert [(each["function"], each["line"]) for each in said["findings"]] == [("keep", 5)]


@pytest.mark.parametrize("profile", ["massif", "memcheck"])
def test_snapshots_on_a_timer_through_vgdb(profile: str, program: Path, tmp_path: Path) -> None:
    ran = leakrun("-q", "-p", profile, "--every", "300ms", "-o", tmp_path / "run", program)
    assert ran.returncode == 0
    timeline = json.loads((tmp_path / "run" / "manifest.json").read_text())["timeline"]
    taken = [event["file"] for event in timeline if event["kind"] == "snapshot"]
    assert len(taken) >= 2, timeline
    assert not [event for event in timeline if event["kind"] == "miss"], timeline
    said = answer(tmp_path / "run")
    if profile == "memcheck":
        assert said["run"]["snapshots"] == len(taken)


def test_a_run_is_read_the_same_where_it_was_copied_to_and_the_binary_is_gone(program: Path, tmp_path: Path) -> None:
    moved = tmp_path / "program"
    program.copy(moved) if hasattr(program, "copy") else moved.write_bytes(program.read_bytes())
    moved.chmod(0o755)
    assert leakrun("-q", "-p", "heapprofile", "-o", tmp_path / "run", moved).returncode == 0
    before = answer(tmp_path / "run")
    moved.unlink()
    (tmp_path / "run").rename(tmp_path / "copied")
    after = answer(tmp_path / "copied")
    assert before["findings"] == after["findings"] != []
    assert before["verdict"] == after["verdict"] == "growing"
    kept = json.loads((tmp_path / "copied" / "answer.json").read_text())
    assert kept["findings"] == after["findings"]


@pytest.fixture(scope="module")
def run(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("measured") / "run"
    assert leakrun("-q", "-p", "massif", "-o", directory, "--env", "A=b", program).returncode == 0
    return directory


def test_the_run_directory_is_whole_and_private(run: Path) -> None:
    assert run.stat().st_mode & 0o777 == 0o700
    names = {path.name for path in run.iterdir()}
    assert {"manifest.json", "profile.yaml", "raw", "maps", "symbols.json", "samples.csv", "answer.json"} <= names
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["state"] == "complete"
    assert (manifest["exit"]["code"], manifest["exit"]["signal"], manifest["exit"]["stopped_by"]) == (0, None, None)
    assert (run / "samples.csv").read_text().splitlines()[0].startswith("time_s,pid,rss_bytes")
    assert not list((run / "raw").glob("vgdb-*"))
    assert (run / "raw" / f"massif.{manifest['process']['pid']}.out.txt").read_text().count("ms_print") >= 1


@pytest.mark.parametrize("profile", ["memcheck", "heapprofile", "lsan", "pmap"])
def test_the_environment_of_the_command_line_reaches_the_program(profile: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(f"extends: {profile}\nenv: {{A: of the profile, B: of the profile}}\n")
    given = ("--env", "A=its own=1", "--env", "C=", "--env", "HEAPPROFILE=/nowhere/heap")
    ran = leakrun("-q", "-p", "mine.yaml", "-o", "run", *given, "sh", "-c", 'echo "$A, $B, ${C-unset}"', cwd=tmp_path)
    assert ran.stdout == "its own=1, of the profile, \n"
    changed = json.loads((tmp_path / "run" / "manifest.json").read_text())["environment"]
    assert (changed["A"], changed["B"], changed["C"]) == ("its own=1", "of the profile", "")
    assert (changed["HEAPPROFILE"] == "/nowhere/heap") == (profile != "heapprofile"), "what the tool needs is the tool's"


@pytest.mark.parametrize(
    ("profile", "name", "of_profile", "typed", "expected"),
    [
        ("heapprofile", "PERFTOOLS_VERBOSE", "-1", "-5", "-5"),  # which leakrun sets itself where nobody does
        ("jemalloc", "MALLOC_CONF", "narenas:1", "narenas:2", r"narenas:2,prof:true.*"),
        ("lsan", "LSAN_OPTIONS", "verbosity=1", "", r"(?!verbosity).*log_path=.*"),
    ],
)
def test_the_tool_s_own_settings_can_be_typed_too(
    profile: str, name: str, of_profile: str, typed: str, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(f"extends: {profile}\nenv: {{{name}: '{of_profile}'}}\n")
    leakrun("-q", "-p", "mine.yaml", "-o", "run", "--env", f"{name}={typed}", "true", cwd=tmp_path)
    assert re.fullmatch(expected, json.loads((tmp_path / "run" / "manifest.json").read_text())["environment"][name])


@pytest.mark.parametrize("typed", [True, False])
def test_what_the_environment_preloads_stands_behind_the_tool_s_library(typed: bool, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: heapprofile\n" + ("" if typed else "env: {LD_PRELOAD: libm.so.6}\n"))
    words = ("--env", "LD_PRELOAD=libm.so.6") if typed else ()
    leakrun("-q", "-p", "mine.yaml", "-o", "run", *words, "true", cwd=tmp_path)
    preloaded = json.loads((tmp_path / "run" / "manifest.json").read_text())["environment"]["LD_PRELOAD"].split(":")
    assert "libtcmalloc" in preloaded[0] and preloaded[1:] == ["libm.so.6"]


def test_a_secret_stays_out_of_manifest_and_answer(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: memcheck\nredact: ['--password=.*']\n")
    ran = leakrun("-q", "-p", tmp_path / "mine.yaml", "-o", tmp_path / "run", "true", "--password=hunter4")
    assert ran.returncode == 0
    for name in ("manifest.json", "answer.json"):
        text = (tmp_path / "run" / name).read_text()
        assert "[redacted]" in text and "hunter4" not in text


def test_a_program_whose_heap_is_empty_is_stopped_too(tmp_path: Path) -> None:
    (tmp_path / "p.c").write_text("#include <unistd.h>\nint main(void) { for (int i = 0; i < 100; i++) sleep(1); return 0; }\n")
    subprocess.run(["gcc", "-o", tmp_path / "p", tmp_path / "p.c"], check=True)
    ran = leakrun("-q", "-p", "memcheck", "--for", "2s", "--every", "500ms", "-o", tmp_path / "run", tmp_path / "p")
    assert ran.returncode == 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["exit"]["signal"] == 15  # ended by our signal, and not by itself a minute later
    assert any(event["kind"] == "snapshot" for event in manifest["timeline"])


@pytest.mark.parametrize("words", [("show", "run"), ("show", "run", "--json"), ("export", "run", "-f", "folded")])
def test_a_full_disk_behind_stdout_is_told(words: tuple[str, ...], run: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run([*COMMAND, *words], cwd=run.parent, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ran.returncode == 3
    assert "the output can't be written: No space left" in ran.stderr and "bug" not in ran.stderr
