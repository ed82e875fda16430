"""C++ names between their two forms, as far as suppressions need it: globs of mangled names, and what such a glob means.

Mangled names (the Itanium C++ ABI, "Mangling") hold each part of a qualified name with its length before it, in order:
foo::Bar::baz(int) is _ZN3foo3Bar3bazEi. Parameters, template arguments and qualifiers become `*` here.
"""

import re

from runner.names import without_parameters

_ALLOCATORS = {"operator new": "_Znw*", "operator new[]": "_Zna*", "operator delete": "_Zdl*", "operator delete[]": "_Zda*"}
_ANONYMOUS = "_GLOBAL__N_1"
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*")
# A length; but the digits of substitutions (S1_), template parameters (T0_), constructors (C1) and destructors (D2) are none.
_LENGTH = re.compile(r"(?<![SCDT0-9])[0-9]+")


def mangled_glob(signature: str) -> str:
    """A glob for the mangled name of a demangled signature: the name of a C function is its own.

    It stands for every overload and instance of the function; "*" where the name holds nothing to go by.
    """
    name = without_parameters(signature)
    if name in _ALLOCATORS:
        return _ALLOCATORS[name]
    if _IDENTIFIER.fullmatch(name) and "(" not in signature:
        return name
    named = components(name)
    parts = [part for part in map(_part, named) if part]
    if not parts:
        return "_Z*" if "(" in signature or "::" in name else "*"
    if len(parts) > 1 and parts[-1] == parts[-2]:  # a constructor or destructor: C1, C2, D0 ...
        parts[-1] = "D?" if named[-1].startswith("~") else "C?"
    return f"_Z*{'*'.join(parts)}*"


def _part(component: str) -> str:
    if component == "(anonymous namespace)":
        return f"{len(_ANONYMOUS)}{_ANONYMOUS}"
    match = _IDENTIFIER.match(component.removeprefix("~"))
    if match is None or match[0] in ("std", "operator"):
        return ""
    # Lengths count bytes, not characters.
    return f"{len(match[0].encode())}{match[0]}"


def is_identifier(name: str) -> bool:
    """Whether it is one plain word."""
    return _IDENTIFIER.fullmatch(name) is not None


def components(name: str) -> list[str]:
    """The parts of a qualified name; `::` within brackets does not separate."""
    parts, depth, start, at = [], 0, 0, 0
    while at < len(name):
        if name[at] in "(<[{":
            depth += 1
        elif name[at] in ")>]}":
            depth = max(0, depth - 1)
        elif depth == 0 and name.startswith("::", at):
            parts.append(name[start:at])
            start = at = at + 2
            continue
        at += 1
    return [*parts, name[start:]]


def name_of_mangled(glob: str) -> re.Pattern[str] | None:
    """What a glob of a mangled name means for demangled ones: its parts in this order. None for a name that is not mangled.

    A glob of which nothing is left matches nothing: too little is suppressed rather than too much.
    """
    if not glob.startswith("_Z"):
        return None
    for function, mangled in _ALLOCATORS.items():
        if glob.startswith(mangled[:4]):
            return re.compile(re.escape(function))
    parts = list(_identifiers(_function_part(glob)))
    if not parts:
        return re.compile(r"(?!)")
    words = r"(?:.*\W)?".join(re.escape("(anonymous namespace)" if part == _ANONYMOUS else part) + r"(?!\w)" for part in parts)
    # A name that is given from its beginning on may only follow a return type.
    before = r"(?:.*\W)?" if "*" in glob[:4] else r"(?:[^(]*[\s*&])?(?:std::)?"
    return re.compile(rf"{before}{words}.*", re.DOTALL)


def _function_part(glob: str) -> str:
    """The name without its parameters, where they can be told apart: behind the E of a nested name, or the one plain name."""
    if glob.startswith(("_ZN", "_ZZ")):
        return glob
    plain = re.match(r"_ZL?([0-9]+)", glob)
    return glob[: plain.end() + int(plain[1])] if plain else glob


def _identifiers(mangled: str) -> list[str]:
    """The identifiers in it, each with its length before it."""
    found = []
    while length := _LENGTH.search(mangled):
        size = int(length[0][:4])
        word, mangled = mangled[length.end() :][:size], mangled[length.end() :]
        if len(word) == size and is_identifier(word):
            found.append(word)
            mangled = mangled[size:]
    return found
