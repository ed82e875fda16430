"""The run directory: where everything of one run lies, and how a run is found again."""

import json
import os
import re
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from runner.errors import ErrorKind, LeakrunError
from runner.manifest import SCHEMA, STATES, Manifest, manifest_of, outcome_of
from runner.quantities import shown

__all__ = ["RunDirectory", "find", "is_hunt", "main_step", "manifest_of", "outcome_of", "runs", "steps_of", "write_atomically"]

_SCHEMA_PATTERN = re.compile(r"leakrun\.manifest/(\d+)")
_NAME_TIME = re.compile(r"-(\d{8}T\d{6}Z)-[0-9a-f]{4}$")
_STEP = re.compile(r"(\d{1,6})-")  # the name of a hunt's step
SPOOL = re.compile(r"\.leakrun-[0-9a-f]{16}")  # where a root's run has its tool write
_TRIES = 100
_RESERVE = 256 << 10  # bytes, or
_PART = 8  # of a small disk: so many times less than what is free


class RunDirectory:
    """The paths of one run, and its manifest. `path` is absolute.

    spool  where the tool writes while the program runs, where that is not raw/ itself
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.spool: Path | None = None
        self._complete = False
        self._handle: int | None = None  # of the directory itself, wherever it is moved; held until the process ends

    @property
    def id(self) -> str:
        """The name by which a run is called: the last part of its path."""
        return self.path.name

    @property
    def raw(self) -> Path:
        """What the native tool wrote, untouched."""
        return self.path / "raw"

    @property
    def maps(self) -> Path:
        """/proc/PID/maps as it was, PID.K.txt."""
        return self.path / "maps"

    @property
    def manifest(self) -> Path:
        """manifest.json."""
        return self.path / "manifest.json"

    @property
    def profile(self) -> Path:
        """The profile as it ran."""
        return self.path / "profile.yaml"

    @property
    def answer(self) -> Path:
        """answer.json, the conclusion."""
        return self.path / "answer.json"

    @property
    def symbols(self) -> Path:
        """symbols.json, the names that addresses were resolved to."""
        return self.path / "symbols.json"

    @property
    def samples(self) -> Path:
        """samples.csv, the memory of the processes over time."""
        return self.path / "samples.csv"

    @property
    def load_log(self) -> Path:
        """What the load said."""
        return self.path / "load.log"

    @property
    def output(self) -> Path:
        """The bounded copy of what the program wrote to stdout and stderr, where one was asked for."""
        return self.path / "output"

    @property
    def reserve(self) -> Path:
        """Room for our own last words, while the run is in progress."""
        return self.path / ".reserve"

    @property
    def requests(self) -> Path:
        """Where others ask for snapshots and for the end, while the run is in progress."""
        return self.path / "requests"

    @property
    def steps(self) -> Path:
        """Of a hunt: where its runs are, each a run directory."""
        return self.path / "steps"

    @classmethod
    def create(
        cls, output: Path | None, runs_dir: Path, profile: str, program: str, parts: Sequence[str] = ("raw", "maps")
    ) -> "RunDirectory":
        """Make a directory of our own, mode 0700: `output` itself, or a new one below `runs_dir`.

        Raises LeakrunError(USAGE) where `output` exists or a directory can't be made.
        """
        run = cls(_make(output.absolute()) if output is not None else _make_named(runs_dir.absolute(), profile, program))
        for part in parts:
            (run.path / part).mkdir(mode=0o700)
        run._handle = os.open(run.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return run

    def follow(self) -> bool:
        """Find the directory again where somebody has renamed it. False when it was deleted."""
        if self._handle is None:
            return self.path.is_dir()
        if os.fstat(self._handle).st_nlink == 0:
            return False
        self.path = Path(f"/proc/self/fd/{self._handle}").readlink()
        return True

    def make_spool(self) -> None:
        """Where the program may drop its user: a directory outside, that every user can write and only root can list.

        It is sticky, so that the kernel follows no link in it that another user has planted (fs.protected_symlinks). It is beside
        the run, where moving costs nothing, if every user can get there.
        """
        if os.geteuid() != 0:
            return
        places = [self.path.parent, Path("/var/tmp"), Path("/tmp")]
        base = next((place for place in places if _anybody_reaches(place)), None)
        if base is not None:
            self.spool = base / f".leakrun-{os.urandom(8).hex()}"
            self.spool.mkdir(mode=0o700)
            self.spool.chmod(0o1733)  # whatever the umask

    def make_reserve(self) -> None:
        """Fill a file with nothing: what the tool writes at its end can take all that is free, and how it went is to be told.

        Raises LeakrunError(UNMEASURED) when the disk does not take it.
        """
        try:
            disk = os.statvfs(self.path)
            self.reserve.write_bytes(bytes(min(_RESERVE, disk.f_bavail * disk.f_frsize // _PART)))
        except OSError as error:
            raise _unwritten(self.reserve, error) from None

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """The run that lies at `path`. Raises LeakrunError(USAGE) where there is none, or a newer or damaged one."""
        run = cls(path)
        if not run.path.is_dir():
            raise LeakrunError(ErrorKind.USAGE, f"{shown(str(path))}: there is no such run", "`leakrun runs` lists what is there")
        run.read_manifest()
        return run

    def read_manifest(self) -> Manifest:
        """The manifest as it is on disk. Raises LeakrunError(USAGE) where it is missing, damaged, or of a newer leakrun."""
        try:
            text = self.manifest.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise LeakrunError(ErrorKind.USAGE, f"{self.path} is not a run directory: it has no manifest.json", _LIST) from None
        except OSError as error:
            raise LeakrunError(
                ErrorKind.USAGE, f"{self.manifest} can't be read: {error.strerror}", "look at its permissions"
            ) from None
        try:
            manifest = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self.damaged(str(error)) from None
        self._check_schema(manifest)
        self._complete = manifest["state"] == "complete"
        return manifest  # type: ignore[no-any-return]  # JSON of a checked shape

    def _check_schema(self, manifest: object) -> None:
        schema = manifest.get("schema") if isinstance(manifest, dict) else None
        found = _SCHEMA_PATTERN.fullmatch(schema) if isinstance(schema, str) else None
        if not isinstance(manifest, dict) or found is None:
            raise LeakrunError(ErrorKind.USAGE, f"{self.manifest} is not the manifest of a run", _LIST)
        if schema != SCHEMA:
            raise LeakrunError(
                ErrorKind.USAGE, f"{self.path} was written by another leakrun ({schema})", "use a newer leakrun to read it"
            )
        if manifest.get("state") not in STATES:
            raise self.damaged("its state is unknown")

    def write_profile(self, text: str) -> None:
        """Keep the profile as it ran. Raises LeakrunError(UNMEASURED) when the disk does not take it."""
        write_atomically(self.profile, text.encode("utf-8", "surrogateescape"))

    def damaged(self, why: str) -> LeakrunError:
        """The error for a manifest that can't be made sense of."""
        hint = f"`leakrun show` reads the files in {self.raw} one by one"
        return LeakrunError(ErrorKind.USAGE, f"{self.manifest} is damaged: {why}", hint)

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest at once and durably; a crash leaves the old one or the new one, never half of one.

        Raises LeakrunError(UNMEASURED) when the disk does not take it, ValueError when the run is complete already.
        """
        if self._complete:
            raise ValueError(f"{self.path} is complete and is not written into any more")
        write_atomically(self.manifest, json.dumps(manifest, indent=1).encode("ascii"))
        self._complete = manifest.get("state") == "complete"


_LIST = "name a run directory; `leakrun runs` lists what is there"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that readers see the old content or the new, and so that it survives a crash.

    Raises LeakrunError(UNMEASURED) when that is not possible.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise _unwritten(path, error) from None


def _unwritten(path: Path, error: OSError) -> LeakrunError:
    hint = "make room there, or choose another place with --runs-dir"
    return LeakrunError(ErrorKind.UNMEASURED, f"{path} can't be written: {error.strerror}", hint)


def _anybody_reaches(path: Path) -> bool:
    try:
        return all(each.stat().st_mode & stat.S_IXOTH for each in (path, *path.parents))
    except OSError:
        return False


def check_free(output: Path | None) -> None:
    """Raises LeakrunError(USAGE) where the directory that -o names exists: told before anything of the program or the tool is."""
    if output is not None and os.path.lexists(output):
        raise _taken(output.absolute())


def _taken(path: Path) -> LeakrunError:
    return LeakrunError(ErrorKind.USAGE, f"{path} exists already", "name a directory that is not there yet, or leave -o out")


def _make(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        raise _taken(path) from None
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and not path.parent.exists():  # in /proc there is a parent
            raise LeakrunError(ErrorKind.USAGE, f"{path.parent} does not exist", f"mkdir -p {path.parent}") from None
        raise _unmade(path, error) from None
    return path


def _make_named(runs_dir: Path, profile: str, program: str) -> Path:
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise _unmade(runs_dir, error) from None
    for _ in range(_TRIES):
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        path = runs_dir / f"{_plain(profile, 'profile')}-{_plain(program, 'program')}-{moment}-{os.urandom(2).hex()}"
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise _unmade(path, error) from None
        return path
    raise LeakrunError(ErrorKind.USAGE, f"no free name for a run was found in {runs_dir}", "name one with -o")


def _unmade(path: Path, error: Exception) -> LeakrunError:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return LeakrunError(
        ErrorKind.USAGE, f"the directory {path} can't be made: {why}", "choose a place that can be written, with -o or --runs-dir"
    )


def _plain(name: str, otherwise: str) -> str:
    """A part of a file name that no shell and no tool's pattern takes for anything else."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name.rsplit("/", 1)[-1]).strip("._-")[:40] or otherwise


def runs(runs_dir: Path) -> list[RunDirectory]:
    """The runs below `runs_dir`, oldest first; empty where there is no such directory. Manifests are not looked into."""
    try:
        paths = [path for path in runs_dir.iterdir() if _has_manifest(path)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise LeakrunError(ErrorKind.USAGE, f"{runs_dir} can't be read: {error.strerror}", "look at its permissions") from None
    return [RunDirectory(path) for path in sorted(paths, key=_age)]


def _has_manifest(path: Path) -> bool:
    try:
        return (path / "manifest.json").is_file()
    except OSError:  # somebody else's directory, closed to us
        return False


def _age(path: Path) -> tuple[str, int, str]:
    """Sorts by the time in the name, else by that of the directory; runs of one second by when they were made."""
    made = _made_at(path / "raw") or _made_at(path / "steps")
    found = _NAME_TIME.search(path.name)
    moment = found[1] if found else time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(made / 1e9))
    return moment, made, path.name


def _made_at(path: Path) -> int:
    try:
        status = path.stat()
    except OSError:
        return 0
    return status.st_ctime_ns if stat.S_ISDIR(status.st_mode) else 0


def is_hunt(manifest: Manifest) -> bool:
    """Whether it is of a hunt: several runs in one directory."""
    return isinstance(manifest.get("steps"), list)


def steps_of(hunt: RunDirectory) -> list[RunDirectory]:
    """The runs of a hunt, in their order; one in progress is the last."""
    numbered = [
        (int(found[1]), path) for path in hunt.steps.glob("*") if (found := _STEP.match(path.name)) and _has_manifest(path)
    ]
    return [RunDirectory(path) for _, path in sorted(numbered)]


def main_step(hunt: RunDirectory, manifest: Manifest) -> RunDirectory:
    """The first run of a hunt that names what grows on the heap, else its last. Raises LeakrunError(USAGE) before the first."""
    known = steps_of(hunt)
    if not known:
        raise LeakrunError(ErrorKind.USAGE, f"{hunt.id} has no run yet", f"leakrun show {hunt.id}")
    naming = {
        Path(step["directory"]).name for step in manifest["steps"] if step.get("names_code") and "growing" in step.get("sees", ())
    }
    return next((run for run in known if run.id in naming), known[-1])


def find(reference: str, runs_dir: Path) -> RunDirectory:
    """The run that a person means: `last`, a path, an id, or the beginning of one that only one run has.

    Raises LeakrunError(USAGE), naming the candidates where there are several.
    """
    known = runs(runs_dir)
    if reference == "last":
        if not known:
            raise LeakrunError(ErrorKind.USAGE, f"there is no run in {runs_dir} yet", "leakrun PROGRAM makes one")
        return RunDirectory.open(known[-1].path)
    if "\0" in reference or not reference:
        raise LeakrunError(ErrorKind.USAGE, f"{reference!r} names no run", "`leakrun runs` lists what is there")
    exact = [run for run in known if run.id == reference]
    if _is_dir(Path(reference)) and not exact:
        return RunDirectory.open(Path(reference))
    matches = exact or [run for run in known if run.id.startswith(reference)]
    if not matches:
        raise LeakrunError(
            ErrorKind.USAGE, f"{shown(reference)}: there is no such run in {runs_dir}", "`leakrun runs` lists what is there"
        )
    if len(matches) > 1:
        names = ", ".join(run.id for run in matches[:5]) + (" ..." if len(matches) > 5 else "")
        raise LeakrunError(
            ErrorKind.USAGE, f"{shown(reference)} may be any of {len(matches)} runs: {names}", "give more of the name"
        )
    return RunDirectory.open(matches[0].path)


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name longer than any
        return False
