"""Run beside a process, as `python -I -S _stack_sample.py PID STATE FRAMES`: who is on its deepest stack, where that has grown.

How deep each thread's stack is comes from /proc: the mapping that holds its stack pointer, and how far the pointer is from
the mapping's end. Only where the deepest is deeper by a quarter than it ever was (STATE, a file, remembers) is that one thread
stopped for some milliseconds, while eu-stack, or gdb where there is none, walks its innermost FRAMES frames. Prints one line
of JSON; of a stack that has not grown it has no `addresses`. Nothing else is imported, so that it starts quickly.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

LEAST = 256 << 10  # bytes: an ordinary stack
GROWTH = 1.25
SECONDS = 8
MOST_THREADS = 2000


def pointers(pid: int) -> dict[int, int]:
    """By thread its stack pointer; only of threads that wait in the kernel: of those that run the kernel does not say."""
    found = {}
    for task in sorted(Path(f"/proc/{pid}/task").iterdir())[:MOST_THREADS]:
        try:
            words = (task / "syscall").read_text().split()
        except OSError:
            continue
        if len(words) >= 2 and words[-2].startswith("0x"):
            found[int(task.name)] = int(words[-2], 16)
    return found


def deepest(pid: int) -> tuple[int, int] | None:
    """The thread whose stack is deepest, and the bytes that it has in use; None where no thread can be told."""
    maps = [line.split(None, 5) for line in Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines()]
    bounds = [([int(end, 16) for end in line[0].split("-")], line[5:]) for line in maps if line[1].startswith("rw")]
    writable = [(start, end, path) for (start, end), path in bounds]
    used = {}
    for thread, pointer in pointers(pid).items():
        holding = next(((end, path) for start, end, path in writable if start <= pointer < end), None)
        if holding is not None and holding[1] in ([], ["[stack]"]):
            used[thread] = holding[0] - pointer
    main = next((end - start for start, end, path in writable if path == ["[stack]"]), 0)
    if pid not in used and main:
        used[pid] = main  # it runs: the kernel has grown the mapping as far as it ever was
    return max(used.items(), key=lambda item: item[1], default=None)


def walked(thread: int, frames: int) -> tuple[list[str], str]:
    """The addresses on the thread's stack, leaf first; or none, and why."""
    if shutil.which("eu-stack"):
        command = ["eu-stack", "-q", "-1", "-n", str(frames), "-p", str(thread)]
    elif shutil.which("gdb"):
        settings = ("debuginfod enabled off", "debug-file-directory /nonexistent", "auto-load libthread-db off")
        command = ["gdb", "-nx", "-batch", *(word for each in settings for word in ("-iex", f"set {each}")), "-p", str(thread)]
        command += ["-ex", "info symbol $pc", "-ex", "x/i $pc", "-ex", f"backtrace {frames}"]
    else:
        return [], "neither eu-stack (apt-get install elfutils) nor gdb is installed"
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [], f"{command[0]}: {error}"
    addresses = re.findall(r"^(?:#\d+ +|=> )(0x[0-9a-f]+)", done.stdout, re.MULTILINE)
    said = next((line for line in done.stderr.splitlines() if line), "it printed no frame")
    return addresses, "" if addresses else f"{command[0]}: {said[:200]}"


def main() -> int:
    """Look, and print what there is to say."""
    pid, state, frames = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    found = deepest(pid)
    before = int(state.read_text()) if state.exists() else 0
    said: dict[str, object] = {"thread": found[0] if found else None, "bytes": found[1] if found else None}
    if found and found[1] >= max(LEAST, GROWTH * before):
        name = Path(f"/proc/{pid}/task/{found[0]}/comm").read_text(errors="replace").rstrip("\n")
        addresses, trouble = walked(found[0], frames)
        said |= {"name": name, "addresses": addresses, "trouble": trouble}
        if addresses:
            state.write_text(str(found[1]))
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
