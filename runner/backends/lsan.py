"""LeakSanitizer: which blocks nothing points to, at the end and whenever it is asked, at little cost while the program runs.

GCC's liblsan is preloaded, or the program was built with a sanitizer. By itself it looks only when exit() is called, says nothing
when nothing is lost, and changes the exit code. A shim of leakrun's own has it look at other moments too, and note that it did.
"""

import itertools
import re
import signal as signals
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from runner.backends import _preload, _shim
from runner.backends.base import LOADED, Backend, ToolOptions, refuse_args
from runner.kinds import FindingKind, Metric
from runner.plan import Gate, LaunchPlan, Outcome, Proof, SendSignal, Target, ToolStatus, Trigger
from runner.profile import NextToFile, Profile, Within, Written, parse_signal

if TYPE_CHECKING:  # what only reading needs is imported when it reads
    from runner.model import Recording

INSTALL = "apt-get install libgcc-12-dev gcc  (dnf install liblsan gcc, pacman -S gcc gcc-libs, conda install -c conda-forge gcc)"
SHIM = Path(__file__).with_name("_lsan_shim.c")
LIBRARIES = ("liblsan.so*", "libasan.so*")  # the latter is larger, slower, and checks more
SANITIZER = re.compile(r"lib(?:clang_rt\.)?[al]san[\w.-]*\.so")
SELF_TEST = ("/bin/sh", "-c", "trap : TERM; exit 0")  # sets a handler: GCC 12's liblsan by itself dies of that
SELF_TEST_SECONDS = 10.0
MARK = b"__lsan_do_recoverable_leak_check"  # in a program that it is linked into


class LsanOptions(ToolOptions):
    """Options of LeakSanitizer, named as in LSAN_OPTIONS.

    library         the liblsan or libasan to preload; found by itself where it is not given
    signal          by which leakrun asks the program to look; URG is ignored by default: one sent too early kills nobody
    suppressions    a file with lines "leak:PATTERN"
    use_stacks      what the stacks point to is in use. Without, it finds more: pointers that were left behind hide nothing. It
                    then also reports what a function that is still running holds
    use_registers   likewise, of the processor's registers
    fast_unwind_on_malloc   follow frame pointers: faster, and cut short where code is built without
    """

    library: Annotated[str, NextToFile()] | None = None
    signal: Annotated[int, Written(parse_signal)] = int(signals.SIGURG)
    suppressions: Annotated[str, NextToFile()] | None = None
    use_stacks: bool | None = None
    use_registers: bool | None = None
    use_globals: bool | None = None
    use_tls: bool | None = None
    use_unaligned: bool | None = None
    fast_unwind_on_malloc: bool = False
    malloc_context_size: Annotated[int, Within(1, 255)] | None = None
    max_leaks: Annotated[int, Within(0)] | None = None


class Lsan(Backend):
    """Preloads liblsan, or finds a sanitizer linked in, and has it look for leaks."""

    name = "lsan"
    measures = frozenset({Metric.LEAKED_BYTES, Metric.LEAKED_BLOCKS})
    sees = frozenset({FindingKind.LOST})
    marks = (MARK,)
    cost = "2 to 12 us for each malloc; stands still for some milliseconds while it looks"
    slowdown = 6.0
    accounts = False  # it misses what a register or an old stack frame still holds
    Options: ClassVar[type[ToolOptions]] = LsanOptions

    def probe(self, options: ToolOptions) -> ToolStatus:
        """Find liblsan or libasan: where the profile says, by ldconfig, or in the known directories; and build the shim."""
        assert isinstance(options, LsanOptions)
        if options.library and not Path(options.library).is_file():
            return ToolStatus(f"liblsan ({options.library})", None, install=INSTALL)
        try:
            shim = _shim.built(SHIM)
        except _shim.ShimError as missing:
            return ToolStatus(str(missing), None, install=_shim.INSTALL)
        library, limits = (Path(options.library), ()) if options.library else sound_library(shim)
        if library is None:
            return ToolStatus("a LeakSanitizer that programs live under" if limits else "liblsan", None, (), limits, INSTALL)
        return ToolStatus("liblsan", library, _version(library), limits, INSTALL, shim)

    def plan(self, target: Target, tool: ToolStatus, profile: Profile, out: Path) -> LaunchPlan:
        """Environment only; the argv stays the user's. Refuses what can't be preloaded."""
        options = profile.options
        assert isinstance(options, LsanOptions)
        refuse_args(profile, LOADED, "its settings are options: --set use_stacks=0")
        linked = self.linked_in(target)
        alone = target._replace(preload="")
        libraries = [tool.shim, None if linked else tool.path]
        preload = [_preload.preloaded(alone, library, sanitized=linked) for library in libraries if library is not None]
        env: dict[str, str | None] = dict(profile.env)
        env |= {
            "LD_PRELOAD": ":".join(filter(None, (*preload, target.preload))),
            "LSAN_OPTIONS": _options(options, _preload.given("LSAN_OPTIONS", profile), out, symbolize=linked),
            # ASan wants to be the first library; that the shim is before it does no harm.
            "ASAN_OPTIONS": ":".join(filter(None, (_preload.given("ASAN_OPTIONS", profile), "verify_asan_link_order=0"))),
            "LEAKRUN_LSAN": str(out),
            "LEAKRUN_LSAN_SIGNAL": str(options.signal),
        }
        look = Trigger(
            name="leak check",
            action=SendSignal(options.signal),
            gate=Gate(catches=options.signal),
            proof=Proof("lsan.*.{pid}", marker=b"leakrun: end"),
            thins=True,
        )
        return LaunchPlan(
            argv=target.argv,
            env=env,
            cwd=target.cwd,
            triggers=(profile.timed(look),),
            stop=profile.stop_plan(),
            default_signals=(options.signal,),
            outputs=("lsan.*",),
            loaded=SHIM.stem,
        )

    def linked_in(self, target: Target) -> bool:
        """The program was built with -fsanitize=address or leak: nothing to preload but the shim."""
        needed = target.elf.needed if target.elf is not None else ()
        return bool(target.marks) or any(SANITIZER.search(name) for name in needed)

    def read(self, out: Path, profile: Profile, outcome: Outcome) -> "list[Recording]":
        """What each process that was looked at has lost, and what it had lost at each look before."""
        from runner.backends import _lsan_files

        return _lsan_files.read(out, outcome)

    def own_processes(self, out: Path, outcome: Outcome) -> frozenset[int]:
        """To look at the stacks of all threads it clones the process."""
        from runner.backends import _lsan_files

        return _lsan_files.tracers(out, outcome)

    def ended_by_tool(self, out: Path, outcome: Outcome) -> bool:
        """AddressSanitizer, linked in, ends a program with 1 that misuses memory."""
        from runner.backends import _lsan_files

        return _lsan_files.ended_by_sanitizer(out, outcome)


def find_library() -> Path | None:
    """The liblsan that the loader would find, or one in a directory where distributions put it; else the libasan."""
    return next(_libraries(), None)


def sound_library(shim: Path | None) -> tuple[Path | None, tuple[str, ...]]:
    """The first library under which a program with a signal handler lives, and which ones were passed over for that."""
    crashing: list[Path] = []
    for library in _libraries():
        if _survives(library, shim):
            return library, tuple(f"{each} crashes here when it is preloaded: {library.name} is taken" for each in crashing)
        crashing.append(library)
    return None, tuple(f"{each} crashes here when it is preloaded" for each in crashing)


def _libraries() -> Iterator[Path]:
    """One liblsan, one libasan, as far as they are there."""
    for pattern in LIBRARIES:
        yield from itertools.islice(_preload.libraries(pattern), 1)


def _survives(library: Path, shim: Path | None) -> bool:
    preload = ":".join(str(each) for each in (shim, library) if each)
    env = {"LD_PRELOAD": preload, "LSAN_OPTIONS": "detect_leaks=0", "ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0"}
    try:
        ran = subprocess.run(SELF_TEST, env=env, capture_output=True, timeout=SELF_TEST_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ran.returncode == 0


def _version(library: Path) -> tuple[int, ...]:
    """From the name that a link leads to: liblsan.so.0.0.0."""
    numbers = re.search(r"\.so\.([\d.]+)$", library.resolve().name)
    return tuple(int(part) for part in numbers[1].split(".") if part) if numbers else ()


def _options(options: LsanOptions, given: str, out: Path, *, symbolize: bool) -> str:
    """The value of LSAN_OPTIONS: of two settings of one name the last counts."""
    values: dict[str, object] = {
        name: int(value) if isinstance(value, bool) else value
        for name, value in options.given().items()
        if name not in ("library", "signal")
    }
    values |= {"leak_check_at_exit": 0, "symbolize": int(symbolize), "log_path": f"{out}/lsan.0"}
    quoted = (f"{name}={_quoted(str(value))}" for name, value in values.items())
    # A program that was not made for it gets NULL for what is too large, as from any malloc; by itself LSan ends it there.
    return ":".join(filter(None, ("" if symbolize else "allocator_may_return_null=1", given, *quoted)))


def _quoted(value: str) -> str:
    """As LeakSanitizer's options take it: a path may hold colons and spaces, and one sort of quotation marks."""
    if "/" not in value:
        return value
    mark = "'" if '"' in value else '"'
    return f"{mark}{value}{mark}"
