"""The order of the rooms: who may import whom. DESIGN's drawing, and the one other place where it is changed."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "runner"

# A room may import itself and the rooms listed for it.
EVERYBODY = {"", "errors", "names"}  # "" is runner/__init__.py: version and glossary
ORDER: dict[str, set[str]] = {
    "": set(),
    "errors": set(),
    "names": set(),
    "quantities": set(),
    "paths": set(),
    "kinds": set(),
    "model": {"kinds"},
    "plan": set(),
    "user_directories": set(),
    "profile": {"plan", "quantities", "user_directories"},
    "config": {"profile", "quantities", "user_directories"},
    "mappings": {"model"},
    "formats": {"model", "mappings"},
    "symbols": {"model", "plan", "mappings"},
    "sanitizers": {"mappings", "plan", "symbols"},
    "backends": {"formats", "kinds", "model", "plan", "profile", "quantities", "sanitizers"},
    "supervise": {"plan"},
    "manifest": {"plan", "profile"},
    "rundir": {"manifest", "quantities"},
    "analysis": {"model"},
    "gate": {"analysis", "formats", "model", "paths"},
    "reports": {"analysis", "formats", "gate", "model", "paths", "quantities"},
    "gaps": {"manifest", "model", "plan", "quantities"},
}
ORDER["reading"] = set(ORDER) - {"supervise"}  # from the disk on: nothing there may reach back to the run
ORDER |= {
    "redacting": {"formats", "manifest", "profile"},
    "bundling": {"backends", "formats", "mappings", "profile", "redacting", "rundir", "symbols"},
    "answers": {"analysis", "backends", "formats", "manifest", "model", "profile", "quantities", "reading", "rundir"},
    "moments": {"analysis", "backends", "model", "quantities", "reading", "rundir"},
    "live": {"manifest", "rundir", "supervise"},
    "pruning": {"live", "manifest", "rundir"},
    "top": {"analysis", "formats", "live", "model", "plan", "reading", "reports", "rundir", "supervise"},
    "attaching": {"backends", "plan", "supervise"},
}
ORDER["pipeline"] = set(ORDER)
ORDER["recovery"] = {"backends", "live", "manifest", "pipeline", "plan", "profile", "rundir", "supervise"}
ORDER["hunt"] = set(ORDER)
ORDER["cli"] = set(ORDER)
ORDER["pytest_plugin"] = set()  # it calls the command, as everybody does
ORDER["__main__"] = {"cli"}

FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "misc"}


def room_of(module: str) -> str:
    """runner.formats.massif -> formats; runner -> ''."""
    return [*module.split("."), ""][1]


def module_of(path: Path) -> str:
    parts = ("runner", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(source: str) -> list[tuple[int, str]]:
    """(line, module) of each import of our own package, wherever it stands; a relative one begins with a dot."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found += [(node.lineno, f"{base}.{alias.name}" if base == "runner" else base) for alias in node.names]
    return [(line, name) for line, name in found if name.split(".")[0] in {"runner", ""}]


def wrong_imports(path: Path, source: str) -> list[str]:
    """One line for each import that the order does not allow."""
    room = room_of(module_of(path))
    allowed = {room} | EVERYBODY | ORDER[room]
    complaints = []
    for line, name in imports(source):
        if name.startswith("."):
            complaints.append(f"{path}:{line}: a relative import")
        elif name == "runner.__version__" or room_of(name) in allowed:
            continue
        else:
            complaints.append(f"{path}:{line}: {room} must not import {room_of(name)}")
    return complaints


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_the_order_allows(path: Path) -> None:
    assert room_of(module_of(path)) in ORDER, f"{path} is in a room that the order does not know"
    assert wrong_imports(path, path.read_text()) == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_has_a_telling_name_and_a_readable_length(path: Path) -> None:
    assert not FORBIDDEN_NAMES & {part.strip("_") for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert len(path.read_text().splitlines()) <= 400, "a file of more than 400 lines usually holds two rooms"


def test_the_order_has_no_circle() -> None:
    done: set[str] = set()
    while left := set(ORDER) - done:
        ready = {room for room in left if ORDER[room] - {room} <= done}
        assert ready, f"these rooms import each other: {sorted(left)}"
        done |= ready


@pytest.mark.parametrize(
    ("room", "source", "complaint"),
    [
        ("formats/massif.py", "from runner.supervise import launch", "1: formats must not import supervise"),
        ("formats/massif.py", "import runner.analysis.growth", "1: formats must not import analysis"),
        ("model.py", "def f():\n    from runner import plan", "2: model must not import plan"),
        ("supervise/launch.py", "if x:\n  from runner.backends.base import Backend", "2: supervise must not import backends"),
        ("formats/massif.py", "from . import tree", "1: a relative import"),
        ("formats/massif.py", "from ..model import Frame", "1: a relative import"),
    ],
)
def test_an_import_against_the_order_is_seen(room: str, source: str, complaint: str) -> None:
    assert [line.rpartition(".py:")[2] for line in wrong_imports(PACKAGE / room, source)] == [complaint]


def test_what_the_order_allows_is_let_through() -> None:
    lines = [
        "import os",
        "from runner import __version__, errors",
        "from runner.model import Frame",
        "from runner.formats.tree import T",
    ]
    assert wrong_imports(PACKAGE / "formats" / "massif.py", "\n".join(lines)) == []
