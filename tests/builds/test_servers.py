"""What CI servers and service managers are handed: their files are read as they read them, and the commands in them are run."""

import configparser
import json
import re
import shlex
import shutil
import signal
import subprocess
import tarfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "examples"
ACTION = yaml.safe_load((EXAMPLES / "github" / "action.yml").read_text())
GITLAB = yaml.safe_load((EXAMPLES / "gitlab" / "leakrun.gitlab-ci.yml").read_text())[".leakrun"]
CODES = {"./leaks": 1, "./tidy 'two words'": 0, "./unmeasured": 3, "./fails": 5, "./nowhere": 127}


def step(name: str):
    return next(each for each in ACTION["runs"]["steps"] if each["name"] == name)


def test_the_action_hands_over_each_input_once():
    used = re.findall(r"inputs\.([\w-]+)", json.dumps(ACTION))
    assert sorted(used) == sorted(ACTION["inputs"])
    assert ACTION["runs"]["using"] == "composite"
    assert all("shell" in each for each in ACTION["runs"]["steps"] if "run" in each)


@pytest.mark.parametrize(("command", "code"), CODES.items())
def test_the_step_of_the_action(run, programs, tmp_path, command, code):
    assert set(step("Measure")["env"]) == {"COMMAND", "LEAKRUN_PROFILE", "OPTIONS", "CHECK"}
    temporary = tmp_path / "runner"
    temporary.mkdir()
    settings = {"COMMAND": command, "LEAKRUN_PROFILE": "memcheck", "OPTIONS": "-q", "CHECK": ""}
    server = {"RUNNER_TEMP": str(temporary), "GITHUB_OUTPUT": str(temporary / "output"), "CI": "true"}
    ran = run("bash", "-e", "-o", "pipefail", "-c", step("Measure")["run"], cwd=programs, **settings, **server)
    assert ran.returncode == code, ran.stderr
    if code in (0, 1, 5):  # else it was not even started
        assert (temporary / "leakrun-run.tar.gz").exists()
    if code == 1:
        assert re.search(r"^::error .*leaks\.c,line=2", ran.stdout, re.MULTILINE)
        assert (temporary / "output").read_text() == "verdict=leaking\n"
    if code == 0:
        assert "tidy with 1: two words" in ran.stdout and "::error" not in ran.stdout


@pytest.mark.parametrize(("command", "code"), CODES.items())
def test_the_job_for_gitlab(run, programs, command, code):
    (script,) = GITLAB["script"]
    settings = {name: value for name, value in GITLAB["variables"].items() if name not in {"COMMAND", "PACKAGE"}}
    ran = run("bash", "-e", "-c", script, cwd=programs, **settings | {"COMMAND": command, "CI": "true"})
    assert ran.returncode == code, ran.stderr
    if code not in (0, 1, 5):  # it was not even started
        return
    issues = json.loads((programs / GITLAB["artifacts"]["reports"]["codequality"]).read_text())
    failures = ElementTree.parse(programs / GITLAB["artifacts"]["reports"]["junit"]).getroot().iter("failure")
    found = [each["location"]["lines"]["begin"] for each in issues if each["location"]["path"].endswith("leaks.c")]
    assert found == ([2] if code == 1 else [])
    assert bool(list(failures)) == (code == 1)
    with tarfile.open(programs / GITLAB["artifacts"]["paths"][0]) as archive:
        assert "leakrun-run/answer.json" in archive.getnames()


SERVICE = r"""
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
    for (int n = 0; ; n++) {
        memset(malloc(5000), 1, 5000);
        if (n == 30) puts("up"), fflush(stdout);
        usleep(10000);
    }
}
"""


def drop_in():
    """The [Service] of the drop-in; a key that stands twice, the last (systemd resets a list by an empty value)."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(EXAMPLES / "systemd" / "leakrun.conf")
    return parser["Service"]


def test_the_command_of_the_drop_in_ends_on_sigterm_with_nothing_lost(environment, tmp_path):
    libraries = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    if "libtcmalloc.so" not in libraries:
        pytest.skip("tcmalloc, which the drop-in measures with, is not installed")
    (tmp_path / "service.c").write_text(SERVICE)
    subprocess.run(["gcc", "-g", "-o", tmp_path / "service", tmp_path / "service.c"], check=True)
    service = drop_in()
    assert service["KillMode"] == "mixed"  # SIGTERM to leakrun alone
    words = shlex.split(service["ExecStart"])
    at = words.index("--")
    command = ["leakrun", *words[1:at], "--", str(tmp_path / "service")]
    command[command.index("--runs-dir") + 1] = str(tmp_path / "state")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as ran:
        try:
            assert ran.stdout is not None and ran.stdout.readline() == "up\n"
            ran.send_signal(signal.SIGTERM)
            assert ran.wait(timeout=60) in (0, int(service["SuccessExitStatus"]))
        finally:
            ran.kill()
    (run,) = (tmp_path / "state").iterdir()
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["state"] == "complete"
    assert list((run / "raw").glob("*.heap"))


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_the_drop_in(tmp_path):
    unit = tmp_path / "app.service"
    text = (EXAMPLES / "systemd" / "leakrun.conf").read_text()
    unit.write_text(re.sub(r"^ExecStart=/usr/local/bin/leakrun .*$", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    said = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False).stderr
    assert [line for line in said.splitlines() if "app.service" in line and "Unknown" in line] == []


def test_the_container_starts_leakrun_as_it_is_called():
    lines = (EXAMPLES / "docker" / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    instructions = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    entry = json.loads(next(rest for word, rest in instructions if word == "ENTRYPOINT"))
    assert entry[0].endswith("/bin/leakrun") and "--" in entry
    assert dict(instructions)["STOPSIGNAL"] == "SIGTERM"


CALL = re.compile(r"(?<![\w/-])leakrun (?:(show|check|bundle|runs|stop) (?=[^\n]*--)|(?=-))([^\n#;|&`]*)")
FILES = sorted(path for path in EXAMPLES.rglob("*") if path.is_file() and path.parent.name not in {"c_leaks", "bin", "examples"})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_options_of_leakrun_in_the_examples_are_there(run, path):
    """`leakrun VERB ... --option`: each option is one of that verb's."""
    for verb, rest in CALL.findall(path.read_text()):
        options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", rest.split(" -- ")[0]))
        if options:
            known = set(re.findall(r"--[a-z][a-z-]+", run("leakrun", verb or "run", "--help").stdout))
            assert options <= known, f"leakrun {verb} {rest}"


def test_what_is_to_be_executed_is_executable():
    scripts = [path for path in FILES if path.read_text().startswith("#!")]
    assert {path.name for path in scripts} == {"leakrun-test", "leakrun-memcheck"}
    assert all(path.stat().st_mode & 0o111 for path in scripts)
