"""bpf: a running process watched from the kernel, in real runs. Each takes some seconds to attach, so that there are few."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import pipeline
from runner.backends import _bpf_probes, _bpf_script, bpf
from tests.leakrun_command import answer
from tests.live.conftest import Running

GROWS = Path(__file__).parent.parent / "golden" / "bpftrace_heap" / "grows" / "grows.c"
MAPS = r"""
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
static void keep_mapping(void) { mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }
static void give_back(void) {
    munmap(mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 65536);
    free(malloc(1 << 20));
}
int main(void) {
    puts("up"), fflush(stdout);
    for (;;) keep_mapping(), give_back(), usleep(20000);
}
"""
pytestmark = [pytest.mark.timeout(400), pytest.mark.alone]
JEMALLOC = "libjemalloc.so.2"
AT = re.compile(rb'"@at": (\d+)')


@pytest.fixture(scope="module", autouse=True)
def _needs_bpftrace() -> None:
    status = bpf.Bpf().probe(bpf.BpfOptions())
    if status.path is None:
        pytest.skip(f"{status.name} is not here")


@pytest.fixture
def watch(start: Callable[..., Running]) -> Iterator[Callable[..., dict[str, Any]]]:
    """Start a program, attach to it, let go after enough snapshots; the answer. The program goes on until the test's end."""
    programs: list[subprocess.Popen[str]] = []

    def watch_(program: Path, *words: str, profile: str = "bpf", snapshots: int = 14, **environment: str) -> dict[str, Any]:
        process = subprocess.Popen([program], stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
        programs.append(process)
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        run = start("attach", process.pid, "-p", profile, "--every", "300ms", *words, name=f"{program.name}-{len(programs)}")
        output = run.directory / "raw" / f"bpf.{process.pid}.json"
        deadline = time.monotonic() + 200
        while not output.exists() or len(set(AT.findall(output.read_bytes()))) < snapshots:
            assert run.process.poll() is None, run.process.communicate()
            assert time.monotonic() < deadline, "it did not come to watch"
            time.sleep(0.1)
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait() == 0
        assert process.poll() is None
        return answer(run.directory)

    yield watch_
    for process in programs:
        process.kill()
        process.communicate()


def sites(said: dict[str, Any]) -> list[tuple[str, int]]:
    return [(each["function"], each["line"]) for each in said["findings"]]


def test_what_grows_is_named_with_its_callers_and_what_is_freed_is_not(
    watch: Callable[..., dict[str, Any]], compiled: Callable[..., Path]
) -> None:
    said = watch(compiled("grows", GROWS.read_text(), "-O0", "-fno-omit-frame-pointer"))
    assert said["verdict"] == "growing"
    assert sites(said)[0] == ("grow", 11)
    assert set(sites(said)) <= {("grow", 11), ("name", 19), ("aligned", 23)}
    stack = [frame["function"] for frame in said["findings"][0]["stack"]]
    assert stack[:2] == ["grow", "main"]
    for finding in said["findings"]:
        assert finding["bytes"] % {"grow": 1000, "name": 60, "aligned": 640}[finding["function"]] == 0
    assert any("since the attach" in note["text"] for note in said["notes"])


def test_without_frame_pointers_the_caller_is_still_right_and_jemalloc_is_found(
    watch: Callable[..., dict[str, Any]], compiled: Callable[..., Path]
) -> None:
    known = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    preload = JEMALLOC if JEMALLOC in known else ""
    program = compiled("grows-bare", GROWS.read_text(), "-O1", "-fno-inline", "-fomit-frame-pointer")
    said = watch(program, LD_PRELOAD=preload)
    assert said["verdict"] == "growing" and sites(said)[0][0] == "grow"
    assert {function for function, _ in sites(said)} <= {"grow", "name", "aligned"}


def test_mappings_that_stay_are_told_from_those_that_go(
    watch: Callable[..., dict[str, Any]], compiled: Callable[..., Path]
) -> None:
    said = watch(compiled("maps", MAPS, "-O0", "-fno-omit-frame-pointer"), profile="bpf-mmap")
    assert sites(said) == [("keep_mapping", 6)]
    assert said["findings"][0]["kind"] == "mapping-growth"


def test_a_process_without_an_allocator_is_let_go_at_once(start: Callable[..., Running], compiled: Callable[..., Path]) -> None:
    static = compiled("static", GROWS.read_text(), "-static")
    subprocess.run(["strip", static], check=True)
    with subprocess.Popen([static], stdout=subprocess.DEVNULL) as process:
        try:
            run = start("attach", process.pid, "-p", "bpf")
            assert run.process.wait(timeout=100) == 3
            assert process.poll() is None
        finally:
            process.kill()
    assert any("no malloc() was found" in each["text"] for each in run.manifest["timeline"])


def test_an_allocator_that_is_linked_in_is_found_by_its_symbols(compiled: Callable[..., Path]) -> None:
    source = "#include <stdlib.h>\nint main(void) { return malloc(1) == 0; }\n"
    there = _bpf_probes.functions(compiled("linked", source, "-static"), {"malloc", "free", "je_malloc"})
    assert there.keys() == {"malloc", "free"} and all(there.values())
    assert _bpf_probes.functions(Path("/etc/passwd"), {"malloc"}) == {}
    assert _bpf_probes.functions(Path("/nowhere"), {"malloc"}) == {}


def test_what_bounds_the_watching_is_in_the_program() -> None:
    places = [_bpf_script.Place("/lib/libc.so.6", name, _bpf_script.HEAP[name]) for name in ("malloc", "free")]
    text = _bpf_script.script(4711, places, [(0x1000, 0x2000)], 0.5)
    probes = [line for line in text.splitlines() if line.startswith(("uprobe", "uretprobe"))]
    assert len(probes) == 3 and all("/pid == 4711" in line for line in probes)  # a probe is the machine's
    assert "interval:ms:500" in text
    assert pipeline.load_profile("bpf", ["map_keys=5000"]).options.given()["map_keys"] == 5000
