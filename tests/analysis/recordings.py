"""Recordings built by hand: functions as frames, series as snapshots."""

from collections.abc import Mapping, Sequence

from runner.model import Column, FindingKind, Frame, Loss, LossKind, Metric, Recording, Snapshot, TimeUnit, check_valid

APP = "/home/me/app/server"
LIBC = "/usr/lib/x86_64-linux-gnu/libc.so.6"
GROWTH = frozenset({FindingKind.GROWING})
LOSSES = frozenset({FindingKind.LOST, FindingKind.SUSPECT})
MALLOC = Frame("malloc", None, None, "/usr/libexec/valgrind/vgpreload_memcheck-amd64-linux.so")


def code(signature: str, line: int = 1, file: str = "/home/me/app/server.c", module: str | None = APP) -> Frame:
    return Frame(signature, file, line, module)


MAIN = code("main", 100)


def growing(
    series: Mapping[tuple[Frame, ...], Sequence[float]],
    times: Sequence[float],
    *,
    unit: TimeUnit = TimeUnit.SECONDS,
    allocated: Mapping[tuple[Frame, ...], float] | None = None,
    pid: int = 1,
) -> Recording:
    """Live bytes by stack (leaf first) at `times`; `allocated` is cumulative, at the end."""
    made = Recording("massif", pid=pid, command=[APP], time_unit=unit)
    ids = {stack: made.table.intern(stack) for stack in series}
    for number, time in enumerate(times):
        amounts = {ids[stack]: max(0, round(row[number])) for stack, row in series.items()}
        columns = {Metric.LIVE_BYTES: Column(amounts.keys(), amounts.values())}
        totals = {Metric.LIVE_BYTES: sum(amounts.values())}
        if allocated is not None:
            columns[Metric.ALLOCATED_BYTES] = Column(ids.values(), (round(allocated[stack]) for stack in series))
        made.snapshots.append(Snapshot(time, totals, columns))
    check_valid(made)
    return made


def losing(*losses: tuple[LossKind, int, int, Sequence[Frame]], pid: int = 1, parent: int | None = None) -> Recording:
    """Leak records: kind, bytes, blocks, stack leaf first."""
    made = Recording("memcheck", pid=pid, parent_pid=parent, command=[APP])
    for kind, size, blocks, stack in losses:
        made.losses.append(Loss(kind, size, blocks, made.table.intern(stack)))
    check_valid(made)
    return made
