"""One archive of a run, to send: unpacked elsewhere it gives the same answer.

What nobody else can use stays out: requests, pipes, links, files half written. So does what the profile's `redact` patterns
find, also in the native files. Owners and modes are not the sender's; times are kept, since the order of the maps is told by
them.
"""

import io
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from runner import backends, mappings, profile
from runner.errors import ErrorKind, LeakrunError
from runner.formats import HEAD_BYTES
from runner.redacting import Redactor, is_log, is_text
from runner.rundir import RunDirectory
from runner.symbols.elf import build_id
from runner.symbols.store import load_names

_OURS = frozenset({"manifest.json", "profile.yaml", "answer.json", "samples.csv", "symbols.json"})
_SPOOLED = 64 << 20  # bytes of a rewritten file that are held in memory


@dataclass(slots=True)
class Bundled:
    """What went into an archive: the number of files, the binaries, and a sentence for each thing that did not go in."""

    files: int = 0
    binaries: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def bundle(run: RunDirectory, output: Path, *, with_binaries: bool = False) -> Bundled:
    """Write the archive, whole or not at all: .tar.gz, or .tar.zst and .tar by the name of `output`.

    Raises LeakrunError: USAGE where it can't be written there, UNMEASURED where the disk does not take it.
    """
    said = Bundled()
    manifest = run.read_manifest()
    if manifest["state"] not in ("complete", "incomplete"):
        said.left_out.append(f"{run.id} is {manifest['state']}: what comes later is not in it")
    with _whole(output) as file, _compressing(file, output) as stream, tarfile.open(fileobj=stream, mode="w|") as archive:
        for part in _parts(run):
            _add_part(archive, run, part, said)
        for path in _binaries(run, said) if with_binaries else ():
            for part in _parts(run):
                if str(path) in _mapped(part):
                    name = f"{run.id}/{part.path.relative_to(run.path)}/binaries/{str(path).lstrip('/')}".replace("/./", "/")
                    with path.open("rb") as content:
                        _add_stream(archive, name, content, path.stat())
            said.binaries.append(str(path))
    return said


def _parts(run: RunDirectory) -> Iterator[RunDirectory]:
    """The run itself, and of a hunt its steps, which are runs."""
    yield run
    for path in sorted(run.path.glob("steps/*/manifest.json")):
        yield RunDirectory(path.parent)


def _add_part(archive: tarfile.TarFile, run: RunDirectory, part: RunDirectory, said: Bundled) -> None:
    """The files of a run, or of one step of a hunt, without what its own profile keeps out."""
    paths = list(_files(part, said))
    redactor = None
    if part.profile.exists():
        redactor = Redactor(profile.load(str(part.profile), backends.options_for), part.read_manifest())
    if redactor is not None and redactor.active:
        for path in paths:
            _learn(redactor, path)
    else:
        redactor = None
    for path in paths:
        _add(archive, run, part, path, redactor, said)


def _files(run: RunDirectory, said: Bundled) -> Iterator[Path]:
    """The run's plain files, in the order of their names; not those of a hunt's steps."""
    apart = {run.requests, run.path / "binaries", run.path / "steps"}
    for directory, names, files in os.walk(run.path):
        names[:] = sorted(name for name in names if Path(directory, name) not in apart)
        for name in sorted(files):
            path = Path(directory, name)
            try:
                plain = stat.S_ISREG(path.lstat().st_mode)
            except OSError:  # it went while we looked
                continue
            if path == run.reserve or (name.startswith(".") and name.endswith(".new")):
                continue
            if plain:
                yield path
            else:
                said.left_out.append(f"{path.relative_to(run.path)} is no plain file")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _is_rewritten(run: RunDirectory, path: Path) -> bool:
    """Native output, or what the programs said: leakrun's own files and the maps are clean already."""
    return path.name not in _OURS and path.parent != run.maps


def _learn(redactor: Redactor, path: Path) -> None:
    try:
        if path.name not in _OURS and is_text(_head(path)):
            with path.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
                redactor.learn(lines)
    except OSError:
        return  # _add says so


def _add(
    archive: tarfile.TarFile, run: RunDirectory, part: RunDirectory, path: Path, redactor: Redactor | None, said: Bundled
) -> None:
    name = f"{run.id}/{path.relative_to(run.path)}"
    try:
        status = path.stat()
        if redactor is not None and path == part.profile:
            _add_stream(archive, name, io.BytesIO(redactor.profile().encode("utf-8", "surrogateescape")), status)
        elif redactor is not None and _is_rewritten(part, path):
            head = _head(path)
            if not is_text(head):
                said.left_out.append(f"{path.relative_to(run.path)} is no text, and could hold what `redact` is for")
                return
            with tempfile.SpooledTemporaryFile(_SPOOLED) as clean, path.open("rb") as raw:
                lines = io.TextIOWrapper(raw, encoding="utf-8", errors="surrogateescape", newline="")
                for line in redactor.lines(lines, log=is_log(head)):
                    clean.write(line.encode("utf-8", "surrogateescape"))
                clean.seek(0)
                _add_stream(archive, name, clean, status)
        else:
            with path.open("rb") as raw:
                _add_stream(archive, name, raw, os.fstat(raw.fileno()))
    except FileNotFoundError:
        said.left_out.append(f"{path.relative_to(run.path)} went while the archive was made")
        return
    except PermissionError:
        said.left_out.append(f"{path.relative_to(run.path)} can't be read: pack it as the user who ran it")
        return
    said.files += 1


def _add_stream(archive: tarfile.TarFile, name: str, content: IO[bytes], status: os.stat_result) -> None:
    """One member: the stream from its start to the end that it has now."""
    entry = tarfile.TarInfo(name)
    content.seek(0, os.SEEK_END)
    entry.size = content.tell()
    content.seek(0)
    entry.mtime = status.st_mtime  # a fraction is kept in a pax header
    entry.mode = 0o700 if status.st_mode & stat.S_IXUSR else 0o600
    archive.addfile(entry, content)


def _binaries(run: RunDirectory, said: Bundled) -> Iterator[Path]:
    """The programs and libraries that were mapped, if they are still those that ran."""
    manifest = run.read_manifest()
    ended = float(manifest["started_at"]) + float(manifest["seconds"])
    parts = list(_parts(run))
    known = {path: build for part in parts for path, build in load_names(part.symbols).modules if build}
    for mapped in sorted(set().union(*map(_mapped, parts))):
        path = Path(mapped)
        if not path.is_file():
            said.left_out.append(f"{mapped} is not there any more")
        elif build_id(path) != known[mapped] if known.get(mapped) else path.stat().st_mtime > ended:
            said.left_out.append(f"{mapped} has changed since it ran")
        else:
            yield path


def _mapped(run: RunDirectory) -> set[str]:
    found: set[str] = set()
    for path in run.maps.glob("*.txt"):
        found |= {each.path for each in mappings.parse_maps(path.read_bytes()) if each.path.startswith("/") and not each.deleted}
    return found


@contextmanager
def _whole(output: Path) -> Iterator[IO[bytes]]:
    """A new file beside `output`, which takes its name when the block ends without an error."""
    try:
        with tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(output)
            finally:
                Path(file.name).unlink(missing_ok=True)
    except OSError as error:
        hint = "make room there, or name another file with -o"
        raise LeakrunError(ErrorKind.USAGE, f"{output} can't be written: {error.strerror or error}", hint) from error


@contextmanager
def _compressing(file: IO[bytes], output: Path) -> Iterator[IO[bytes]]:
    """Where the archive is written, to be compressed as the name says."""
    if output.name.endswith((".zst", ".tzst")):
        with _by_zstd(file) as stream:
            yield stream
    elif output.name.endswith(".tar"):
        yield file
    elif output.name.endswith((".gz", ".tgz")):
        import gzip

        with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6) as packed:
            yield packed  # type: ignore[misc]  # a stream of bytes, if no IO by name
    else:
        raise LeakrunError(ErrorKind.USAGE, f"{output.name}: the ending says no archive", "write .tar.gz, .tar.zst or .tar")


@contextmanager
def _by_zstd(file: IO[bytes]) -> Iterator[IO[bytes]]:
    program = shutil.which("zstd")
    if program is None:
        raise LeakrunError(
            ErrorKind.UNMEASURED, "zstd, which packs .zst, is not installed", "write .tar.gz, or: apt-get install zstd"
        )
    with subprocess.Popen([program, "-q", "-c"], stdin=subprocess.PIPE, stdout=file) as packing:
        assert packing.stdin is not None
        yield packing.stdin
        packing.stdin.close()
        if packing.wait() != 0:
            raise LeakrunError(ErrorKind.UNMEASURED, "zstd failed: see its line above", "write .tar.gz")
