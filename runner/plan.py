"""Data between a backend and the supervisor: what to launch, what to do when, and how it ended. No behaviour.

Times are seconds, sizes are bytes. In commands and paths of a plan `{pid}` stands for the process acted upon and
`{n}` for the number of the snapshot, from 0001 up.

What never changes is a NamedTuple: making a frozen dataclass takes eight times as long, and the launch waits for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple


class ElfFacts(NamedTuple):
    """What an ELF executable's headers say, as far as launching it under a tool depends on it."""

    bits: int  # 32 or 64
    machine: int  # e_machine: 62 is x86-64
    interpreter: str | None  # the dynamic loader; None for a static program
    needed: tuple[str, ...] = ()  # DT_NEEDED, with those of the libraries found

    @property
    def static(self) -> bool:
        """No dynamic loader: nothing can be preloaded."""
        return self.interpreter is None


class Target(NamedTuple):
    """What is measured: a command to launch, or a process that runs already.

    argv        as the user typed it
    executable  the file that will run, absolute; for a script, its interpreter
    script      the script, where argv[0] is one
    elf         None where the executable is not ELF
    preload     LD_PRELOAD as the program would get it
    marks       those of the backend's marks that the executable's bytes hold
    pid         attach to this process; argv and executable are what it runs
    """

    argv: tuple[str, ...]
    executable: Path
    cwd: Path
    elf: ElfFacts | None = None
    setuid: bool = False
    script: Path | None = None
    preload: str = ""
    marks: frozenset[bytes] = frozenset()
    pid: int | None = None


class ToolStatus(NamedTuple):
    """What probe() found of a native tool.

    path     the launcher or library; None where it was not found
    version  as numbers, (3, 19, 0); empty where it can't be told
    limits   what this version can't do, a sentence each
    install  the line that installs it here
    shim     a small library of leakrun's own that goes with it, where there is one
    lacks    what no package brings and is missing here ("root"), and `install` is the way out; empty where it is none of that
    """

    name: str
    path: Path | None
    version: tuple[int, ...] = ()
    limits: tuple[str, ...] = ()
    install: str = ""
    shim: Path | None = None
    lacks: str = ""

    @property
    def version_text(self) -> str:
        """The version as people write it; empty where it can't be told."""
        return ".".join(map(str, self.version))


class SendSignal(NamedTuple):
    """Send a signal to the process."""

    signum: int


class RunCommand(NamedTuple):
    """Run argv beside the target; its standard output goes to `stdout` (a path in raw/) where given."""

    argv: tuple[str, ...]
    timeout: float
    stdout: str | None = None


class CopyFile(NamedTuple):
    """Copy a file that the kernel writes as it is read, `source`, to `to`, a path in raw/.

    also   patterns of further files, which are appended, each under a line "==> path <=="; one that is gone is left out
    """

    source: str
    to: str
    also: tuple[str, ...] = ()


Action = SendSignal | RunCommand | CopyFile


class Gate(NamedTuple):
    """What must hold of a process before the action may touch it.

    catches  it has a handler for this signal (SigCgt of /proc/PID/status)
    mapped   this text is in a path of /proc/PID/maps
    exists   this path is there, e.g. vgdb's FIFO
    at_home  it runs as leakrun's own user and below leakrun's own root: it can still open what it could at its start
    lent     a glob of pipes that it must be able to open should it drop its user in the middle of a snapshot
    may_leave  the main process may drop its user or change its root at its start: like its children, it is given time for that
    """

    catches: int | None = None
    mapped: str | None = None
    exists: str | None = None
    at_home: bool = False
    lent: str | None = None
    may_leave: bool = False


class Proof(NamedTuple):
    """What shows that a snapshot was written: a new file in raw/, not empty, that stands still and contains the marker.

    pattern  a glob below raw/, with {pid} and {n}
    marker   bytes that a whole file contains; empty for none
    settle   the size must stay the same for this long
    keep_as  for tools whose forks write under their parent's names: `pattern` has no {pid} then, one process is asked at a time,
             and each file is renamed to this, with {pid} and {n}, once it is closed and known whose it is
    own      with keep_as: the names, a glob with one {pid}, that a process and its forks have which don't use the first one's
    """

    pattern: str
    marker: bytes = b""
    settle: float = 0.05
    keep_as: str | None = None
    own: str | None = None


class Trigger(NamedTuple):
    """When to do what, to which processes, and how to know that it worked.

    every      seconds between two snapshots; None for none on a timer
    adaptive   start denser than `every` and grow sparser as the run grows long; with `keep_last` up to `every`, from the start on
    rss_step   a snapshot for each that many bytes that the process's rss grows
    stack_step a snapshot for each that many bytes that the main thread's stack grows; what other threads' stacks do only the
               process's rss tells: where there are any, also when that has grown by as much, and by a quarter
    share      as seldom that a CopyFile costs at most this part of one core; None for no such bound
    before_stop, on_request   also then
    keep_last  how many of one process's files stay, where each new one holds all that the older ones held; None for all
    thins      each file stands for itself, so that older ones may go where the disk gets full
    retries    how often an unproven action is repeated, each waited for `patience` seconds
    """

    name: str
    action: Action
    proof: Proof
    gate: Gate = Gate()
    every: float | None = None
    adaptive: bool = False
    rss_step: int | None = None
    stack_step: int | None = None
    before_stop: bool = True
    on_request: bool = True
    retries: int = 2
    patience: float = 5.0
    share: float | None = None
    keep_last: int | None = None
    thins: bool = False


class Sidecar(NamedTuple):
    """A command that works beside the main process from when its gate is open to the end of the run, and is then stopped.

    name     what it does, for the timeline
    argv, stdout  as of a RunCommand
    ready    bytes that stand in `stdout` once it works
    timeout  seconds that it may take to get ready, and again to end after `signum`
    """

    name: str
    argv: tuple[str, ...]
    stdout: str
    ready: bytes
    timeout: float
    gate: Gate = Gate()
    signum: int = 2


class StopPlan(NamedTuple):
    """How the target is ended: the signal, and how long it may take to write once its output no longer grows.

    kill_after  seconds after which it is killed that has ended neither on the signal nor on SIGINT; None: never unasked
    streams     the tool writes while the program works, too: that its output grows is no sign of a last write
    """

    signum: int = 15
    grace: float = 30.0
    kill_after: float | None = None
    streams: bool = False


class LaunchPlan(NamedTuple):
    """What the supervisor starts and watches.

    env        changes to the environment: None unsets; `{pid}` becomes the target's own
    default_signals   set to default and unblocked in the target before exec
    outputs    globs below raw/: what the tool is to leave, one match at least
    litter     globs below raw/: what the tool leaves behind and nobody needs
    loaded     text that shows in a path of /proc/PID/maps when the tool is really in the process; None where `outputs` prove it
    pid        attach to this process and launch nothing; argv is empty then
    tool_words what stands before the program's own words in `argv`, and on the command lines of its children too
    children   whose snapshots are taken beside the main process's: all, none, or those of processes that are called so
    sample_every   seconds between two samples of the processes' memory, where that is to be denser than usual
    keep       which of a process's snapshots stay: "all", the last so many, or "log", ever fewer with age; a trigger's own
               `keep_last` goes before
    """

    argv: tuple[str, ...]
    env: Mapping[str, str | None] = MappingProxyType({})
    cwd: Path | None = None
    triggers: tuple[Trigger, ...] = ()
    stop: StopPlan = StopPlan()
    default_signals: tuple[int, ...] = ()
    outputs: tuple[str, ...] = ()
    litter: tuple[str, ...] = ()
    loaded: str | None = None
    children: str = "all"
    sample_every: float | None = None
    keep: int | str = "all"
    sidecar: Sidecar | None = None
    tool_words: tuple[str, ...] = ()
    pid: int | None = None
    die_with_parent: bool = False  # the program gets the stop signal when leakrun dies, whatever it dies of


def called(command: Sequence[str]) -> str:
    """What people call a process that shows this command line."""
    return command[0].split(": ")[0].rpartition("/")[2] if command else ""


class EventKind(StrEnum):
    """What a line of the timeline tells."""

    STARTED = "started"
    SNAPSHOT = "snapshot"  # confirmed
    MISS = "miss"  # tried, and no proof of it came
    SIGNAL = "signal"  # one that leakrun sent to stop the target, or got itself
    PROCESS = "process"  # a child appeared or ended
    NOTE = "note"
    ENDED = "ended"


@dataclass(slots=True)
class Event:
    """One line of a run's timeline. `time` is in seconds since the target's start, `file` a path below raw/."""

    time: float
    kind: EventKind
    pid: int | None = None
    file: str | None = None
    text: str = ""


@dataclass(slots=True)
class ProcessOutcome:
    """One process of the run: when it was seen, what it ran, how it ended (None: not known).

    unsnapped  why not one snapshot of it could be begun; empty where one could, or none was due
    rested     seconds that a snapshot of it took, so long that the next one was put off; 0 where none was
    sanitizer  what it was built with (-fsanitize=), where the tool can't measure such a program
    """

    pid: int
    parent_pid: int
    command: list[str]
    started: float
    ended: float | None = None
    code: int | None = None
    signum: int | None = None
    loaded: bool = False  # the tool was seen in its maps
    start_ticks: int = 0  # field 22 of /proc/PID/stat: tells it from a later process with the same pid; 0: not known
    unsnapped: str = ""
    rested: float = 0.0
    sanitizer: str = ""

    @property
    def name(self) -> str:
        """The program's file name, or what it calls itself ("nginx: worker process" is nginx); empty where it shows none."""
        return called(self.command)


@dataclass(slots=True)
class Outcome:
    """How the target ended, and what was done to it.

    code, signum  of the main process: exactly one is not None once it has ended
                  (or both None: it was not our child, so that how it ended is not known)
    stopped_by    None when it ended by itself; else who ended it: "interrupt",
                "terminate", "for", "stop", "load", "ready" (it never came up)
    detached      it was attached to, and let go: it runs on
    files         for each native output below raw/: when it was last written, in seconds since the start
    by_tool       the code is the tool's, put in the place of the program's own, which is not known
    """

    pid: int | None = None
    started_at: float = 0.0  # Unix time
    seconds: float = 0.0
    code: int | None = None
    signum: int | None = None
    stopped_by: str | None = None
    user_seconds: float = 0.0
    system_seconds: float = 0.0
    max_rss_bytes: int = 0
    processes: list[ProcessOutcome] = field(default_factory=list)
    timeline: list[Event] = field(default_factory=list)
    files: dict[str, float] = field(default_factory=dict)
    by_tool: bool = False
    detached: bool = False
    out_of_memory: str = ""  # the kernel killed the main process for want of memory: which limit that was
    ready: float | None = None  # seconds since the start when it counted as up (--ready)
    load_failure: str = ""  # how the load (--load) failed, or why the program never counted as up, where so
    boot_id: str = ""  # of the kernel that it ran on: pids and start_ticks mean something only there
    pid_namespace: str = ""  # in which leakrun gave them these pids: a container has its own

    @property
    def exit_code(self) -> int:
        """The shell's view: the code, or 128 + the signal."""
        return 128 + self.signum if self.signum is not None else self.code or 0

    @property
    def misses(self) -> int:
        """How many snapshots were tried for and not had."""
        return sum(event.kind is EventKind.MISS for event in self.timeline)
