"""`leakrun bundle`: what is sent gives the same answer elsewhere, and holds no secrets."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.leakrun_command import answer, leakrun

SOURCE = r"""
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void *kept[1000];
static void grow(int n) { kept[n] = memset(malloc(30000), 1, 30000); }
int main(void) {
    for (int n = 0; n < 100; n++) { grow(n); usleep(15000); }
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("program")
    (directory / "app.c").write_text(SOURCE)
    subprocess.run(["gcc", "-g", "-o", directory / "app", directory / "app.c"], check=True)
    return directory / "app"


@pytest.fixture(scope="module")
def runs(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of each of three tools, and then the program is gone."""
    directory = tmp_path_factory.mktemp("runs")
    copy = directory / "here" / "app"
    copy.parent.mkdir()
    shutil.copy(program, copy)
    for profile in ("massif", "memcheck", "heapprofile"):
        ran = leakrun("-q", "-p", profile, "-o", directory / profile, copy)
        assert ran.returncode == 0, ran.stderr
    return directory


def unpacked(archive: Path, where: Path) -> Path:
    where.mkdir()
    with tarfile.open(archive) as file:
        file.extractall(where, filter="data")
    (directory,) = where.iterdir()
    return directory


def comparable(document):
    return {**document, "run": {key: value for key, value in document["run"].items() if key != "directory"}}


@pytest.mark.parametrize("profile", ["massif", "memcheck", "heapprofile"])
def test_elsewhere_the_answer_is_the_same(runs: Path, profile: str, tmp_path: Path) -> None:
    before = answer(runs / profile)
    made = leakrun("bundle", runs / profile, "-o", tmp_path / "sent.tar.gz")
    assert made.returncode == 0, made.stderr
    assert made.stdout.strip() == str(tmp_path / "sent.tar.gz")
    aside = runs.parent / f"{runs.name}-aside"
    runs.rename(aside)  # neither the run nor the program is where it was
    try:
        elsewhere = answer(unpacked(tmp_path / "sent.tar.gz", tmp_path / "there"))
    finally:
        aside.rename(runs)
    assert comparable(elsewhere) == comparable(before)
    assert before["verdict"] in ("growing", "clean")


def test_the_default_name_and_its_place(runs: Path, tmp_path: Path) -> None:
    made = leakrun("bundle", "massif", "--runs-dir", runs, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["massif.tar.gz"]


def test_with_binaries_names_are_found_that_nobody_kept(runs: Path, tmp_path: Path) -> None:
    made = leakrun("bundle", runs / "heapprofile", "--with-binaries", "-o", tmp_path / "sent.tar")
    assert made.returncode == 0, made.stderr
    there = unpacked(tmp_path / "sent.tar", tmp_path / "there")
    (there / "symbols.json").unlink()
    hidden = runs / "hidden"
    (runs / "here").rename(hidden)
    try:
        finding = answer(there)["findings"][0]
    finally:
        hidden.rename(runs / "here")
    assert (finding["function"], Path(finding["file"]).name, finding["line"]) == ("grow", "app.c", 6)


def test_a_binary_that_was_built_anew_is_left_out(program: Path, tmp_path: Path) -> None:
    copy = tmp_path / "app"
    shutil.copy(program, copy)
    assert leakrun("-q", "-p", "memcheck", "-o", tmp_path / "run", copy).returncode == 0
    with copy.open("ab") as file:
        file.write(b"another")
    made = leakrun("bundle", tmp_path / "run", "--with-binaries", "-o", tmp_path / "sent.tar.gz")
    assert f"left out: {copy} has changed since it ran" in made.stderr
    with tarfile.open(tmp_path / "sent.tar.gz") as file:
        names = file.getnames()
    assert f"run/binaries{copy}" not in names
    assert any("/binaries/" in name and "libc" in name for name in names)


@pytest.mark.skipif(not shutil.which("zstd"), reason="zstd is not installed")
def test_zstd_by_its_ending(runs: Path, tmp_path: Path) -> None:
    assert leakrun("bundle", runs / "massif", "-o", tmp_path / "sent.tar.zst").returncode == 0
    listed = subprocess.run(["tar", "--zstd", "-tf", tmp_path / "sent.tar.zst"], capture_output=True, text=True, check=True)
    assert "massif/manifest.json" in listed.stdout.splitlines()


@pytest.mark.parametrize("name", ["sent.zip", "nowhere/sent.tar.gz"])
def test_a_bundle_that_cannot_be_written_is_refused(runs: Path, tmp_path: Path, name: str) -> None:
    made = leakrun("bundle", runs / "massif", "-o", tmp_path / name)
    assert made.returncode == 2
    assert "Traceback" not in made.stderr and len(made.stderr.splitlines()) == 2
    assert list(tmp_path.iterdir()) == []


PROFILE = """
extends: {base}
name: private
env: {{ API_KEY: hush-environment, HARMLESS: said }}
redact: ["^--token", "secret phrase", "^API_KEY="]
"""
WORDS = ["--token=hush-argument", "a secret phrase of two", "plain"]


@pytest.mark.parametrize("base", ["massif", "memcheck", "dhat", "heapprofile"])
def test_what_is_redacted_is_nowhere_in_the_archive(program: Path, tmp_path: Path, base: str) -> None:
    (tmp_path / "private.yaml").write_text(PROFILE.format(base=base))
    ran = leakrun("-q", "-p", tmp_path / "private.yaml", "-o", tmp_path / "run", program, *WORDS)
    assert ran.returncode == 0, ran.stderr
    (tmp_path / "run" / "load.log").write_text("connecting with --token=hush-argument\n")
    made = leakrun("bundle", tmp_path / "run", "-o", tmp_path / "sent.tar.gz")
    assert made.returncode == 0, made.stderr
    there = unpacked(tmp_path / "sent.tar.gz", tmp_path / "there")
    held = {path: path.read_bytes() for path in there.rglob("*") if path.is_file()}
    for secret in (b"hush-argument", b"hush-environment", b"phrase of two"):
        assert [path.name for path, content in held.items() if secret in content] == []
    assert b"[redacted]" in held[there / "load.log"] and b"said" in held[there / "profile.yaml"]
    assert any(b"plain" in content for path, content in held.items() if path.parent == there / "raw") or base == "heapprofile"
    mine, theirs = answer(tmp_path / "run"), answer(there)
    for key in ("verdict", "reasons", "findings", "errors", "notes"):
        assert theirs[key] == mine[key]


def test_files_that_are_not_plain_and_the_requests_stay_out(runs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs / "memcheck", run)
    (run / "raw" / "link").symlink_to("/etc/passwd")
    (run / "requests").mkdir()
    (run / "requests" / "1.ask").write_text("{}")
    made = leakrun("bundle", run, "-o", tmp_path / "sent.tar.gz")
    assert "left out: raw/link is no plain file" in made.stderr
    with tarfile.open(tmp_path / "sent.tar.gz") as file:
        names = file.getnames()
        times = {member.name: member.mtime for member in file.getmembers()}
        assert all(member.uid == 0 and member.uname == "" for member in file.getmembers())
    assert not any("requests" in name or "link" in name for name in names)
    assert abs(times["run/manifest.json"] - (run / "manifest.json").stat().st_mtime) < 1e-5
    assert json.loads((run / "manifest.json").read_text())["state"] == "complete"


def test_a_hunt_goes_whole_with_its_steps(program: Path, tmp_path: Path) -> None:
    hunted = leakrun("hunt", "-q", "--budget", "40s", "-o", tmp_path / "hunt", "--", program)
    assert hunted.returncode == 0, hunted.stderr
    made = leakrun("bundle", tmp_path / "hunt", "--with-binaries", "-o", tmp_path / "sent.tar.gz")
    assert made.returncode == 0, made.stderr
    there = unpacked(tmp_path / "sent.tar.gz", tmp_path / "there")
    steps = sorted(path.name for path in (there / "steps").iterdir())
    assert steps == sorted(path.name for path in (tmp_path / "hunt" / "steps").iterdir())
    assert all(
        (there / "steps" / step / f"binaries{program}").exists() for step in steps if (there / "steps" / step / "maps").exists()
    )
    mine, theirs = answer(tmp_path / "hunt"), answer(there)
    for key in ("verdict", "findings", "errors"):
        assert theirs[key] == mine[key]
