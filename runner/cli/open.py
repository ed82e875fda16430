"""`leakrun open RUN`: the run in somebody else's viewer, on the tool's own file or on what `export` makes of it."""

import os
import shlex
import shutil
import subprocess
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from runner.cli import options
from runner.cli.screen import say
from runner.errors import ErrorKind, LeakrunError

if TYPE_CHECKING:
    from runner.moments import Reference

ENDINGS = {"pprof": "pb.gz", "callgrind": "callgrind.out", "massif": "massif.out", "heaptrack": "heaptrack.gz"}


class With(StrEnum):
    """The viewers."""

    MASSIF_VISUALIZER = "massif-visualizer"
    KCACHEGRIND = "kcachegrind"
    HEAPTRACK_GUI = "heaptrack_gui"
    PPROF = "pprof"


class Subject(NamedTuple):
    """What is to be seen.

    tool       massif, heaptrack, or another backend's or format's name
    own        the tool's own file of the process that is meant; None where there is none, or one snapshot is meant
    directory  where to write what the viewer reads; None where it goes with the viewer
    name       of that file, without its ending
    """

    tool: str
    own: Path | None
    directory: Path | None
    name: str


def open(
    what: options.Moment,
    with_: Annotated[With | None, typer.Option("--with", help="The viewer. [the tool's own, else one that is here]")] = None,
    print_: Annotated[bool, typer.Option("--print", help="Print the command that starts it, and start nothing.")] = False,
    exe: options.Exe = None,
    symbol_path: options.SymbolPath = None,
    runs_dir: options.RunsDir = None,
    config_file: options.ConfigFile = None,
) -> int:
    """Show a run in somebody else's viewer.

    In massif-visualizer, heaptrack_gui, KCachegrind or Go's pprof; leakrun waits for it to be closed.

    \b
      leakrun open last                           massif: massif-visualizer; heaptrack: heaptrack_gui; else Go's pprof
      leakrun open last@3 --with kcachegrind      one snapshot
      leakrun open massif.out.4711                a file that no run of leakrun made
      leakrun open last --print                   the command, for a shell

    A viewer gets the tool's own file where it reads that, else what `export` makes of it, which stays in the run directory.
    """
    settings = options.settings(config_file, runs_dir=runs_dir)
    from runner import moments
    from runner.cli.viewers import chosen, viewers_of

    reference = moments.parse(what, settings.runs_dir)
    subject = _subject(reference, settings.runs_dir)
    viewer, words = chosen(subject.tool, with_.value if with_ else None)
    best = viewers_of(subject.tool)[0]
    if with_ is None and viewer is not best:
        say(f"{best.name} is not here: shown with {viewer.name}")
    directory = subject.directory or Path(tempfile.mkdtemp(prefix="leakrun-open-"))
    passing = subject.directory is None
    try:
        file = directory / f"{subject.name}.{ENDINGS[viewer.reads]}"
        search = options.search_path(exe, symbol_path)
        command = [*words, str(_readable(reference, subject, viewer.reads, file, settings.runs_dir, search))]
        if print_:
            passing = passing and not file.exists()  # the command is of use as long as its file is there
            print(shlex.join(command))
            return 0
        return _waited_for(command)
    finally:
        if passing:
            shutil.rmtree(directory, ignore_errors=True)


def _waited_for(command: list[str]) -> int:
    """The viewer's exit code."""
    try:
        code = subprocess.run(command, check=False).returncode
    except OSError as error:
        message = f"{command[0]} can't be started: {error.strerror}"
        raise LeakrunError(ErrorKind.NOT_EXECUTABLE, message, "choose another: --with") from error
    return 128 - code if code < 0 else code


def _subject(reference: "Reference", runs_dir: Path) -> Subject:
    """Raises LeakrunError(USAGE) for what is not there."""
    from runner import formats, reading, rundir

    found = reading.located([reference.what], runs_dir)
    moment = "" if reference.number is None else f"-{reference.number}"
    if isinstance(found, list):
        with formats.opened(found[0]) as (_, module):
            tool = module.__name__.rpartition(".")[2]
        return Subject(tool, None if moment else found[0].absolute(), None, found[0].name + moment)
    manifest = found.read_manifest()
    run = rundir.main_step(found, manifest) if rundir.is_hunt(manifest) else found
    manifest = run.read_manifest()
    tool, pid = str(manifest["backend"]), reference.pid or rundir.outcome_of(manifest).pid
    name = "open" + (f"-{reference.pid}" if reference.pid else "") + moment
    writable = os.access(run.path, os.W_OK)
    return Subject(tool, None if moment else _own_file(tool, run.raw, pid), run.path if writable else None, name)


def _own_file(tool: str, raw: Path, pid: int | None) -> Path | None:
    """massif's or heaptrack's file of a process; of one that became other programs by exec, the last one's."""
    pattern = {"massif": f"massif.{pid}.out", "heaptrack": f"heaptrack.{pid}.*.raw"}.get(tool)
    found = [each for each in raw.glob(pattern) if each.stat().st_size] if pattern else []
    return max(found, key=lambda each: (len(each.name), each.name), default=None)


def _readable(reference: "Reference", subject: Subject, reads: str, file: Path, runs_dir: Path, search: tuple[Path, ...]) -> Path:
    """A file that the viewer reads: the tool's own, or `file`, which is written."""
    if reads == "heaptrack":
        from runner.backends import _heaptrack_interpret

        if subject.own is None:
            why = "no record of that process is there" if reference.number is None else "heaptrack_gui shows no single snapshot"
            raise LeakrunError(ErrorKind.USAGE, f"{reference.text!r}: {why}", "name a run that has ended: leakrun open RUN")
        return _heaptrack_interpret.interpreted(subject.own, file)
    if reads == subject.tool and subject.own is not None:
        return subject.own
    from runner import moments
    from runner.cli import export
    from runner.cli.output import writing

    moment = moments.one(reference.text, runs_dir, search, alone=reads == export.Format.MASSIF)
    for note in moments.notes_of(moment):
        say(note)
    with writing(file) as stream:
        export.write(moment, export.Format(reads), stream)
    return file
