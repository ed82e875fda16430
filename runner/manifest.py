"""manifest.json: a run's facts as JSON, and back again. Schema leakrun.manifest/1.

Strings that are no UTF-8 (arguments, file names) are kept as Python's surrogate escapes, in JSON \\udc80 to \\udcff.
Times are seconds since the start, except for `started_at`, which is Unix time; sizes are bytes.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runner import __version__
from runner.errors import ErrorKind, LeakrunError
from runner.plan import Event, EventKind, LaunchPlan, Outcome, ProcessOutcome, ToolStatus

if TYPE_CHECKING:
    from runner.profile import Profile

SCHEMA = "leakrun.manifest/1"
STATES = ("starting", "running", "stopping", "complete", "incomplete")

Manifest = dict[str, Any]  # JSON; manifest_of() makes one

REDACTED = "[redacted]"


@dataclass(slots=True)
class Redaction:
    """Keeps secrets out of the manifest: a word (argument, NAME=value) that any of the patterns is found in is not written.

    Raises LeakrunError(USAGE) for a pattern that is no regular expression.
    """

    patterns: Iterable[str] = ()
    _compiled: list[re.Pattern[str]] = field(default_factory=list)
    _secrets: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for pattern in self.patterns:
            try:
                self._compiled.append(re.compile(pattern))
            except re.error as error:
                raise LeakrunError(ErrorKind.USAGE, f"redact: {pattern!r} is no regular expression: {error}", "mend it") from None

    def word(self, word: str) -> str:
        """The word, or what stands for a secret one."""
        if not any(pattern.search(word) for pattern in self._compiled):
            return word
        self._secrets.add(word)
        return REDACTED

    def words(self, words: Iterable[str]) -> list[str]:
        """Each word by itself."""
        return [self.word(word) for word in words]

    def value(self, name: str, value: str | None) -> str | None:
        """The value of a variable; None is one that was unset."""
        if value is None or self.word(f"{name}={value}") != REDACTED:
            return value
        if value:
            self._secrets.add(value)
        return REDACTED

    def text(self, text: str) -> str:
        """A line of text without the secrets met so far, and without what the patterns find."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, REDACTED)
        for pattern in self._compiled:
            text = pattern.sub(REDACTED, text)
        return text


def manifest_of(
    plan: LaunchPlan,
    outcome: Outcome,
    state: str,
    *,
    run_id: str,
    command: Sequence[str],
    profile: "Profile",
    tool: ToolStatus,
    **more: object,
) -> Manifest:
    """What is written to manifest.json. `command` is what the user typed; `more` are further keys of the caller's own.

    Words that the profile's `redact` patterns find are left out. Raises LeakrunError(USAGE) for a bad pattern.
    """
    hide = Redaction(profile.redact)
    main = next((process for process in outcome.processes if process.pid == outcome.pid), None)
    return {
        "schema": SCHEMA,
        "state": state,
        "id": run_id,
        "leakrun": __version__,
        "profile": profile.name,
        "backend": profile.backend,
        "tool": {
            "name": tool.name,
            "path": str(tool.path) if tool.path else None,
            "version": list(tool.version),
            "limits": list(tool.limits),
        },
        "command": hide.words(command),
        "argv": hide.words(plan.argv),
        "environment": {name: hide.value(name, value) for name, value in plan.env.items()},
        "cwd": str(plan.cwd) if plan.cwd else None,
        "outputs": list(plan.outputs),
        "loaded": plan.loaded,
        "process": {
            "pid": outcome.pid,
            "start_ticks": main.start_ticks if main else 0,
            "boot_id": outcome.boot_id,
            "pid_namespace": outcome.pid_namespace,
        },
        "started_at": outcome.started_at,
        "seconds": outcome.seconds,
        "ready": outcome.ready,
        "load_failure": outcome.load_failure,
        "exit": {
            "code": outcome.code,
            "signal": outcome.signum,
            "stopped_by": outcome.stopped_by,
            "by_tool": outcome.by_tool,
            "detached": outcome.detached,
            "out_of_memory": outcome.out_of_memory,
        },
        "usage": {
            "user_seconds": outcome.user_seconds,
            "system_seconds": outcome.system_seconds,
            "max_rss_bytes": outcome.max_rss_bytes,
        },
        "processes": [_process(process, hide) for process in outcome.processes],
        "timeline": [_event(event, hide) for event in outcome.timeline],
        "files": dict(outcome.files),
        **more,
    }


def _process(process: ProcessOutcome, hide: Redaction) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "parent_pid": process.parent_pid,
        "command": hide.words(process.command),
        "started": process.started,
        "ended": process.ended,
        "code": process.code,
        "signal": process.signum,
        "loaded": process.loaded,
        "start_ticks": process.start_ticks,
        "unsnapped": process.unsnapped,
        "rested": process.rested,
        "sanitizer": process.sanitizer,
    }


def _event(event: Event, hide: Redaction) -> dict[str, Any]:
    text = hide.text(event.text)
    return {"time": event.time, "kind": event.kind.value, "pid": event.pid, "file": event.file, "text": text}


def outcome_of(manifest: Manifest) -> Outcome:
    """The outcome that a manifest holds; redacted words stay so. Raises LeakrunError(USAGE) where something is missing."""
    try:
        return Outcome(
            pid=manifest["process"]["pid"],
            boot_id=str(manifest["process"]["boot_id"]),
            pid_namespace=str(manifest["process"].get("pid_namespace") or ""),
            started_at=float(manifest["started_at"]),
            seconds=float(manifest["seconds"]),
            code=manifest["exit"]["code"],
            signum=manifest["exit"]["signal"],
            stopped_by=manifest["exit"]["stopped_by"],
            by_tool=bool(manifest["exit"].get("by_tool")),
            out_of_memory=str(manifest["exit"].get("out_of_memory") or ""),
            ready=manifest.get("ready"),
            load_failure=str(manifest.get("load_failure") or ""),
            detached=bool(manifest["exit"].get("detached")),
            user_seconds=float(manifest["usage"]["user_seconds"]),
            system_seconds=float(manifest["usage"]["system_seconds"]),
            max_rss_bytes=int(manifest["usage"]["max_rss_bytes"]),
            processes=[_process_of(entry) for entry in manifest["processes"]],
            timeline=[_event_of(entry) for entry in manifest["timeline"]],
            files={str(name): float(moment) for name, moment in manifest["files"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"the manifest of this run is damaged: {type(error).__name__} {error}"
        raise LeakrunError(ErrorKind.USAGE, message, "`leakrun show` reads the files below raw/ one by one") from None


def _process_of(entry: Mapping[str, Any]) -> ProcessOutcome:
    return ProcessOutcome(
        pid=int(entry["pid"]),
        parent_pid=int(entry["parent_pid"]),
        command=[str(word) for word in entry["command"]],
        started=float(entry["started"]),
        ended=entry["ended"],
        code=entry["code"],
        signum=entry["signal"],
        loaded=bool(entry["loaded"]),
        start_ticks=int(entry["start_ticks"]),
        unsnapped=str(entry.get("unsnapped") or ""),
        rested=float(entry.get("rested") or 0.0),
        sanitizer=str(entry.get("sanitizer") or ""),
    )


def _event_of(entry: Mapping[str, Any]) -> Event:
    return Event(float(entry["time"]), EventKind(entry["kind"]), entry["pid"], entry["file"], str(entry["text"]))
