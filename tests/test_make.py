"""The Makefile, its fragment for other projects, and the scripts that make an environment."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples_truth import EXAMPLES, read_truth

ROOT = Path(__file__).resolve().parent.parent
LEAKRUN = f"{shlex.quote(sys.executable)} -c 'import sys; from runner.cli import main; sys.exit(main())'"

pytestmark = pytest.mark.timeout(300)


def run(*command: object, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    # What `make test` hands down to the makes that it starts is not meant for the makes here.
    env = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "NO_APT"}}
    env |= {"PYTHONPATH": str(ROOT), "LC_ALL": "C", "NO_COLOR": "1"} | environment
    argv = [str(word) for word in command]
    return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Another project, with a Makefile of its own that includes the fragment, and a program with a space in an argument."""
    (tmp_path / "app.c").write_text(
        "#include <stdio.h>\n#include <stdlib.h>\n"
        "static void forget(int size) {\n    *(char *)malloc(size) = 1;\n}\n"
        'int main(int count, char **words) {\n    printf("%d words, the last: %s\\n", count, words[count - 1]);\n'
        "    for (int i = 0; i < 10; i++) forget(100);\n    return 0;\n}\n"
    )
    (tmp_path / "Makefile").write_text(
        f"APP := app\nARGS := one 'two three'\ninclude {ROOT}/examples/leakrun.mk\n"
        "all: app\n\t@echo this is the first target\napp: app.c\n\tgcc -g -O0 -o $@ $<\n"
    )
    return tmp_path


def test_the_fragment_builds_the_program_and_names_its_leak(project: Path) -> None:
    made = run("make", "leak-memcheck", f"LEAKRUN={LEAKRUN}", cwd=project)
    assert made.returncode == 0, made.stderr
    assert "3 words, the last: two three" in made.stdout
    assert "app.c:4" in made.stderr


def test_the_fragment_takes_any_profile_and_options(project: Path) -> None:
    made = run("make", "leak", "PROFILE=memcheck-full", "LEAKRUN_FLAGS=--error-exitcode 9", f"LEAKRUN={LEAKRUN}", cwd=project)
    assert made.returncode == 2
    assert "Error 9" in made.stderr


@pytest.mark.parametrize("profile", ["memcheck", "massif", "heapprofile"])
def test_each_target_of_the_fragment_asks_for_its_profile(project: Path, profile: str) -> None:
    planned = run("make", "-n", f"leak-{profile}", cwd=project)
    assert f"leakrun -p {profile}  -- ./app one 'two three'" in planned.stdout


def test_the_fragment_leaves_the_first_target_to_the_project(project: Path) -> None:
    assert "this is the first target" in run("make", cwd=project).stdout


def test_a_program_that_is_not_named_is_asked_for(project: Path) -> None:
    made = run("make", "leak", "APP=", cwd=project)
    assert made.returncode == 2
    assert "Which program? Say it: make leak APP=./app" in made.stderr


def test_make_without_a_target_says_what_there_is() -> None:
    said = run("make")
    assert said.returncode == 0
    assert {"make demo", "make test", "make check", "make bench"} <= {
        " ".join(line.split()[:2]) for line in said.stdout.splitlines()
    }


def test_every_example_is_built_by_its_makefile(tmp_path: Path) -> None:
    made = run("make", "-j2", "-C", EXAMPLES, f"BIN={tmp_path}")
    assert made.returncode == 0, made.stderr
    assert "warning" not in made.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        path.stem for path in EXAMPLES.glob("*.c*") if path.suffix in {".c", ".cpp"}
    }


def test_the_demo_names_the_leaking_line_under_each_profile(tmp_path: Path) -> None:
    truth = read_truth(EXAMPLES / "early_return.c").expectations[0]
    assert run("make", "-C", EXAMPLES, f"BIN={tmp_path}").returncode == 0
    demo = f"DEMO={tmp_path}/early_return 4"
    made = run(
        "make", "-o", "setup", "-o", "examples", "demo", demo, f"LEAKRUN={LEAKRUN}", LEAKRUN_RUNS_DIR=str(tmp_path / "runs")
    )
    assert made.returncode == 0, made.stderr
    assert [line.split()[3] for line in made.stdout.splitlines() if line.startswith("$ ")] == [
        "memcheck",
        "massif",
        "heapprofile",
    ]
    assert made.stderr.count(f"early_return.c:{truth.line}") >= 3
    assert made.stderr.count(truth.function) >= 3
    lines = dict(line.split(":", 1) for line in made.stdout.partition("in one line each:")[2].splitlines() if line)
    written = (ROOT / "Makefile").read_text().split("DEMO_LINES ?=")[1].split("\n\n")[0]
    asked = re.findall(r"([\w-]+):(\w+)", written)
    assert {profile for profile, _ in asked} == lines.keys()
    for profile, name in asked:
        (source,) = EXAMPLES.glob(f"{name}.c*")
        place = f"{source.name}:{read_truth(source).expectations[0].line}"
        assert place in lines[profile] or "not measured here" in lines[profile] or profile == "malloc-info", lines[profile]


def test_the_demo_fails_where_nothing_is_found(tmp_path: Path) -> None:
    made = run(
        "make", "-o", "setup", "-o", "examples", "demo", "DEMO=/bin/true", f"LEAKRUN={LEAKRUN}", LEAKRUN_RUNS_DIR=str(tmp_path)
    )
    assert made.returncode == 2
    assert "the leak was not found under memcheck (exit code 0)" in made.stderr


# ---- Native tools: the real script, on a PATH that lacks them


def bare_path(directory: Path, *scripts: tuple[str, str]) -> str:
    """A PATH with little more than a shell on it, and with these scripts."""
    directory.mkdir()
    for name in ("bash", "env", "gcc", "g++", "make", "python3"):
        (directory / name).symlink_to(f"/usr/bin/{name}")
    for name, text in scripts:
        (directory / name).write_text(f"#!/bin/sh\n{text}\n")
        (directory / name).chmod(0o755)
    return str(directory)


APT = ("apt-get", 'echo "apt-get $*" >> "$LOG"')


def test_where_all_tools_are_there_nothing_is_said_or_asked(tmp_path: Path) -> None:
    done = run(ROOT / ".ci" / "native-tools")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_missing_tools_are_installed_by_apt_and_the_command_is_shown_first(tmp_path: Path) -> None:
    path = bare_path(tmp_path / "bin", APT, ("id", "echo 0"))
    done = run(ROOT / ".ci" / "native-tools", PATH=path, LOG=str(tmp_path / "log"))
    assert done.returncode == 0, done.stderr
    update, install = (tmp_path / "log").read_text().splitlines()
    assert update == "apt-get update -q"
    assert install.startswith("apt-get install -y")
    assert {"valgrind", "google-perftools", "gdb", "llvm"} <= set(install.split())
    assert not {"gcc", "make", "python3-venv"} & set(install.split())
    assert install in done.stderr


def test_who_is_not_root_installs_with_sudo(tmp_path: Path) -> None:
    path = bare_path(tmp_path / "bin", APT, ("id", "echo 1000"), ("sudo", 'echo "sudo $*" >> "$LOG"'))
    done = run(ROOT / ".ci" / "native-tools", PATH=path, LOG=str(tmp_path / "log"))
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in (tmp_path / "log").read_text().splitlines()] == ["sudo", "sudo"]


@pytest.mark.parametrize(
    ("scripts", "environment", "code", "words"),
    [
        ([APT], {"NO_APT": "1"}, 0, "Not installed, because of NO_APT: valgrind"),
        ([], {}, 1, "there is no apt to install them with"),
        ([APT, ("id", "echo 1000")], {}, 1, "There is no sudo; as root, run: apt-get install valgrind"),
    ],
    ids=["NO_APT", "no apt", "no sudo"],
)
def test_what_cannot_be_installed_is_said(
    tmp_path: Path, scripts: list[tuple[str, str]], environment: dict[str, str], code: int, words: str
) -> None:
    path = bare_path(tmp_path / "bin", *scripts)
    done = run(ROOT / ".ci" / "native-tools", PATH=path, LOG=str(tmp_path / "log"), **environment)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert not (tmp_path / "log").exists()


def test_a_python_that_will_do_is_found() -> None:
    found = run(ROOT / ".ci" / "find-python", sys.executable)
    assert (found.returncode, found.stdout.strip()) == (0, sys.executable)


def test_a_python_that_is_too_old_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = bare_path(tmp_path / "bin", ("python3.4", "exit 1"))
    found = run(ROOT / ".ci" / "find-python", "python3.4", PATH=path)
    assert (found.returncode, found.stdout) == (1, "")
    assert "leakrun needs Python 3.11 or newer" in found.stderr
    assert "make PYTHON=" in found.stderr
