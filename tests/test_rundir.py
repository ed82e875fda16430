import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import rundir
from runner.errors import ErrorKind, LeakrunError
from runner.manifest import REDACTED
from runner.plan import Event, EventKind, LaunchPlan, Outcome, ProcessOutcome, ToolStatus
from runner.profile import Profile, ToolOptions
from runner.rundir import RunDirectory

TOOL = ToolStatus("massif", Path("/usr/bin/valgrind"), (3, 19, 0))


def profile(**changes: Any) -> Profile:
    return Profile(**{"name": "massif", "backend": "massif", "options": ToolOptions()} | changes)


def manifest(outcome: Outcome, state: str = "running", plan: LaunchPlan | None = None, **changes: Any) -> Any:
    fields = {"run_id": "id", "command": ("./app",), "profile": profile(), "tool": TOOL} | changes
    return rundir.manifest_of(plan or LaunchPlan(("./app",)), outcome, state, **fields)


def make(runs_dir: Path, program: str = "app", state: str = "running") -> RunDirectory:
    run = RunDirectory.create(None, runs_dir, "massif", program)
    run.write_manifest(manifest(Outcome(), state))
    return run


def error_of(call: Any, *arguments: Any) -> LeakrunError:
    with pytest.raises(LeakrunError) as caught:
        call(*arguments)
    assert caught.value.kind is ErrorKind.USAGE
    assert "\n" not in caught.value.message and caught.value.hint
    return caught.value


def test_a_run_has_a_private_directory_with_a_telling_name(tmp_path: Path) -> None:
    run = RunDirectory.create(None, tmp_path / "runs", "massif", "/usr/bin/my app;rm")
    assert run.path.parent == tmp_path / "runs"
    words = run.id.split("-")
    assert words[:2] == ["massif", "my_app_rm"]
    assert time.strptime(words[2], "%Y%m%dT%H%M%SZ") and len(words[3]) == 4
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
    assert run.raw.is_dir() and run.maps.is_dir() and not run.manifest.exists()


@given(st.text(min_size=0, max_size=300))
def test_any_program_has_a_name_that_a_shell_and_a_tool_take(tmp_path_factory: pytest.TempPathFactory, program: str) -> None:
    run = RunDirectory.create(None, tmp_path_factory.mktemp("runs"), "p", program)
    assert not set(run.id) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-")


def test_the_directory_asked_for_is_the_run_directory(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "mine", tmp_path / "runs", "massif", "app")
    assert run.path == tmp_path / "mine" and not (tmp_path / "runs").exists()


def test_a_relative_place_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert RunDirectory.create(Path("mine"), Path("runs"), "massif", "app").raw == tmp_path / "mine" / "raw"


def test_a_directory_that_is_there_is_never_taken(tmp_path: Path) -> None:
    assert "exists already" in error_of(RunDirectory.create, tmp_path, tmp_path, "massif", "app").message


def test_a_missing_parent_is_said(tmp_path: Path) -> None:
    error = error_of(RunDirectory.create, tmp_path / "no" / "mine", tmp_path, "massif", "app")
    assert f"{tmp_path / 'no'} does not exist" in error.message


@pytest.mark.parametrize("output", [True, False])
def test_a_place_that_is_no_directory_is_said(tmp_path: Path, output: bool) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "x"
    error = error_of(RunDirectory.create, place if output else None, place, "massif", "app")
    assert str(place) in error.message


def test_a_collision_of_names_is_no_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter([b"\0\0", b"\0\0", b"\0\1"])
    monkeypatch.setattr(os, "urandom", lambda _: next(draws))
    monkeypatch.setattr(time, "strftime", lambda *_: "20260101T000000Z")
    first, second = (RunDirectory.create(None, tmp_path, "massif", "app") for _ in range(2))
    assert [first.id[-4:], second.id[-4:]] == ["0000", "0001"]


def test_the_manifest_is_replaced_whole(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.write_manifest(manifest(Outcome(seconds=2.0), "stopping"))
    assert run.read_manifest()["state"] == "stopping"
    assert {path.name for path in run.path.iterdir()} == {"raw", "maps", "manifest.json"}


def test_a_failed_write_keeps_the_old_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LeakrunError, match="No space left"):
        run.write_manifest(manifest(Outcome(), "stopping"))
    assert run.read_manifest()["state"] == "running"
    assert not list(run.path.glob(".*"))


@pytest.mark.parametrize("reopened", [True, False])
def test_a_complete_run_is_not_written_into(tmp_path: Path, reopened: bool) -> None:
    run = make(tmp_path, state="complete")
    if reopened:
        run = RunDirectory.open(run.path)
    with pytest.raises(ValueError, match="complete"):
        run.write_manifest(manifest(Outcome()))


def test_finding_by_path_id_prefix_and_last(tmp_path: Path) -> None:
    one, other = make(tmp_path, "one"), make(tmp_path, "other")
    for reference in (str(one.path), one.id, "massif-one"):
        assert rundir.find(reference, tmp_path).path == one.path
    assert rundir.find("last", tmp_path).path == other.path
    assert [run.id for run in rundir.runs(tmp_path)] == [one.id, other.id]


def test_an_id_that_begins_another_is_found(tmp_path: Path) -> None:
    one = RunDirectory.create(tmp_path / "run", tmp_path, "massif", "app")
    other = RunDirectory.create(tmp_path / "run-2", tmp_path, "massif", "app")
    for run in (one, other):
        run.write_manifest(manifest(Outcome()))
    assert rundir.find("run", tmp_path).path == one.path


def test_what_names_no_run_or_several_is_said(tmp_path: Path) -> None:
    assert "no run in" in error_of(rundir.find, "last", tmp_path / "nowhere").message
    make(tmp_path, "one"), make(tmp_path, "two")
    error = error_of(rundir.find, "massif", tmp_path)
    assert "any of 2 runs" in error.message and "massif-one" in error.message
    for reference in ("nothing", "", "a\0b", "x" * 5000, "/no/such/path"):
        error_of(rundir.find, reference, tmp_path)


BROKEN = {
    "empty": b"",
    "cut": b'{"schema": "leakrun.manif',
    "binary": bytes(range(256)),
    "deep": b"[" * 100_000,
    "list": b"[]",
    "number": b"3",
    "no schema": b"{}",
    "newer": b'{"schema": "leakrun.manifest/2", "state": "complete"}',
    "other": b'{"schema": "something/1"}',
    "odd state": b'{"schema": "leakrun.manifest/1", "state": 3}',
    "odd schema": b'{"schema": 1}',
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_manifest_is_one_clear_line(tmp_path: Path, case: str) -> None:
    run = make(tmp_path)
    run.manifest.write_bytes(BROKEN[case])
    message = error_of(RunDirectory.open, run.path).message
    assert ("another leakrun" in message) == (case == "newer")


@pytest.mark.parametrize("what", ["missing", "file", "no manifest"])
def test_what_is_no_run_directory_is_said(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x"
    if what == "file":
        path.touch()
    elif what == "no manifest":
        path.mkdir()
    error_of(RunDirectory.open, path)


words = st.text(st.characters(exclude_categories=()), max_size=20)
maybe = st.none() | st.integers(0, 255)
seconds = st.floats(0, 1e9)
outcomes = st.builds(
    Outcome,
    pid=st.none() | st.integers(1, 1 << 22),
    started_at=seconds,
    seconds=seconds,
    code=maybe,
    signum=maybe,
    stopped_by=st.none() | st.sampled_from(["interrupt", "terminate", "for"]),
    user_seconds=seconds,
    system_seconds=seconds,
    max_rss_bytes=st.integers(0, 1 << 50),
    processes=st.lists(
        st.builds(
            ProcessOutcome,
            pid=st.integers(1, 9),
            parent_pid=st.integers(1, 9),
            command=st.lists(words, max_size=3),
            started=seconds,
            ended=st.none() | seconds,
            code=maybe,
            signum=maybe,
            loaded=st.booleans(),
            start_ticks=st.integers(0, 1 << 60),
        ),
        max_size=3,
    ),
    timeline=st.lists(
        st.builds(
            Event,
            time=seconds,
            kind=st.sampled_from(EventKind),
            pid=st.none() | st.integers(1, 9),
            file=st.none() | words,
            text=words,
        ),
        max_size=3,
    ),
    files=st.dictionaries(words, seconds, max_size=3),
    boot_id=words,
)


@given(outcomes)
def test_an_outcome_comes_back_from_its_manifest(tmp_path_factory: pytest.TempPathFactory, outcome: Outcome) -> None:
    run = RunDirectory.create(None, tmp_path_factory.mktemp("runs"), "p", "q")
    run.write_manifest(manifest(outcome))
    assert rundir.outcome_of(RunDirectory.open(run.path).read_manifest()) == outcome


def test_arguments_that_are_no_utf8_come_back(tmp_path: Path) -> None:
    run = RunDirectory.create(None, tmp_path, "p", os.fsdecode(b"\xff\xfe"))
    plan = LaunchPlan((os.fsdecode(b"/bin/\xff"), "ü"), env={"A": os.fsdecode(b"\x80"), "B": None})
    run.write_manifest(manifest(Outcome(), plan=plan))
    read = run.read_manifest()
    assert [os.fsencode(word) for word in read["argv"]] == [b"/bin/\xff", "ü".encode()]
    assert os.fsencode(read["environment"]["A"]) == b"\x80" and read["environment"]["B"] is None


@pytest.mark.parametrize("key", ["process", "exit", "usage", "processes", "timeline", "files", "started_at"])
@pytest.mark.parametrize("value", [None, 3, "x", [1], {"a": "b"}])
def test_a_manifest_with_a_wrong_part_is_damaged(key: str, value: object) -> None:
    broken = json.loads(json.dumps(manifest(Outcome(pid=1)))) | {key: value}
    if key == "started_at" and value == 3:
        return
    assert "damaged" in error_of(rundir.outcome_of, broken).message


def test_secrets_are_in_no_part_of_the_manifest() -> None:
    command = ["curl", "--password=hunter2", "-v"]
    outcome = Outcome(
        processes=[ProcessOutcome(1, 0, command, 0.0)],
        timeline=[
            Event(0, EventKind.PROCESS, 1, None, "started by 1: curl --password=hunter2 -v"),
            Event(1, EventKind.NOTE, text="t0ken seen"),
        ],
    )
    plan = LaunchPlan(tuple(command), env={"API_TOKEN": "t0ken", "HOME": "/root"})
    written = manifest(outcome, plan=plan, command=command, profile=profile(redact=("--password=", "TOKEN=")))
    text = json.dumps(written)
    assert "hunter2" not in text and "t0ken" not in text
    assert written["argv"] == ["curl", REDACTED, "-v"] == written["processes"][0]["command"]
    assert written["environment"] == {"API_TOKEN": REDACTED, "HOME": "/root"}


def test_a_bad_redact_pattern_is_the_users_error() -> None:
    error_of(lambda: manifest(Outcome(), profile=profile(redact=("(",))))


def test_the_process_can_be_told_from_a_later_one_with_its_pid() -> None:
    outcome = Outcome(
        pid=7, processes=[ProcessOutcome(7, 1, [], 0.0, start_ticks=99)], boot_id="this boot", pid_namespace="pid:[1]"
    )
    assert manifest(outcome)["process"] == {"pid": 7, "start_ticks": 99, "boot_id": "this boot", "pid_namespace": "pid:[1]"}
