"""What valgrind's tools have in common: finding it, its command line, checkpoints through vgdb."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from runner import sanitizers
from runner.backends import _preload
from runner.backends.base import Backend, ToolOptions
from runner.errors import ErrorKind, LeakrunError
from runner.plan import Gate, LaunchPlan, Proof, RunCommand, Target, ToolStatus, Trigger
from runner.profile import NextToFile, Profile, Within

INSTALL = "apt-get install valgrind  (dnf install valgrind, pacman -S valgrind)"
ALLOCATORS = re.compile(r"tcmalloc|jemalloc|mimalloc")
VGDB_SECONDS = 60.0  # a checkpoint of a million blocks stops the target for a second or two; a dead target never answers

LEAVING = (b"\0chroot\0", b"\0setuid\0", b"\0setreuid\0", b"\0setresuid\0")  # of programs that may leave home, as Gate calls it

YesNo = Literal["yes", "no"]


class ValgrindOptions(ToolOptions):
    """Options of valgrind's core, as it names them."""

    num_callers: Annotated[int, Within(1, 500)] | None = None
    trace_children: YesNo = "yes"
    trace_children_skip: tuple[str, ...] = ()
    keep_debuginfo: YesNo | None = None
    read_var_info: YesNo | None = None
    read_inline_info: YesNo | None = None
    max_stackframe: int | None = None
    main_stacksize: int | None = None
    soname_synonyms: str | None = None
    suppressions: tuple[Annotated[str, NextToFile()], ...] = ()


class ValgrindBackend(Backend):
    """One of valgrind's tools."""

    marks = (*LEAVING, *sanitizers.MARKS)
    sanitized = False

    def probe(self, options: ToolOptions) -> ToolStatus:
        """Find valgrind and its version. A suppression file that is not there is the user's error, told here."""
        for name in getattr(options, "suppressions", ()):
            if not Path(name).is_file():
                raise LeakrunError(
                    ErrorKind.USAGE, f"the suppression file {name!r} is not there", "mend `suppressions` in the profile"
                )
        found = shutil.which("valgrind")
        if not found:
            return ToolStatus("valgrind", None, install=INSTALL)
        try:
            printed = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
        except (OSError, subprocess.TimeoutExpired):
            printed = ""
        version = re.search(r"valgrind-(\d+)\.(\d+)(?:\.(\d+))?", printed)
        numbers = tuple(int(part) for part in version.groups(default="0")) if version else ()
        limits = () if shutil.which("vgdb") else ("vgdb is missing: no snapshots while the program runs",)
        return ToolStatus("valgrind", Path(found), numbers, limits, INSTALL)


def escaped(path: Path) -> str:
    """A path as valgrind's file name options take it: a % must be doubled."""
    return str(path).replace("%", "%%")


def plan(
    tool_name: str,
    output: list[str],
    pattern: str,
    triggers: Sequence[Trigger],
    target: Target,
    tool: ToolStatus,
    profile: Profile,
    out: Path,
    *,
    replaces: bool = True,
) -> LaunchPlan:
    """The launch of one valgrind tool. `output` are the options that name its file, `pattern` what they leave in `out`;
    the `triggers` go through vgdb. `replaces`: it puts its own malloc in the place of the program's; else it sees system
    calls, those of a static program too.
    """
    if target.setuid:
        raise LeakrunError(
            ErrorKind.UNMEASURED,
            f"{target.argv[0]} is setuid, setgid or has capabilities: valgrind can't run it",
            "measure a copy of it without those bits, as a user who may do what it needs",
        )
    sanitizers.refuse(target, "under valgrind")
    _refuse_unwritable(_preload.given("TMPDIR", profile) or "/tmp", target.cwd)
    if replaces and target.elf and target.elf.static:
        raise LeakrunError(
            ErrorKind.UNMEASURED,
            f"{target.argv[0]} is statically linked: valgrind can't see its malloc, and would call it clean",
            "link it dynamically (without -static) for measuring",
        )
    argv = [
        str(tool.path or "valgrind"),
        f"--tool={tool_name}",
        *output,
        f"--vgdb-prefix={out}/vgdb",
        "--fullpath-after=",
        *_malloc_of_musl(target, profile),
        *options_as_arguments(profile.options),
        *profile.args,
        *target.argv,
    ]
    env: dict[str, str | None] = dict(profile.env)
    if ALLOCATORS.search(target.preload):
        # A preloaded allocator would be loaded into valgrind's launcher too, and hide malloc from the tool.
        kept = [entry for entry in re.split(r"[ :]+", target.preload) if entry and not ALLOCATORS.search(entry)]
        env["LD_PRELOAD"] = ":".join(kept) or None
    possible = "vgdb" not in " ".join(tool.limits)
    return LaunchPlan(
        argv=tuple(argv),
        env=env,
        cwd=target.cwd,
        triggers=tuple(_patient(trigger, target) for trigger in triggers) if possible else (),
        stop=profile.stop_plan(),
        outputs=(pattern,),
        litter=("vgdb-*",),
        # What replaces malloc is not there in a static program, in which valgrind runs all the same.
        loaded=f"vgpreload_{tool_name}" if replaces else f"/{tool_name}-",
        tool_words=tuple(argv[: len(argv) - len(target.argv)]),
    )


def _refuse_unwritable(temporary: str, cwd: Path) -> None:
    """In TMPDIR valgrind makes a file for each process as it starts."""
    place = cwd / temporary
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        raise LeakrunError(
            ErrorKind.UNMEASURED,
            f"valgrind needs a directory for its temporary files, and {temporary} (TMPDIR) can't be written",
            "set TMPDIR to one that can, or unset it",
        )


def _patient(trigger: Trigger, target: Target) -> Trigger:
    """valgrind opens its pipe anew after each call of vgdb, and ends a program in whose new root the pipe is not."""
    return trigger._replace(gate=trigger.gate._replace(may_leave=not target.marks.isdisjoint(LEAVING)))


def options_as_arguments(options: ToolOptions) -> Iterator[str]:
    """Each option that is set, as valgrind spells it; a list repeats the option."""
    for name, value in options.given().items():
        for each in value if isinstance(value, tuple) else [value]:
            yield f"--{name.replace('_', '-')}={each:g}" if isinstance(each, float) else f"--{name.replace('_', '-')}={each}"


def checkpoint(
    command: list[str],
    out: Path,
    pattern: str,
    profile: Profile,
    *,
    marker: bytes = b"",
    to_stdout: bool = False,
    keep_last: int | None = None,
) -> Trigger:
    """A snapshot taken by a monitor command through vgdb, on the profile's timer, on request and before the stop."""
    trigger = Trigger(
        name="checkpoint",
        action=RunCommand(
            ("vgdb", f"--vgdb-prefix={out}/vgdb", "--pid={pid}", *command),
            timeout=VGDB_SECONDS,
            stdout=pattern if to_stdout else None,
        ),
        gate=gate(out),
        proof=Proof(pattern, marker),
        retries=1,
        patience=VGDB_SECONDS,
        keep_last=keep_last,
    )
    return profile.timed(trigger)


def _malloc_of_musl(target: Target, profile: Profile) -> list[str]:
    """Where valgrind is to look for malloc in a program of musl's, whose library is not called as glibc's: else it sees none.

    Measured: Debian's has no soname at all, for which valgrind's word is NONE; Alpine's is libc.musl-x86_64.so.1.
    """
    given = getattr(profile.options, "soname_synonyms", None)
    if target.elf is None or "ld-musl" not in (target.elf.interpreter or "") or given:
        return []
    named = any("musl" in name for name in target.elf.needed)
    return [f"--soname-synonyms=somalloc={'libc.musl*' if named else 'NONE'}"]


def gate(out: Path) -> Gate:
    """When vgdb can reach a process: one that dropped its user can't open its FIFOs, and vgdb would wait until its time is up."""
    return Gate(exists=f"{out}/vgdb-from-vgdb-to-{{pid}}-by-*", at_home=True, lent=f"{out}/vgdb-*-{{pid}}-by-*")


def pid_of(path: Path) -> int:
    """The pid in one of our output names: the first part that is a number. Raises ValueError where there is none."""
    return next(int(part) for part in path.name.split(".") if part.isdigit())
