"""Works beside a process: has gdb load heaptrack into it, waits until it is told to end, and has gdb end the record.

    python _heaptrack_attach.py PID LIBRARY RECORD GDB_COMMAND...

Says "recording" on stdout once it is. It ends by itself when the process does, and when whoever started it is gone: then nobody
would end the record. Exit code 1, and a line on stderr, where heaptrack could not be loaded or its record not be ended.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

SCRIPT = Path(__file__).with_name("_heaptrack_gdb.py")
LONGEST = 50.0  # seconds of one gdb: the program stands still meanwhile
TRIES, PAUSE = 20, 0.1  # and seconds between two
NEVER_SAFE = 3
ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def main(pid: int, library: str, record: str, gdb: Sequence[str]) -> int:
    """The exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    starter = os.getppid()
    failure = _ask_gdb(pid, gdb, {"LEAKRUN_LIBRARY": library, "LEAKRUN_RECORD": record})
    if not failure and not Path(record).is_file():
        failure = f"heaptrack could not write {record}: may the program's user write there?"
    if failure:
        print(failure, file=sys.stderr)
        return 1
    print("recording", flush=True)
    # Without sigtimedwait's own waiting: that returns rubbish when we were stopped and continued meanwhile (CPython 3.11).
    while signal.sigtimedwait(ENDING, 0) is None and os.getppid() == starter and _runs(pid):
        time.sleep(PAUSE)
    failure = _ask_gdb(pid, gdb, {}) if _runs(pid) else ""
    if failure and _runs(pid):
        print(f"its record could not be ended, and goes on: {failure}", file=sys.stderr)
        return 1
    return 0


def _ask_gdb(pid: int, gdb: Sequence[str], env: dict[str, str]) -> str:
    """What gdb says against it, in a line; empty where it was done."""
    command = [*gdb, "-ex", f"set $pid = {pid}", "-x", str(SCRIPT)]
    said = ""
    for _ in range(TRIES):
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=LONGEST,
                check=False,
                start_new_session=True,  # a signal for us is none for a gdb in the midst of a call
                preexec_fn=_take_signals,  # there are no threads here
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"gdb: {error}"
        if done.returncode == 0:
            return ""
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = lines[-1] if lines else f"gdb failed with {done.returncode}"
        if done.returncode != NEVER_SAFE:
            return said
        time.sleep(PAUSE)
    return said


def _take_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def _runs(pid: int) -> bool:
    try:
        return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]))
