"""What every backend found in runner/backends promises."""

from pathlib import Path

import pytest

from runner import backends, pipeline
from runner.plan import ElfFacts, Target, ToolStatus
from runner.profile import shipped_names

GOLDEN = Path(__file__).parent.parent / "golden"
TARGET = Target(("./app", "--flag"), Path("/srv/app"), Path("/srv"), ElfFacts(64, 62, "/lib64/ld-linux-x86-64.so.2"))
TOOL = ToolStatus("tool", Path("/opt/tool"), (3, 19, 0))
OUT = Path("/srv/runs/100% mine/raw")


def profile_of(backend: str) -> str:
    """Its first profile: named as it is, as people write names."""
    return backend.replace("_", "-")


@pytest.mark.parametrize("name", backends.names())
def test_a_backend_is_one_file_and_one_profile_at_least(name: str) -> None:
    backend = backends.get(name)
    assert backend.name == name
    assert backend.measures and backend.cost
    assert profile_of(name) in shipped_names()
    assert pipeline.load_profile(profile_of(name)).backend == name


@pytest.mark.parametrize("name", backends.names())
def test_probe_finds_the_tool_or_says_how_to_install_it(name: str) -> None:
    status = backends.get(name).probe(pipeline.load_profile(profile_of(name)).options)
    assert status.install
    assert status.path is None or status.path.exists()


@pytest.mark.parametrize("name", sorted(shipped_names()))
def test_planning_is_pure_and_deterministic(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = pipeline.load_profile(name)
    backend = backends.get(profile.backend)

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("plan() may start nothing and open nothing")

    for place in ("subprocess.Popen", "os.fork", "builtins.open", "pathlib.Path.open", "pathlib.Path.mkdir"):
        monkeypatch.setattr(place, forbidden)
    first = backend.plan(TARGET, TOOL, profile, OUT)
    assert first == backend.plan(TARGET, TOOL, profile, OUT)
    assert first.argv[-2:] == TARGET.argv
    assert first.outputs


def test_a_backend_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        backends.get("base")
    with pytest.raises(KeyError):
        backends.get("../memcheck")
