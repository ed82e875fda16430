"""Series of live bytes of one site, as programs make them: some leak, some do not. Seeded; times in seconds."""

import sys
from collections.abc import Callable

import numpy as np

KB = 1024.0
Maker = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def _noise(rng, times, size):
    return rng.uniform(0, size) * np.abs(rng.normal(size=len(times)))


def _until(times, part):
    """0 to 1 while the part of the time passes, then 1."""
    return np.minimum((times - times[0]) / (part * (times[-1] - times[0])), 1)


def _place(times):
    return (times - times[0]) / (times[-1] - times[0])


def linear(rng, times):
    total = rng.uniform(12, 8000) * KB
    return total * _place(times) + _noise(rng, times, total / 20)


def noisy_linear(rng, times):
    total = rng.uniform(40, 4000) * KB
    return total * _place(times) + rng.uniform(0.05, 0.15) * total * np.abs(rng.normal(size=len(times)))


def steps(rng, times):
    """Grows at every fifth snapshot."""
    return rng.uniform(4, 500) * KB * (np.arange(len(times)) // 5)


def poisson(rng, times):
    """Requests that come by chance, each loses one block."""
    due = np.diff(_place(times), prepend=0) * rng.integers(60, 2000)
    return np.cumsum(rng.poisson(due)) * rng.uniform(0.2, 20) * KB


def after_burst(rng, times):
    return rng.uniform(5, 40) * 1024 * KB * (times > times[0]) + rng.uniform(12, 400) * KB * _place(times)


def from_midrun(rng, times):
    start = rng.uniform(0.35, 0.55)
    return rng.uniform(1, 100) * KB + rng.uniform(50, 4000) * KB * np.maximum(0, _place(times) - start)


def saw_tooth_leak(rng, times):
    height = rng.uniform(50, 400) * KB
    return _saw(rng, times, height) + height * rng.uniform(1, 5) * _place(times)


def doubling(rng, times):
    """A vector without end: capacity doubles, contents grow by time."""
    count = np.maximum(1, _place(times) * rng.uniform(2000, 500_000))
    return 64 * 2.0 ** np.ceil(np.log2(count))


def with_teardown(rng, times):
    row = linear(rng, times)
    row[-1] = 0
    return row


def constant(rng, times):
    return np.full(len(times), rng.uniform(1, 40_000) * KB)


def noise(rng, times):
    level = rng.uniform(50, 5000) * KB
    return level + rng.uniform(0.01, 0.5) * level * rng.normal(size=len(times)).clip(-1.9, 9)


def startup_burst(rng, times):
    return rng.uniform(5, 40_000) * KB * (_place(times) > rng.uniform(0, 0.1))


def one_late_block(rng, times):
    return rng.uniform(1, 10) * KB + rng.uniform(8, 4000) * KB * (_place(times) > rng.uniform(0.2, 0.95))


def filled_cache(rng, times):
    """Filled evenly in up to half of the time."""
    total = rng.uniform(50, 8000) * KB
    return total * _until(times, rng.uniform(0.05, 0.5)) + _noise(rng, times, total / 50)


def late_cache(rng, times):
    """Filled evenly in half to three quarters of the time."""
    total = rng.uniform(50, 8000) * KB
    return total * _until(times, rng.uniform(0.5, 0.75)) + _noise(rng, times, total / 100)


def saturating(rng, times):
    """Keys by chance of a bounded set: approaches its size ever more slowly."""
    return rng.uniform(50, 8000) * KB * (1 - np.exp(-_place(times) * rng.uniform(5, 30)))


def slow_saturating(rng, times):
    """The same, seen for too short: more than half of the keys are in, and it still rises."""
    return rng.uniform(50, 8000) * KB * (1 - np.exp(-_place(times) * rng.uniform(1.5, 4)))


def logarithmic(rng, times):
    """Each new key comes after a longer time."""
    return rng.uniform(50, 8000) * KB * np.log1p(_place(times) * rng.uniform(30, 300))


def _saw(rng, times, height):
    teeth = rng.uniform(6, 40)
    return height * ((_place(times) * teeth + rng.uniform()) % 1)


def saw_tooth(rng, times):
    return rng.uniform(0, 500) * KB + _saw(rng, times, rng.uniform(20, 4000) * KB)


def slow_saw_tooth(rng, times):
    """Two to five teeth in the run."""
    return rng.uniform(20, 4000) * KB * ((_place(times) * rng.uniform(2, 5) + rng.uniform()) % 1)


def wandering(rng, times):
    """A queue's length: a random walk that is drawn back to its level."""
    row, pull = np.zeros(len(times)), rng.uniform(0.1, 0.5)
    for i in range(1, len(row)):
        row[i] = row[i - 1] * (1 - pull) + rng.normal()
    return (rng.uniform(20, 500) * KB * (5 + row)).clip(0)


def bounded_table(rng, times):
    """A table that doubles while it is filled, in up to half of the time."""
    count = np.maximum(1, _until(times, rng.uniform(0.02, 0.45)) * rng.uniform(2000, 500_000))
    return 64 * 2.0 ** np.ceil(np.log2(count))


def fading_startup(rng, times):
    return rng.uniform(50, 4000) * KB * (1 - _place(times)) ** 2 + rng.uniform(1, 100) * KB


LEAKS: dict[str, Maker] = {
    f.__name__: f
    for f in (linear, noisy_linear, steps, poisson, after_burst, from_midrun, saw_tooth_leak, doubling, with_teardown)
}
CLEAN: dict[str, Maker] = {
    f.__name__: f
    for f in (
        constant, noise, startup_burst, one_late_block, filled_cache, late_cache, saturating, slow_saturating, logarithmic,
        saw_tooth, slow_saw_tooth, wandering, bounded_table, fading_startup,
    )
}  # fmt: skip


def moments(rng, count):
    """Times of `count` snapshots over some seconds: even, jittered or growing sparser."""
    span = rng.uniform(2, 600)
    even = np.linspace(0, 1, count)
    kind = rng.integers(3)
    place = even if kind == 0 else np.sort(np.concatenate([[0, 1], rng.uniform(size=count - 2)])) if kind == 1 else even**1.5
    return place * span


def _table(series: int) -> None:
    from runner.analysis.trend import Shape, judge, spread

    for group, makers in (("leaks", LEAKS), ("clean", CLEAN)):
        for name, make in makers.items():
            line = []
            for count in (8, 12, 20, 60, 200):
                rng = np.random.default_rng(count)
                shapes = []
                for _ in range(series):
                    times = moments(rng, count)
                    while not spread(times, 8):
                        times = moments(rng, count)
                    trend = judge(times, make(rng, times)[None, :].round())
                    shapes.append(trend[0].shape if 0 in trend else None)
                line.append(f"{shapes.count(Shape.GROWING):4}/{shapes.count(Shape.UNDECIDED):<3}")
            print(f"{group} {name:16}", *line)


if __name__ == "__main__":
    _table(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
