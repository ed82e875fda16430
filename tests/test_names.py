import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.names import without_parameters

NAMES = [
    ("main", "main"),
    ("foo(int, char)", "foo"),
    ("ns::Foo<int>::bar(int) const", "ns::Foo<int>::bar"),
    ("ns::Foo::bar(int) volatile &&", "ns::Foo::bar"),
    ("Foo::~Foo()", "Foo::~Foo"),
    ("int* make<int>(int)", "make<int>"),
    ("unsigned long const& pick<unsigned long>(unsigned long const&)", "pick<unsigned long>"),
    (
        "void std::__cxx11::basic_string<char, std::char_traits<char> >::_M_construct<char const*>(char const*, char const*)",
        "std::__cxx11::basic_string<char, std::char_traits<char> >::_M_construct<char const*>",
    ),
    ("operator new(unsigned long)", "operator new"),
    ("operator new[](unsigned long)", "operator new[]"),
    ("operator delete(void*, unsigned long)", "operator delete"),
    ("Foo::operator new(unsigned long)", "Foo::operator new"),
    ("Foo::operator()(int) const", "Foo::operator()"),
    ("Foo::operator[](int)", "Foo::operator[]"),
    ("Foo::operator->() const", "Foo::operator->"),
    ("Foo::operator->*(int) const", "Foo::operator->*"),
    ("operator<(A const&, A const&)", "operator<"),
    ("bool operator< <int>(A<int> const&, A<int> const&)", "operator< <int>"),
    ("std::ostream& operator<< <char>(std::ostream&, char)", "operator<< <char>"),
    ("bool operator==<int>(A<int> const&, A<int> const&)", "operator==<int>"),
    ("operator<=>(A, A)", "operator<=>"),
    ("Foo::operator,(int)", "Foo::operator,"),
    ('operator"" _km(long double)', 'operator"" _km'),
    ("Foo::operator int() const", "Foo::operator int"),
    ("Foo::operator char const*() const", "Foo::operator char const*"),
    ("Foo::operator std::vector<int, std::allocator<int> >*() const", "Foo::operator std::vector<int, std::allocator<int> >*"),
    ("Foo::operator void (*)(int)() const", "Foo::operator void (*)(int)"),
    ("Foo::operator bool() const::{lambda()#1}::operator()() const", "Foo::operator bool::{lambda()#1}::operator()"),
    ("my_operator(int)", "my_operator"),
    ("operators::run(int)", "operators::run"),
    ("(anonymous namespace)::f(int)", "(anonymous namespace)::f"),
    ("ns::(anonymous namespace)::Foo::f(int)", "ns::(anonymous namespace)::Foo::f"),
    ("void (anonymous namespace)::f<int>(int)", "(anonymous namespace)::f<int>"),
    ("f((anonymous namespace)::T)", "f"),
    ("main::{lambda(int)#1}::operator()(int) const", "main::{lambda(int)#1}::operator()"),
    ("main::'lambda'(int)::operator()(int) const", "main::'lambda'(int)::operator()"),
    ("main::$_0::operator()(int) const", "main::$_0::operator()"),
    ("foo(int)::{lambda()#1}::operator()() const", "foo::{lambda()#1}::operator()"),
    ("Foo::bar(int) const::{lambda()#1}::operator()() const", "Foo::bar::{lambda()#1}::operator()"),
    ("auto foo(int)::{lambda(auto:1)#1}::operator()<int>(int) const", "foo::{lambda(auto:1)#1}::operator()<int>"),
    ("foo(int)::Local::method(char)", "foo::Local::method"),
    ("main::{lambda(int)#1}::_FUN(int)", "main::{lambda(int)#1}::_FUN"),
    ("std::__cxx11::to_string[abi:cxx11](int)", "std::__cxx11::to_string"),
    ("Foo::name[abi:cxx11]() const", "Foo::name"),
    ("foo(int) [clone .cold]", "foo"),
    ("foo(int) [clone .isra.0] [clone .cold]", "foo"),
    ("foo(int) (.isra.0)", "foo"),
    ("foo.constprop.0", "foo"),
    ("foo.isra.0.cold", "foo"),
    ("foo.part.12", "foo"),
    ("decltype(auto) f<int>(int)", "f<int>"),
    ("decltype (({parm#1}->size)()) count<Box>(Box*)", "count<Box>"),
    ("std::enable_if<((sizeof (int))>(2)), int>::type f<int>(int)", "f<int>"),
    ("std::enable_if<((1)<(2)), int>::type f<int>(int)", "f<int>"),
    ("void (*handler<int>(int))(char)", "handler<int>"),
    ("int (*(*twice<int>(int))(char))(long)", "twice<int>"),
    ("int (&array<int>(int)) [5]", "array<int>"),
    ("int (Foo::*member<int>(int))(char)", "member<int>"),
    ("signal(int, void (*)(int))", "signal"),
    ("void call<void (*)(int)>(void (*)(int))", "call<void (*)(int)>"),
    ("f<(Color)1>(int)", "f<(Color)1>"),
    ("void apply<&(Foo::operator>(int))>(int)", "apply<&(Foo::operator>(int))>"),
    ("non-virtual thunk to Foo::bar(int)", "Foo::bar"),
    ("__libc_start_main@@GLIBC_2.34", "__libc_start_main"),
    ("memcpy@GLIBC_2.2.5", "memcpy"),
    ("core::fmt::write", "core::fmt::write"),
    ("core::fmt::write::h0123456789abcdef", "core::fmt::write"),
    ("<alloc::vec::Vec<T> as core::ops::Drop>::drop", "<alloc::vec::Vec<T> as core::ops::Drop>::drop"),
    ("<fn(u32) -> u32 as app::Trait>::f", "<fn(u32) -> u32 as app::Trait>::f"),
    ("<(A, B) as app::Trait>::f", "<(A, B) as app::Trait>::f"),
    ("app::main::{{closure}}", "app::main::{{closure}}"),
    ("main.(*Server).handle", "main.(*Server).handle"),
    ("-[NSThing doIt:(id)x]", "-[NSThing doIt:(id)x]"),
    ("(below main)", "(below main)"),
    ("???", "???"),
    ("", ""),
]


@pytest.mark.parametrize(("signature", "name"), NAMES)
def test_the_name_is_what_people_write(signature: str, name: str) -> None:
    assert without_parameters(signature) == name


@pytest.mark.parametrize("name", [name for _, name in NAMES if "lambda" not in name and not name.endswith("(*)(int)")])
def test_a_name_is_its_own_name(name: str) -> None:
    assert without_parameters(name) == name


@given(st.text() | st.text(alphabet="operator<>()[]{} :&*,'.#anonymousdecltype-=~clone\"", max_size=60))
def test_any_text_has_a_name(signature: str) -> None:
    assert bool(without_parameters(signature)) == bool(signature)


def test_deep_nesting_is_no_trouble() -> None:
    assert without_parameters("int " + "(*" * 9 + "f(int)" + ")(int)" * 9) == "f"
    assert without_parameters("int " + "(*" * 5000 + "f(int)" + ")(int)" * 5000)
    assert without_parameters("f<" + "A<" * 5000 + ">" * 5000 + ">(int)").startswith("f<A<")


@given(
    st.lists(st.sampled_from(["ns", "Foo<int>", "(anonymous namespace)", "A<B<int>, (C)1>", "operators"]), max_size=4),
    st.sampled_from(["f", "f<int>", "~Foo", "operator()", "operator<< <int>", "operator->", "operator new[]", "operator int"]),
    st.lists(st.sampled_from(["int", "void (*)(int)", "A<B> const&", "(anonymous namespace)::T", "int (&) [3]"]), max_size=3),
    st.sampled_from(["", " const", " const &", " &&", " [clone .cold]", " const [clone .part.0]"]),
)
def test_parameters_and_qualifiers_make_no_difference(scopes: list[str], last: str, parameters: list[str], rest: str) -> None:
    name = "::".join([*scopes, last])
    assert without_parameters(f"{name}({', '.join(parameters)}){rest}") == name


SOURCE = """
#include <functional>
#include <string>
#include <vector>
namespace ns { namespace { template <class T> struct Box { T v; Box(T t) : v(t) {} ~Box() {} operator T*() { return &v; }
  template <class U> auto with(U u) const -> decltype(u + v) { return u + v; }
  bool operator<(const Box &o) const { return v < o.v; } }; } }
template <class T> void (*handler(T t))(int) { return t; }
void target(int) {}
std::string __attribute__((noinline)) text() { return "x"; }
int main() {
  ns::Box<int> a(1), b(2);
  auto l = [](int x) { return x; };
  std::function<int(int)> f = l;
  handler(target);
  return (a < b) + *static_cast<int *>(a) + a.with(2L) + f(1) + (int)text().size();
}
"""


@pytest.mark.skipif(not shutil.which("g++"), reason="needs g++")
def test_names_of_a_real_program_have_neither_return_types_nor_parameters(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "p.cc").write_text(SOURCE)
    subprocess.run(["g++", "-g", "-O0", "p.cc", "-o", "p"], cwd=tmp_path, check=True)
    listing = subprocess.run(["nm", "-C", "p"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    names = {without_parameters(line[19:]) for line in listing.splitlines() if line[17:18] in "TtWw"}
    assert {
        "ns::(anonymous namespace)::Box<int>::Box",
        "ns::(anonymous namespace)::Box<int>::~Box",
        "ns::(anonymous namespace)::Box<int>::operator int*",
        "ns::(anonymous namespace)::Box<int>::with<long>",
        "ns::(anonymous namespace)::Box<int>::operator<",
        "handler<void (*)(int)>",
        "target",
        "text",
        "main",
        "main::{lambda(int)#1}::operator()",
    } <= names
