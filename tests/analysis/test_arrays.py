"""numpy comes without threads, and leaves the environment of the programs that are started later as it is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.analysis import arrays

PACKAGE = Path(arrays.__file__).parents[1]
SAY = "import os, runner.analysis.growth; print(len(os.listdir('/proc/self/task')), os.environ.get('OPENBLAS_NUM_THREADS'))"


@pytest.mark.parametrize("own", [None, "3"])
def test_the_analysis_starts_no_thread(own: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    environment |= {"OPENBLAS_NUM_THREADS": own} if own else {}
    said = subprocess.run([sys.executable, "-c", SAY], env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.split() == ["1", str(own)]


def test_numpy_is_imported_in_one_place() -> None:
    importing = [path for path in PACKAGE.rglob("*.py") if "import numpy" in (text := path.read_text()) or "from numpy" in text]
    assert importing == [Path(arrays.__file__)]
