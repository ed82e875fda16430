"""Function names: a demangled signature without its parameters, its return type and the compiler's suffixes."""

import re
from functools import lru_cache

_CLONE_WORDS = "cold|constprop|isra|part|lto_priv|llvm|localalias|simdclone|resolver|warm|unlikely|hot"
# gcc's demangler writes " [clone .isra.0]", LLVM's " (.isra.0)", and C names keep ".isra.0" as it is.
_CLONE_SUFFIX = re.compile(rf"(?: ?\[clone [^\]]*\]| \(\.[\w.]+\)|\.(?:{_CLONE_WORDS})(?:\.\w+)?)+$")
_SYMBOL_VERSION = re.compile(r"@@?[A-Za-z_][\w.]*$")
_RUST_HASH = re.compile(r"::h[0-9a-f]{16}$")
_ABI_TAG = re.compile(r"\[abi:[^\]]*\]")
_THUNK = re.compile(r"^(?:(?:non-virtual|virtual|covariant return) thunk|transaction clone|guard variable) (?:to|for) ")
_OPERATOR = re.compile(
    r"operator(?:\(\)|\[\]|<=>|->\*|<<=|>>=|->|<<|>>|<=|>=|==|!=|&&|\|\||\+\+|--|[-+*/%^&|]=|[-+*/%^&|~!=<>,]"
    r"| (?:new|delete)(?:\[\])?|\"\" ?\w+| co_await)"
)
_QUALIFIERS = re.compile(r"(?: (?:const|volatile|noexcept|&&?)|&&?)*")
_IN_NAME = ("(anonymous", "(lambda", "(unnamed", "('lambda", "(instance")
_DECLARATOR = re.compile(r"\s*(?:[*&]+|(?:\w|::|<[^()]*>)+::\*)\s*(?:const |volatile )?")
_DEEPEST = 16  # pointers to functions that return pointers to functions ...: bounds the time that a hostile text takes
_CLOSERS = {"(": ")", "<": ">", "[": "]", "{": "}"}


@lru_cache(maxsize=65536)
def without_parameters(signature: str) -> str:
    """The qualified name of the function of a demangled signature, as people write it.

    Parameters, return type, qualifiers behind the parameters, ABI tags, symbol versions and the compiler's clone suffixes go;
    template arguments stay. C names, and what is no signature at all, come back as they are.
    Never raises; the answer is empty only for an empty signature.
    """
    name = _RUST_HASH.sub("", _CLONE_SUFFIX.sub("", _SYMBOL_VERSION.sub("", signature)))
    if "(" in name and not name.startswith(("-[", "+[")):  # Objective-C's methods have no parameter list
        name = _declared_name(_THUNK.sub("", name))
    return _ABI_TAG.sub("", name).strip() or signature


def _declared_name(text: str) -> str:
    """The name that a declaration declares; `text` where no parameter list is found in it."""
    kept: list[str] = []  # the pieces of the name before each parameter list of an enclosing function
    start = at = nesting = 0
    while at < len(text):
        char = text[at]
        if char == "o" and _word_starts(text, at) and text.startswith("operator", at):
            at = _after_operator(text, at)
        elif char == "(":
            close = _matching(text, at)
            declarator = _declarator(text, at, close)
            if declarator and nesting < _DEEPEST:
                nesting += 1
                text, start, at, kept = declarator, 0, 0, []
                continue
            if _is_part_of_name(text, at):
                at = close
                continue
            kept.append(text[start:at])
            at = _QUALIFIERS.match(text, close).end()  # type: ignore[union-attr]  # it matches the empty text too
            if not text.startswith("::", at):
                return "".join(kept) or text
            start = at
        elif char in "<[{":
            at = _matching(text, at)
        else:
            at += 1
            if char == " ":
                start, kept = at, []
    return text


def _word_starts(text: str, at: int) -> bool:
    return at == 0 or not (text[at - 1].isalnum() or text[at - 1] in "_$")


def _is_part_of_name(text: str, at: int) -> bool:
    """Whether the parenthesis at `at` is no parameter list: (anonymous namespace), 'lambda'(int), main.(*T).f, decltype()."""
    before = text[max(at - 12, 0) : at].rstrip()
    return at == 0 or text.startswith(_IN_NAME, at) or before.endswith(("'", ".", "decltype", "noexcept", "typeof"))


def _declarator(text: str, at: int, close: int) -> str:
    """What is declared inside of `ret (*name(args))(...)`; empty where the parenthesis is something else."""
    if at and text[at - 1] != " " and text[at - 1] not in "*&":
        return ""
    inside = text[at + 1 : close - 1]
    pointer = _DECLARATOR.match(inside)
    return inside[pointer.end() :] if pointer else ""


def _after_operator(text: str, at: int) -> int:
    """Where the operator's name at `at`, its template arguments included, ends."""
    symbol = _OPERATOR.match(text, at)
    if symbol:
        end = symbol.end()
        if text.startswith((" <", "<"), end):
            return _matching(text, text.index("<", end))
        return end
    if not text.startswith("operator ", at):
        return at + len("operator")
    return _last_parenthesis(text, at + len("operator "))  # a conversion: the type may hold spaces and parentheses


def _last_parenthesis(text: str, at: int) -> int:
    """Where the last parenthesis that follows directly or after a type's punctuation opens: a conversion's parameter list."""
    opened = None
    while at < len(text) and not text.startswith("::{", at):
        if text[at] == "(":
            opened = at
        at = _matching(text, at) if text[at] in _CLOSERS else at + 1
    return len(text) if opened is None else opened


def _matching(text: str, at: int) -> int:
    """The place behind the bracket that closes the one at `at`; the end of the text where none does.

    `<` and `>` are also comparisons inside of parentheses, `->` and operators' names: a closing parenthesis closes them all.
    """
    open_ = [_CLOSERS[text[at]]]
    at += 1
    while at < len(text):
        char = text[at]
        if char == "o" and _word_starts(text, at) and (symbol := _OPERATOR.match(text, at)):
            at = symbol.end()
            continue
        at += 1
        if char in _CLOSERS:
            open_.append(_CLOSERS[char])
        elif char == ">" and (open_[-1] != ">" or text[at - 2] == "-"):
            continue
        elif char in ")]}>" and char in open_:
            while open_.pop() != char:
                pass
            if not open_:
                return at
    return len(text)
