"""memcheck: what was lost when the program ended, and every misuse of memory on the way."""

import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from runner.backends import _valgrind
from runner.backends.base import ToolOptions
from runner.kinds import FindingKind, LossKind, Metric
from runner.plan import EventKind, LaunchPlan, Outcome, Target, ToolStatus
from runner.profile import Profile, Within

if TYPE_CHECKING:  # what only reading needs is imported when it reads
    from runner.model import Recording

YesNo = _valgrind.YesNo
ERROR_EXITCODE = re.compile(rb"<arg>--error-exitcode=(\d+)</arg>")  # the last one holds
HEAD = 1 << 20  # bytes of an XML in which its <vargv> ends
REPLACED = "exit code {} is valgrind's (--error-exitcode): what the program itself would have ended with is not known"
JUST_BEFORE = 1.0  # seconds from the last leak check to the signal that ended the program, at most
FORGIVEN = "what only registers pointed to when a signal ended it ({:,} bytes) is not called lost: a check just before reached it"


class MemcheckOptions(_valgrind.ValgrindOptions):
    """Options of memcheck, as `valgrind --tool=memcheck --help` names them."""

    leak_check: Literal["no", "summary", "yes", "full"] = "full"
    show_leak_kinds: str = "all"
    errors_for_leak_kinds: str | None = None
    leak_check_heuristics: str | None = None
    leak_resolution: Literal["low", "med", "high"] | None = None
    track_origins: YesNo = "no"
    undef_value_errors: YesNo | None = None
    partial_loads_ok: YesNo | None = None
    expensive_definedness_checks: Literal["no", "auto", "yes"] | None = None
    keep_stacktraces: str | None = None
    freelist_vol: Annotated[int, Within(0)] | None = None
    freelist_big_blocks: Annotated[int, Within(0)] | None = None
    malloc_fill: str | None = None
    free_fill: str | None = None
    show_mismatched_frees: YesNo | None = None
    gen_suppressions: Literal["no", "all"] | None = None
    error_limit: YesNo = "no"  # a program with ten million errors would otherwise have its last ones unheard
    default_suppressions: YesNo | None = None


class Memcheck(_valgrind.ValgrindBackend):
    """Drives valgrind's memcheck through its XML."""

    name = "memcheck"
    measures = frozenset({Metric.LEAKED_BYTES, Metric.LEAKED_BLOCKS, Metric.LIVE_BYTES, Metric.LIVE_BLOCKS})
    sees = frozenset({FindingKind.LOST, FindingKind.SUSPECT})
    defects = True
    cost = "20 to 50 times slower"
    slowdown = 30.0
    Options: ClassVar[type[ToolOptions]] = MemcheckOptions

    def plan(self, target: Target, tool: ToolStatus, profile: Profile, out: Path) -> LaunchPlan:
        """XML for each process, and leak checks through vgdb at the profile's interval."""
        # No --log-file: it would stay empty, and with one a forked child writes into its parent's XML (3.19).
        # The program's exit code stays its own, whatever VALGRIND_OPTS or .valgrindrc say.
        output = ["--xml=yes", f"--xml-file={_valgrind.escaped(out)}/memcheck.%p.xml", "--error-exitcode=0"]
        # `changed` rather than `increased`: a site whose memory went down must be seen to go down.
        leak_check = _valgrind.checkpoint(
            ["leak_check", "full", "reachable", "changed"],
            out,
            "memcheck.{pid}.{n}.leaks",
            profile,  # no marker: with an empty heap there is no LEAK SUMMARY; that vgdb has ended is the proof
            to_stdout=True,
        )
        return _valgrind.plan("memcheck", output, "memcheck.*.xml", [leak_check], target, tool, profile, out)

    def read(self, out: Path, profile: Profile, outcome: Outcome) -> "list[Recording]":
        """The XML of each process, with its leak checks on the way as snapshots."""
        from runner.formats import memcheck_xml
        from runner.formats.memcheck_leaks import add_snapshots, forgive_registers

        checks: dict[int, list[tuple[float, Path]]] = defaultdict(list)
        for event in outcome.timeline:
            if event.kind is EventKind.SNAPSHOT and event.file and event.pid is not None:
                checks[event.pid].append((event.time, out / event.file))
        recordings = []
        for path in sorted(out.glob("memcheck.*.xml"), key=_valgrind.pid_of):
            with path.open("rb") as stream:
                recording = memcheck_xml.read(stream, path.name)
            recording.pid = _valgrind.pid_of(path)
            add_snapshots(recording, checks[recording.pid])
            if recording.pid == outcome.pid and outcome.by_tool:
                recording.limits.append(REPLACED.format(outcome.code))
            if _looked_before(outcome, recording) and (forgiven := forgive_registers(recording)):
                recording.limits.append(FORGIVEN.format(forgiven))
            recordings.append(recording)
        return sorted(recordings, key=lambda each: each.pid != outcome.pid)

    def ended_by_tool(self, out: Path, outcome: Outcome) -> bool:
        """With --error-exitcode valgrind ends a program in which it found errors, definite and possible losses among them."""
        path = out / f"memcheck.{outcome.pid}.xml"
        if not outcome.code or not path.is_file():
            return False
        from runner.formats import memcheck_xml

        with path.open("rb") as stream:
            given = ERROR_EXITCODE.findall(stream.read(HEAD).partition(b"</vargv>")[0])
            if not given or int(given[-1]) != outcome.code:
                return False
            stream.seek(0)
            found = memcheck_xml.read(stream, path.name)
        return bool(found.defects) or any(loss.kind in (LossKind.DEFINITE, LossKind.POSSIBLE) for loss in found.losses)


def _looked_before(outcome: Outcome, recording: "Recording") -> bool:
    """Whether the process's last leak check stands right before the signal that leakrun sent to end the run."""
    sent = [event.time for event in outcome.timeline if event.kind is EventKind.SIGNAL]
    return bool(sent and recording.snapshots) and sent[0] - recording.snapshots[-1].time <= JUST_BEFORE
