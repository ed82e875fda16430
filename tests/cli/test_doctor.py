"""`leakrun doctor`: what is here by the tools' own word, and what it says where they are missing."""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runner import backends, cli
from runner.cli.doctor import install_line
from tests.leakrun_command import COMMAND, leakrun


def document(path: Path | None = None, **environment: str) -> dict[str, Any]:
    """As a user has it, with `path` for PATH."""
    ran = leakrun("doctor", "--json", **({"PATH": str(path)} if path else {}), **environment)
    assert (ran.returncode, ran.stderr) == (0, "")
    found: dict[str, Any] = json.loads(ran.stdout)
    assert found["schema"] == "leakrun.doctor/1"
    return found


def named(entries: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in entries}


def commands(directory: Path, *names: str) -> Path:
    """A directory with these commands of the system, and no others."""
    directory.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found, name
        (directory / name).symlink_to(found)
    return directory


def test_every_backend_is_there_with_its_tool_and_version() -> None:
    found = named(document()["backends"])
    assert sorted(found) == sorted(backends.names())
    version = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    for name in ("memcheck", "massif"):
        assert (found[name]["status"], found[name]["path"]) == ("found", shutil.which("valgrind"))
        assert version == f"valgrind-{found[name]['version']}"
    assert found["heapprofile"]["status"] == "found"
    assert Path(found["heapprofile"]["path"]).is_file()


def test_helpers_and_their_versions() -> None:
    found = named(document()["helpers"])
    assert set(found) == {"llvm-symbolizer", "addr2line", "vgdb", "ms_print", "gdb", "dot"}
    for name in ("addr2line", "gdb", "ms_print"):
        said = subprocess.run([name, "--version"], capture_output=True, text=True, check=False)
        printed = said.stdout + said.stderr
        assert found[name]["path"] == shutil.which(name)
        assert found[name]["version"] in printed.splitlines()[0]


def test_where_all_is_missing_one_line_installs_it(tmp_path: Path) -> None:
    found = document(commands(tmp_path / "bin", "apt-get"))
    assert {each["status"] for each in found["helpers"]} == {"missing"}
    assert named(found["backends"])["memcheck"]["status"] == "missing"
    prefix = "" if os.geteuid() == 0 else "sudo "
    assert found["install"].startswith(f"{prefix}apt-get install ")
    assert {"valgrind", "gdb", "llvm", "binutils"} <= set(found["install"].split())
    assert len(found["install"].split()) == len(set(found["install"].split()))
    simulated = subprocess.run(["apt-cache", "show", "valgrind", "gdb", "llvm", "binutils"], capture_output=True, check=False)
    assert simulated.returncode == 0, "the packages are called something else"


def test_what_is_there_is_not_installed_again(tmp_path: Path) -> None:
    found = document(commands(tmp_path / "bin", "apt-get", "gdb", "valgrind", "addr2line"))
    words = found["install"].split()
    assert "gdb" not in words and "binutils" not in words
    assert "llvm" in words
    limited = named(found["backends"])["massif"]
    assert limited["status"] == "limited"  # valgrind without vgdb
    assert limited["limits"]


def test_without_a_package_manager_it_still_says_what_is_missing(tmp_path: Path) -> None:
    path = commands(tmp_path / "bin")
    assert document(path)["install"] is None
    said = leakrun("doctor", PATH=str(path))
    assert said.returncode == 0
    assert "no apt-get, dnf or pacman" in said.stdout
    assert "gdb" in said.stdout.split("no apt-get")[1]


@pytest.mark.parametrize(
    ("manager", "line"), [("dnf", "dnf install gperftools-libs valgrind"), ("pacman", "pacman -S gperftools valgrind")]
)
def test_other_systems_have_their_own_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, manager: str, line: str) -> None:
    fake = tmp_path / manager
    fake.write_text("#!/bin/sh\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    texts = [backends.get(name).probe(backends.get(name).Options()).install for name in ("memcheck", "massif", "heapprofile")]
    said = install_line(texts)
    assert said is not None
    assert said.removeprefix("sudo ") == line
    assert install_line([]) is None


def test_the_settings_are_the_kernels() -> None:
    settings = named(document(DEBUGINFOD_URLS="https://debuginfod.example/")["settings"])
    assert settings["DEBUGINFOD_URLS"]["value"] == "https://debuginfod.example/"
    paranoid = Path("/proc/sys/kernel/perf_event_paranoid")
    if paranoid.exists():
        assert settings["perf_event_paranoid"]["value"] == paranoid.read_text().strip()
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    assert settings["ptrace_scope"]["value"] == (scope.read_text().strip() if scope.exists() else "none (no Yama)")
    assert (settings["kernel BTF"]["value"] == "present") == Path("/sys/kernel/btf/vmlinux").exists()
    assert all(setting["effect"] for setting in settings.values())


def test_the_core_limit_is_the_one_that_programs_get() -> None:
    words = f"ulimit -S -c 0; exec {shlex.join(COMMAND)} doctor --json"
    said = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=True)
    assert named(json.loads(said.stdout)["settings"])["core limit"]["value"] == "0 bytes"


@pytest.mark.parametrize("width", [80, 250])
def test_people_see_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    long = [line for line in out.splitlines() if len(line) > width and "/" not in line]  # a path is not broken
    assert not long
    for name in backends.names():  # what it costs is there, on the same line or below it
        assert " ".join(backends.get(name).cost.split()) in " ".join(out.split())
    rows = [line.split() for line in out.splitlines()]
    for name in backends.names():
        assert [row[1] for row in rows if row[:1] == [name]] in (["found"], ["limited"], ["missing"])
    assert rows[-1] == ["nothing", "is", "missing"] or "install" in out


def test_what_no_package_brings_is_said_apart(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert cli.main(["doctor"]) == 0
    said = capfd.readouterr().out
    assert "bpf needs root: run leakrun with sudo" in said and "no apt-get" not in said
    assert cli.main(["-p", "bpf", "true"]) == 3
    assert capfd.readouterr().err == "leakrun: profile bpf needs root\n  run leakrun with sudo\n"
