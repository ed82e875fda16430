"""What was found valid is not validated again, and what has changed is."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runner.errors import LeakrunError
from runner.pipeline import load_profile
from runner.profile import cache as profile_cache
from runner.profile import dump
from runner.profile import reading as profile_reading


@pytest.fixture(autouse=True)
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache's directory, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "leakrun" / "profiles"


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the profiles that were read from YAML, in turn."""
    names: list[str] = []
    read = profile_reading.read_profile

    def counted(name: str, *more: object) -> object:
        names.append(name)
        return read(name, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(profile_reading, "read_profile", counted)
    return names


def written(directory: Path, name: str, text: str) -> str:
    (directory / name).write_text(text)
    return str(directory / name)


def test_the_second_time_it_is_not_read_and_equal(readings: list[str]) -> None:
    words = ("massif", ("depth=40", "env.A=é\n", "stop.grace=1.5s"), ("--verbose",))
    assert load_profile(*words) == load_profile(*words)
    assert readings == ["massif"]


def test_other_overrides_are_another_question(readings: list[str]) -> None:
    depths = [load_profile("massif", (f"depth={depth}",)).options.given()["depth"] for depth in (7, 8, 7)]
    assert depths == [7, 8, 7] and len(readings) == 2
    assert load_profile("massif").options.given().get("depth") not in (7, 8)


def test_a_change_is_seen_also_in_what_it_extends(tmp_path: Path, readings: list[str]) -> None:
    written(tmp_path, "below.yaml", "backend: massif\noptions: {depth: 5}\n")
    above = written(tmp_path, "above.yaml", "extends: ./below.yaml\n")
    assert [load_profile(above).options.given()["depth"] for _ in range(2)] == [5, 5] and len(readings) == 1
    written(tmp_path, "below.yaml", "backend: massif\noptions: {depth: 6}\n")
    assert load_profile(above).options.given()["depth"] == 6
    written(tmp_path, "above.yaml", "extends: ./below.yaml\noptions: {depth: 7}\n")
    assert load_profile(above).options.given()["depth"] == 7
    (tmp_path / "below.yaml").unlink()
    with pytest.raises(LeakrunError):
        load_profile(above)


def test_the_same_text_elsewhere_has_its_own_paths(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        file = written(tmp_path / name, "p.yaml", "backend: memcheck\noptions: {suppressions: [./mine.supp]}\n")
        assert load_profile(file).options.given()["suppressions"] == (str(tmp_path / name / "mine.supp"),)


def test_what_a_run_directory_keeps_is_known_already(tmp_path: Path, readings: list[str]) -> None:
    profile = load_profile("massif", ("depth=9",))
    assert load_profile(written(tmp_path, "profile.yaml", dump(profile))) == profile
    assert readings == ["massif"]


def test_what_is_wrong_is_not_kept(tmp_path: Path, entries: Path) -> None:
    file = written(tmp_path, "p.yaml", "backend: massif\noptions: {depth: 0}\n")
    for _ in range(2):
        with pytest.raises(LeakrunError, match="depth"):
            load_profile(file)
    assert not entries.exists()


@pytest.mark.parametrize("content", [b"", b"\xff\0", b"{", b"{}", b"[]", b"{'question': 1}", b"(" * 5000, b"__import__('os')"])
def test_a_damaged_entry_is_as_if_it_were_not_there(entries: Path, readings: list[str], content: bytes) -> None:
    profile = load_profile("massif")
    for entry in entries.iterdir():
        entry.write_bytes(content)
    assert load_profile("massif") == profile
    assert len(readings) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_an_entry_of_another_user_is_not_believed(entries: Path, readings: list[str]) -> None:
    load_profile("massif")
    for entry in entries.iterdir():
        os.chown(entry, 65534, 65534)
    load_profile("massif")
    assert len(readings) == 2


def test_a_cache_that_cant_be_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readings: list[str]) -> None:
    written(tmp_path, "file", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load_profile("massif") == load_profile("massif")
    assert len(readings) == 2


def test_the_cache_stays_small(entries: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_cache, "MOST_ENTRIES", 6)
    for depth in range(1, 12):
        load_profile("massif", (f"depth={depth}",))
    assert 1 < len(list(entries.iterdir())) <= 6


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("backend: massif\noptions: {depth: 3}\n",))
    writer.start()
    assert load_profile(str(pipe)).options.given()["depth"] == 3
    writer.join()


def test_other_code_asks_again() -> None:
    """An entry that another state of leakrun's code made is not taken: it may have meant something else."""
    program = (
        "from runner.profile import cache as c; from pathlib import Path; c.__version__ = '%s'; print(c.kept(c.about_text(b'x')))"
    )
    keep = program.replace("print(", "c.keep(c.about_text(b'x'), {'a': 1}); print(")
    said = [
        subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60).stdout.strip()
        for text in (keep % "1", program % "1", program % "2")
    ]
    assert said == ["{'a': 1}", "{'a': 1}", "None"]
