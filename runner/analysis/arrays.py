"""numpy, imported without a thread for each core.

Its linear algebra, which nothing here uses, starts them at once: they take a third of the import's time, and a hunt forks
when they are there.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["NDArray", "np"]

_THREADS = "OPENBLAS_NUM_THREADS"


@contextmanager
def _one_thread() -> Iterator[None]:
    """The variable is set for the import alone: the programs that are started later have their own."""
    before = os.environ.get(_THREADS)
    os.environ[_THREADS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_THREADS]
        else:
            os.environ[_THREADS] = before


with _one_thread():
    import numpy as np
    from numpy.typing import NDArray
