"""Programs by seed: which parts, how they are called, how they are compiled; written, with their truth beside them, and built."""

import json
import random
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from string import Template

from tests.truth.driver import HEADER, SHAPES, Drive, main_source
from tests.truth.naming import Names
from tests.truth.parts import Part, Place, filled, read_parts

CLEAN_SHARE = 0.35  # of all programs
_NO_WRAPPER = ("malloc", "free")


@dataclass
class Program:
    """One program and its truth.

    kind      what is wrong with it, or clean
    places    the lines that may be named, none for a clean one
    blind     a profile that can't see it, though it sees others of its kind
    sources   text by file name;  units: what is compiled to the program;  plugin: what is compiled to a library
    """

    name: str
    kind: str
    part: str
    beside: list[str]
    wrapper: str
    drive: Drive
    optimise: str
    flags: list[str]
    cxx: bool
    blind: str = ""
    places: list[Place] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    units: list[str] = field(default_factory=list)
    plugin: str = ""

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.kind == "clean"


def programs(count: int, seed: int) -> list[Program]:
    """`count` programs; the same for the same seed. Each leak and each clean part comes about equally often."""
    rng = random.Random(seed)
    leaks, clean = read_parts("leaks"), read_parts("clean")
    rng.shuffle(leaks)
    rng.shuffle(clean)
    quiet = round(count * CLEAN_SHARE)
    chosen = [leaks[k % len(leaks)] for k in range(count - quiet)] + [clean[k % len(clean)] for k in range(quiet)]
    rng.shuffle(chosen)
    return [generate(f"p{number:03}", part, random.Random(rng.random())) for number, part in enumerate(chosen)]


def generate(name: str, part: Part, rng: random.Random) -> Program:
    """One program around a part."""
    leaks = part.kind != "clean"
    drive = _drive(part, rng)
    alone = "ALONE" in part.headers
    beside = [] if alone else _beside(part, rng)
    cxx = part.cxx or rng.random() < 0.25
    beside = [other for other in beside if cxx or not other.cxx]
    from_plugin = drive.mode in ("plugin", "reloaded")
    wrapper = rng.choice(read_parts("wrappers")) if rng.random() < 0.4 and not alone and not from_plugin else None
    program = Program(
        name=name,
        kind=part.kind,
        part=part.name,
        beside=[other.name for other in beside],
        wrapper=wrapper.name if wrapper else "",
        drive=drive,
        optimise=rng.choice(["-O0", "-O1", "-O2", "-O3"]),
        flags=["-fno-omit-frame-pointer"] if rng.random() < 0.5 else [],
        cxx=cxx,
        blind=part.headers.get("BLIND", ""),
    )
    if alone:
        program.optimise = rng.choice(["-O0", "-O1"])  # -O2 makes a loop of a recursion
    _write(program, part if leaks else None, beside if leaks else [part, *beside], wrapper, rng)
    return program


def _drive(part: Part, rng: random.Random) -> Drive:
    modes = ["plain", "plain", "threads", "workers", "server"]
    if part.kind != "clean":
        modes.append("plugin")
    if part.kind == "lost":
        modes.append("reloaded")
    mode = "plain" if "ALONE" in part.headers else rng.choice(modes)
    count = rng.randint(40, 160) if mode == "reloaded" else rng.randint(2, 4) if mode == "threads" else 2
    return Drive(
        mode=mode,
        shape="steady" if "ALONE" in part.headers else rng.choice(SHAPES),
        tick=rng.choice([4, 5, 8]) * (count if mode == "threads" else 1),
        depth=0 if "ALONE" in part.headers else rng.choice([0, 1, 2, 4, 8, 16]),
        period=rng.choice([15, 30, 60]),
        from_percent=rng.randint(28, 42),
        count=count,
        noinline=rng.random() < 0.5,
    )


def _beside(part: Part, rng: random.Random) -> list[Part]:
    """Clean parts that run in the same program."""
    others = [other for other in read_parts("clean") if other.name != part.name]
    return rng.sample(others, rng.choice([0, 1, 1, 2, 3]))


def _numbers(rng: random.Random, shape: str, *, leaks: bool) -> dict[str, int]:
    size = rng.randint(20, 56) if leaks and shape == "trickle" else round(100 * 40 ** rng.random())
    return {
        "size": size,
        "few": rng.randint(3, 9),
        "some": rng.randint(20, 90),
        "many": rng.randint(20, 400),
        "fraction": rng.randint(15, 70),
        "start": rng.randint(2, 30),
        "teeth": rng.choice([2, 3, 4, 6, 9, 14, 25]),
    }


def _write(program: Program, leak: Part | None, beside: list[Part], wrapper: Part | None, rng: random.Random) -> None:
    """Fill in sources, units and places."""
    names = Names(rng)
    ending = rng.choice([".cpp", ".cc"]) if program.cxx else ".c"
    header = names.fresh() + ".h"
    prototypes: list[str] = []
    names["alloc"], names["release"] = (names.fresh(), names.fresh()) if wrapper else _NO_WRAPPER
    parts: list[tuple[Part, Names, str]] = []
    if wrapper:
        parts.append((wrapper, names.without("alloc", "release"), names.fresh() + ending))
        prototypes += [f"void *{names['alloc']}(size_t size);", f"void {names['release']}(void *p);"]
    for part in [*beside, *([leak] if leak else [])]:
        own = names.without("alloc", "release")
        parts.append((part, own, names.fresh() + ending))
        linkage = 'extern "C" ' if program.cxx else ""
        prototypes.append(f"{linkage}void {own['op']}(long i, double passed);")
    entries = {part.name: own["op"] for part, own, _ in parts if part is not wrapper}
    told_apart = wrapper is not None and any("FREES" in part.headers for part in beside)
    for part, own, file in parts:
        numbers = _numbers(rng, program.drive.shape, leaks=part is leak)
        top = f'#include "{header}"\n\n'
        text, places = filled(part, own, numbers, file, first_line=3)
        program.sources[file] = top + text
        uses_wrapper = leak is not None and "$alloc" in leak.text
        program.places += [place for place in places if place.role != "wrapper" or (uses_wrapper and not told_apart)]
    program.sources[header] = Template(HEADER).substitute(prototypes="\n".join(prototypes))
    _divide(program, [file for _, _, file in parts], parts[-1][2] if leak else "", names, header, entries, leak, beside, rng)


def _divide(
    program: Program,
    files: list[str],
    leak_file: str,
    names: Names,
    header: str,
    entries: dict[str, str],
    leak: Part | None,
    beside: list[Part],
    rng: random.Random,
) -> None:
    """Make main(), and decide what is compiled together: all in one unit half of the time."""
    plugin = ""
    if program.drive.mode in ("plugin", "reloaded"):
        program.plugin, plugin = leak_file, f"./{names.fresh()}.so"
        files = [file for file in files if file != leak_file]
    together = rng.random() < 0.5
    main_file = names.fresh() + ("" if not files else "." + files[0].rpartition(".")[2])
    if not files:
        main_file += leak_file[leak_file.rindex(".") :]
    program.sources[main_file] = main_source(
        program.drive,
        names,
        header,
        files if together else [],
        [entries[part.name] for part in beside],
        entries[leak.name] if leak else None,
        plugin,
    )
    program.units = [main_file] if together else [main_file, *files]
    if plugin:
        program.sources["plugin.path"] = plugin


def write(program: Program, directory: Path) -> None:
    """Put the sources, and truth.json, into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in program.sources.items():
        (directory / name).write_text(text)
    (directory / "truth.json").write_text(json.dumps(truth_of(program), indent=1) + "\n")


def truth_of(program: Program) -> dict[str, object]:
    """What truth.json holds."""
    return {key: value for key, value in asdict(program).items() if key not in ("sources", "units", "plugin")}


def read_truth(directory: Path) -> Program:
    """The program of a directory that write() filled, without its sources."""
    truth = json.loads((directory / "truth.json").read_text())
    truth["drive"] = Drive(**truth["drive"])
    truth["places"] = [Place(**place) for place in truth["places"]]
    return Program(**truth)


def build(program: Program, directory: Path) -> Path:
    """Write and compile the program; the path of what came out. Raises CalledProcessError where it can't be compiled."""
    write(program, directory)
    compiler = ["g++", "-std=c++17"] if program.cxx else ["gcc"]
    flags = ["-g", program.optimise, *program.flags, "-pthread", "-Wall", "-Wno-unused-function"]
    if program.plugin:
        library = program.sources["plugin.path"]
        subprocess.run(
            [*compiler, *flags, "-shared", "-fPIC", "-o", library, program.plugin], cwd=directory, check=True, timeout=120
        )
    subprocess.run([*compiler, *flags, "-o", "program", *program.units, "-ldl"], cwd=directory, check=True, timeout=120)
    return directory / "program"
