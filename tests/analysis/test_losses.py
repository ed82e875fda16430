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
    assert "ends before the program's code" in answer.findings[0].evidence[0]
    system = of_losses((LossKind.DEFINITE, 300, 3, (MALLOC, Frame("_dl_init", module="/lib64/ld-linux-x86-64.so.2"))))
    assert not system.findings


def test_a_finding_says_how_much_hangs_on_its_blocks() -> None:
    stack = (MALLOC, code("table_new", 7), MAIN)
    recording = losing((LossKind.DEFINITE, 300, 3, stack), (LossKind.DEFINITE, 5000, 1, stack))
    recording.losses[1] = Loss(LossKind.DEFINITE, 5000, 1, recording.losses[1].stack_id, 4900)
    (found,) = conclude([recording], Scope(LOSSES)).findings
    assert (found.bytes, found.blocks, found.indirect_bytes) == (5300, 4, 4900)


@pytest.mark.parametrize(
    "outer",
    [
        Frame("std::__cxx11::basic_string<char>::_M_create(unsigned long&, unsigned long)", module="/usr/lib/libstdc++.so.6"),
        Frame("<std::alloc::System as core::alloc::global::GlobalAlloc>::alloc", "/rustc/1a/library/std/src/alloc.rs", 14),
        Frame("alloc::raw_vec::RawVec<T,A>::allocate_in", "/rustc/1a/library/alloc/src/raw_vec.rs", 188),
        Frame(None, module="/usr/lib/x86_64-linux-gnu/libcln.so.6", address=0x5F170),
        Frame(None, address=0x7F00),  # <unknown module>: a plugin that was closed
    ],
)
def test_a_stack_that_could_not_be_unwound_is_no_excuse_either(outer: Frame) -> None:
    """LeakSanitizer's fast unwinder ends where a library has no frame pointers."""
    answer = of_losses((LossKind.DEFINITE, 300, 3, (MALLOC, outer)))
    assert answer.verdict is Verdict.LEAKING and [finding.bytes for finding in answer.findings] == [300]
    loader = Frame("call_init", module="/lib64/ld-linux-x86-64.so.2")
    assert not of_losses((LossKind.DEFINITE, 300, 3, (MALLOC, Frame(None, module=LIBC, address=5), loader))).findings


def test_a_function_that_is_made_for_a_container_is_the_programs_own() -> None:
    insert = code("void Cache<std::vector<int> >::insert(int)", 7)
    (found,) = of_losses((LossKind.DEFINITE, 300, 3, (MALLOC, insert, Frame(None, address=0x7F00)))).findings
    assert found.function == "Cache<std::vector<int> >::insert" and "not known" not in found.evidence[0]


def test_a_leak_in_a_report_that_is_cut_says_that_there_may_be_more() -> None:
    recording = losing((LossKind.DEFINITE, 300, 3, (MALLOC, code("load", 7), MAIN)))
    recording.complete, recording.flaws = False, ["log: it is cut"]
    answer = conclude([recording], Scope(LOSSES))
    assert answer.verdict is Verdict.LEAKING and "log: it is cut" in [note.text for note in answer.notes if note.kind == "limit"]
    recording.losses.clear()
    undecided = conclude([recording], Scope(LOSSES))
    assert undecided.verdict is Verdict.INCONCLUSIVE and not undecided.notes  # its reasons say it


def test_what_macos_runtime_loses_in_every_program_is_not_the_program_s() -> None:
    objc = Frame("_objc_init", module="/usr/lib/libobjc.A.dylib")
    answer = of_losses((LossKind.DEFINITE, 80, 1, (MALLOC, objc, Frame("dyld::notify()", module="/usr/lib/dyld"))))
    assert answer.verdict is Verdict.CLEAN and "80 bytes" in answer.notes[0].text


@pytest.mark.parametrize(
    "theirs",
    [
        Frame("fgets", module="/usr/lib/system/libsystem_c.dylib"),
        Frame("_dispatch_apply_with_attr_f", module="libdispatch.dylib"),
        Frame("-[CFPrefsSearchListSource synchronouslySendSystemMessage:]", module="CoreFoundation"),
        Frame("_malloc_type_malloc_outlined", module="libsystem_malloc.dylib"),
        Frame("start", module="/System/Library/Frameworks/AppKit.framework/Versions/C/AppKit"),
        Frame("android::Parcel::writeInt32(int)", module="/system/lib64/libbinder.so"),
        Frame("art::Heap::Alloc()", module="/apex/com.android.art/lib64/libart.so"),
        Frame("__sanitizer_finish()", module="/data/app/lib/arm64/libclang_rt.asan-aarch64-android.so"),
    ],
)
def test_what_other_systems_bring_is_not_the_program_s(theirs: Frame) -> None:
    answer = of_losses((LossKind.DEFINITE, 300, 3, (MALLOC, theirs, code("load", 7), MAIN)))
    assert [(each.function, each.line) for each in answer.findings] == [("load", 7)]


def test_rust_s_standard_library_is_not_to_blame() -> None:
    """Frames as memcheck prints them of a program that rustc 1.95 built with -g."""
    new = [
        Frame("alloc::alloc::Global::alloc_impl_runtime", "library/alloc/src/alloc.rs", 190),
        Frame("allocate", "library/alloc/src/alloc.rs", 429),
        Frame("<alloc::raw_vec::RawVecInner>::try_allocate_in", module="/home/me/app/server"),
        Frame("new<u8>", "/rustc/0123456789abcdef/library/alloc/src/boxed.rs", 286),
        Frame("new<std::thread::Packet<()>>", "boxed.rs", 254),  # without --fullpath-after
        Frame("alloc::heap::exchange_malloc", "/checkouts/rust/src/liballoc/heap.rs", 138),
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
