"""`leakrun open`: which viewer is started, and on which file. Viewers with windows have stand-ins; Go's pprof is the real one."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from runner.backends import heaptrack
from runner.formats import read_file
from runner.model import Metric
from tests.cli.conftest import SOURCE
from tests.leakrun_command import COMMAND, leakrun

VIEWER = f"""#!{sys.executable}
import sys
from pathlib import Path
Path(sys.argv[0] + ".seen").write_text("\\n".join(sys.argv[1:]))
Path(sys.argv[0] + ".copy").write_bytes(Path(sys.argv[-1]).read_bytes())
sys.exit(5)
"""


class Desk:
    """A PATH with these viewers on it alone, and a copy of a run."""

    def __init__(self, place: Path, *viewers: str) -> None:
        self.bin = place / "bin"
        self.bin.mkdir()
        for name in viewers:
            (self.bin / name).write_text(VIEWER)
            (self.bin / name).chmod(0o755)

    def open(self, *words: object) -> subprocess.CompletedProcess[str]:
        return leakrun("open", *words, PATH=str(self.bin))

    def seen(self, viewer: str) -> list[str]:
        return (self.bin / f"{viewer}.seen").read_text().splitlines()

    def copy(self, viewer: str) -> Path:
        """What it was given."""
        return self.bin / f"{viewer}.copy"


def copied(runs_dir: Path, name: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(runs_dir / name, tmp_path / name))


def test_massif_visualizer_gets_massif_s_own_file(runs_dir: Path, tmp_path: Path) -> None:
    desk, run = Desk(tmp_path, "massif-visualizer", "kcachegrind"), copied(runs_dir, "massif-old", tmp_path)
    before = sorted(run.rglob("*"))
    done = desk.open(run)
    assert done.returncode == 5 and not done.stderr, done.stderr
    (file,) = desk.seen("massif-visualizer")
    assert Path(file).parent == run / "raw" and read_file(Path(file)).tool == "massif"
    assert sorted(run.rglob("*")) == before


def test_one_snapshot_is_written_beside_the_answer(runs_dir: Path, tmp_path: Path) -> None:
    desk, run = Desk(tmp_path, "massif-visualizer"), copied(runs_dir, "massif-old", tmp_path)
    assert desk.open(f"{run}@3").returncode == 5
    (file,) = desk.seen("massif-visualizer")
    assert Path(file).parent == run and len(read_file(Path(file)).snapshots) == 1


@pytest.mark.parametrize("run", ["heapprofile-old", "memcheck-old"])
def test_kcachegrind_gets_callgrind_s_format(runs_dir: Path, tmp_path: Path, run: str) -> None:
    desk = Desk(tmp_path, "qcachegrind")
    done = desk.open(copied(runs_dir, run, tmp_path))
    assert done.returncode == 5 and "pprof is not here: shown with kcachegrind" in done.stderr
    text = desk.copy("qcachegrind").read_text()
    assert text.startswith("# callgrind format\n") and "growing_list" in text and str(SOURCE.name) in text


def test_a_bare_file_leaves_nothing_behind(runs_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path, "massif-visualizer")
    (dump, *_) = sorted((runs_dir / "heapprofile-old" / "raw").glob("*.heap"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    assert desk.open(dump).returncode == 5
    assert read_file(desk.copy("massif-visualizer")).tool == "massif"
    assert list((tmp_path / "tmp").iterdir()) == []
    printed = desk.open(dump, "--print")
    assert printed.returncode == 0 and Path(shlex.split(printed.stdout)[-1]).is_file()


@pytest.mark.skipif(heaptrack.find_library() is None, reason="heaptrack is not here")
def test_heaptrack_gui_gets_the_record_with_its_names(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "heaptrack_gui")
    program = tmp_path / "leaky"
    subprocess.run(["gcc", "-g", "-o", program, SOURCE], check=True, timeout=60)
    assert leakrun("-q", "-p", "heaptrack", "-o", tmp_path / "run", program, 20).returncode == 0
    (desk.bin / "heaptrack").symlink_to(shutil.which("heaptrack") or "")
    done = desk.open(tmp_path / "run")
    assert done.returncode == 5, done.stderr
    (file,) = desk.seen("heaptrack_gui")
    recording = read_file(Path(file))
    column = recording.snapshots[-1].columns[Metric.LIVE_BYTES]
    named = {frame.signature for stack, _ in column.items() for frame in recording.table.frames_of(stack)}
    assert "growing_list" in named
    shown = subprocess.run(["heaptrack_print", file], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "growing_list" in shown and ".part" not in "".join(each.name for each in (tmp_path / "run").iterdir())
    assert desk.open(file).returncode == 5 and desk.seen("heaptrack_gui") == [file]  # it is interpreted already
    refused = desk.open(f"{tmp_path / 'run'}@2", "--with", "heaptrack_gui")
    assert refused.returncode == 2 and "no single snapshot" in refused.stderr


def test_what_is_not_here_is_named_with_what_installs_it(runs_dir: Path, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    done = desk.open(runs_dir / "massif-old")
    assert done.returncode == 3 and "massif-visualizer or pprof or kcachegrind is not found here" in done.stderr
    assert "apt-get install massif-visualizer" in done.stderr
    done = desk.open(runs_dir / "massif-old", "--with", "kcachegrind")
    assert done.returncode == 3 and "apt-get install kcachegrind" in done.stderr
    done = desk.open(runs_dir / "massif-old", "--with", "heaptrack_gui")
    assert done.returncode == 2 and "heaptrack's records only" in done.stderr
    assert desk.open(tmp_path / "nothing").returncode == 2


def test_the_perl_program_called_pprof_is_not_go_s(runs_dir: Path, tmp_path: Path) -> None:
    desk, run = Desk(tmp_path, "pprof", "kcachegrind"), copied(runs_dir, "heapprofile-old", tmp_path)
    (desk.bin / "pprof").write_text("#! /usr/bin/env perl\n")
    assert "kcachegrind" in desk.open(run, "--print").stdout
    (desk.bin / "pprof").write_text(VIEWER)
    assert shlex.split(desk.open(run, "--print").stdout)[:2] == [str(desk.bin / "pprof"), "-http=localhost:"]


def _go_has_pprof() -> bool:
    go = shutil.which("go")
    return go is not None and not subprocess.run([go, "tool", "-n", "pprof"], capture_output=True, check=False).returncode


def fetched(url: str) -> str:
    """The page; pprof says where it serves before it does."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=60) as page:
                return str(page.read().decode())
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.mark.skipif(not _go_has_pprof(), reason="Go's pprof is not here")
def test_go_s_pprof_shows_it_in_the_browser(runs_dir: Path, tmp_path: Path) -> None:
    run = copied(runs_dir, "heapprofile-old", tmp_path)
    environment = {**os.environ, "BROWSER": "/bin/true", "PPROF_TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [*COMMAND, "open", str(run), "--with", "pprof"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stderr is not None
            served = next(line for line in process.stderr if line.startswith("Serving"))
            assert "growing_list" in fetched(f"{served.split()[-1]}/top")
        finally:
            os.killpg(process.pid, signal.SIGINT)
    assert process.returncode in (0, 130)
