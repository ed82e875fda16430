"""Each mistake of a user: one clear line, the right exit code, nothing lost and nothing left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.leakrun_command import COMMAND, leakrun

SOURCE = "#include <stdlib.h>\nint main(void) { return malloc(10) == 0; }\n"
THREE_MISTAKES = "backend: massif\noptions:\n  detaled_freq: 1\n  depth: many\nsnapshots:\n  every: 5\n"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("programs")
    (directory / "p.c").write_text(SOURCE)
    for flags, name in (
        (["-g"], "dynamic"),
        (["-g", "-static"], "static"),
        (["-fsanitize=address"], "asan"),
        (["-fsanitize=address", "-static-libasan"], "asan_within"),
        (["-fsanitize=thread"], "tsan"),
    ):
        subprocess.run(["gcc", *flags, "-o", directory / name, directory / "p.c"], check=True)
    (directory / "plain.txt").write_text("no program\n")
    (directory / "no_magic").write_text("no program\n")
    (directory / "no_magic").chmod(0o755)
    (directory / "three.yaml").write_text(THREE_MISTAKES)
    return directory


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-p", "masif", "./dynamic"], 2, ["there is no profile 'masif'", "did you mean massif?"]),
        (["-p", "three.yaml", "./dynamic"], 2, ["three.yaml:3:3: options.detaled_freq", "three.yaml:4:10:", "three.yaml:6:10:"]),
        (["-p", "massif", "./missing"], 127, ["no program ./missing"]),
        (["-p", "massif", "missing"], 127, ["'missing' is not a program on PATH"]),
        (["-p", "massif", "./plain.txt"], 126, ["./plain.txt is not executable", "chmod +x"]),
        (["-p", "massif", "./no_magic"], 126, ["no_magic"]),
        (["-p", "massif", "."], 126, ["is a directory", "name the program itself"]),
        (["-p", "massif", "-o", ".", "./dynamic"], 2, ["exists already"]),
        (["-p", "massif", "-o", ".", "./missing"], 2, ["exists already"]),
        (["-p", "heapprofile", "--set", "library=/nowhere/libtcmalloc.so", "-o", ".", "./dynamic"], 2, ["exists already"]),
        (
            ["-p", "heapprofile", "--set", "library=/nowhere/libtcmalloc.so", "./dynamic"],
            3,
            ["/nowhere/libtcmalloc.so", "install"],
        ),
        (["-p", "heapprofile", "./static"], 3, ["./static is statically linked"]),
        (["-p", "massif", "./static"], 3, ["./static is statically linked"]),
        (["-p", "memcheck", "./static"], 3, ["./static is statically linked"]),
        (["-p", "memcheck", "./asan"], 3, ["./asan was built with -fsanitize=address", "`-p lsan` measures it"]),
        (["-p", "massif", "./asan_within"], 3, ["./asan_within was built with -fsanitize=address"]),
        (["-p", "memcheck", "./tsan"], 3, ["./tsan was built with -fsanitize=thread", "build it without"]),
        (["-p", "massif", "--set", "depth=zero", "./dynamic"], 2, ["--set depth"]),
        (["-p", "massif", "--set", "foo=1", "./dynamic"], 2, ["--set foo: there is no such key (there are alloc_fn, depth,"]),
        (["-p", "heapprofile", "--tool-arg=--x", "./dynamic"], 2, ["heapprofile has no command line"]),
        (["-p", "memcheck", "--set", "suppressions=/nowhere.supp", "./dynamic"], 2, ["suppression file '/nowhere.supp'"]),
        (["-p", "massif", "--every", "5", "./dynamic"], 2, ["--every", "5s"]),
        (["--no-such-option", "./dynamic"], 2, ["--no-such-option"]),
        (["-p"], 2, ["-p"]),
        (["-p", "massif"], 2, ["PROGRAM"]),
        (["-p", "massif", "--env", "novalue", "./dynamic"], 2, ["novalue"]),
        (["show", "nothing-of-that-name"], 2, ["nothing-of-that-name"]),
        (["show", "last"], 2, ["no run"]),
        (["show", "two\nlines"], 2, ["leakrun: 'two\\nlines': there is no such run"]),
        (["check", "x" * 300], 2, ["there is no such run"]),
        (["show", "p.c"], 2, ["p.c: not a file that leakrun can read"]),
        (["show", "."], 2, ["not a run directory"]),
        (["show", "p.c", "--exe", "/nowhere/app"], 2, ["--exe '/nowhere/app' is not there"]),
        (["growth", "p.c", "--symbol-path", "x" * 300], 2, ["--symbol-path 'xxx", "is not there"]),
        (["show", "/dev/null"], 2, ["/dev/null is a pipe or a device", "to a file"]),
        (["suppress", "last", "first"], 2, ["'RANK': it is not a whole number"]),
        (["-p", "massif", "atach", "4711"], 127, ["'atach' is not a program on PATH", "did you mean `leakrun attach`?"]),
        (["report", "last"], 2, ["Missing option '-f' / '--format'. Choose from: html, svg, pdf, dot, text"]),
        (["report", "last", "-f", "jpeg"], 2, ["'jpeg' is not one of 'html'"]),
        (["report", "last", "-f", "dot", "--nodefraction", "2"], 2, ["'--nodefraction': write at most 1\n"]),
        (["growth", "last", "--top", "0"], 2, ["'--top': write at least 1\n"]),
        (["growth", "last", "--top", "9" * 5000], 2, ["'--top': it is too large\n"]),
        (["-p", "pmap", "-o", "/proc/x", "./dynamic"], 2, ["the directory /proc/x can't be made"]),
        (["profiles", "../../etc/passwd"], 2, ["passwd"]),
        (["profiles", "--validate", "three.yaml"], 2, ["three.yaml:3:3:"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and value[0][0] in "-sp" else "",
)
def test_a_mistake_is_told_clearly(words: list[str], code: int, said: list[str], programs: Path) -> None:
    before = sorted(programs.rglob("*"))
    ran = leakrun(*words, cwd=programs)
    assert ran.returncode == code, ran.stderr
    for text in said:
        assert text in ran.stderr
    assert "Traceback" not in ran.stderr and ran.stdout == ""
    assert len(ran.stderr.splitlines()) <= 5
    after = [path for path in sorted(programs.rglob("*")) if path not in before and path.name != "leakrun-runs"]
    assert after == []


def test_a_missing_tool_is_named_with_its_installation(programs: Path, tmp_path: Path) -> None:
    for command in ("env", "python3"):
        (tmp_path / command).symlink_to(f"/usr/bin/{command}")
    ran = leakrun("-p", "massif", "./dynamic", cwd=programs, PATH=str(tmp_path))
    assert ran.returncode == 3
    assert "valgrind" in ran.stderr and "apt-get install valgrind" in ran.stderr


def test_a_program_that_is_killed_left_nothing_to_read(programs: Path) -> None:
    ran = leakrun("-q", "-p", "massif", "-o", "killed", "bash", "-c", "bash -c 'kill -9 $PPID'; sleep 9", cwd=programs)
    assert ran.returncode == 3
    shown = leakrun("show", "killed", cwd=programs)
    assert shown.returncode == 0
    assert "inconclusive" in shown.stdout and "SIGKILL" in shown.stdout


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -TERM $$", 143), ("exit 0", 0)])
def test_the_programs_own_exit_code_is_passed_on(script: str, code: int, programs: Path, tmp_path: Path) -> None:
    ran = leakrun("-q", "-p", "heapprofile", "-o", tmp_path / "run", "bash", "-c", script, cwd=programs)
    # bash may end too early for a dump: then nothing was measured, which is 3 whatever the program said.
    dumps = list((tmp_path / "run" / "raw").iterdir())
    assert ran.returncode == (code if dumps else 3)


def test_the_streams_belong_to_the_program(programs: Path, tmp_path: Path) -> None:
    ran = leakrun("-q", "-p", "massif", "-o", tmp_path / "run", "sh", "-c", "echo out; echo err >&2", cwd=programs)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "out\n", "err\n")


def test_a_full_stderr_costs_no_exit_code(tmp_path: Path) -> None:
    words = [*COMMAND, "-p", "massif", "-o", tmp_path / "run", "sh", "-c", "exit 7"]
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(words, stderr=full, stdin=subprocess.DEVNULL, timeout=60, check=False).returncode == 7


@pytest.mark.parametrize("words", [["show", "last"], ["-p", "massif", "true"], ["hunt", "--", "true"], ["attach", "1"]])
def test_a_working_directory_that_was_deleted_is_said(words: list[str], tmp_path: Path) -> None:
    script = f'cd "$0" && rmdir "$0" && exec {sys.executable} -m runner "$@"'
    ran = subprocess.run(
        ["bash", "-c", script, tmp_path, *words], env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "leakrun: the working directory was deleted\n  cd to one that is there\n"


def test_options_after_the_program_are_the_programs(tmp_path: Path) -> None:
    ran = leakrun("-q", "-p", "massif", "-o", tmp_path / "run", "echo", "-p", "--version", "--", "x")
    assert ran.stdout == "-p --version -- x\n"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


GOLDEN = Path(__file__).parent.parent / "golden"


def test_show_leaves_out_what_no_profiler_wrote_and_says_so(tmp_path: Path) -> None:
    clean = GOLDEN / "lsan_report" / "clean" / "clean.out"
    (tmp_path / "notes.txt").write_text("of another kind\n")
    (tmp_path / "empty.heap").touch()
    alone = leakrun("show", clean)
    beside = leakrun("show", "-v", clean, tmp_path / "notes.txt")
    assert beside.returncode == 0 and "notes.txt: not a file that leakrun can read" in " ".join(beside.stdout.split())
    assert beside.stdout.split()[0] == alone.stdout.split()[0]
    lost = leakrun("show", clean, tmp_path / "empty.heap")
    assert lost.stdout.startswith("inconclusive") and "empty.heap: an empty file" in " ".join(lost.stdout.split())
    nothing = leakrun("show", tmp_path / "empty.heap", tmp_path / "notes.txt")
    assert nothing.returncode == 2 and "an empty file" in nothing.stderr
    gate = leakrun("check", clean, tmp_path / "notes.txt")
    assert gate.returncode == 2 and "not a file that leakrun can read" in gate.stderr
