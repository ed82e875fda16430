"""How long it takes from the command to the program's own first line, and to the prompt. `make bench` runs it.

    python tests/bench_launch.py [TIMES]

Measured beside what nobody who is written in Python with typer can fall below: the interpreter, and typer's import. All are
run in turns, and the least of each is taken, since whatever else the machine does only adds to it. Bytecode is written, as
it is where leakrun is installed.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = """
#include <stdio.h>
#include <time.h>
int main(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); printf("%ld.%09ld\\n", t.tv_sec, t.tv_nsec); }
"""
LEAKRUN = [sys.executable, "-c", "import sys; from runner.cli import main; sys.exit(main())"]
PROFILES = ("heapprofile", "massif", "memcheck")


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Milliseconds to the time that the program printed (to the end where it printed none), and to the end."""
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    ended = time.monotonic()
    first = float(done.stdout.split()[-1]) if done.stdout.strip() else ended
    return 1000 * (first - began), 1000 * (ended - began)


def main(times: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        source, program = Path(place, "now.c"), str(Path(place, "now"))
        source.write_text(PROGRAM)
        subprocess.run(["gcc", "-g", "-o", program, source], check=True)
        environment = {**os.environ, "XDG_CACHE_HOME": place, "PYTHONPATH": str(Path(__file__).parents[1])}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        runs = ["-q", "--runs-dir", f"{place}/runs"]
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "python -c 'import typer'": [sys.executable, "-c", "import typer"],
            "the program itself": [program],
            **{f"leakrun -p {name}": [*LEAKRUN, *runs, "-p", name, program] for name in PROFILES},
        }
        for command in commands.values():
            measured(command, environment)  # the first time is another matter: bytecode, and the profile is validated
        rounds = [[measured(command, environment) for command in commands.values()] for _ in range(times)]
    print(f"{'':26} {'first line':>12} {'prompt':>10}   (ms, the least of {times})")
    least = {
        name: tuple(map(min, zip(*column, strict=True))) for name, column in zip(commands, zip(*rounds, strict=True), strict=True)
    }
    for name, (first, whole) in least.items():
        print(f"{name:26} {first:12.0f} {whole:10.0f}")
    first = least["leakrun -p heapprofile"][0]
    for name in ("python -c pass", "python -c 'import typer'"):
        print(f"the program's first line under heapprofile: {first / least[name][1]:.2f} times {name}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
