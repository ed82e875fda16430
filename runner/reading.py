"""Everything from the disk on: native outputs -> recordings -> names -> an answer, for a run and for bare files alike."""

import io
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner import analysis, backends, formats, gaps, mappings, profile, rundir
from runner.errors import ErrorKind, LeakrunError
from runner.formats import samples
from runner.manifest import Manifest, Redaction, outcome_of
from runner.model import Answer, FindingKind, Mapping, Recording, check_valid
from runner.plan import EventKind, Outcome, called
from runner.profile import Profile
from runner.quantities import signal_name, utc_text
from runner.rundir import RunDirectory
from runner.symbols.missing import what_brings_lines
from runner.symbols.resolve import resolve
from runner.symbols.store import Names, load_names, save_names


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of a run, or of files: what of it counts, and where names are looked for.

    warmup     seconds at the start that growth leaves out; None: as the run was told
    children   whose recordings matter: all, none or a program's name; None: as the run was told
    search     where binaries and debug files are looked for
    leave_out  takes out of a recording what is not to be judged
    """

    warmup: float | None = None
    children: str | None = None
    search: Sequence[Path] = ()
    leave_out: Callable[[Recording], None] | None = None


AS_IT_IS = Query()


def located(what: Sequence[str], runs_dir: Path) -> RunDirectory | list[Path]:
    """The one run, or the native files, that the words name. Raises LeakrunError(USAGE)."""
    refuse_streams(what)
    files = [Path(each) for each in what if is_file(each)]
    if len(files) == len(what):
        return files
    if len(what) == 1:
        return rundir.find(what[0], runs_dir)
    missing = next(each for each in what if not is_file(each))
    raise LeakrunError(ErrorKind.USAGE, f"{missing!r} is not a file", "name one run, or one or more files")


def refuse_streams(what: Sequence[str]) -> None:
    """Raise LeakrunError(USAGE) where one can't be read twice: formats are told by a file's head, then read anew."""
    for each in map(Path, what):
        try:
            stream = each.is_fifo() or each.is_char_device() or each.is_block_device() or each.is_socket()
        except (OSError, ValueError):
            continue
        if stream:
            raise LeakrunError(ErrorKind.USAGE, f"{each} is a pipe or a device", "save what it gives to a file, and name that")


@dataclass(frozen=True, slots=True)
class Evidence:
    """The recordings of one run, or of native files, with their names: the main process's first.

    name      the run's id, or the files, for messages
    nothing   why there are no recordings, and what to do; empty where there are any
    run       None for bare files
    wrappers  the project's own allocation functions, as the profile names them
    warmup    seconds at the start that growth leaves out
    """

    name: str
    recordings: list[Recording]
    run: RunDirectory | None = None
    wrappers: tuple[str, ...] = ()
    warmup: float = 0.0
    nothing: str = ""


def evidence_of(what: Sequence[str], runs_dir: Path, query: Query = AS_IT_IS) -> Evidence:
    """What was recorded, named and not yet judged. Raises LeakrunError(USAGE)."""
    found = located(what, runs_dir)
    if isinstance(found, RunDirectory):
        return evidence_of_run(found, query)
    recordings = formats.read_files(found)
    resolve(recordings, search=query.search, cache_dir=_cache_directory())
    return Evidence(", ".join(str(path) for path in found), recordings, warmup=query.warmup or 0.0)


def evidence_of_run(run: RunDirectory, query: Query = AS_IT_IS) -> Evidence:
    """What a run recorded: of all its processes, or of those that `children` says. Of a hunt that is its main step."""
    manifest = run.read_manifest()
    if rundir.is_hunt(manifest):
        return evidence_of_run(rundir.main_step(run, manifest), query)
    outcome = _outcome(run, manifest)
    chosen, recordings, _ = _read_run(run, outcome, query.search)
    heard = _heard(recordings, outcome, manifest, query.children)
    nothing = ""
    if not heard:
        nothing = gaps.why_unmeasured(manifest, outcome, recordings) or "no process is called that: leave --children out"
    return Evidence(run.id, heard, run, chosen.wrappers, _warmup(query.warmup, manifest), nothing)


def is_file(name: str) -> bool:
    """Whether the word names a file."""
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


# ---- a run directory


def conclude_run(run: RunDirectory, query: Query = AS_IT_IS, *, ended: bool = False) -> Answer:
    """What a run says. `ended`: it has just done so, and symbols.json, which is due then, is written."""
    manifest = run.read_manifest()
    outcome = _outcome(run, manifest)
    chosen, recordings, names = _read_run(run, outcome, query.search)
    if ended:
        save_names(names, run.symbols)
    heard = _heard(recordings, outcome, manifest, query.children)
    if query.leave_out is not None:
        for recording in heard:
            query.leave_out(recording)
    unmeasured = gaps.why_unmeasured(manifest, outcome, recordings, ended=ended)
    backend = backends.get(chosen.backend)
    at_the_end = FindingKind.LOST in backend.sees
    scope = analysis.Scope(
        sees=backend.seen_with(chosen.options) or backend.sees,
        wrappers=chosen.wrappers,
        warmup=_warmup(query.warmup, manifest),
        unfinished="" if unmeasured else gaps.unfinished(outcome) or (gaps.stopped_early(outcome) if at_the_end else ""),
        reasons=(unmeasured,) if unmeasured else (),
        advice=what_brings_lines,
        resident=_resident(run, manifest),
        **gaps.unrecorded(outcome, recordings, manifest, query.children, backend.own_processes(run.raw, outcome)),
    )
    answer = analysis.conclude(heard, scope)
    answer.run = _run_facts(run, manifest, outcome, heard, Redaction(chosen.redact), measured=not unmeasured)
    return answer


def _resident(run: RunDirectory, manifest: Manifest) -> dict[int, samples.Samples]:
    """What was sampled, by pid; nothing where most of it is the tool's: valgrind holds several times what the program does."""
    return {} if manifest["tool"]["name"] == "valgrind" else samples.read_file(run.samples)


def _read_run(run: RunDirectory, outcome: Outcome, search: Sequence[Path]) -> tuple[Profile, list[Recording], Names]:
    """The profile that a run had, and what its processes recorded, with names."""
    chosen = profile.load(str(run.profile), backends.options_for)
    recordings = backends.get(chosen.backend).read(run.raw, chosen, outcome)
    for recording in recordings:
        check_valid(recording)
    if (packed := run.path / "binaries").is_dir():  # of `leakrun bundle --with-binaries`
        search = (*search, packed)
    names = resolve(
        recordings, names=load_names(run.symbols), mappings=_mappings_of(run), search=search, cache_dir=_cache_directory()
    )
    return chosen, recordings, names


def _heard(recordings: Sequence[Recording], outcome: Outcome, manifest: Manifest, children: str | None) -> list[Recording]:
    """The recordings that matter."""
    wanted = children or manifest.get("children") or "all"
    return [each for each in recordings if _matters(each, outcome, wanted)]


def _warmup(asked: float | None, manifest: Manifest) -> float:
    """Seconds from the start; what the run was told to leave out begins when the program is up."""
    return asked if asked is not None else float(manifest.get("ready") or 0.0) + float(manifest.get("warmup") or 0.0)


def write_answer(run: RunDirectory, answer: Answer) -> None:
    """Put answer.json into the run directory."""
    from runner.reports import answer_json

    text = io.StringIO()
    answer_json.write(answer, text)
    rundir.write_atomically(run.answer, text.getvalue().encode())


def _cache_directory() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("leakrun") / "symbols"


def _mappings_of(run: RunDirectory) -> dict[int, list[Mapping]]:
    """By pid: what was mapped at any moment at which the maps were looked at, the oldest first."""
    found: dict[int, list[Mapping]] = defaultdict(list)
    for path in sorted(run.maps.glob("*.txt"), key=lambda path: (path.stat().st_mtime_ns, path.name)):
        pid = path.name.partition(".")[0]
        if pid.isdigit():
            found[int(pid)] += mappings.parse_maps(path.read_bytes())
    return found


def _matters(recording: Recording, outcome: Outcome, children: str) -> bool:
    """Whose recordings matter: all, none (but the main process's), or those of a program's name besides."""
    return gaps.is_wanted(recording.pid, called(_command_of(recording, outcome)), outcome, children)


def _command_of(recording: Recording, outcome: Outcome) -> list[str]:
    """The command line of a recording's process: the tool's word for it first, since a tool may stand in the program's place."""
    seen = next((each.command for each in outcome.processes if each.pid == recording.pid), [])
    return recording.command or seen or [""]


def _outcome(run: RunDirectory, manifest: Manifest) -> Outcome:
    """How the run went. While it goes on the timeline knows when the files were written, or, of the newest, the files."""
    outcome = outcome_of(manifest)
    if not outcome.files:
        for path in run.raw.glob("*"):
            with suppress(FileNotFoundError):  # thinned out meanwhile
                outcome.files[path.name] = max(0.0, path.stat().st_mtime - outcome.started_at)
        outcome.files |= {each.file: each.time for each in outcome.timeline if each.kind is EventKind.SNAPSHOT and each.file}
    return outcome


def _run_facts(
    run: RunDirectory, manifest: Manifest, outcome: Outcome, heard: Sequence[Recording], hide: Redaction, *, measured: bool
) -> dict[str, Any]:
    main = next((each for each in heard if each.pid == outcome.pid), heard[0] if heard else None)
    return {
        "id": run.id,
        "directory": str(run.path),
        "profile": manifest["profile"],
        "backend": manifest["backend"],
        "tool_version": ".".join(map(str, manifest["tool"]["version"])) or None,
        "command": manifest["command"],
        "started_at": utc_text(outcome.started_at),
        "seconds": outcome.seconds,
        "exit": {
            "code": outcome.code,
            "signal": signal_name(outcome.signum) if outcome.signum else None,
            "stopped_by": outcome.stopped_by,
            "by_tool": outcome.by_tool,
        },
        "complete": measured and all(each.complete for each in heard),
        "measured": measured,
        "snapshots": len(main.snapshots) if main else 0,
        "misses": outcome.misses,
        "processes": [{"pid": each.pid, "command": hide.words(_command_of(each, outcome))} for each in heard],
    }


# ---- bare files


def conclude_recordings(recordings: list[Recording], files: Sequence[Path], query: Query = AS_IT_IS) -> Answer:
    """What recordings say that were read from native outputs that no run of leakrun made."""
    resolve(recordings, search=query.search, cache_dir=_cache_directory())
    if query.leave_out is not None:
        for recording in recordings:
            query.leave_out(recording)
    sees = frozenset[Any]().union(*(backends.get(each.tool).sees for each in recordings if each.tool in backends.names()))
    answer = analysis.conclude(recordings, analysis.Scope(sees=sees, warmup=query.warmup or 0.0, advice=what_brings_lines))
    tools = sorted({each.tool for each in recordings})
    main = recordings[0]
    answer.run = facts(
        backend=tools[0] if len(tools) == 1 else None,
        tool_version=main.tool_version,
        command=main.command,
        complete=all(each.complete for each in recordings),
        snapshots=len(main.snapshots),
        processes=[{"pid": each.pid, "command": each.command} for each in recordings],
        files=[str(path) for path in files],
        tools=tools,
    )
    return answer


def facts(**known: object) -> dict[str, Any]:
    """What an answer says of its run, all of it unknown but `known`."""
    return {
        "id": None,
        "directory": None,
        "profile": None,
        "backend": None,
        "tool_version": None,
        "command": [],
        "started_at": None,
        "seconds": None,
        "exit": {"code": None, "signal": None, "stopped_by": None, "by_tool": None},
        "complete": True,
        "measured": True,
        "snapshots": 0,
        "misses": 0,
        "processes": [],
        **known,
    }


def seen_by(answer: Answer) -> frozenset[str]:
    """What the tools of an answer can find: kinds of findings, and "errors"."""
    tools = answer.run.get("tools") or [answer.run.get("backend")]
    kinds: set[str] = set()
    for tool in tools if isinstance(tools, list) else ():
        if tool in backends.names():
            backend = backends.get(tool)
            kinds |= {kind.value for kind in backend.sees} | ({"errors"} if backend.defects else set())
    return frozenset(kinds)
