"""`leakrun doctor`: which native tools are here, which settings bound them, and the line that installs the rest."""

import os
import platform
import re
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from runner import __version__
from runner.errors import LeakrunError

if TYPE_CHECKING:
    from runner.reports.doctor_table import Checkup, Found, Setting

VERSION_SECONDS = 10.0
MANAGERS = {  # by the program that is looked for: the command, as backends write it in their `install`
    "apt-get": "apt-get install",
    "dnf": "dnf install",
    "pacman": "pacman -S",
}


class Helper(NamedTuple):
    """A program that backends and the naming of addresses use. `names` may stand for each other, the best first."""

    names: tuple[str, ...]
    purpose: str
    install: str


_VALGRIND = "apt-get install valgrind  (dnf install valgrind, pacman -S valgrind)"
HELPERS = (
    Helper(
        ("llvm-symbolizer", *(f"llvm-symbolizer-{version}" for version in range(24, 12, -1))),
        "names addresses, fast",
        "apt-get install llvm  (dnf install llvm, pacman -S llvm)",
    ),
    Helper(
        ("addr2line",),
        "names addresses where llvm-symbolizer is not",
        "apt-get install binutils  (dnf install binutils, pacman -S binutils)",
    ),
    Helper(("vgdb",), "snapshots under valgrind while the program runs", _VALGRIND),
    Helper(("ms_print",), "massif's own text beside its files", _VALGRIND),
    Helper(("gdb",), "reaches into a program that runs already", "apt-get install gdb  (dnf install gdb, pacman -S gdb)"),
    Helper(("dot",), "draws call graphs", "apt-get install graphviz  (dnf install graphviz, pacman -S graphviz)"),
)


def doctor(json: Annotated[bool, typer.Option("--json", help="As JSON (leakrun.doctor/1).")] = False) -> int:
    """Say what is installed here, and what installs the rest.

    Which settings of the system matter, too.

    \b
      leakrun doctor
      leakrun doctor --json | jq -r .install
    """
    from runner.reports import doctor_table, document

    found = examine()
    if json:
        document.write(doctor_table.to_dict(found), sys.stdout)
    else:
        doctor_table.render(found, sys.stdout, shutil.get_terminal_size((80, 24)).columns)
    return 0


def examine() -> "Checkup":
    """Look at this machine. Runs each helper once for its version, and changes nothing."""
    from runner.reports.doctor_table import Checkup

    backends, helpers = list(_backends()), [_helper(each) for each in HELPERS]
    facts = {"leakrun": __version__, "python": platform.python_version(), "system": _system()}
    missing = [each.install for each in (*backends, *helpers) if each.status == "missing"]
    return Checkup(facts, backends, helpers, list(_settings()), install_line(missing))


def _system() -> str:
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        name = "Linux"
    return f"{name}, kernel {platform.release()}, {platform.machine()}"


def _backends() -> Iterator["Found"]:
    """Every backend that there is, with its default options."""
    from runner import backends
    from runner.reports.doctor_table import Found

    for name in backends.names():
        backend = backends.get(name)
        try:
            tool = backend.probe(backend.Options())
        except LeakrunError as error:
            yield Found(name, name, "missing", None, None, backend.cost, [error.message], error.hint)
            continue
        status = "missing" if tool.path is None else "limited" if tool.limits else "found"
        path = str(tool.path) if tool.path else None
        version = tool.version_text or None
        yield Found(name, tool.name, status, version, path, backend.cost, list(tool.limits), tool.install, tool.lacks)


def _helper(helper: Helper) -> "Found":
    from runner.reports.doctor_table import Found

    path = next(filter(None, map(shutil.which, helper.names)), None)
    name = helper.names[0]
    version = _version_of(path) if path else None
    return Found(name, name, "found" if path else "missing", version, path, helper.purpose, [], helper.install)


def _version_of(path: str) -> str | None:
    """The first number with a dot in it that `--version` prints; None where there is none."""
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\d+(?:\.\d+)+", done.stdout or done.stderr)  # ms_print answers there
    return found[0] if found else None


def install_line(texts: Sequence[str]) -> str | None:
    """One line for this system's package manager that installs all that `texts` name, each for several of them.

    None where there is nothing to install, or none of the managers is here.
    """
    manager = next(filter(shutil.which, MANAGERS), None)
    if manager is None:
        return None
    command = MANAGERS[manager]
    packages = {package for text in texts for package in _packages(command, text)}
    if not packages:
        return None
    return ("" if os.geteuid() == 0 else "sudo ") + f"{command} {shlex.join(sorted(packages))}"


def _packages(command: str, text: str) -> list[str]:
    """The packages behind `command` in a backend's text: "apt-get install valgrind  (dnf install valgrind, ...)"."""
    found = re.search(rf"{re.escape(command)}((?: [a-z0-9][\w.+-]*)+)", text)
    return found[1].split() if found else []


def _settings() -> Iterator["Setting"]:
    from runner.reports.doctor_table import Setting

    ptrace = _kernel("kernel/yama/ptrace_scope")
    yield Setting("ptrace_scope", ptrace or "none (no Yama)", PTRACE_EFFECTS.get(ptrace or "0", "unknown to leakrun"))
    paranoid = _kernel("kernel/perf_event_paranoid")
    yield Setting("perf_event_paranoid", paranoid or "not there", _perf_effect(paranoid))
    yield _core_limit()
    btf = Path("/sys/kernel/btf/vmlinux").exists()
    yield Setting(
        "kernel BTF", "present" if btf else "missing", "bpftrace can" + ("" if btf else "not") + " read the kernel's types"
    )
    servers = os.environ.get("DEBUGINFOD_URLS", "")
    waits = (
        "gdb and other tools may wait for these servers; leakrun's own lookups never do"
        if servers
        else "no tool waits for a network"
    )
    yield Setting("DEBUGINFOD_URLS", servers or "not set", waits)


PTRACE_EFFECTS = {
    "0": "a user may attach to any process of their own",
    "1": "only root may attach to a process that leakrun has not started",
    "2": "only root may attach to a process",
    "3": "nobody may attach to a process, until the next boot",
}


def _kernel(name: str) -> str | None:
    try:
        return Path("/proc/sys", name).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None


def _perf_effect(paranoid: str | None) -> str:
    try:
        level = int(paranoid or "")
    except ValueError:
        return "this kernel has no perf events"
    return "perf only for root" if level > 2 else "a user may sample their own programs" if level > 0 else "a user may sample all"


def _core_limit() -> "Setting":
    from runner.reports.doctor_table import Setting

    soft = resource.getrlimit(resource.RLIMIT_CORE)[0]
    value = "unlimited" if soft == resource.RLIM_INFINITY else f"{soft} bytes"
    effect = (
        "a program that crashes while it is measured leaves a core file, which may be large" if soft else "no core files are left"
    )
    return Setting("core limit", value, effect)
