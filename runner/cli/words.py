"""Whose words are whose: leakrun's options end at the first word that is none; the program's own follow."""

from collections.abc import Collection

# Spelt out so that nothing of leakrun's can hide among a program's own options.
ROOT_OPTIONS = frozenset({"--version", "-h", "--help", "--install-completion", "--show-completion"})

PROGRAM_VERBS = ("run", "hunt")  # a program and its words stand behind their options


def arrange(words: list[str], verbs: Collection[str], valued: Collection[str]) -> list[str]:
    """The words as typer takes them: a verb first, `run` where none was typed, and the program behind `--`.

    verbs   leakrun's own; a program of that name is run by `leakrun -- NAME`
    valued  the options that take the next word as their value
    """
    options, rest = _split(words, valued)
    if "--version" in options:
        return ["--version"]
    if not rest:
        # `leakrun`, `leakrun --version`, or a run whose program was forgotten: typer says what is missing.
        return options if not options or options[0] in ROOT_OPTIONS else ["run", *options]
    if rest[0] == "--":
        return ["run", *options, *rest]
    if rest[0] in verbs:
        verb, arguments = rest[0], [*options, *rest[1:]]
        return arrange_program(verb, arguments, valued) if verb in PROGRAM_VERBS else [verb, *arguments]
    return ["run", *options, "--", *rest]


def arrange_program(verb: str, arguments: list[str], valued: Collection[str]) -> list[str]:
    """A verb that runs a program: what follows the verb's options is the program's, whatever it looks like."""
    options, rest = _split(arguments, valued)
    return [verb, *options, *([] if not rest or rest[0] == "--" else ["--"]), *rest]


def _split(words: list[str], valued: Collection[str]) -> tuple[list[str], list[str]]:
    """Leading options with their values, and the rest from the first word that is neither, or from `--`, on."""
    place = 0
    while place < len(words) and words[place].startswith("-") and words[place] not in ("-", "--"):
        place += 2 if _takes_next(words[place], valued) else 1
    return words[:place], words[place:]


def _takes_next(word: str, valued: Collection[str]) -> bool:
    if word.startswith("--"):
        return word in valued
    # A cluster of short options (-qp massif): the first that takes a value takes the rest of the word, else the next word.
    for place, letter in enumerate(word[1:], 2):
        if f"-{letter}" in valued:
            return place == len(word)
    return False
