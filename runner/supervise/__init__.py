"""The process supervisor: launch, signals, timers, children, sampling. It knows no tool."""

from runner.supervise.output import written_at
from runner.supervise.session import run
from runner.supervise.signals import deaf
from runner.supervise.spool import move_all as empty_spool
from runner.supervise.spool import remove as remove_spool
from runner.supervise.terms import Places, Progress
from runner.supervise.workload import Work

__all__ = ["Places", "Progress", "Work", "deaf", "empty_spool", "remove_spool", "run", "written_at"]
