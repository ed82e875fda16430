"""The examples say the truth: what their comments declare is what valgrind itself finds, whatever leakrun makes of it."""

import re
import signal
import subprocess
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.examples_truth import EXAMPLES, Example, Expectation, TruthError, all_examples, build, read_truth

SECONDS = "1.5"
LEVELS = ("-O0", "-O1")
RUNS = [(example, level) for example in all_examples() for level in LEVELS]
MASSIF = {"growing": (), "mapping-growth": ("--pages-as-heap=yes",), "stack-growth": ("--stacks=yes",)}

pytestmark = pytest.mark.timeout(300)


def label(value: object) -> str:
    return value.name if isinstance(value, Example) else str(value)


def run(example: Example, command: list[str], program: Path) -> None:
    args = example.args or (SECONDS,)
    process = subprocess.Popen([*command, program, *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        code = process.wait(timeout=4 if example.stop_signal else 60)
    except subprocess.TimeoutExpired:
        process.send_signal(getattr(signal, f"SIG{example.stop_signal}"))
        code = process.wait(timeout=30)
    assert code == 0


def measure(example: Example, level: str, directory: Path) -> Path:
    """Build one example, run it under memcheck and, where something grows or is to stay calm, under massif."""
    place = directory / (example.name + level)
    place.mkdir()
    program = build(example, place, level)
    memcheck = ["valgrind", "--leak-check=full", "--num-callers=30", "--xml=yes", f"--xml-file={place}/memcheck.%p.xml"]
    run(example, memcheck, program)
    kinds = {expectation.kind for expectation in example.expectations} or {"growing"}
    for kind in kinds & MASSIF.keys():
        massif = ["valgrind", "--tool=massif", "--time-unit=ms", "--threshold=0", "--detailed-freq=1", *MASSIF[kind]]
        run(example, [*massif, f"--massif-out-file={place}/{kind}.%p.massif"], program)
    return place


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    directory = tmp_path_factory.mktemp("examples")
    with ThreadPoolExecutor(4) as pool:  # they sleep most of the time
        places = list(pool.map(lambda pair: measure(*pair, directory), RUNS))
    return {(example.name, level): place for (example, level), place in zip(RUNS, places, strict=True)}


def sites(error: ElementTree.Element) -> list[tuple[str, int]]:
    """(function without parameters, line) of each frame of an error's first stack, leaf first."""
    stack = error.find("stack")
    assert stack is not None
    return [(frame.findtext("fn", "").split("(")[0], int(frame.findtext("line", "0"))) for frame in stack]


def errors_of(place: Path) -> list[ElementTree.Element]:
    return [error for file in sorted(place.glob("memcheck.*.xml")) for error in ElementTree.parse(file).getroot().iter("error")]


@pytest.mark.parametrize(("example", "level"), RUNS, ids=label)
def test_memcheck_finds_what_is_declared_lost_and_nothing_else(
    example: Example, level: str, measured: dict[tuple[str, str], Path]
) -> None:
    expected = example.expected("lost")
    found = [error for error in errors_of(measured[example.name, level]) if error.findtext("kind") == "Leak_DefinitelyLost"]
    for expectation in expected:
        mine = [error for error in found if (expectation.function, expectation.line) in sites(error)]
        blocks = sum(int(error.findtext("xwhat/leakedblocks", "0")) for error in mine)
        lost = sum(int(error.findtext("xwhat/leakedbytes", "0")) for error in mine)
        assert expectation.block_size is not None
        assert blocks == expectation.blocks if expectation.blocks is not None else blocks > 20
        assert lost == (expectation.bytes if expectation.bytes is not None else blocks * expectation.block_size)
    where = {(expectation.function, expectation.line) for expectation in expected}
    assert [sites(error) for error in found if not where & set(sites(error))] == []


@pytest.mark.parametrize(("example", "level"), RUNS, ids=label)
def test_memcheck_finds_the_declared_errors_and_no_others(
    example: Example, level: str, measured: dict[tuple[str, str], Path]
) -> None:
    found = [error for error in errors_of(measured[example.name, level]) if "Leak" not in error.findtext("kind", "")]
    expected = {(e.defect, e.function, e.line) for e in example.expected("error")}
    seen = set()
    for error in found:
        frames = [(error.findtext("kind"), *site) for site in sites(error) if site[1]]
        seen.add(frames[0])
    assert seen == expected


def bytes_over_time(file: Path, expectation: Expectation | None) -> list[int]:
    """Bytes at the expected site (or in all) in each snapshot of a massif file; of the stack, where that is what grows."""
    snapshots = file.read_text(errors="replace").split("#-----------\nsnapshot=")[1:]
    if expectation is None:
        return [int(re.search(r"mem_heap_B=(\d+)", snapshot)[1]) for snapshot in snapshots]  # type: ignore[index]
    if expectation.kind == "stack-growth":
        return [int(re.search(r"mem_stacks_B=(\d+)", snapshot)[1]) for snapshot in snapshots]  # type: ignore[index]
    where = re.compile(rf"(\d+) 0x\w+: {re.escape(expectation.function)}[ (].*:{expectation.line}\)")
    return [max([int(match) for match in where.findall(snapshot)], default=0) for snapshot in snapshots]


@pytest.mark.parametrize(("example", "level"), RUNS, ids=label)
def test_what_is_declared_to_grow_keeps_growing_there(
    example: Example, level: str, measured: dict[tuple[str, str], Path]
) -> None:
    growing = example.expected(*MASSIF)
    for expectation in growing:
        files = measured[example.name, level].glob(f"{expectation.kind}.*.massif")
        amounts = max((bytes_over_time(file, expectation) for file in files), key=max)
        peak = max(amounts)
        passed = [number for part in (4, 2, 1.1) for number in [sum(a < peak / part for a in amounts)]]
        assert peak > 200_000
        assert 3 < passed[0] < passed[1] < passed[2], f"it does not grow steadily: {amounts}"
    if not growing and not example.clean:
        assert example.expected("lost", "error")


@pytest.mark.parametrize(("example", "level"), [pair for pair in RUNS if pair[0].clean], ids=label)
def test_what_is_declared_clean_stops_growing(example: Example, level: str, measured: dict[tuple[str, str], Path]) -> None:
    (file,) = measured[example.name, level].glob("growing.*.massif")
    amounts = bytes_over_time(file, None)
    half = len(amounts) // 2
    assert max(amounts[half:]) <= 1.1 * max(amounts[:half])


def test_the_readme_of_the_examples_lists_every_program() -> None:
    listed = set(re.findall(r"^\| `([^`]+)`", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
    assert listed == {example.source.name for example in all_examples()}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("int main;\n", ":1: there is no EXPECT"),
        ("// EXPECT: lost at f()\nx; // <- here\n", ":1: lost can't be followed by None"),
        ("// EXPECT: lost many at f()\nx; // <- here\n", ":1: lost can't be followed by 'many'"),
        ("\n// EXPECT: shrinking at f()\nx; // <- here\n", ":2: expected 'KIND at FUNCTION()'"),
        ("// EXPECT: growing at f\nx; // <- here\n", ":1: expected 'KIND at FUNCTION()'"),
        ("// EXPECT: growing at f()\n", ":1: 1 functions are expected, and 0 lines are marked"),
        ("// EXPECT: clean\nx; // <- here\n", ":1: 0 functions are expected, and 1 lines are marked"),
        ("// EXPECT: clean\n// EXPECT: growing at f()\nx; // <- here\n", ":1: expected 'KIND at FUNCTION()'"),
        ("// EXPECT: clean\n// STOP: soon\n", ":2: expected 'STOP: TERM after 5s'"),
        ("// EXPECT: clean\n// WISH: none\n", ":2: there is no comment WISH"),
    ],
)
def test_a_declaration_that_is_wrong_says_where(text: str, complaint: str, tmp_path: Path) -> None:
    source = tmp_path / "p.c"
    source.write_text(text)
    with pytest.raises(TruthError) as caught:
        read_truth(source)
    assert str(caught.value).startswith(f"{source}{complaint}")


def test_all_that_the_grammar_can_say_is_read(tmp_path: Path) -> None:
    source = tmp_path / "p.cpp"
    source.write_text(
        "// CFLAGS: -pthread -DX=1\n// RUN: 0 --load\n// STOP: INT after 2.5s\n"
        "// EXPECT: growing at a::b<c>()\n// EXPECT: lost 8 bytes x 2 + 4 bytes x 3 at f()\n"
        "// EXPECT: lost 8 bytes x N at a::b<c>()\n// EXPECT: error InvalidRead at f()\n"
        "one();  // <- here\ntwo();\nthree();  // <- here\n"
    )
    example = read_truth(source)
    assert (example.cflags, example.args) == (("-pthread", "-DX=1"), ("0", "--load"))
    assert (example.stop_signal, example.stop_after, example.clean) == ("INT", 2.5, False)
    assert example.expectations == (
        Expectation("growing", "a::b<c>", 8),
        Expectation("lost", "f", 10, block_size=8, blocks=2, bytes=28),
        Expectation("lost", "a::b<c>", 8, block_size=8),
        Expectation("error", "f", 10, defect="InvalidRead"),
    )
