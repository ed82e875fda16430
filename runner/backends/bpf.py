"""bpf: what a running process allocates and does not free, by stack, without restarting it: bpftrace in the kernel."""

import os
import platform
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from runner.backends.base import Backend, ToolOptions, refuse_args
from runner.errors import ErrorKind, LeakrunError
from runner.kinds import FindingKind, Metric
from runner.plan import Gate, LaunchPlan, Outcome, Sidecar, Target, ToolStatus
from runner.profile import Profile, Within

if TYPE_CHECKING:  # what only reading needs is imported when it reads
    from runner.model import Recording

INSTALL = "apt-get install bpftrace  (dnf install bpftrace, pacman -S bpftrace)"
BTF = Path("/sys/kernel/btf/vmlinux")
OUTPUT = re.compile(r"bpf\.(\d+)\.json")
EVERY = 1.0  # seconds, where the profile has no interval
START = (  # as it is installed here, or not: from where this file is
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from runner.backends import _bpf_probes; sys.exit(_bpf_probes.main())"
)
LONGEST = 120.0  # seconds to attach, or to let go: each probe takes a tenth of one, more where the machine is busy
# What bpftrace 0.17 says where nothing is wrong; a line of the program and a line that points into it follow a WARNING.
HARMLESS = re.compile(r"RLIMIT_MEMLOCK|uprobe_events|failed to detach probe")
ERROR = re.compile(r"(?:stdin\S* )?(?:ERROR|FATAL|libbpf): *(.*)|(.*(?:BPF_PROG_LOAD|Operation not permitted|No space).*)")


class BpfOptions(ToolOptions):
    """Options of the watching.

    what       heap: blocks of malloc and its kin; mappings: what mmap() gives, by who asked for it
    map_keys   how many blocks may be live at once, and stacks be told apart; what is beyond is counted, and not
               followed. Each takes 1 kB of the kernel's memory
    """

    what: Literal["heap", "mappings"] = "heap"
    map_keys: Annotated[int, Within(4096, 1 << 26)] = 100_000


class Bpf(Backend):
    """Runs bpftrace beside the process, with probes on the allocator that it has."""

    name = "bpf"
    measures = frozenset({Metric.LIVE_BYTES, Metric.LIVE_BLOCKS, Metric.ALLOCATED_BYTES, Metric.ALLOCATED_BLOCKS})
    sees = frozenset({FindingKind.GROWING, FindingKind.MAPPING_GROWTH})
    # Its probes are breakpoints in the library's pages, which valgrind takes for the program's own.
    cost = (
        "12 us for each malloc with its free, in every process that uses that library: minutes, not days; "
        "what runs under valgrind meanwhile dies of SIGTRAP"
    )
    slowdown = 20.0
    accounts = False  # stacks end where code has no frame pointers
    attaches = True
    Options: ClassVar[type[ToolOptions]] = BpfOptions

    def probe(self, options: ToolOptions) -> ToolStatus:
        """Find bpftrace, and what it needs: root, and the kernel's types."""
        found = shutil.which("bpftrace")
        if found is None:
            return ToolStatus("bpftrace", None, install=INSTALL)
        lacking = _lacking()
        if lacking:
            return ToolStatus("bpftrace", None, _version(found), lacks=lacking[0], install=lacking[1])
        return ToolStatus("bpftrace", Path(found), _version(found), (), INSTALL)

    def plan(self, target: Target, tool: ToolStatus, profile: Profile, out: Path) -> LaunchPlan:
        """The program as it is, or the process; bpftrace beside it."""
        options = profile.options
        assert isinstance(options, BpfOptions)
        refuse_args(profile)
        if target.elf is not None and target.elf.bits == 32:
            raise LeakrunError(
                ErrorKind.UNMEASURED,
                f"{target.argv[0]} is a 32-bit program, whose stacks bpf can't read",
                "use --profile memcheck",
            )
        log = str(out / "bpf.{pid}.log")
        asked = (
            "pid={pid}",
            f"bpftrace={tool.path}",
            f"what={options.what}",
            f"map_keys={options.map_keys}",
            f"every={profile.snapshots.every or EVERY}",
            f"log={log}",
        )
        watch = Sidecar(
            name="bpftrace",
            argv=(sys.executable, "-P", "-c", START, str(Path(__file__).parents[2]), *asked),
            stdout="bpf.{pid}.json",
            ready=b'"@at"',  # it is behind with its printing while it attaches
            timeout=LONGEST,
            gate=Gate() if target.pid is not None or (target.elf is not None and target.elf.static) else Gate(mapped="libc"),
        )
        return LaunchPlan(
            argv=target.argv,
            env=dict(profile.env),
            cwd=target.cwd,
            stop=profile.stop_plan(),
            outputs=("bpf.*.json",),
            sidecar=watch,
            pid=target.pid,
        )

    def read(self, out: Path, profile: Profile, outcome: Outcome) -> "list[Recording]":
        """What bpftrace printed, of the one process that it watched."""
        from runner.formats import bpftrace_heap

        recordings = []
        for path in sorted(out.glob("bpf.*.json")):
            named = OUTPUT.fullmatch(path.name)
            if named is None or not path.stat().st_size:
                continue
            with path.open("rb") as stream:
                recording = bpftrace_heap.read(stream, path.name, outcome.started_at or None)
            recording.pid = int(named[1])
            if not recording.complete:
                recording.flaws += _errors(path.with_suffix(".log"))
            recordings.append(recording)
        return recordings


def _lacking() -> tuple[str, str] | None:
    """What bpftrace needs and is not here, and the way out; None where it has all."""
    if platform.machine() != "x86_64":
        return "an x86-64 machine (bpf walks no other's stacks)", "use --profile heaptrack or jemalloc"
    if os.geteuid():
        return "root", "run leakrun with sudo"
    if not BTF.exists():
        return f"{BTF} (the kernel's types)", "boot a kernel with CONFIG_DEBUG_INFO_BTF, as the distributions' are"
    return None


@cache
def _version(bpftrace: str) -> tuple[int, ...]:
    """From `bpftrace v0.17.0`; empty where it does not say."""
    try:
        said = subprocess.run([bpftrace, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"v(\d+)\.(\d+)(?:\.(\d+))?", said)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def _errors(log: Path) -> list[str]:
    """What bpftrace complained of, as far as it matters, a few lines."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    told = [found[1] or found[2] for line in lines if not HARMLESS.search(line) and (found := ERROR.match(line))]
    return [f"bpftrace: {text[:200]}" for text in dict.fromkeys(told)][:3]
