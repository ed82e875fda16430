"""Suppression files of valgrind and LeakSanitizer, and C++ names in them."""

import shutil
import subprocess

import pytest

from runner.errors import LeakrunError
from runner.formats import suppressions
from runner.formats.mangling import mangled_glob, name_of_mangled
from runner.formats.writers.suppressions import lsan_entry, valgrind_entry
from runner.model import Frame, LossKind
from tests.formats.test_writers import NASTY

STACK = [
    Frame("malloc", module="/usr/libexec/valgrind/vgpreload_memcheck-amd64-linux.so"),
    Frame("xmalloc", "/src/alloc.c", 4, "/bin/app"),
    Frame("leaky", "/src/leaky.c", 12, "/bin/app"),
    Frame("main", "/src/main.c", 3, "/bin/app"),
]


def group(*frames: str, kind: str = "Memcheck:Leak", more: str = "") -> str:
    rows = "".join(f"   {frame}\n" for frame in frames)
    return f"# a comment\n\n{{\n   name\n   {kind}\n{more}{rows}}}\n"


def hides(text: str, stack=STACK, kind: LossKind = LossKind.DEFINITE) -> bool:
    return any(entry.is_for_leak(kind, stack) for entry in suppressions.read(text, "x.supp"))


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (["fun:malloc"], True),
        (["fun:malloc", "fun:xmalloc", "fun:leaky", "fun:main"], True),
        (["fun:malloc", "fun:xmalloc", "fun:leaky", "fun:main", "fun:start"], False),
        (["fun:xmalloc"], False),
        (["...", "fun:leaky"], True),
        (["...", "fun:leaky", "...", "fun:main"], True),
        (["...", "fun:main", "...", "fun:leaky"], False),
        (["fun:malloc", "...", "fun:main"], True),
        (["fun:m*c", "fun:?malloc"], True),
        (["fun:mall", "..."], False),
        (["obj:*/vgpreload_memcheck*", "obj:/bin/app"], True),
        (["obj:/bin/*"], False),
        (["fun:*", "src:alloc.c:4"], True),
        (["fun:*", "src:alloc.c:5"], False),
        (["..."], True),
        (["fun:[mn]alloc"], False),
    ],
)
def test_frames_are_matched_from_the_leaf_on(frames: list[str], expected: bool) -> None:
    assert hides(group(*frames)) is expected


def test_only_the_kinds_that_are_named() -> None:
    text = group("fun:malloc", more="   match-leak-kinds: definite, reachable\n")
    assert [hides(text, kind=kind) for kind in LossKind] == [True, False, False, True]
    assert not hides(group("fun:malloc", kind="Memcheck:Addr4"))
    assert not hides(group("fun:malloc", kind="Helgrind:Leak"))
    assert hides(group("fun:malloc", kind="Helgrind,Memcheck:Leak"))


@pytest.mark.parametrize(
    ("kind", "error", "message", "expected"),
    [
        ("Addr4", "InvalidRead", "Invalid read of size 4", True),
        ("Addr4", "InvalidWrite", "Invalid write of size 4", True),
        ("Addr8", "InvalidRead", "Invalid read of size 4", False),
        ("Cond", "UninitCondition", "Conditional jump or move depends on uninitialised value(s)", True),
        ("Value8", "UninitValue", "Use of uninitialised value of size 8", True),
        ("Free", "MismatchedFree", "Mismatched free() / delete / delete []", True),
        ("Leak", "InvalidRead", "Invalid read of size 4", False),
    ],
)
def test_errors_are_known_by_their_kind(kind: str, error: str, message: str, expected: bool) -> None:
    (entry,) = suppressions.read(group("...", "fun:leaky", kind=f"Memcheck:{kind}"), "x")
    assert entry.is_for_error(error, message, STACK) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("leaky", True), ("leak", True), ("^leak$", False), ("^leaky$", True), ("eak*ain", False), ("le*ky", True),
        ("main.c", True), ("app", True), ("^app", False), ("nothing", False), ("$", False),
    ],
)  # fmt: skip
def test_lsan_patterns(pattern: str, expected: bool) -> None:
    assert hides(f"# known\nleak:{pattern}\n") is expected


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("race:x\n", "x.supp:1"),
        ("\nleak:\n", "x.supp:2"),
        ("{\n name\n Memcheck:Leak\n", "x.supp:1"),
        ("{\n name\n}\n", "x.supp:1"),
        ("{\n name\n Leak\n fun:x\n}\n", "x.supp:3"),
        ("{\n name\n Memcheck:Leak\n funny:x\n}\n", "x.supp:4"),
        ("{\n name\n Memcheck:Leak\n match-leak-kinds: most\n fun:x\n}\n", "x.supp:4"),
        ("{\n name\n Memcheck:Leak\n fun:x\n}\nleak:y\n", "x.supp:6"),
        ("leak:a\0b", "x.supp"),
    ],
)
def test_a_mistake_has_its_line(text: str, place: str) -> None:
    with pytest.raises(LeakrunError) as raised:
        suppressions.read(text, "x.supp")
    assert raised.value.message.startswith(f"{place}:") and raised.value.hint


def test_an_empty_file_suppresses_nothing() -> None:
    assert suppressions.read("# nothing\n", "x") == []


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_valgrinds_own_file_is_read() -> None:
    found = subprocess.run(["sh", "-c", "cat $(dirname $(readlink -f $(which valgrind)))/../libexec/valgrind/default.supp"],
                           capture_output=True, text=True, check=False)  # fmt: skip
    if found.returncode:
        pytest.skip("its default.supp is elsewhere")
    entries = suppressions.read(found.stdout, "default.supp")
    assert len(entries) == found.stdout.count("\n{")


@pytest.mark.parametrize(
    ("signature", "mangled"),
    [
        ("leaky", "leaky"),
        ("plain()", "_ZL5plainv"),
        ("foo::(anonymous namespace)::Bar::baz(std::vector<int, std::allocator<int> >, char const*) const",
         "_ZNK3foo12_GLOBAL__N_13Bar3bazESt6vectorIiSaIiEEPKc"),
        ("foo::(anonymous namespace)::Bar::Bar()", "_ZN3foo12_GLOBAL__N_13BarC1Ev"),
        ("foo::Bar::~Bar()", "_ZN3foo3BarD2Ev"),
        ("int* foo::make<int>(int)", "_ZN3foo4makeIiEEPT_S1_"),
        ("main::{lambda(int)#1}::operator()(int) const", "_ZZ4mainENKUliE_clEi"),
        ("operator new(unsigned long)", "_Znwm"),
        ("operator new[](unsigned long)", "_Znam"),
        ("std::vector<int, std::allocator<int> >::push_back(int const&)", "_ZNSt6vectorIiSaIiEE9push_backERKi"),
    ],
)  # fmt: skip
def test_both_forms_of_a_name_are_known(signature: str, mangled: str) -> None:
    frame = [Frame(signature)]
    assert hides(group(f"fun:{mangled}"), frame), "what valgrind wrote is understood"
    glob = mangled_glob(signature)
    assert suppressions._glob(glob).fullmatch(mangled), "what we write, valgrind understands"
    assert hides(group(f"fun:{glob}"), frame), "and so do we"


@pytest.mark.parametrize(
    ("glob", "signature"),
    [
        ("_ZN3foo3bazEi", "foo::bazaar(int)"),
        ("_ZN3foo3bazEi", "other::foo::baz(int)"),
        ("_ZN3foo3bazEi", "baz(int)"),
        ("_Z3bazi", "foo::baz(int)"),
        ("_Znwm", "operator new[](unsigned long)"),
        ("_Z*", "anything(int)"),
        ("_ZN3foo12_GLOBAL__N_13BarC1Ev", "foo::(anonymous namespace)::Other::Other()"),
    ],
)
def test_another_name_is_not_meant(glob: str, signature: str) -> None:
    assert not hides(group(f"fun:{glob}"), [Frame(signature)])


def test_names_that_are_not_mangled_are_none_of_it() -> None:
    assert name_of_mangled("malloc") is None and name_of_mangled("*alloc*") is None


@pytest.mark.parametrize("name", NASTY)
def test_hostile_names_make_one_entry(name: str) -> None:
    stack = [STACK[0], Frame(name, "a.c", 1, "/bin/app"), STACK[3]]
    for text in (valgrind_entry(f"lost: {name}", "definite", stack, 1), lsan_entry(f"lost: {name}", stack[1])):
        if "leak:" in text and not name.strip():
            continue
        assert len(suppressions.read(text, "x")) == text.count("\nleak:") + text.count("\n}") and all(
            row.isprintable() for row in text.splitlines()
        )


def test_an_entry_is_for_the_finding_and_for_its_like() -> None:
    text = valgrind_entry("lost: leaky", "definite", STACK, 2)
    assert hides(text) and not hides(text, kind=LossKind.REACHABLE)
    assert hides(text, [*STACK[:3], Frame("other_caller")])
    assert not hides(text, [STACK[0], STACK[1], Frame("innocent"), STACK[2], STACK[3]])
    assert hides(lsan_entry("x", STACK[2])) and not hides(lsan_entry("x", STACK[2]), [Frame("leaky2"), Frame("sneaky_leaky")])
