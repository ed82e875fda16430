"""Programs that show what a run recorded: what each reads, how it is started, and how it is installed."""

import shutil
from pathlib import Path
from typing import NamedTuple

from runner.cli.doctor import install_line
from runner.errors import ErrorKind, LeakrunError


class Viewer(NamedTuple):
    """`programs` may stand for each other, the best first; `reads` is a format of `export`, or heaptrack's own."""

    name: str
    programs: tuple[str, ...]
    reads: str
    install: str


HEAPTRACK = "heaptrack"
VIEWERS = (
    Viewer(
        "pprof",
        ("pprof", "go"),
        "pprof",
        "apt-get install golang-go graphviz  (dnf install golang graphviz, pacman -S go graphviz)",
    ),
    Viewer(
        "kcachegrind",
        ("kcachegrind", "qcachegrind"),
        "callgrind",
        "apt-get install kcachegrind  (dnf install kcachegrind, pacman -S kcachegrind)",
    ),
    Viewer(
        "massif-visualizer",
        ("massif-visualizer",),
        "massif",
        "apt-get install massif-visualizer  (dnf install massif-visualizer, pacman -S massif-visualizer)",
    ),
    Viewer(
        "heaptrack_gui",
        ("heaptrack_gui",),
        HEAPTRACK,
        "apt-get install heaptrack-gui  (dnf install heaptrack, pacman -S heaptrack)",
    ),
)
_MADE_FOR = {"massif": "massif-visualizer", HEAPTRACK: "heaptrack_gui"}  # by the tool that has recorded


def viewers_of(tool: str) -> list[Viewer]:
    """The viewers that can show what the tool has recorded, the one that was made for it first."""
    able = [each for each in VIEWERS if each.reads != HEAPTRACK or tool == HEAPTRACK]
    return sorted(able, key=lambda each: each.name != _MADE_FOR.get(tool))


def chosen(tool: str, name: str | None) -> tuple[Viewer, list[str]]:
    """The viewer of that name, or the first that is here, and the words that start it, which its file follows.

    Raises LeakrunError: UNMEASURED where none is here; USAGE for one that can't read what the tool has recorded.
    """
    able = viewers_of(tool)
    wanted = [each for each in able if name in (None, each.name)]
    if not wanted:
        readers = ", ".join(each.name for each in able)
        raise LeakrunError(
            ErrorKind.USAGE, f"{name} reads heaptrack's records only, and this is {tool}'s", f"choose one of {readers}"
        )
    for viewer in wanted:
        words = _started(viewer)
        if words:
            return viewer, words
    names = " or ".join(each.name for each in wanted)
    install = install_line([wanted[0].install]) or wanted[0].install
    raise LeakrunError(ErrorKind.UNMEASURED, f"{names} is not found here, which would show it", f"install it: {install}")


def _started(viewer: Viewer) -> list[str]:
    """The words that start the viewer; empty where it is not here."""
    for program in viewer.programs:
        path = shutil.which(program)
        if path is None or (program == "pprof" and _is_perl(Path(path))):
            continue
        words = [path, "tool", "pprof"] if program == "go" else [path]
        return [*words, "-http=localhost:"] if viewer.name == "pprof" else words
    return []


def _is_perl(program: Path) -> bool:
    """gperftools' old pprof has the same name, no page for the browser, and reads no protocol buffers."""
    try:
        with program.open("rb") as file:
            return b"perl" in file.readline(200)
    except OSError:
        return False
