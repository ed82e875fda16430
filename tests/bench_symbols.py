"""Names a generated heap dump of 32,000 stacks to the line, beside google-pprof. A script for `make bench`; prints ratios."""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FUNCTIONS, STACKS, DEPTH = 4000, 32_000, 14
BASE = 0x555555554000

OURS = """
import sys
from pathlib import Path
from runner.formats import gperftools_heap
from runner.symbols.resolve import resolve
recording = gperftools_heap.read_series([(Path(sys.argv[1]), None)])
resolve([recording], cache_dir=Path(sys.argv[2]))
frames = recording.table.frames
print(len(recording.table.stacks), len(frames), sum(frame.line is not None for frame in frames), recording.limits)
"""


def build_program(directory: Path) -> Path:
    """A program of many functions, each with an inlined call."""
    lines = ["#include <stdlib.h>"]
    for number in range(FUNCTIONS):
        lines += [
            f"static inline __attribute__((always_inline)) void *in{number}(int x) {{",
            f"  return malloc(x + {number});",
            "}",
            f"void *fn{number}(int x) {{",
            f"  void *p = in{number}(x);",
            "  return p ? p : malloc(x);",
            "}",
        ]
    lines.append("int main(void) { return 0; }")
    (directory / "many.c").write_text("\n".join(lines))
    subprocess.run(["gcc", "-g", "-O0", "many.c", "-o", "many"], cwd=directory, check=True)
    return directory / "many"


def write_dump(program: Path) -> Path:
    """A dump as tcmalloc would write it of a program mapped at BASE, were its text not cut at 1 MiB."""
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", program], check=True, capture_output=True, text=True).stdout
    returns = [int(match, 16) for match in re.findall(r"\tcall .*\n +([0-9a-f]+):", listing)]
    chance = random.Random(1)
    lines = []
    for number in range(STACKS):
        stack = " ".join(f"{BASE + chance.choice(returns):#x}" for _ in range(DEPTH))
        lines.append(
            f"{number % 7 + 1:6d}: {(number % 7 + 1) * 64:8d} [{number % 9 + 7:6d}: {(number % 9 + 7) * 64:8d}] @ {stack}"
        )
    segments = re.findall(r"LOAD\s+0x(\w+) 0x(\w+) 0x\w+\s+0x(\w+) 0x\w+ R E", readelf(program))
    ((offset, vaddr, size),) = [tuple(int(field, 16) for field in segment) for segment in segments]
    start, end = BASE + (vaddr & ~4095), BASE + (vaddr + size + 4095 & ~4095)
    live = sum((number % 7 + 1) * 64 for number in range(STACKS))
    allocated = sum((number % 9 + 7) * 64 for number in range(STACKS))
    header = f"heap profile: {STACKS:6d}: {live:8d} [{STACKS:6d}: {allocated:8d}] @ heapprofile"
    maps = f"{BASE:x}-{start:x} r--p 00000000 00:00 1 {program}\n{start:x}-{end:x} r-xp {offset & ~4095:08x} 00:00 1 {program}\n"
    dump = program.parent / "many.0001.heap"
    dump.write_text("\n".join([header, *lines]) + f"\n\nMAPPED_LIBRARIES:\n{maps}")
    return dump


def readelf(program: Path) -> str:
    return subprocess.run(["readelf", "-lW", program], check=True, capture_output=True, text=True).stdout


def timed(*command: str | Path) -> tuple[float, str]:
    """Seconds of wall time of a whole process, and its output."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    start = time.monotonic()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return time.monotonic() - start, done.stdout


def main() -> None:
    """Measure once each: google-pprof, leakrun without a cache, leakrun with one."""
    with tempfile.TemporaryDirectory() as name:
        program = build_program(Path(name))
        dump = write_dump(program)
        print(f"{STACKS} stacks of {DEPTH} frames, {dump.stat().st_size / 1e6:.1f} MB")
        cold, said = timed(sys.executable, "-c", OURS, dump, Path(name, "cache"))
        cached, again = timed(sys.executable, "-c", OURS, dump, Path(name, "cache"))
        assert said == again, (said, again)
        print(f"leakrun            {cold:7.2f} s   stacks, frames, named to the line: {said.strip()}")
        print(f"leakrun, cached    {cached:7.2f} s")
        pprof = shutil.which("google-pprof")
        if pprof:
            theirs, text = timed(pprof, "--text", "--lines", program, dump)
            print(f"google-pprof       {theirs:7.2f} s   {len(text.splitlines())} lines")
            print(f"ratio              {theirs / cold:7.1f}     cached {theirs / cached:.1f}")


if __name__ == "__main__":
    main()
