"""A browser, and pages of real runs, made once for all tests of the page."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.reports.page import html
from tests.leakrun_command import leakrun
from tests.page.browser import CHROMIUM, Browser, browser

SUBJECT = Path(__file__).with_name("subject.cc")
HOSTILE = "</script><img src=x onerror=window.broken=1>"
IS_BUILT = Path(html.__file__).with_name("bundle").joinpath("page.js").is_file()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium here: apt-get install chromium")
    with browser() as found:
        yield found


@pytest.fixture
def window(chromium: Browser) -> Iterator[Browser]:
    """A window of a desk's size; whatever the page complained of fails the test."""
    chromium.complaints.clear()
    chromium.requests.clear()
    chromium.size(1280, 900)
    yield chromium
    assert chromium.complaints == []


@pytest.fixture(scope="session")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, one of whose functions bears the hostile name."""
    place = tmp_path_factory.mktemp("page")
    source = place / SUBJECT.name
    source.write_text(SUBJECT.read_text())
    made, program = place / "subject.o", place / "subject"
    subprocess.run(["g++", "-g", "-O0", "-c", "-o", made, source], check=True, timeout=120)
    subprocess.run(["objcopy", "--redefine-sym", f"hostile_name={HOSTILE}", made], check=True, timeout=60)
    subprocess.run(["g++", "-o", program, made], check=True, timeout=60)
    return program


@pytest.fixture(scope="session")
def runs(subject: Path) -> Path:
    """Where the runs are: massif, heapprofile, and memcheck of a program with an error of use."""
    faulty = subject.with_name("faulty.c")
    faulty.write_text(
        "#include <stdlib.h>\nint main(void) {\n    int *four = malloc(16);\n    four[4] = 1;\n    return four == 0;\n}\n"
    )
    subprocess.run(["gcc", "-g", "-O0", "-o", subject.with_name("faulty"), faulty], check=True, timeout=60)
    for profile, program, more in (
        ("massif", subject, ()),
        ("heapprofile", subject, ("--every", "200ms")),
        ("memcheck", subject.with_name("faulty"), ()),
    ):
        ran = leakrun("-q", "-p", profile, *more, "-o", subject.with_name(profile), program)
        assert ran.returncode == 0, ran.stderr
    return subject.parent


@pytest.fixture(scope="session")
def page(runs: Path) -> Path:
    return written(runs, "massif")


def written(runs: Path, *what: object) -> Path:
    """The page of these runs, beside them."""
    if not IS_BUILT:
        pytest.skip("the page's script is not built: `make setup` builds it")
    file = runs / f"{hash(what):x}.html"
    ran = leakrun("report", *what, "-f", "html", "-o", file, "--runs-dir", runs)
    assert ran.returncode == 0, ran.stderr
    return file
