"""`leakrun hunt` on memory that only pointers into its blocks reach: another tool says whether it grows."""

import json
import shutil
from pathlib import Path

import pytest

from tests.compiling import compiled
from tests.leakrun_command import leakrun

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed"),
]

# A header stands before what is pointed to, as that of redis's sds.
STRINGS = r"""
#include <stdlib.h>
static char *all[400];
static char *new_string(void) { return (char *)malloc(320) + 8; }
int main(void) {
    for (int number = 0; number < 400; number++) all[number] = new_string();
    return 0;
}
"""


def test_in_a_short_program_they_are_not_taken_for_memory_that_does_not_grow(tmp_path: Path) -> None:
    leakrun("hunt", "-q", "-o", tmp_path / "hunt", "--", compiled(tmp_path, STRINGS), timeout=300)
    said = json.loads((tmp_path / "hunt" / "answer.json").read_text())
    assert [step["profile"] for step in said["run"]["steps"]][1:3] == ["memcheck", "massif-alloc"]
    assert (said["verdict"], said["findings"][0]["function"]) == ("growing", "new_string")
