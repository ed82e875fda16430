"""Names for generated programs, so that nothing can be fitted to names: each seed gives others."""

import random
from pathlib import Path

_WORDS = Path(__file__).with_name("words.txt").read_text().split()


class Names(dict[str, str]):
    """By placeholder, the name that stands for it in one program: made when it is first asked for, and never twice the same.

    A placeholder that begins with a capital becomes a type's name.
    """

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self._camel = rng.random() < 0.3
        self._taken: set[str] = set()

    def __missing__(self, placeholder: str) -> str:
        self[placeholder] = name = self.fresh(type_name=placeholder[0].isupper())
        return name

    def fresh(self, *, type_name: bool = False) -> str:
        """A name that this program has not had."""
        while True:
            words = self._rng.sample(_WORDS, 3 if self._rng.random() < 0.3 else 2)
            name = _spelled(words, type_name=type_name, camel=self._camel)
            if name not in self._taken:
                self._taken.add(name)
                return name

    def without(self, *placeholders: str) -> "Names":
        """The same source of names, in which only these placeholders keep what they stand for."""
        part = Names.__new__(Names)
        dict.__init__(part, {key: self[key] for key in placeholders})
        part._rng, part._camel, part._taken = self._rng, self._camel, self._taken
        return part


def _spelled(words: list[str], *, type_name: bool, camel: bool) -> str:
    if type_name:
        return "".join(word.capitalize() for word in words)
    if camel:
        return words[0] + "".join(word.capitalize() for word in words[1:])
    return "_".join(words)
