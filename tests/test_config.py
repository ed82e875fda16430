"""leakrun's own options: which source holds, where each came from, and what is refused."""

from pathlib import Path

import pytest

from runner.config import Settings, resolve
from runner.errors import ErrorKind, LeakrunError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, so that nobody's configuration takes part."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / ".config"))
    users = tmp_path / "home" / ".config" / "leakrun"
    users.mkdir(parents=True)
    return users


@pytest.fixture
def work(tmp_path: Path) -> Path:
    directory = tmp_path / "work" / "deep"
    directory.mkdir(parents=True)
    return directory


def refused(*arguments: object) -> list[str]:
    with pytest.raises(LeakrunError) as caught:
        resolve(*arguments)  # type: ignore[arg-type]
    assert caught.value.kind is ErrorKind.USAGE
    return caught.value.message.split("\n")


def test_without_any_source_the_defaults_hold(work: Path) -> None:
    assert resolve({}, {}, work, None) == Settings()
    assert Settings().runs_dir == Path("leakrun-runs")
    assert Settings().profile is None and Settings().color is None


def test_each_source_gives_way_to_the_one_before_it(home: Path, work: Path) -> None:
    (home / "config.yml").write_text("grace: 6s\nevery: 6s\nwarmup: 6s\nfor: 6s\nchildren: six\n")
    (work.parent / ".leakrun.yml").write_text("every: 5s\nwarmup: 5s\nfor: 5s\nchildren: five\n")
    (work / "c.yml").write_text("warmup: 4s\nfor: 4s\nchildren: four\n")
    environ = {"LEAKRUN_FOR": "3s", "LEAKRUN_CHILDREN": "three"}
    settings = resolve({"children": "all", "for": None}, environ, work, Path("c.yml"))
    assert (settings.grace, settings.every, settings.warmup, settings.for_, settings.children) == (6.0, 5.0, 4.0, 3.0, "all")
    assert settings.origins == {
        "grace": f"{home}/config.yml:1:8",
        "every": f"{work.parent}/.leakrun.yml:1:8",
        "warmup": "c.yml:1:9",
        "for_": "LEAKRUN_FOR",
        "children": "--children",
    }


def test_only_the_nearest_file_upward_counts(work: Path) -> None:
    (work.parent / ".leakrun.yml").write_text("every: 5s\nchildren: none\n")
    (work / ".leakrun.yml").write_text("every: 2s\n")
    settings = resolve({}, {}, work, None)
    assert (settings.every, settings.children) == (2.0, None)
    assert settings.origins == {"every": ".leakrun.yml:1:8"}


def test_every_setting_from_the_environment(work: Path) -> None:
    environ = {
        "LEAKRUN_PROFILE": "massif",
        "LEAKRUN_RUNS_DIR": "/runs",
        "LEAKRUN_EVERY": "500ms",
        "LEAKRUN_FOR": "1h",
        "LEAKRUN_GRACE": "0",
        "LEAKRUN_WARMUP": "5m",
        "LEAKRUN_CHILDREN": "none",
        "LEAKRUN_ERROR_EXITCODE": "9",
        "LEAKRUN_QUIET": "1",
        "LEAKRUN_VERBOSE": "no",
        "LEAKRUN_COLOR": "false",
    }
    settings = resolve({}, environ, work, None)
    assert settings == Settings(
        "massif", Path("/runs"), 0.5, 3600.0, 0.0, 300.0, "none", 9, True, False, False, origins=settings.origins
    )
    assert set(settings.origins.values()) == set(environ)


def test_no_color_is_called_as_its_option_is(work: Path) -> None:
    (work / ".leakrun.yml").write_text("no-color: true\n")
    assert resolve({}, {}, work, None).color is False
    assert resolve({}, {"LEAKRUN_NO_COLOR": "0"}, work, None).color is True
    assert resolve({"color": False}, {"LEAKRUN_NO_COLOR": "no"}, work, None).color is False
    (work / ".leakrun.yml").write_text("load: x\n")
    assert refused({}, {}, work, None) == [
        ".leakrun.yml:1:1: load: there is no such setting (there are profile, runs_dir, every, for, grace, warmup, children, "
        "error_exitcode, quiet, verbose, color, no_color)"
    ]


def test_the_command_line_may_be_text_or_read_already(work: Path) -> None:
    typed = {"every": "5s", "error_exitcode": 9, "quiet": True, "runs_dir": Path("r"), "for_": "1m", "color": False}
    settings = resolve(typed, {"LEAKRUN_EVERY": "broken" if False else "1s"}, work, None)
    assert (settings.every, settings.error_exitcode, settings.quiet, settings.for_, settings.color) == (5.0, 9, True, 60.0, False)
    assert settings.runs_dir == Path("r")


def test_paths_in_a_file_are_relative_to_it(work: Path) -> None:
    (work.parent / ".leakrun.yml").write_text("profile: ci/mine.yaml\nruns-dir: out\n")
    settings = resolve({}, {}, work, None)
    assert settings.profile == f"{work.parent}/ci/mine.yaml"
    assert settings.runs_dir == work.parent / "out"
    (work / ".leakrun.yml").write_text("profile: massif\nruns_dir: /abs\n")
    settings = resolve({}, {}, work, None)
    assert (settings.profile, settings.runs_dir) == ("massif", Path("/abs"))


def test_an_empty_variable_and_an_empty_file_say_nothing(work: Path) -> None:
    (work / ".leakrun.yml").write_text("# every: 5s\n")
    assert resolve({}, {"LEAKRUN_EVERY": ""}, work, None) == Settings()


def test_every_problem_is_told_at_once_with_its_origin(work: Path) -> None:
    (work / ".leakrun.yml").write_text("every: 500\nevrey: 5s\ngrace: [5s]\nquiet: maybe\nerror_exitcode: 012\nprofile:\n")
    lines = refused({"for": "x"}, {"LEAKRUN_WARMUP": "-1s", "LEAKRUN_EVERY": "1ms"}, work, None)
    assert sorted(lines) == sorted(
        [
            "--for: 'x' is not a duration: write it as 500ms, 30s, 5m or 1h",
            "LEAKRUN_WARMUP: '-1s' is not a duration: write it as 500ms, 30s, 5m or 1h",
            "LEAKRUN_EVERY: '1ms' is too small: at least 10ms",
            ".leakrun.yml:1:8: every: '500' has no unit: write 500s, 500ms, 500m or 500h",
            ".leakrun.yml:2:1: evrey: there is no such setting (did you mean every?)",
            ".leakrun.yml:3:8: grace: a single value is due",
            ".leakrun.yml:4:8: quiet: 'maybe' is neither true nor false",
            ".leakrun.yml:5:17: error_exitcode: '012' is no exit code: write 1 to 255",
            ".leakrun.yml:6:9: profile: nothing is written here",
        ]
    )


@pytest.mark.parametrize("code", ["0", "256", "-1", "9.0", "x"])
def test_an_exit_code_must_be_one(work: Path, code: str) -> None:
    assert refused({"error_exitcode": code}, {}, work, None) == [f"--error-exitcode: '{code}' is no exit code: write 1 to 255"]


@pytest.mark.parametrize("content", [b"\xff", b"- a\n", b"every: &a 5s\n", b"every: 5s\nevery: 6s\n", b"a: [[[[", b"x\0y"])
def test_a_file_that_is_no_configuration_is_refused_with_a_position(work: Path, content: bytes) -> None:
    (work / ".leakrun.yml").write_bytes(content)
    for line in refused({}, {}, work, None):
        assert line.startswith(".leakrun.yml:")


def test_a_file_that_was_named_must_be_there(work: Path) -> None:
    assert refused({}, {}, work, Path("none.yml")) == ["the configuration 'none.yml' can't be read: No such file or directory"]
    assert refused({}, {}, work, Path()) == ["the configuration '.' can't be read: Is a directory"]
    assert "can't be read" in refused({}, {}, work, Path("a\0b"))[0]


def test_a_slip_in_a_variable_is_pointed_out_and_others_are_left_alone(work: Path) -> None:
    settings = resolve({}, {"LEAKRUN_EVREY": "5s", "LEAKRUN_SOMETHING_ELSE": "1", "EVERY": "1s"}, work, None)
    assert settings.warnings == ("'LEAKRUN_EVREY' is not a setting: did you mean LEAKRUN_EVERY?",)
    assert settings.every is None


@pytest.mark.parametrize("written", ["a\0b", ""])
def test_a_runs_directory_must_be_a_name(work: Path, written: str) -> None:
    assert refused({"runs_dir": written}, {}, work, None)[0].startswith("--runs-dir: ")
