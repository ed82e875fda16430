"""`python -m tests.truth`: generate, build, run, score. `make truth` calls it."""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.truth.generate import Program, build, programs, read_truth
from tests.truth.score import LIST, PROFILES, SECONDS, Bench, write_scores
from tests.truth.table import misses, reliability, tables


def main() -> int:
    """Measure; the table on stdout, what was missed on stderr. Exit code 1 where no program could be built."""
    chosen = _arguments()
    began = time.monotonic()
    directory = chosen.keep or Path(tempfile.mkdtemp(prefix="truth-"))
    directory.mkdir(parents=True, exist_ok=True)
    generated = _kept(directory) if chosen.again else programs(chosen.n, chosen.seed)
    if chosen.only:
        generated = [program for program in generated if chosen.only in (program.name, program.part, program.kind)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        built = list(pool.map(lambda program: _built(program, directory / program.name, again=chosen.again), generated))
    ready = [(program, path) for program, path in zip(generated, built, strict=True) if path is not None]
    bench = Bench(chosen.jobs, chosen.seconds, directory / LIST, chosen.again)
    found = bench.scores(ready, chosen.profiles)
    clean = sum(program.clean for program, _ in ready)
    head = f"{len(ready)} programs ({clean} of them clean), seed {chosen.seed}, {len(found)} runs of {chosen.seconds:g} s"
    text = f"{head}\n\n{tables(found)}\n{reliability(found)}"
    print(text, end="")
    for line in misses(found):
        print(line, file=sys.stderr)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    if chosen.table:
        _write_table(chosen.table, text)
    if chosen.again:
        write_scores(found, directory / LIST)
    if not chosen.keep:
        shutil.rmtree(directory)
    return 0 if ready else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.truth", description=__doc__)
    parser.add_argument("--n", type=int, default=40, help="how many programs (default: 40)")
    parser.add_argument("--seed", type=int, default=1, help="other programs for each (default: 1)")
    parser.add_argument("--profiles", nargs="*", default=list(PROFILES), choices=PROFILES)
    parser.add_argument("--jobs", type=int, default=2, help="runs at once (default: 2)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"how long each runs by itself (default: {SECONDS})")
    parser.add_argument("--only", help="one program, part or kind")
    parser.add_argument(
        "--keep", type=Path, help="keep programs and runs in this directory; what ran there already is not run again"
    )
    parser.add_argument("--again", action="store_true", help="judge anew the runs that --keep left")
    parser.add_argument("--table", type=Path, help="put the tables into this file, between its two marks")
    return parser.parse_args()


def _kept(directory: Path) -> list[Program]:
    return [read_truth(truth.parent) for truth in sorted(directory.glob("*/truth.json"))]


def _built(program: Program, directory: Path, *, again: bool) -> Path | None:
    if (again or (directory / "truth.json").exists()) and (directory / "program").exists():
        return directory / "program"
    try:
        return build(program, directory)
    except subprocess.SubprocessError as error:
        print(f"{program.name} {program.part}: {error}", file=sys.stderr)
        return None


def _write_table(path: Path, text: str) -> None:
    start, end = "<!-- measured -->\n", "<!-- end -->"
    page = path.read_text()
    before, _, rest = page.partition(start)
    after = rest.partition(end)[2]
    path.write_text(f"{before}{start}\n{text}\n{end}{after}")


sys.exit(main())
