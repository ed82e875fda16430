"""`leakrun profiles`: the list, one profile with its command line, and validation, as a user types them."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from runner import cli
from runner.profile import shipped_names


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(["profiles", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_list_names_each_with_its_backend_and_description(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys)
    assert (code, err) == (0, "")
    rows = [line.split(maxsplit=2) for line in out.splitlines()]
    assert [row[0] for row in rows] == shipped_names()
    assert all(row[0].replace("-", "_").startswith(row[1]) and len(row[2]) > 20 for row in rows)


def test_the_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(run(capsys, "--json")[1])
    assert document["schema"] == "leakrun.profiles/1"
    assert [each["name"] for each in document["profiles"]] == shipped_names()
    assert all(set(each) == {"name", "backend", "description"} for each in document["profiles"])


@pytest.mark.parametrize("name", shipped_names())
def test_what_is_shown_is_a_profile_that_can_be_used_again(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    code, out, _ = run(capsys, name)
    assert code == 0
    assert yaml.safe_load(out)["name"] == name
    file = tmp_path / "mine.yaml"
    file.write_text(out)
    assert run(capsys, str(file))[1] == out


def test_massif_is_shown_with_the_command_line_it_makes(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "massif", "--set", "depth=7", "--tool-arg", "--verbose")
    assert code == 0
    (command,) = [line for line in out.splitlines() if line.startswith("# command: ")]
    words = command.split()
    assert "--tool=massif" in words and "--depth=7" in words and "--time-unit=ms" in words and "--threshold=0" in words
    assert words[-2:] == ["--verbose", "./app"]


def test_heapprofile_is_shown_with_its_environment(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "heapprofile-mmap")[1]
    assert "# command: ./app\n" in out
    assert "# environment: HEAP_PROFILE_ONLY_MMAP=1\n" in out
    assert "# environment: HEAPPROFILESIGNAL=23\n" in out
    assert "tcmalloc" in next(line for line in out.splitlines() if "LD_PRELOAD" in line)


def test_the_text_of_the_environment_is_what_a_shell_takes(capsys: pytest.CaptureFixture[str]) -> None:
    program = shutil.which("true") or ""
    text, document = (run(capsys, *json_or_not, "heapprofile", "--", program)[1] for json_or_not in ((), ("--json",)))
    words = next(line.partition("environment: ")[2] for line in text.splitlines() if "HEAPPROFILE=" in line)
    said = subprocess.run(["bash", "-c", f'export {words}; printf %s "$HEAPPROFILE"'], capture_output=True, check=True).stdout
    assert os.fsdecode(said) == json.loads(document)["environment"]["HEAPPROFILE"]


def test_one_is_shown_as_json_for_a_program_with_its_own_options(capsys: pytest.CaptureFixture[str]) -> None:
    program = shutil.which("sleep") or ""
    code, out, _ = run(capsys, "--json", "memcheck", "--", program, "--version", "a b")
    assert code == 0
    document = json.loads(out)
    assert document["schema"] == "leakrun.profile/1"
    assert document["command"][-3:] == [program, "--version", "a b"]
    assert document["profile"]["options"]["leak_check"] == "full"
    assert document["profile"]["stop"] == {"signal": "TERM", "grace": "30s", "kill_after": None}


@pytest.mark.parametrize("name", shipped_names())
def test_the_command_line_that_is_shown_works(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "RUN" / "raw").mkdir(parents=True)
    document = json.loads(run(capsys, "--json", name, "--", shutil.which("true") or "")[1])
    environment = {**os.environ, **{key: value for key, value in document["environment"].items() if value is not None}}
    ran = subprocess.run(document["command"], env=environment, check=False, timeout=60)
    # The heap checker puts a 1 in the program's place: /bin/true keeps a few blocks to its end.
    assert ran.returncode == (1 if name == "heapcheck-draconian" else 0)
    watched_from_outside = document["command"] == [shutil.which("true")] and not document["environment"]
    assert watched_from_outside or any((tmp_path / "RUN" / "raw").iterdir())


def test_what_is_wrong_is_told_and_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "masif")
    assert (code, out) == (2, "")
    assert err == "leakrun: there is no profile 'masif'\n  did you mean massif? `leakrun profiles` lists them\n"
    assert run(capsys, "massif", "--set", "dept=3")[0] == 2
    assert run(capsys, "--set", "depth=3")[0] == 2
    assert run(capsys, "massif", "--", "./no-such-program")[0] == 127


def test_validation_names_what_is_ok_and_all_that_is_not(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text("backend: massif\noptions: {depth: 3}\n")
    Path("noending").write_text("extends: good.yaml\n")
    Path("bad.yaml").write_text("backend: massif\noptions:\n  depht: 3\n  stacks: true\nstop: {grace: 5}\n")
    assert run(capsys, "--validate", "good.yaml", "noending") == (0, "good.yaml: ok\nnoending: ok\n", "")
    code, out, err = run(capsys, "--validate", "bad.yaml", "good.yaml", "none.yaml")
    assert (code, out) == (2, "good.yaml: ok\n")
    lines = err.splitlines()
    assert lines[:3] == [
        "bad.yaml:3:3: options.depht: there is no such key (did you mean depth?)",
        "bad.yaml:4:11: options.stacks: 'true' is not one of yes, no (did you mean yes?)",
        "bad.yaml:5:15: stop.grace: '5' has no unit: write 5s, 5ms, 5m or 5h",
    ]
    assert lines[3] == "there is no profile file 'none.yaml'"


def test_validation_needs_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "--validate")
    assert code == 2 and "--validate needs a file" in err
