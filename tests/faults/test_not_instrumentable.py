"""Programs that a tool can't see into: refused before the start, exit 3, or inconclusive. Never clean."""

import json
import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.faults.conftest import LEAKER, need
from tests.leakrun_command import answer, leakrun

pytestmark = pytest.mark.timeout(400)

TOOLS = ("memcheck", "massif", "heapprofile", "dhat", "mtrace", "jemalloc", "heapcheck")
GO = """package main
import ("fmt"; "time")
var kept [][]byte
func main() {
    for i := 0; i < 200; i++ { kept = append(kept, make([]byte, 30000)); time.Sleep(10 * time.Millisecond) }
    fmt.Println(len(kept))
}
"""
CGO = """package main
// #include <stdlib.h>
import "C"
import ("fmt"; "time")
func main() { for i := 0; i < 200; i++ { C.malloc(30000); time.Sleep(10 * time.Millisecond) }; fmt.Println("done") }
"""


def never_clean(tool: str, run: Path, *command: object) -> None:
    ran = leakrun("-p", tool, "-o", run, *command)
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 3 or answer(run)["verdict"] != "clean", ran.stderr
    if run.exists():
        assert answer(run)["verdict"] != "clean"


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    need("go")
    directory = tmp_path_factory.mktemp("go")
    environment = {**os.environ, "GO111MODULE": "off", "GOCACHE": str(directory / "cache"), "GOFLAGS": "", "HOME": str(directory)}

    @cache
    def built(source: str) -> Path:
        name = "cgo" if source is CGO else "pure"
        (directory / f"{name}.go").write_text(source)
        made = subprocess.run(
            ["go", "build", "-o", directory / name, directory / f"{name}.go"],
            env={**environment, "CGO_ENABLED": "1" if source is CGO else "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            pytest.skip(f"go can't build here: {made.stderr[-200:]}")
        return directory / name

    return built


@pytest.mark.parametrize("tool", TOOLS)
def test_a_go_program_is_never_clean(tool: str, go: Callable[[str], Path], tmp_path: Path) -> None:
    never_clean(tool, tmp_path / "run", go(GO))


@pytest.mark.parametrize("tool", ["massif", "heapprofile", "mtrace"])
def test_a_go_program_with_c_in_it_is_never_clean(tool: str, go: Callable[[str], Path], tmp_path: Path) -> None:
    never_clean(tool, tmp_path / "run", go(CGO))


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("flags", [(), ("-static",)], ids=["dynamic", "static"])
def test_a_musl_program_is_never_clean(tool: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    need("musl-gcc")
    (tmp_path / "p.c").write_text(LEAKER)
    subprocess.run(["musl-gcc", "-g", *flags, "-o", tmp_path / "p", tmp_path / "p.c"], check=True)
    never_clean(tool, tmp_path / "run", tmp_path / "p", "lose", "1")


@pytest.mark.parametrize("tool", TOOLS)
def test_a_32_bit_program_is_never_clean(tool: str, tmp_path: Path) -> None:
    (tmp_path / "p.c").write_text(LEAKER)
    made = subprocess.run(["gcc", "-m32", "-g", "-o", tmp_path / "p", tmp_path / "p.c"], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("gcc can't build for 32 bits here (gcc-multilib is not installed)")
    never_clean(tool, tmp_path / "run", tmp_path / "p", "lose", "1")


@pytest.mark.parametrize("tool", ["massif", "memcheck"])
def test_debug_info_that_valgrind_gives_up_on_is_no_clean_program(tool: str, tmp_path: Path) -> None:
    """Measured: 3.19 can't read -gsplit-dwarf of DWARF 5, and ends before the program began; another version may."""
    (tmp_path / "p.c").write_text(LEAKER)
    subprocess.run(["gcc", "-gdwarf-5", "-gsplit-dwarf", "-o", "p", "p.c"], check=True, cwd=tmp_path)
    never_clean(tool, tmp_path / "run", tmp_path / "p", "lose", "1")
    said = answer(tmp_path / "run")
    assert said["run"]["measured"] or "gave up as it began" in said["reasons"][0]


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sanitized")
    (directory / "p.c").write_text("#include <stdlib.h>\nint main(void) { *(int *volatile *)malloc(100) = 0; return 0; }\n")
    built = subprocess.run(["gcc", "-g", "-fsanitize=address", "-o", "p", "p.c"], cwd=directory, capture_output=True, check=False)
    if built.returncode:
        pytest.skip("gcc can't link ASan's library here")
    return directory / "p"


@pytest.mark.parametrize("tool", ["memcheck", "heapprofile", "heapcheck", "jemalloc", "mtrace", "heaptrack"])
def test_a_program_built_with_a_sanitizer_is_refused_by_name(tool: str, sanitized: Path, tmp_path: Path) -> None:
    ran = leakrun("-p", tool, "-o", tmp_path / "run", sanitized)
    assert ran.returncode == 3 and "-fsanitize=address" in ran.stderr and "-p lsan" in ran.stderr, ran.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("tool", ["memcheck", "massif"])
def test_a_program_built_with_a_sanitizer_behind_a_shell_is_never_clean(tool: str, sanitized: Path, tmp_path: Path) -> None:
    never_clean(tool, tmp_path / "run", "--cwd", sanitized.parent, "sh", "-c", "./p; sleep 0.5; true")
    said = answer(tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    seen = any(process["command"][:1] == ["./p"] for process in manifest["processes"])  # it ends within milliseconds
    assert not seen or any("-fsanitize=address" in doubt for doubt in said["doubts"]), said["doubts"]
