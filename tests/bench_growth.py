"""How long it takes to rank 50,000 stacks over 500 snapshots. Generates its input; a script for `make bench`."""

import argparse
import random
import resource
import time
from array import array

from runner.analysis import Scope, conclude
from runner.model import Column, FindingKind, Frame, Metric, Recording, Snapshot, TimeUnit


def recording(stacks: int, snapshots: int, growing: int) -> Recording:
    """Live bytes of `stacks` stacks of 12 frames at `snapshots` moments, of which the first `growing` grow."""
    rng = random.Random(7)
    made = Recording("bench", pid=1, command=["/opt/app/app"], time_unit=TimeUnit.SECONDS)
    functions = [
        made.table.frame_id(Frame(f"work_{n}(int)", f"/src/part{n % 97}.c", 10 + n % 900, "/opt/app/app", 0x1000 + n))
        for n in range(stacks // 3)
    ]
    malloc = made.table.frame_id(Frame("malloc", None, None, "/usr/lib/libc.so.6", 1))
    while len(made.table.stacks) < stacks:
        made.table.stack_id((malloc, *rng.choices(functions, k=11)))
    ids = array("I", range(stacks))
    base = [rng.randrange(100, 100_000) for _ in range(stacks)]
    for number in range(snapshots):
        amounts = array("q", base)
        for stack in range(stacks):
            noise = (stack * 7919 + number * 104729) % 1000
            amounts[stack] += noise + (number * (50 + stack % 100) if stack < growing else 0)
        column = Column()
        column.stack_ids, column.amounts = ids, amounts
        totals = {Metric.LIVE_BYTES: sum(amounts)}
        made.snapshots.append(Snapshot(float(number), totals, {Metric.LIVE_BYTES: column}))
    return made


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stacks", type=int, default=50_000)
    parser.add_argument("--snapshots", type=int, default=500)
    options = parser.parse_args()
    for growing in (100, options.stacks):
        made = recording(options.stacks, options.snapshots, growing)
        start = time.perf_counter()
        answer = conclude([made], Scope(frozenset({FindingKind.GROWING})))
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{options.stacks} stacks x {options.snapshots} snapshots, {growing} growing: {seconds:.2f} s to rank "
            f"(to meet: 3 s), {len(answer.findings)} findings, {peak} MiB peak with the input"
        )


if __name__ == "__main__":
    main()
