"""A `leakrun` on the PATH, as an installed one is, and programs of which one leaks, one does not and one can't be measured."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = {
    "leaks": "#include <stdlib.h>\nstatic void forget(void) { *(volatile char *)malloc(77) = 1; }\n"
    "int main(void) { for (int n = 0; n < 3; n++) forget(); return 0; }\n",
    "tidy": "#include <stdio.h>\n#include <stdlib.h>\nint main(int count, char **words) {\n    free(malloc(77));\n"
    '    printf("tidy with %d: %s\\n", count - 1, count > 1 ? words[1] : "");\n    return 0;\n}\n',
    "fails": "int main(void) { return 5; }\n",
}


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a build: leakrun is on the PATH, and nobody's settings are there."""
    shims = tmp_path_factory.mktemp("bin")
    (shims / "leakrun").write_text(
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m runner "$@"\n'
    )
    (shims / "leakrun").chmod(0o755)
    dropped = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "LD_PRELOAD", "CI", "PYTEST_ADDOPTS"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEAKRUN") and name not in dropped}
    return kept | {"PATH": f"{shims}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command in the build's directory."""

    def run_(*words: object, cwd: Path = tmp_path, **more: str) -> subprocess.CompletedProcess[str]:
        argv = [str(word) for word in words]
        return subprocess.run(
            argv,
            cwd=cwd,
            env=environment | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )

    return run_


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """The C sources of the programs."""
    for name, text in SOURCES.items():
        (tmp_path / f"{name}.c").write_text(text)
    return tmp_path


@pytest.fixture
def programs(sources: Path) -> Path:
    """The programs: `unmeasured` is static, so that no tool sees its allocations."""
    for name in SOURCES:
        subprocess.run(["gcc", "-g", "-o", sources / name, sources / f"{name}.c"], check=True)
    subprocess.run(["gcc", "-g", "-static", "-o", sources / "unmeasured", sources / "leaks.c"], check=True)
    return sources
