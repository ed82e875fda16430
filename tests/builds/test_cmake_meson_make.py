"""leakrun in the tests of CMake's, Meson's and make's builds: real builds of a small project."""

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "examples" / "builds"

CMAKE = """
cmake_minimum_required(VERSION 3.16)
project(other C)
include({build}/leakrun.cmake)
foreach(name leaks tidy fails)
    add_executable(${{name}} ${{name}}.c)
    add_test(NAME ${{name}} COMMAND ${{name}} "two words")
endforeach()
add_executable(unmeasured leaks.c)
target_link_options(unmeasured PRIVATE -static)
add_test(NAME unmeasured COMMAND unmeasured)
"""
MESON = """
project('other', 'c', default_options: ['buildtype=debug'])
foreach name : ['leaks', 'tidy', 'fails']
  test(name, executable(name, name + '.c'), args: ['two words'])
endforeach
test('unmeasured', executable('unmeasured', 'leaks.c', link_args: ['-static']))
add_test_setup('leakrun', exe_wrapper: ['{build}/leakrun-test'], timeout_multiplier: 20)
"""


def outcomes(output: str) -> dict[str, bool]:
    """By test: it passed, as ctest and meson print it."""
    found = re.findall(r"(?:Test|MemCheck)\s+#\d+: (\w+) \.+\s*(\*\*\*)?|^\s*\d+/\d+ (\w+)\s+(OK|FAIL)", output, re.MULTILINE)
    return {name or other: (not failed) if name else word == "OK" for name, failed, other, word in found}


EXPECTED = {"leaks": False, "tidy": True, "fails": False, "unmeasured": False}


@pytest.fixture
def cmake(run, sources):
    """The project, configured and built; the directory of the build."""
    if not (shutil.which("cmake") and shutil.which("ctest")):
        pytest.skip("cmake is not installed")

    def configure(*options: str) -> Path:
        (sources / "CMakeLists.txt").write_text(CMAKE.format(build=BUILD))
        made = run("cmake", "-S", sources, "-B", sources / "build", "-DCMAKE_BUILD_TYPE=Debug", *options)
        assert made.returncode == 0, made.stderr
        made = run("cmake", "--build", sources / "build")
        assert made.returncode == 0, made.stdout + made.stderr
        return sources / "build"

    return configure


def test_ctest_runs_each_test_under_leakrun(run, cmake):
    build = cmake("-DLEAKRUN=ON")
    tested = run("ctest", "--test-dir", build, "--output-on-failure")
    assert tested.returncode != 0
    assert outcomes(tested.stdout) == EXPECTED, tested.stdout
    assert "leaks.c:2:1: error: 231 bytes in 3 blocks lost" in tested.stdout
    assert len(list((build / "leakrun-runs").iterdir())) >= 3


def test_ctest_without_leakrun_is_as_it_was(run, cmake):
    build = cmake()
    tested = run("ctest", "--test-dir", build)
    assert outcomes(tested.stdout) == EXPECTED | {"leaks": True, "unmeasured": True}
    assert not (build / "leakrun-runs").exists()


def test_ctest_takes_options_for_the_gate(run, cmake):
    build = cmake("-DLEAKRUN=ON")
    tested = run("ctest", "--test-dir", build, "-R", "leaks|unmeasured", LEAKRUN_CHECK="--max-bytes 1K")
    assert outcomes(tested.stdout) == {"leaks": True, "unmeasured": False}, tested.stdout


def test_ctest_memcheck_counts_the_defects_that_leakrun_found(run, cmake):
    build = cmake()
    tested = run("ctest", "-T", "memcheck", cwd=build)
    said = tested.stdout
    assert outcomes(said) == EXPECTED, said + tested.stderr
    assert re.search(r"Memory Leak - 1$", said, re.MULTILINE), said
    log = next(path for path in (build / "Testing" / "Temporary").glob("MemoryChecker.*.log") if "lost" in path.read_text())
    assert re.search(r"== 231 bytes in 3 blocks are definitely lost in loss record 1 of 1$", log.read_text(), re.MULTILINE)
    assert re.search(r"forget \(.*leaks\.c:2\)", log.read_text())
    assert tested.returncode != 0


def test_meson_runs_each_test_under_leakrun(run, sources):
    if not (shutil.which("meson") and shutil.which("ninja")):
        pytest.skip("meson is not installed")
    (sources / "meson.build").write_text(MESON.format(build=BUILD))
    made = run("meson", "setup", "build")
    assert made.returncode == 0, made.stdout + made.stderr
    tested = run("meson", "test", "-C", "build", "--wrapper", BUILD / "leakrun-test")
    assert tested.returncode != 0
    assert outcomes(tested.stdout) == EXPECTED, tested.stdout + tested.stderr
    by_setup = run("meson", "test", "-C", "build", "--setup", "leakrun", "--print-errorlogs", "leaks")
    assert outcomes(by_setup.stdout) == {"leaks": False}
    assert "leaks.c:2:1: error" in by_setup.stdout


def test_a_script_or_a_makefile_has_the_exit_code(run, programs):
    (programs / "Makefile").write_text(f"check-%:\n\t{BUILD}/leakrun-test ./$* 'two words'\n")
    for name, code in {"tidy": 0, "leaks": 1, "unmeasured": 3, "fails": 5}.items():
        made = run("make", f"check-{name}")
        assert made.returncode == (2 if code else 0), made.stderr
        assert f"Error {code}" in made.stderr if code else "tidy with 1: two words" in made.stdout


@pytest.mark.usefixtures("programs")
def test_what_cannot_be_started_is_said(run):
    tested = run(BUILD / "leakrun-test", "./nowhere")
    assert tested.returncode == 127 and "nowhere" in tested.stderr
    assert run(BUILD / "leakrun-test").returncode == 2
    assert run(BUILD / "leakrun-test", "./tidy", LEAKRUN_PROFILE="nonesuch").returncode == 2


def test_a_valgrind_option_reaches_memcheck_and_another_tool_is_refused(run, programs):
    (programs / "known.supp").write_text("{\n   known\n   Memcheck:Leak\n   fun:malloc\n   fun:forget\n   ...\n}\n")
    log = f"--log-file={programs}/memory.log"
    tested = run(BUILD / "leakrun-memcheck", log, "-q", "--tool=memcheck", f"--suppressions={programs}/known.supp", "./leaks")
    assert tested.returncode == 0, tested.stderr
    assert "lost" not in (programs / "memory.log").read_text()
    assert run(BUILD / "leakrun-memcheck", log, "--tool=massif", "./leaks").returncode == 2
    assert run(BUILD / "leakrun-memcheck", log).returncode == 2
