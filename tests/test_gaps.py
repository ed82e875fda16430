"""What a run did not see is said."""

from pathlib import Path

import pytest

from runner.gaps import stopped_early
from runner.plan import Event, EventKind, Outcome
from tests.leakrun_command import answer, leakrun


def stopped(by: str | None, after: float, **more: float) -> Outcome:
    signal = [Event(after, EventKind.SIGNAL, 7, None, "sent SIGTERM")]
    return Outcome(pid=7, seconds=after + 5, signum=15, stopped_by=by, timeline=signal if by else [], **more)


@pytest.mark.parametrize("by", ["for", "interrupt", "terminate", "stop"])
def test_what_was_stopped_at_once_may_not_have_begun(by: str) -> None:
    assert "after 0.3 s" in stopped_early(stopped(by, 0.3)), "the time that it wrote afterwards does not count"
    assert stopped_early(stopped(by, 3.0)) == ""


def test_what_ended_by_itself_or_was_seen_to_be_up_had_begun() -> None:
    assert stopped_early(stopped(None, 0.3)) == ""
    assert stopped_early(stopped("load", 0.3)) == ""
    assert stopped_early(stopped("for", 0.3, ready=0.2)) == ""


@pytest.mark.parametrize("profile", ["memcheck", "lsan"])
def test_a_run_that_was_stopped_at_once_is_not_clean(profile: str, tmp_path: Path) -> None:
    ran = leakrun("-p", profile, "--for", "100ms", "-o", tmp_path / "run", "sleep", "60")
    said = answer(tmp_path / "run")
    assert said["verdict"] == "inconclusive"
    if ran.returncode != 3:  # on a slow machine the tool itself had not begun
        assert ran.returncode == 0 and "give it longer" in said["reasons"][0]
    assert leakrun("-p", profile, "-o", tmp_path / "ended", "sleep", "0.1").returncode == 0
    assert answer(tmp_path / "ended")["verdict"] == "clean"
