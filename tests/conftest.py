"""What all tests share: the switch that rewrites golden files, and a recording as JSON that people can read."""

import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from runner.model import Column, Frame, Recording, Snapshot, TimeUnit
from tests import compiling

HERE = Path(__file__).parent
# They begin first, so that no worker is left alone with one at the end.
LONGEST = (
    "tests/hunt",
    "tests/backends",
    "tests/faults",
    "tests/live",
    "tests/builds",
    "tests/test_answers.py",
    "tests/test_children.py",
    "tests/test_make.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", action="store_true", help="only the tests that docs/faults.md names, tests/faults included")
    parser.addoption("--update-golden", action="store_true", help="write expected.json anew; read the diff before you commit it")


def pytest_configure() -> None:
    """In the background of a script or under nohup SIGINT and SIGHUP are ignored, and what is started there inherits that."""
    for signum in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, lambda *_: None)  # ignored here still, while a program that is started has the default


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What lasts runs only where it is asked for: tests/faults by --faults or its path, tests/soak by its path."""
    if config.getoption("--faults") and collection_path.name.startswith("test_"):
        return collection_path not in {HERE.parent / test.partition("::")[0] for test in named_faults()} or None
    if collection_path.parent != HERE or collection_path.name not in ("faults", "soak"):
        return None
    asked = [(config.invocation_params.dir / argument.split("::")[0]).resolve() for argument in config.args]
    wanted = config.getoption("--faults") and collection_path.name == "faults"
    return None if wanted or any(path.is_relative_to(collection_path) for path in asked) else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--faults"):
        named = set(named_faults())
        kept = [item for item in items if item.nodeid.split("[")[0] in named]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def named_faults() -> list[str]:
    """The tests that docs/faults.md names, as pytest does: tests/live/test_attach.py::test_it."""
    return re.findall(r"`(tests/[\w/]+\.py::test_\w+)`", (HERE.parent / "docs" / "faults.md").read_text())


@pytest.fixture(scope="session", autouse=True)
def _cache_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's cache takes no part, and is left as it was."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compile C source text, each once; further words go to the compiler."""

    @cache
    def compile_(name: str, source: str, *words: str) -> Path:
        return compiling.compiled(tmp_path_factory.mktemp("compiled"), source, *words, name=name)

    return compile_


@pytest.fixture
def as_json() -> Callable[[Recording], dict[str, Any]]:
    """A recording as plain JSON data: stacks by id as lines of text, leaf first, and all figures."""
    return recording_as_json


def recording_as_json(recording: Recording) -> dict[str, Any]:
    return {
        "tool": recording.tool,
        "tool_version": recording.tool_version,
        "pid": recording.pid,
        "parent_pid": recording.parent_pid,
        "command": recording.command,
        "time_unit": recording.time_unit.value,
        "growth_kind": recording.growth_kind.value,
        "complete": recording.complete,
        "flaws": recording.flaws,
        "limits": recording.limits,
        "heap_summary": asdict(recording.heap_summary) if recording.heap_summary else None,
        "leak_summary": {kind.value: asdict(amount) for kind, amount in (recording.leak_summary or {}).items()} or None,
        "stacks": {
            str(number): [frame_text(recording.table.frames[i]) for i in stack]
            for number, stack in enumerate(recording.table.stacks)
        },
        "snapshots": [snapshot_as_json(snapshot, recording.time_unit) for snapshot in recording.snapshots],
        "losses": [asdict(loss) for loss in recording.losses],
        "defects": [asdict(defect) for defect in recording.defects],
        "mappings": [mapping._asdict() for mapping in recording.mappings],
    }


def frame_text(frame: Frame) -> str:
    """One line: name, (file:line), module, address, and whether it is inlined."""
    place = f"({frame.file}:{frame.line})" if frame.file else ""
    address = f"{frame.address:#x}" if frame.address is not None else ""
    parts = (
        frame.signature or "???",
        place,
        f"in {frame.module}" if frame.module else "",
        address,
        "inlined" if frame.inlined else "",
    )
    return " ".join(part for part in parts if part)


def snapshot_as_json(snapshot: Snapshot, unit: TimeUnit) -> dict[str, Any]:
    return {
        "time": snapshot.time if unit is TimeUnit.SECONDS else int(snapshot.time),
        "label": snapshot.label,
        "peak": snapshot.peak,
        "totals": {metric.value: amount for metric, amount in snapshot.totals.items()},
        "columns": {metric.value: column_as_json(column) for metric, column in snapshot.columns.items()},
    }


def column_as_json(column: Column) -> dict[str, int]:
    return {str(stack_id): amount for stack_id, amount in column.items()}
