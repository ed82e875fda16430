"""What a page's figures refer to: strings, frames and the tree of all stacks, each kept once, as columns of numbers."""

from collections.abc import Iterable
from typing import Any

from runner.analysis.frames import Role
from runner.formats.writers.sheet import frame_name
from runner.model import Frame
from runner.reports.plain import plain

ROLES = (Role.PROJECT, Role.LIBRARY, Role.MACHINERY, Role.NAMELESS, Role.HIDDEN)
_INLINED = 8  # added to a frame's role
ROOT = 0


class Tables:
    """Strings by number (0 is none), frames by number, and nodes: a frame below a parent, outermost first; node 0 is the root."""

    def __init__(self) -> None:
        self._strings: dict[str, int] = {"": 0}
        self._frames: dict[tuple[int, ...], int] = {}
        self._nodes: dict[tuple[int, int], int] = {}
        self._parents = [ROOT]
        self._node_frames = [0]

    def string(self, text: str | None) -> int:
        """The number of a text. What does not show, or turns the direction of writing, is escaped visibly."""
        if not text:
            return 0
        shown = text if text.isascii() and text.isprintable() else plain(text)
        return self._strings.setdefault(shown, len(self._strings))

    def texts(self) -> list[str]:
        """All strings, by number."""
        return list(self._strings)

    def frame(self, frame: Frame, role: Role) -> int:
        """The number of a frame. Its address counts only where it has no name: then it is the name."""
        name = frame_name(frame)
        signature = frame.signature if frame.signature and frame.signature != name else None
        kind = ROLES.index(role) + (_INLINED if frame.inlined else 0)
        texts = (self.string(name), self.string(signature), self.string(frame.file))
        key = (*texts, frame.line or 0, self.string(frame.module), kind)
        return self._frames.setdefault(key, len(self._frames))

    def node(self, frames: Iterable[int]) -> int:
        """The node of a stack of frame numbers, outermost first."""
        node = ROOT
        for frame in frames:
            parent, node = node, self._nodes.setdefault((node, frame), len(self._parents))
            if node == len(self._parents):
                self._parents.append(parent)
                self._node_frames.append(frame)
        return node

    def to_dict(self) -> dict[str, Any]:
        """As columns. A node's parent is written as how many nodes before it that is: mostly 1."""
        names = ("name", "signature", "file", "line", "module", "kind")
        columns: list[list[int]] = [list(column) for column in zip(*self._frames, strict=True)] or [[] for _ in names]
        return {
            "strings": list(self._strings),
            "frames": dict(zip(names, columns, strict=True)),
            "nodes": {"up": [node - parent for node, parent in enumerate(self._parents)], "frame": self._node_frames},
        }
