"""What a run did not record, and why: processes without a recording, an end that was not seen, nothing at all."""

import signal
from collections.abc import Sequence, Set

from runner.manifest import Manifest
from runner.model import Recording
from runner.plan import EventKind, Outcome, ProcessOutcome
from runner.quantities import signal_name

# Ends that nobody asked for: what the tool wrote then may be less than it would have written.
CRASHES = frozenset({signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})
NOTABLE = 0.1  # of the run: a process that lived for less, and left nothing, is no reason to doubt
SURELY_SEEN = 1.0  # seconds: in a process that lived for longer the tool would have been seen, were it there
BEGUN = 1.5  # seconds: valgrind starts in up to one, and before main() there is nothing to lose
MOST_NAMED = 5


def is_wanted(pid: int | None, name: str, outcome: Outcome, children: str) -> bool:
    """Whether a process is one of those asked for: all, none (but the main one), or those of a program's name besides."""
    return children == "all" or pid == outcome.pid or (children != "none" and name == children)


def unrecorded(
    outcome: Outcome, recordings: Sequence[Recording], manifest: Manifest, children: str | None, tools: frozenset[int]
) -> dict[str, tuple[str, ...]]:
    """The processes that left no recording: those that ran for a notable part of the run as doubts, the others as a limit.

    A shell's subshells and short commands end by _exit() and leave nothing; what they had is gone with them. Where no process
    left one, why_unmeasured() says why.
    """
    wanted, tool = children or manifest.get("children") or "all", manifest.get("loaded")
    recorded = {each.pid for each in recordings} | tools
    blind = {each.pid for each in recordings if not _has_figures(each)} if manifest.get("loaded") else set()
    heard = [each for each in outcome.processes if is_wanted(each.pid, each.name, outcome, wanted)]
    silent = [
        each
        for each in heard
        if each.pid not in recorded or (each.pid in blind and not each.loaded and _lived(each, outcome) >= SURELY_SEEN)
    ]
    long = [each for each in silent if _lived(each, outcome) >= NOTABLE * outcome.seconds] if recordings else []
    doubts = [
        f"process {each.pid} ({each.name}) left no recording that is surely its own"
        if each.loaded or not tool
        else f"process {each.pid} ({each.name}) ran without {tool}: it may be static, setuid, or started with a clean environment"
        for each in long[:MOST_NAMED]
    ]
    if wanted not in ("all", "none") and not any(each.name == wanted for each in outcome.processes):
        doubts.append(f"no process was called {wanted!r}: leave --children out, or name one of those in the manifest")
    if outcome.load_failure:
        doubts.append(f"the program had less to do than it was meant to: {outcome.load_failure}")
    if len(long) > MOST_NAMED:
        doubts.append(f"{len(long) - MOST_NAMED} more processes left no recording")
    doubts += _sanitized(heard, manifest)
    doubts += _cut_short({each.pid for each in recordings if not each.complete} | {each.pid for each in long}, outcome)
    limits = list(manifest["tool"].get("limits", ()))
    brief = len(silent) - len(long) if recordings else 0
    if brief:
        limits.append(f"{brief} process{'' if brief == 1 else 'es'} that ran briefly left no recording")
    limits += _of_snapshots(heard, outcome)
    missed = [event.text for event in outcome.timeline if event.kind is EventKind.MISS]
    if missed:
        limits.append(f"{len(missed)} snapshot{'' if len(missed) == 1 else 's'} came to nothing; the last: {missed[-1]}")
    if outcome.out_of_memory:
        limits.append(f"the kernel killed the program for want of memory: {outcome.out_of_memory}")
    return {"doubts": tuple(doubts), "limits": tuple(limits)}


def _sanitized(processes: Sequence[ProcessOutcome], manifest: Manifest) -> list[str]:
    """Programs that a shell or a script started, and that can't run under the tool."""
    first = next((each for each in processes if each.sanitizer), None)
    if first is None:
        return []
    who = f"process {first.pid} ({first.name}) was built with -fsanitize={first.sanitizer}"
    return [f"{who}, which {manifest['backend']} can't measure: build it without; of ASan's `-p lsan` says what is lost"]


def _cut_short(lacking: Set[int | None], outcome: Outcome) -> list[str]:
    """The way out where children whose output is not whole ended while the run was stopped: some kill workers that take long."""
    main = [event for event in outcome.timeline if event.kind is EventKind.SIGNAL and event.pid == outcome.pid]
    if not main:
        return []
    ended = [each for each in outcome.processes if each.pid in lacking and each.ended is not None and each.ended >= main[0].time]
    killed = [each for each in ended if each.pid != outcome.pid and each.code is None and each.signum in (None, signal.SIGKILL)]
    if not killed:
        return []
    whose = f"process {killed[0].pid}" if len(killed) == 1 else f"{len(killed)} processes"
    return [f"the parent of {whose} may have killed its child before it had written: try --set stop.signal=QUIT, or INT"]


def _of_snapshots(processes: Sequence[ProcessOutcome], outcome: Outcome) -> list[str]:
    """What kept snapshots from being taken, or as often as was asked for. Of a brief process none need have been."""
    limits = []
    enough = max(NOTABLE * outcome.seconds, SURELY_SEEN)
    unsnapped = [each for each in processes if each.unsnapped and _lived(each, outcome) >= enough]
    if unsnapped:
        first, count = unsnapped[0], len(unsnapped)
        whose = f"process {first.pid} ({first.name})" if count == 1 else f"{count} processes ({first.pid}, {first.name}, is one)"
        limits.append(f"no snapshot of {whose} was possible while it ran: {first.unsnapped}")
    longest = max((each.rested for each in processes), default=0.0)
    if longest:
        limits.append(f"snapshots came less often than asked for, so that the program got on: each took {longest:.1f} s")
    return limits


def _has_figures(recording: Recording) -> bool:
    """Something was allocated, as far as the tool says."""
    return bool(recording.losses) or any(any(snapshot.totals.values()) for snapshot in recording.snapshots)


def _lived(process: ProcessOutcome, outcome: Outcome) -> float:
    return (outcome.seconds if process.ended is None else process.ended) - process.started


def unfinished(outcome: Outcome) -> str:
    """Why the program came neither to an end of its own nor to the one that was asked for, and what to do; empty where it did."""
    if outcome.code is not None or outcome.detached:
        return ""
    if outcome.signum is None:  # its end may have been seen, if not how it ended
        seen = any(event.kind is EventKind.ENDED for event in outcome.timeline)
    else:
        seen = outcome.signum not in CRASHES
    if seen:
        return ""
    if outcome.signum and outcome.signum != signal.SIGKILL:
        crash = f"the program crashed ({signal_name(outcome.signum)}), and was not seen to its end"
        return f"{crash}: mend that first, or, if it runs well by itself, use another profile"
    if any(event.pid == outcome.pid and event.text == "sent SIGKILL" for event in outcome.timeline):
        return "leakrun had to kill the program, which ended by no other signal: name one that ends it, --set stop.signal=QUIT"
    return "the program was not seen to its end: let it end, or stop it with SIGTERM"


def stopped_early(outcome: Outcome) -> str:
    """Why a program that leakrun stopped may not have begun, and what to do; empty where it had the time, or was seen to be up.

    For tools that look only at the end: those of growth need snapshots, and so time, in any case.
    """
    if outcome.stopped_by in (None, "load", "ready") or outcome.ready is not None:
        return ""
    after = next((event.time for event in outcome.timeline if event.kind is EventKind.SIGNAL), outcome.seconds)
    if after >= BEGUN:
        return ""
    return f"it was stopped after {after:.1f} s, in which it may not even have begun: give it longer, or let it end by itself"


def why_unmeasured(manifest: Manifest, outcome: Outcome, recordings: Sequence[Recording], *, ended: bool = False) -> str:
    """Why nothing at all was measured, with the way out; empty where something was.

    `ended`: the run has, though its manifest does not say so yet, nor how its program ended.
    """
    measured = {each.pid for each in recordings if each.snapshots or each.losses or each.defects or each.complete}
    killed = outcome.signum == signal.SIGKILL
    if measured and (outcome.pid in measured or not killed):  # a shell may leave nothing, and its child be what matters
        return ""
    backend, loaded = manifest.get("backend"), manifest.get("loaded")
    open_ended = outcome.code is outcome.signum is None and not outcome.detached
    if open_ended and not ended and manifest["state"] in ("starting", "running", "stopping"):
        return f"the run is in progress, and {backend} has written nothing yet: look again later, or take a snapshot"
    if outcome.out_of_memory:
        why = f"the kernel killed the program for want of memory ({outcome.out_of_memory})"
        return f"{why}: give it more, or take snapshots with --every"
    if open_ended and unfinished(outcome):
        return f"leakrun was killed, and {backend} had written nothing until then: take snapshots with --every"
    if outcome.signum and outcome.signum in CRASHES:
        advice = "stop the program with SIGTERM" if killed else "mend the crash"
        return f"{signal_name(outcome.signum)} left {backend} no time to write: {advice}, or take snapshots with --every"
    if loaded and not any(each.loaded for each in outcome.processes):
        begun = outcome.seconds >= 1 or not outcome.code
        gave_up = "" if begun else "the tool gave up as it began (its lines on stderr say why), or "
        return (
            f"{loaded} was never seen in the program's memory maps and left no output: {gave_up}a wrapper that cleans the "
            "environment, or a static or setuid program, may stand between; name the program itself"
        )
    if outcome.seconds < 1:
        return f"{backend} left no output: the program ended at once, or the tool refused its options (see its line on stderr)"
    return f"{backend} left no readable output below raw/: see what it said there and on stderr (a full disk? a changed user?)"
