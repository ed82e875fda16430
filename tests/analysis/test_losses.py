"""What is lost on a stack that says little."""

import pytest

from runner.analysis import Scope, conclude
from runner.model import Frame, Loss, LossKind, Verdict
from tests.analysis.recordings import LIBC, LOSSES, MAIN, MALLOC, code, losing


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


def test_a_finding_says_how_much_hangs_on_its_blocks() -> None:
    stack = (MALLOC, code("table_new", 7), MAIN)
    recording = losing((LossKind.DEFINITE, 300, 3, stack), (LossKind.DEFINITE, 5000, 1, stack))
    recording.losses[1] = Loss(LossKind.DEFINITE, 5000, 1, recording.losses[1].stack_id, 4900)
    (found,) = conclude([recording], Scope(LOSSES)).findings
    assert (found.bytes, found.blocks, found.indirect_bytes) == (5300, 4, 4900)


def test_rust_s_standard_library_is_not_to_blame() -> None:
    """Frames as memcheck prints them of a program that rustc 1.95 built with -g."""
    new = [
        Frame("alloc::alloc::Global::alloc_impl_runtime", "library/alloc/src/alloc.rs", 190),
        Frame("allocate", "library/alloc/src/alloc.rs", 429),
        Frame("<alloc::raw_vec::RawVecInner>::try_allocate_in", module="/home/me/app/server"),
        Frame("new<u8>", "/rustc/0123456789abcdef/library/alloc/src/boxed.rs", 286),
    ]
    answer = of_losses((LossKind.DEFINITE, 300, 3, (MALLOC, *new, code("server::inner::lose", 7, "src/inner.rs"), MAIN)))
    assert [(each.function, each.line) for each in answer.findings] == [("server::inner::lose", 7)]


@pytest.mark.parametrize(
    "frame",
    [
        Frame("grow", "/home/me/app/library/core/src/table.c", 12, "/home/me/app/server"),
        Frame("core::mem::Pool::take(int)", "/home/me/app/core/pool.cpp", 12, "/home/me/app/server"),
        Frame("core::mem::Pool::take(int)", module="/home/me/app/server"),
        Frame("alloc::vec::size() const", module="/home/me/app/server"),
    ],
)
def test_what_is_only_called_as_rust_s_library_is_the_program_s(frame: Frame) -> None:
    answer = of_losses((LossKind.DEFINITE, 300, 3, (MALLOC, frame, MAIN)))
    assert [(each.signature, each.line) for each in answer.findings] == [(frame.signature, frame.line)]
