"""What is lost on a stack that says little."""

import pytest

from runner.analysis import Scope, conclude
from runner.model import Frame, LossKind, Verdict
from tests.analysis.recordings import LIBC, LOSSES, MALLOC, losing


def of_losses(*losses):
    return conclude([losing(*losses)], Scope(LOSSES))


@pytest.mark.parametrize(
    "outermost", ["malloc", "operator new(unsigned long)", "__interceptor_malloc", "__GI___strdup", "strndup"]
)
def test_what_is_lost_on_a_stack_that_ends_in_the_allocator_is_nobody_s_excuse(outermost: str) -> None:
    """--num-callers=1, or code that can't be unwound: it need not be the system's libraries' loss."""
    answer = of_losses((LossKind.DEFINITE, 300, 3, (Frame(outermost, module=LIBC),)))
    assert answer.verdict is Verdict.LEAKING and [finding.bytes for finding in answer.findings] == [300]
    assert "ends in the allocator" in answer.findings[0].evidence[0]
    system = of_losses((LossKind.DEFINITE, 300, 3, (MALLOC, Frame("_dl_init", module="/lib64/ld-linux-x86-64.so.2"))))
    assert not system.findings
