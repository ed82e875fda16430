"""How fast valgrind's files are read, beside what people use today. `make bench` runs it; nothing here is a test.

    python tests/bench_formats.py [MEGABYTES]

The inputs are made up. Two massif files of that size (94 by default): one with few stacks, as massif's own threshold
leaves them, which ms_print prints in full, and one with 1,800, as --threshold=0 leaves them, most of which it passes
over. And memcheck XML of 37 MB with a stack of 13 frames in each record. ms_print and valgrind-ci are run where they
are there.
"""

import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MEASURED = (
    "import re, sys; from pathlib import Path; from runner.formats import read_file; read_file(Path(sys.argv[1])); "
    "print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) // 1024)"
)
LEVELS, WIDTH = 16, 200
Tree = dict[int, "Tree"]


def massif_text(megabytes: float, stack_count: int) -> Iterator[str]:
    """Snapshots of a program with that many stacks, 8 to 15 deep, whose sizes change all the time."""
    method = "ns::module{m}::Class{c}::method_{n}(std::vector<int> const&, unsigned long) (f{f}.cpp:{line})"
    frames = [
        f"0x{0x400000 + n * 37:X}: {method.format(m=n % 40, c=n % 97, n=n, f=n % 60, line=n % 900 + 1)}"
        for n in range(LEVELS * WIDTH)
    ]
    width = min(WIDTH, stack_count // 10)
    stacks = [
        tuple(level * WIDTH + random.randrange(width) for level in range(random.randrange(8, LEVELS))) for _ in range(stack_count)
    ]
    yield "desc: --threshold=0 --detailed-freq=1\ncmd: ./server --big\ntime_unit: ms\n"
    written, number = 0, 0
    while written < megabytes * 1e6:
        root: Tree = {}
        for stack in stacks[: stack_count // 9 + number * 20]:
            node = root
            for frame in stack:
                node = node.setdefault(frame, {})
        rows: list[str] = []
        size = add_rows(root, frames, 1, rows)
        sizes = f"time={number * 100}\nmem_heap_B={size}\nmem_heap_extra_B=8\nmem_stacks_B=0\nheap_tree=detailed\n"
        head = f"#-----------\nsnapshot={number}\n#-----------\n{sizes}n{len(root)}: {size} (heap allocation functions) malloc\n"
        text = head + "".join(rows)
        written += len(text)
        number += 1
        yield text


def add_rows(node: Tree, frames: list[str], depth: int, rows: list[str]) -> int:
    """Appends the rows below `node`; returns their sum."""
    whole = 0
    for frame, below in node.items():
        at = len(rows)
        rows.append("")
        size = add_rows(below, frames, depth + 1, rows) if below else random.randrange(8, 100_000)
        rows[at] = f"{' ' * depth}n{len(below)}: {size} {frames[frame]}\n"
        whole += size
    return whole


def memcheck_text(megabytes: float) -> Iterator[str]:
    """One leak record after the other."""
    yield '<?xml version="1.0"?>\n<valgrindoutput>\n<protocolversion>4</protocolversion>\n<protocoltool>memcheck</protocoltool>\n'
    yield "<status>\n  <state>FINISHED</state>\n</status>\n"
    written, number = 0, 0
    while written < megabytes * 1e6:
        number += 1
        stack = "".join(frame_text(number, level) for level in range(13))
        what = f"<text>40 bytes in 1 blocks are definitely lost in loss record {number} of 99999</text>"
        text = (
            f"<error>\n  <unique>0x{number:x}</unique>\n  <tid>1</tid>\n  <kind>Leak_DefinitelyLost</kind>\n"
            f"  <xwhat>\n    {what}\n    <leakedbytes>40</leakedbytes>\n    <leakedblocks>1</leakedblocks>\n  </xwhat>\n"
            f"  <stack>\n{stack}  </stack>\n</error>\n\n"
        )
        written += len(text)
        yield text
    yield "</valgrindoutput>\n"


def frame_text(number: int, level: int) -> str:
    place = f"<dir>/src/dir{level}</dir>\n      <file>f{level}.cpp</file>\n      <line>{(number + level) % 1000 + 1}</line>"
    return (
        f"    <frame>\n      <ip>0x{0x500000 + (number * 7 + level * 13) % 40000:X}</ip>\n"
        f"      <obj>/usr/lib/libx{level}.so</obj>\n"
        f"      <fn>ns::Class{(number + level) % 300}::method(int)</fn>\n      {place}\n    </frame>\n"
    )


def seconds(command: list[str]) -> tuple[float, str]:
    """Wall time of the best of three runs, and what the last printed."""
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
        best = min(best, time.perf_counter() - started)
    return best, printed


def compare(path: Path, other: list[str]) -> None:
    ours, printed = seconds([sys.executable, "-c", MEASURED, str(path)])
    print(f"{path.name}, {path.stat().st_size / 1e6:.0f} MB: {ours:.2f} s, {printed.strip()} MB of memory at most")
    if shutil.which(other[0]) is None:
        print(f"  {other[0]} is not there to compare with")
        return
    theirs, _ = seconds([*other, str(path)])
    print(f"  {' '.join(other)}: {theirs:.2f} s, {theirs / ours:.1f} times ours")


def main() -> None:
    random.seed(1)
    megabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 94.0
    with tempfile.TemporaryDirectory() as folder:
        few, many, xml = Path(folder, "few-stacks"), Path(folder, "many-stacks"), Path(folder, "memcheck.xml")
        for path, pieces in (
            (few, massif_text(megabytes, 60)),
            (many, massif_text(megabytes, 1800)),
            (xml, memcheck_text(megabytes * 37 / 94)),
        ):
            with path.open("w") as stream:
                stream.writelines(pieces)
        compare(few, ["ms_print"])
        compare(many, ["ms_print"])
        compare(xml, ["valgrind-ci", "--summary"])


if __name__ == "__main__":
    main()
