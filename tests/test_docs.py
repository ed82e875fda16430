"""What the documents say is so: options that exist, profiles that load, links that lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from runner import backends
from runner.backends.base import Backend
from runner.pipeline import load_profile
from runner.profile import shipped_names
from tests.test_layers import EVERYBODY, ORDER

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "examples" / "c_leaks" / "README.md"])
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def help_of(verb: str) -> str:
    program = "import sys; from runner.cli import main; sys.exit(main())"
    said = subprocess.run(
        [sys.executable, "-c", program, verb, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert said.returncode == 0, said.stderr
    return said.stdout


def section(heading: str) -> str:
    text = (ROOT / "docs" / "commands.md").read_text()
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


HEADINGS = {
    "export": "Export",
    "open": "Open",
    "check": "Check",
    "suppress": "Suppress",
    "run": "Run a program",
    "show": "Show an answer",
    "growth": "Rank by growth",
    "diff": "Compare",
    "report": "Report",
    "runs": "List the runs",
    "profiles": "Profiles",
    "doctor": "What is installed",
    "top": "A run in progress",
    "snapshot": "A run in progress",
    "stop": "A run in progress",
    "attach": "Attach",
    "recover": "Recover a run",
    "bundle": "Send a run",
    "hunt": "Hunt",
}


@pytest.mark.parametrize(("verb", "heading"), HEADINGS.items())
def test_the_options_in_the_documents_are_there(verb: str, heading: str) -> None:
    written = set(OPTION.findall(section(heading))) - {"--its-own-flag", "--port", "--help"}
    assert written - set(OPTION.findall(help_of(verb))) == set()


@pytest.mark.parametrize(
    "verb",
    [
        "run",
        "growth",
        "diff",
        "report",
        "export",
        "open",
        "check",
        "suppress",
        "runs",
        "doctor",
        "snapshot",
        "stop",
        "recover",
        "attach",
        "bundle",
        "top",
        "hunt",
    ],
)
def test_every_option_is_in_the_documents(verb: str) -> None:
    assert set(OPTION.findall(help_of(verb))) - {"--its-own-flag", "--help"} <= set(OPTION.findall(section(HEADINGS[verb])))


def test_the_profile_in_the_documents_is_valid(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "profiles.md").read_text()
    example = re.search(r"(?:^    .*\n|^\n)+", text[text.index("    # mine.yaml") :], re.MULTILINE)
    assert example
    file = tmp_path / "mine.yaml"
    file.write_text(re.sub("^    ", "", example[0], flags=re.MULTILINE))
    profile = load_profile(str(file))
    assert (profile.backend, profile.snapshots.every, profile.stop.grace) == ("massif", 30.0, 120.0)


def readme_rows() -> dict[str, list[str]]:
    """The table of profiles: by backend the cells of its line."""
    table = (ROOT / "README.md").read_text().split("\n| profiles |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {load_profile(re.findall(r"`([\w-]+)`", row[0])[0]).backend: row for row in rows}


def test_the_readme_has_a_line_for_each_backend_with_all_its_profiles() -> None:
    listed = {backend: re.findall(r"`([\w-]+)`", cells[0]) for backend, cells in readme_rows().items()}
    assert sorted(name for names in listed.values() for name in names) == sorted(shipped_names())
    for backend, names in listed.items():
        assert {load_profile(name).backend for name in names} == {backend}


def test_the_readme_says_of_each_backend_what_is_so() -> None:
    for name, cells in readme_rows().items():
        assert len(cells) == 6 and all(cells), name
        assert cells[4].startswith("no") == backends.get(name).attaches, name
        assert backends.get(name).cost.split(";")[0].split(",")[0] in cells[3], name


def test_add_a_backend_names_what_a_backend_has() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text().split("## Add a backend")[1]
    parts = {name for name in {*vars(Backend), *Backend.__annotations__} if not name.startswith("_")}
    assert {part for part in parts if not re.search(rf"\b{part}\b", text)} == set()


def contributing_rooms() -> list[tuple[list[str], str]]:
    """The table of rooms: the rooms of a line, and what they may import."""
    table = (ROOT / "CONTRIBUTING.md").read_text().split("\n| room |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return [(re.findall(r"`(\w+)`", row[0]), row[2]) for row in rows]


def test_the_table_of_rooms_is_the_order_that_is_enforced() -> None:
    rooms = [room for listed, _ in contributing_rooms() for room in listed]
    assert sorted(rooms) == sorted(set(ORDER) - {"", "__main__"})
    above: set[str] = set()
    for listed, said in contributing_rooms():
        named = set(re.findall(r"`(\w+)`", said))
        allowed = above - named if said.startswith("all of the above") else named
        assert [room for room in listed if ORDER[room] - EVERYBODY != allowed - EVERYBODY] == []
        above |= {*listed}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()) if "://" not in target]
    assert [target for target in targets if target and not (document.parent / target).exists()] == []
