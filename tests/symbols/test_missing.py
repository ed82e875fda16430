"""What brings the lines of a file that has none."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from runner.symbols import debug_files, missing
from runner.symbols.elf import read_image

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/libc.so.6")


def test_what_is_not_of_the_distribution_is_built_by_somebody():
    assert missing.what_brings_lines("/opt/app/server") == "build it with -g, or give --symbol-path"


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="no dpkg here")
@pytest.mark.parametrize("tool", ["dpkg-query", "gcc"])
def test_the_package_is_the_one_that_dpkg_names(tool):
    path = shutil.which(tool)
    owner = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True, check=False).stdout.partition(":")[0]
    if not owner or not path.startswith("/usr/bin/"):
        pytest.skip(f"{path} is of no package")
    assert f"apt-get install {owner}-dbgsym" in missing.what_brings_lines(path)


@pytest.mark.skipif(not shutil.which("dpkg-query") or not LIBRARY.exists(), reason="not this distribution")
def test_either_name_of_a_merged_directory_is_found():
    for name in (str(LIBRARY), str(LIBRARY).removeprefix("/usr")):
        assert missing.what_brings_lines(name).endswith("apt-get install libc6-dbg")


def test_a_file_of_no_package_gets_the_general_advice(monkeypatch):
    monkeypatch.setattr(missing, "_packages", list)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert missing.what_brings_lines("/usr/bin/nosuch") == "its package's debug symbols (-dbgsym, -dbg) bring them"


@pytest.mark.skipif(not LIBRARY.exists(), reason="not this distribution")
def test_debuginfod_is_named_where_it_is_set_up(monkeypatch):
    image = read_image(LIBRARY)
    monkeypatch.setenv("DEBUGINFOD_URLS", "https://debuginfod.example")
    assert f"debuginfod-find debuginfo {image.build_id}" in missing.what_brings_lines(str(LIBRARY))
    monkeypatch.delenv("DEBUGINFOD_URLS")
    assert "debuginfod" not in missing.what_brings_lines(str(LIBRARY))


@pytest.mark.skipif(not shutil.which("gcc") or not shutil.which("objcopy"), reason="needs gcc and objcopy")
def test_what_debuginfod_fetched_is_found(tmp_path, monkeypatch):
    (tmp_path / "a.c").write_text("int main(void) { return 0; }\n")
    app, kept = tmp_path / "app", tmp_path / "cache"
    subprocess.run(["gcc", "-g", "-Wl,--build-id", "-o", app, tmp_path / "a.c"], check=True)
    build_id = read_image(app).build_id
    (kept / build_id).mkdir(parents=True)
    subprocess.run(["objcopy", "--only-keep-debug", app, kept / build_id / "debuginfo"], check=True)
    subprocess.run(["strip", app], check=True)
    monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", os.fspath(tmp_path / "elsewhere"))
    assert debug_files.debug_file(app, read_image(app), ()) is None
    monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", os.fspath(kept))
    assert debug_files.debug_file(app, read_image(app), ()) == kept / build_id / "debuginfo"
