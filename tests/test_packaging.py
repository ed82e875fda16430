"""The wheel holds all that leakrun needs, and works where nothing else is installed."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROFILES = {path.name for path in (ROOT / "profiles").glob("*.yaml")}

pytestmark = pytest.mark.timeout(400)


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    argv = [str(word) for word in command]
    return subprocess.run(argv, cwd=cwd, env=env | environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="hatchling builds the wheel: `make setup` installs it")
    directory = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", directory]
    built = run(sys.executable, "-m", "pip", "wheel", *options, ROOT, cwd=directory)
    assert built.returncode == 0, built.stderr
    (path,) = directory.glob("leakrun-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin/ of an environment that has the wheel and what it requires, and nothing else."""
    environment = tmp_path_factory.mktemp("environment")
    assert run(sys.executable, "-m", "venv", environment, cwd=environment).returncode == 0
    pip = [environment / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    done = run(*pip, "install", "-c", ROOT / "constraints.txt", wheel, cwd=environment)
    if done.returncode and re.search(r"Could not find a version|No matching distribution|Connection|Network", done.stderr):
        pytest.skip(f"no package index can be reached: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return environment / "bin"


def test_the_wheel_holds_the_package_the_profiles_and_the_typing_marker(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "runner/py.typed" in names
    assert PROFILES
    assert {name.removeprefix("runner/_profiles/") for name in names if name.startswith("runner/_profiles/")} == PROFILES
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "runner").rglob("*.py")}
    assert sources <= names


def test_the_wheel_holds_the_report_page_and_not_what_it_is_made_from(wheel: Path) -> None:
    page = "runner/reports/page/"
    held = {name.removeprefix(page) for name in zipfile.ZipFile(wheel).namelist() if name.startswith(page)}
    assert not {name for name in held if name.startswith(("src/", "node_modules/", "package"))}
    if not (ROOT / page / "bundle" / "page.js").is_file():
        pytest.skip("the page's script could not be built here: `make setup` says why")
    assert {"bundle/page.js", "bundle/page.css", "bundle/licences.txt"} <= held


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    version = wheel.name.split("-")[1]
    assert tops == {"runner", f"leakrun-{version}.dist-info", f"leakrun-{version}.data"}
    data = [name for name in zipfile.ZipFile(wheel).namelist() if ".data/" in name]
    assert data == [f"leakrun-{version}.data/data/share/man/man1/leakrun.1"]


def test_an_installed_leakrun_says_its_version_anywhere(installed: Path, wheel: Path, tmp_path: Path) -> None:
    said = run(installed / "leakrun", "--version", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert wheel.name.split("-")[1] in said.stdout


def test_an_installed_leakrun_finds_every_shipped_profile(installed: Path, tmp_path: Path) -> None:
    said = run(installed / "leakrun", "profiles", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert {Path(name).stem for name in PROFILES} <= set(said.stdout.split())


def test_an_installed_leakrun_finds_a_leak(installed: Path, tmp_path: Path) -> None:
    source = tmp_path / "forget.c"
    loop = "    for (int i = 0; i < 9; i++) *(int *)malloc(40) = i;"
    source.write_text(f"#include <stdlib.h>\nint main(void) {{\n{loop}\n    return 0;\n}}\n")
    subprocess.run(["gcc", "-g", "-O0", "-o", tmp_path / "forget", source], check=True, timeout=60)
    ran = run(installed / "leakrun", "-p", "memcheck", "--error-exitcode", "9", "./forget", cwd=tmp_path)
    assert ran.returncode == 9, ran.stderr
    assert "forget.c:3" in ran.stderr


def test_no_file_of_the_project_names_a_package_index() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    if listed.returncode:
        pytest.skip("this is not a git checkout")
    address = re.compile(rb"(--(extra-)?index-url|--find-links|--trusted-host|PIP_INDEX_URL)[ =]|https?://[^ ]*/simple\b")
    files = [ROOT / name for name in listed.stdout.splitlines() if name != "tests/test_packaging.py"]
    assert [str(file) for file in files if file.is_file() and address.search(file.read_bytes())] == []


def test_the_constraints_pin_everything_that_is_required() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {line.split("==")[0].lower() for line in lines if not line.startswith("#")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [project["build-system"]["requires"], project["project"]["dependencies"]]
    groups += project["project"]["optional-dependencies"].values()
    wanted = {re.split(r"[<>=\[; ]", requirement)[0].lower() for group in groups for requirement in group}
    assert wanted - pins == set()
