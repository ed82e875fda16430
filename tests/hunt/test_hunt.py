"""`leakrun hunt` as its users call it, on real programs under real tools."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from runner import answers
from runner.analysis.witnesses import Witness
from runner.hunt import course
from runner.kinds import FindingKind
from runner.model import Answer, Verdict
from runner.pipeline import Request, load_profile
from runner.reading import Query
from runner.rundir import RunDirectory
from tests.compiling import compiled
from tests.examples_truth import all_examples, build
from tests.leakrun_command import COMMAND, answer, leakrun

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed"),
]
CLEAN_WITNESS = Witness("all", frozenset(FindingKind), Answer(Verdict.CLEAN, ["nothing grows"]))
EXAMPLES = {example.name: example for example in all_examples()}

SERVER = r"""
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static char **kept;
static int count;
static void keep(const char *text) {
    kept = realloc(kept, (size_t)(count + 1) * sizeof *kept);
    kept[count] = malloc(2000);
    strcpy(kept[count++], text);
}
static volatile sig_atomic_t ending;
static void end(int signum) { ending = signum; }
int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    int s = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[argc - 1]))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(s, (struct sockaddr *)&at, sizeof at) || listen(s, 8)) return 5;
    while (!ending) {
        int c = accept(s, NULL, NULL);
        if (c < 0) continue;
        char text[16] = "";
        while (read(c, text, sizeof text - 1) > 0)
            for (int i = 0; i < 4; i++) keep(text);
        close(c);
    }
    return 0;
}
"""
CLIENT = """
import socket, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
for i in range(int(sys.argv[2])):
    s.sendall(b"hello")
    time.sleep(0.01)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def written(directory: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((directory / "answer.json").read_text())
    return document


def profiles(said: dict[str, Any]) -> list[str]:
    return [step["profile"] for step in said["run"]["steps"]]


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A hunt for what a program of a moment loses, and what it said."""
    directory = tmp_path_factory.mktemp("short")
    program = build(EXAMPLES["lost_block"], directory)
    return directory, leakrun("hunt", "-o", directory / "hunt", "--", program)


def test_a_small_leak_of_a_short_program_is_found(short: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    directory, ran = short
    assert ran.returncode == 0, ran.stderr
    said = written(directory / "hunt")
    (expected,) = EXAMPLES["lost_block"].expectations
    first = said["findings"][0]
    assert (said["verdict"], first["kind"], first["function"], first["line"]) == ("leaking", "lost", "lost", expected.line)
    assert (first["bytes"], first["blocks"]) == (expected.bytes, expected.blocks)
    assert profiles(said)[:2] == ["pmap", "memcheck"]
    assert said["run"]["backend"] is None


def test_it_says_before_that_the_program_is_run_several_times_and_what_each_step_cost(
    short: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    lines = short[1].stderr.splitlines()
    assert "several times" in lines[0]
    assert any("memcheck" in line and "times slower" in line for line in lines)


def test_its_steps_are_ordinary_runs(short: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    directory, _ = short
    steps = sorted((directory / "hunt" / "steps").iterdir())
    assert [step.name for step in steps] == ["1-pmap", "2-memcheck"]
    assert answer(steps[1])["run"]["profile"] == "memcheck"


def test_show_check_runs_and_last_take_it_as_one(short: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    directory, _ = short
    said, shown = written(directory / "hunt"), answer("hunt", cwd=directory)
    assert shown == said
    assert answer("last", "--runs-dir", directory)["run"]["id"] == "hunt"
    assert leakrun("check", directory / "hunt", "-q").returncode == 1
    (listed,) = json.loads(leakrun("runs", "--runs-dir", directory, "--json").stdout)["runs"]
    assert (listed["state"], listed["verdict"], listed["profile"]) == ("complete", "leaking", "hunt")


def test_the_exit_codes_are_those_of_a_run(tmp_path: Path, short: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    leaky = short[0] / "lost_block"
    assert leakrun("hunt", "-o", tmp_path / "a", "--error-exitcode", 9, "--", leaky).returncode == 9
    assert leakrun("hunt", "-q", "-o", tmp_path / "b", "--", "sh", "-c", "exit 7").returncode == 7
    assert leakrun("hunt", "-o", tmp_path / "c", "--", tmp_path / "nothing").returncode == 127
    assert not (tmp_path / "c").exists()
    assert leakrun("hunt", "-o", tmp_path / "b", "--", leaky).returncode == 2
    assert leakrun("hunt", "--budget", "soon", "--", leaky).returncode == 2
    assert leakrun("hunt").returncode == 2


def test_the_answer_follows_the_schema(short: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(__file__).parent.parent.parent / "docs" / "answer.schema.json").read_text())
    jsonschema.validate(written(short[0] / "hunt"), schema)


def test_json_has_stdout_for_itself(tmp_path: Path, short: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    ran = leakrun("hunt", "--json", "-q", "-o", tmp_path / "hunt", "--", short[0] / "lost_block")
    assert json.loads(ran.stdout) == written(tmp_path / "hunt")
    assert "characters" in ran.stderr  # what the program prints


def test_a_short_clean_program_is_clean(tmp_path: Path) -> None:
    program = build(EXAMPLES["uninitialised"], tmp_path)
    leakrun("hunt", "-o", tmp_path / "hunt", "--", program)
    said = written(tmp_path / "hunt")
    assert (said["verdict"], said["findings"]) == ("clean", [])
    assert [error["function"] for error in said["errors"]] == ["describe"]


def test_two_tools_agree_before_it_is_called_growing(tmp_path: Path) -> None:
    program = build(EXAMPLES["growing_cache"], tmp_path)
    leakrun("hunt", "-o", tmp_path / "hunt", "--", program)
    said = written(tmp_path / "hunt")
    (expected,) = EXAMPLES["growing_cache"].expectations
    first = said["findings"][0]
    assert (said["verdict"], first["function"], first["line"]) == ("growing", expected.function, expected.line)
    assert "2 of 2 tools name" in first["evidence"][0]
    assert "memcheck" in profiles(said)
    grown = leakrun("growth", tmp_path / "hunt", "--json")
    assert json.loads(grown.stdout)["sites"][0]["function"] == expected.function


def test_a_server_under_load_is_up_and_gone_each_time(tmp_path: Path) -> None:
    program, port = compiled(tmp_path, SERVER), free_port()
    (tmp_path / "client.py").write_text(CLIENT)
    load = f"{COMMAND[0]} {tmp_path}/client.py {port} 250"
    words = ("--ready", f"tcp:{port}", "--load", load, "--", program, port)
    ran = leakrun("hunt", "-o", tmp_path / "hunt", *words, timeout=300)
    assert ran.returncode == 0, ran.stderr
    said = written(tmp_path / "hunt")
    assert said["verdict"] == "growing", ran.stderr
    assert said["findings"][0]["function"] == "keep"
    assert len(profiles(said)) >= 3


def test_a_tool_that_is_missing_is_left_out_with_a_word(
    tmp_path: Path, short: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    ran = leakrun("hunt", "-o", tmp_path / "hunt", "--", short[0] / "lost_block", PATH="/nonexistent")
    said = written(tmp_path / "hunt")
    assert "memcheck is left out: profile memcheck needs valgrind" in ran.stderr
    assert "memcheck" in [each["profile"] for each in said["run"]["skipped"]]
    assert said["verdict"] == "inconclusive"
    assert "no tool was asked about lost memory" in said["reasons"]


@pytest.mark.parametrize("how", ["signal", "stop"])
def test_a_hunt_that_is_ended_says_what_it_knows(tmp_path: Path, how: str) -> None:
    program, port = compiled(tmp_path, SERVER), free_port()
    words = ["hunt", "-o", str(tmp_path / "hunt"), "--ready", f"tcp:{port}", "--", str(program), str(port)]
    hunting = subprocess.Popen([*COMMAND, *words], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(os.environ))
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("hunt/steps/1-pmap/raw/smaps.*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    if how == "signal":
        hunting.send_signal(signal.SIGINT)
    else:
        assert leakrun("stop", tmp_path / "hunt").returncode == 0
    hunting.communicate(timeout=120)
    said = answer(tmp_path / "hunt")
    assert profiles(said) == ["pmap"]
    assert "the hunt was ended before it was sure" in said["doubts"]
    assert json.loads((tmp_path / "hunt" / "manifest.json").read_text())["state"] == "complete"
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 0.2)


def test_ctrl_c_while_somebody_else_has_the_port_ends_it(tmp_path: Path) -> None:
    program, port = compiled(tmp_path, SERVER), free_port()
    words = ["hunt", "-o", tmp_path / "hunt", "--for", "2s", "--ready", f"tcp:{port}", "--", program, port]
    hunting = subprocess.Popen([*COMMAND, *map(str, words)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while not list(tmp_path.glob("hunt/steps/1-pmap/raw/smaps.*")):
        assert hunting.poll() is None
        time.sleep(0.05)
    with bound(port) as listener:
        listener.settimeout(60)
        for _ in range(3):  # one that comes just when it tries again is not heard
            listener.accept()[0].close()
            hunting.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                hunting.communicate(timeout=8)
                break
    assert hunting.poll() is not None
    assert "the hunt was interrupted" in answer(tmp_path / "hunt")["doubts"]


def bound(port: int) -> socket.socket:
    """What listens there, as soon as nothing else does."""
    while True:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            time.sleep(0.001)


def test_ctrl_c_before_the_first_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(course, "candidates", interrupted)
    with pytest.raises(KeyboardInterrupt):
        course.hunt(Request(("true",), load_profile("pmap"), tmp_path, output=tmp_path / "hunt"), say=lambda _: None)
    assert not (tmp_path / "hunt").exists()


def test_with_something_left_undone_nothing_is_clean(short: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    run = RunDirectory(short[0] / "hunt")
    manifest = {**run.read_manifest(), "left": ["the hunt was interrupted"]}
    assert answers.hunted(run, {**manifest, "left": []}, [CLEAN_WITNESS]).answer.verdict is Verdict.CLEAN
    doubtful = answers.hunted(run, manifest, [CLEAN_WITNESS]).answer
    assert doubtful.verdict is Verdict.INCONCLUSIVE and doubtful.reasons == ["the hunt was interrupted"]


def test_several_runs_of_one_program_are_one_answer(short: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    directory, _ = short
    step = directory / "hunt" / "steps" / "2-memcheck"
    said = answer(step, step)
    assert said["findings"][0]["bytes"] == answer(step)["findings"][0]["bytes"]
    assert said["run"]["tools"] == ["memcheck"]


def test_what_is_asked_of_several_is_asked_of_a_hunts_steps_too(short: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    hunted = str(short[0] / "hunt")
    nothing_lost = Query(leave_out=lambda recording: recording.losses.clear())
    assert answers.answer_of([hunted, f"{hunted}/steps/2-memcheck"], short[0]).findings
    assert answers.answer_of([hunted, f"{hunted}/steps/2-memcheck"], short[0], nothing_lost).findings == []


def test_what_a_killed_hunt_recorded_stands(tmp_path: Path) -> None:
    program, port = compiled(tmp_path, SERVER), free_port()
    words = ["hunt", "-q", "-o", str(tmp_path / "hunt"), "--for", "2s", "--", str(program), str(port)]
    hunting = subprocess.Popen([*COMMAND, *words], stdin=subprocess.DEVNULL, env=dict(os.environ))
    step = tmp_path / "hunt" / "steps" / "2-heapprofile"
    deadline = time.monotonic() + 60
    while not list(step.glob("raw/*.heap")) and time.monotonic() < deadline:
        time.sleep(0.05)
    hunting.kill()
    hunting.wait(timeout=10)
    assert profiles(answer(tmp_path / "hunt")) == ["pmap"]
    refused = leakrun("recover", tmp_path / "hunt")
    assert refused.returncode == 2
    assert f"leakrun recover {step}" in refused.stderr
    assert leakrun("recover", step, timeout=60).returncode == 0  # it goes on to its --for
    assert answer(tmp_path / "hunt")["run"]["tools"] == ["pmap", "heapprofile"]


CRASHES_ONCE = r"""
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char *ours = getenv("LD_PRELOAD"), *lost = malloc(1000);
    memset(lost, 1, 1000);
    lost = NULL;
    if (ours && strstr(ours, "memcheck") && access(argv[argc - 1], F_OK) == 0) {
        unlink(argv[argc - 1]);
        raise(SIGTRAP);
    }
    return lost != NULL;
}
"""


def test_a_crash_under_one_tool_alone_is_tried_once_more(tmp_path: Path) -> None:
    program = compiled(tmp_path, CRASHES_ONCE)
    (tmp_path / "flag").touch()
    ran = leakrun("hunt", "-o", tmp_path / "hunt", "--", program, tmp_path / "flag")
    said = written(tmp_path / "hunt")
    assert "once more" in ran.stderr
    assert profiles(said)[:3] == ["pmap", "memcheck", "memcheck"]
    assert (said["verdict"], said["findings"][0]["function"]) == ("leaking", "main")


MAPS_AGAIN = r"""
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
static int first_byte(const char *path) {
    int fd = open(path, O_RDONLY);
    char *text = mmap(NULL, 64 << 10, PROT_READ, MAP_PRIVATE, fd, 0);  // the culprit
    close(fd);
    return text == MAP_FAILED ? -1 : text[0];
}
int main(int argc, char **argv) {
    int sum = 0;
    for (int i = 0; i < 200; i++) {
        sum += first_byte(argv[argc - 1]);
        usleep(10000);
    }
    return sum < 0;
}
"""


def test_a_file_that_is_mapped_again_and_again_is_found_though_the_kernel_can_drop_its_pages(tmp_path: Path) -> None:
    program = compiled(tmp_path, MAPS_AGAIN)
    (tmp_path / "text").write_bytes(b"x" * (64 << 10))
    leakrun("hunt", "-o", tmp_path / "hunt", "--", program, tmp_path / "text")
    said = written(tmp_path / "hunt")
    first = said["findings"][0]
    line = next(number for number, text in enumerate(MAPS_AGAIN.splitlines(), 1) if "culprit" in text)
    assert (said["verdict"], first["kind"]) == ("growing", "mapping-growth")
    assert (first["function"], first["line"]) == ("first_byte", line)
