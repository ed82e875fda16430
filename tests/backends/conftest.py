"""What the tests of several backends share."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.compiling import compiled


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Path]:
    """Compiles a source; the path of what came out."""
    return partial(_program, tmp_path)


def _program(directory: Path, source: str, *flags: str, name: str = "program", compiler: str = "gcc") -> Path:
    return compiled(directory, source, "-O1", *flags, name=name, compiler=compiler)
