"""Runs the supervisor as leakrun would, in a process of its own: driver.py ORDER, a pickle; leaves ORDER.result, another."""

import pickle
import sys
from pathlib import Path

from runner import supervise
from runner.errors import LeakrunError
from runner.plan import Outcome

order = Path(sys.argv[1])
plan, places, duration, fault = pickle.loads(order.read_bytes())
states: list[str] = []
heard: list[supervise.Progress] = []


def journal(outcome: Outcome, state: str) -> None:
    states.append(state)
    with order.with_suffix(".states").open("a") as file:
        file.write(f"{state} {outcome.pid}\n")
    if fault == "journal" and state == "running":
        raise OSError(28, "No space left on device")
    if fault == "bug" and state == "running":
        raise RuntimeError("a bug of ours")


def progress(report: supervise.Progress) -> None:
    heard.append(report)
    if fault == "progress":
        raise OSError(5, "Input/output error")


try:
    result: object = supervise.run(plan, places, journal, duration=duration, progress=progress)
except (LeakrunError, RuntimeError) as error:
    result = error if isinstance(error, RuntimeError) else (error.kind, error.message, error.hint)
partial = order.with_suffix(".partial")
partial.write_bytes(pickle.dumps((result, states, heard)))
partial.rename(order.with_suffix(".result"))
sys.exit(result.exit_code if isinstance(result, Outcome) else 70)
