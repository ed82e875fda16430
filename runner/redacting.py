"""What `redact:` keeps out of a run directory's own files, kept out of the native ones too, for a copy that is given away.

A native tool writes the command line that it saw into its file, and the profile as it ran has the environment it sets.
What else is in native files (names, addresses, figures) is left as it is: a pattern for arguments is no pattern for functions.
"""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from runner import profile
from runner.formats import recognise
from runner.manifest import REDACTED, Manifest, Redaction
from runner.profile import Profile

# Where the native formats have a command line: massif and callgrind (cmd:, desc:), valgrind's logs, DHAT's JSON, heaptrack (X).
_FIELD = re.compile(r'^(cmd: |desc: |==[\d:.]* ?\d+== Command: |[\s,{]*"cmd":\s*"|[Xx] )(.*?)("?,?\s*)$')
_XML_WORD = re.compile(r"<(arg|exe)>(.*?)</\1>")
_WORD = re.compile(r"[^\s\"'<>,;]+")
_SHORTEST = 4  # characters of a secret that is looked for anywhere: a shorter one stands in too many words


class Redactor:
    """Takes the secrets of one run out of its files. `active` is False where the profile names none."""

    def __init__(self, chosen: Profile, manifest: Manifest) -> None:
        self._profile = chosen
        self._hide = Redaction(chosen.redact)
        self._secrets: set[str] = set()
        self._commands = [_known(words) for words in _commands(manifest) if REDACTED in words]
        self.active = bool(chosen.redact)
        for name, value in chosen.env.items():
            if self._hide.value(name, value) == REDACTED:
                self._note(value)
        for word in chosen.args:
            self._word(word)

    def learn(self, lines: Iterable[str]) -> None:
        """Know the secrets that stand in a native file's command lines, wherever else they stand."""
        for line in lines:
            self._fields(line)

    def lines(self, lines: Iterable[str], *, log: bool) -> Iterator[str]:
        """The lines without the secrets. `log`: text of a program or tool that no reader reads, where every word is looked at."""
        for line in lines:
            clean = self._fields(line)
            for secret in sorted(self._secrets, key=len, reverse=True):
                clean = clean.replace(secret, REDACTED)
            yield _WORD.sub(lambda found: self._word(found[0]), clean) if log else clean

    def profile(self) -> str:
        """profile.yaml without them. Its patterns stay: they are what keeps the answer clean."""
        env = {name: self._hide.value(name, value) or "" for name, value in self._profile.env.items()}
        return profile.dump(replace(self._profile, env=env, args=tuple(self._hide.words(self._profile.args))))

    def _fields(self, line: str) -> str:
        if (field := _FIELD.match(line)) is not None:
            return field[1] + self._command(field[2]) + field[3]
        return _XML_WORD.sub(lambda found: f"<{found[1]}>{self._xml_word(found[2])}</{found[1]}>", line)

    def _command(self, text: str) -> str:
        """A command line whose words a tool has joined by spaces, so that those of a word can't be told from those between."""
        for pattern, words in self._commands:
            if (found := pattern.fullmatch(text)) is not None:
                for secret in found.groups():
                    self._note(secret)
                return " ".join(words)
        return " ".join(self._word(word) for word in text.split(" "))

    def _xml_word(self, text: str) -> str:
        return REDACTED if self._word(html.unescape(text)) == REDACTED else text

    def _word(self, word: str) -> str:
        if self._hide.word(word) != REDACTED:
            return word
        self._note(word)
        return REDACTED

    def _note(self, secret: str) -> None:
        if len(secret) >= _SHORTEST and secret != REDACTED:
            self._secrets.add(secret)


def is_log(head: bytes) -> bool:
    """No reader reads the file that begins so."""
    return recognise(head) is None


def is_text(head: bytes) -> bool:
    """Its lines can be looked at: it is not compressed, and no binary."""
    return b"\0" not in head and not head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd"))


def _commands(manifest: Manifest) -> Iterator[list[str]]:
    yield list(manifest.get("command") or [])
    yield list(manifest.get("argv") or [])
    for process in manifest.get("processes") or []:
        yield list(process.get("command") or [])


def _known(words: list[str]) -> tuple[re.Pattern[str], list[str]]:
    """The command line that a manifest has, as it was before words were taken out."""
    return re.compile(" ".join("(.*)" if word == REDACTED else re.escape(word) for word in words)), words
