"""Real runs of a small program, made once for all tests of the verbs that read them."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from tests.leakrun_command import leakrun

SOURCE = Path(__file__).with_name("leaky.c")


def build(directory: Path, *flags: str) -> Path:
    """The program, compiled from a copy of its source in `directory`: another checkout."""
    directory.mkdir()
    source = directory / SOURCE.name
    source.write_text(SOURCE.read_text())
    program = directory / "leaky"
    subprocess.run(["gcc", "-g", *flags, "-o", program, source], check=True, timeout=60)
    return program


@pytest.fixture(scope="session")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs, the oldest first: massif, heapprofile and memcheck of the program; heapprofile and memcheck of its other build.

    The first worker of pytest-xdist that asks for them makes them for all: nobody writes into them.
    """
    own = tmp_path_factory.getbasetemp()
    place = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "verbs"
    place.mkdir(exist_ok=True)
    with (place / "made").open("a+") as made:
        fcntl.flock(made, fcntl.LOCK_EX)
        if os.fstat(made.fileno()).st_size == 0:
            make_runs(place)
            made.write("yes")
    return place / "runs"


def make_runs(place: Path) -> None:
    (place / "runs").mkdir()
    old, new = build(place / "old"), build(place / "new", "-DSHIFTED")
    for profile, program, turns in (
        ("massif", old, 40),
        ("heapprofile", old, 40),
        ("memcheck", old, 5),
        ("heapprofile", new, 40),
        ("memcheck", new, 7),
    ):
        name = f"{profile}-{program.parent.name}"
        every = ("--every", "150ms") if profile == "heapprofile" else ()
        ran = leakrun("-q", "-p", profile, *every, "-o", place / "runs" / name, program, turns)
        assert ran.returncode == 0, ran.stderr
