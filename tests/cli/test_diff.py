"""`leakrun diff`: two snapshots, two runs, two builds, two files, and every way to name them wrongly."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runner import cli


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = cli.main(["diff", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def document(capsys: pytest.CaptureFixture[str], before: object, after: object, *words: object) -> dict[str, Any]:
    code, out, err = run(capsys, before, after, *words, "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    assert found["schema"] == "leakrun.diff/1"
    for unit in ("bytes", "blocks"):
        deltas = [site["delta"][unit] for site in found["sites"]]
        if None not in deltas and found["delta"][unit] is not None:
            assert sum(deltas) == found["delta"][unit] == found["after"][unit] - found["before"][unit]
    assert None not in [site["delta"]["bytes"] for site in found["sites"]]
    return found


def by_function(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {site["function"]: site for site in found["sites"]}


def test_two_snapshots_of_a_run(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    run_directory = runs_dir / "heapprofile-old"
    found = document(capsys, f"{run_directory}@2", run_directory)
    last = found["after"]
    assert (found["compares"], found["before"]["snapshot"], last["snapshot"]) == ("snapshots", 2, last["snapshots"] - 1)
    assert last["run"] == "heapprofile-old"
    assert last["time"] > found["before"]["time"] > 0
    sites = by_function(found)
    grown, same = sites["growing_list"], sites["steady_table"]
    assert grown["change"] == "grown"
    assert grown["delta"]["bytes"] == 20_000 * grown["delta"]["blocks"] > 0
    assert grown["after"] == {"bytes": 800_000, "blocks": 40}
    assert (same["change"], same["delta"]) == ("same", {"bytes": 0, "blocks": 0})
    assert [frame["function"] for frame in grown["stack"]][-1] is not None


def test_numbers_count_from_both_ends(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    run_directory = runs_dir / "massif-old"
    count = document(capsys, f"{run_directory}@0", f"{run_directory}@-1")["after"]["snapshots"]
    ends = document(capsys, f"{run_directory}@-{count}", f"{run_directory}@{count - 1}")
    assert (ends["before"]["snapshot"], ends["after"]["snapshot"]) == (0, count - 1)
    back = document(capsys, f"{run_directory}@-1", f"{run_directory}@0")
    assert back["delta"]["bytes"] == -ends["delta"]["bytes"]
    assert {site["change"] for site in back["sites"]} <= {"gone", "shrunk", "same"}
    for beyond in (count, -count - 1, 999_999_999):
        code, out, err = run(capsys, f"{run_directory}@{beyond}", run_directory)
        assert (code, out) == (2, "")
        assert f"{count} snapshots" in err and str(beyond) in err


def test_two_builds_in_two_checkouts(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    found = document(capsys, "heapprofile-old", "heapprofile-new", "--runs-dir", runs_dir)
    sites = by_function(found)
    assert (sites["fresh_leak"]["change"], sites["fresh_leak"]["delta"]) == ("new", {"bytes": 120_000, "blocks": 40})
    assert {sites[name]["change"] for name in ("growing_list", "steady_table", "lose")} == {"same"}
    assert found["counts"]["new"] == 1 and found["counts"]["gone"] == 0
    assert found["sites"][0]["function"] == "fresh_leak"


def test_memcheck_runs_are_compared_by_what_they_lost(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    found = document(capsys, runs_dir / "memcheck-old", runs_dir / "memcheck-new")
    assert found["compares"] == "losses"
    (lost,) = [site for site in found["sites"] if site["kind"] == "definitely lost"]
    assert (lost["function"], lost["delta"]) == ("lose", {"bytes": 1400, "blocks": 2})
    reachable = {site["function"]: site["change"] for site in found["sites"] if site["kind"] == "still reachable"}
    assert reachable["growing_list"] == "grown"
    assert reachable["fresh_leak"] == "new"
    (file,) = (runs_dir / "memcheck-old" / "raw").glob("*.xml")
    assert document(capsys, file, runs_dir / "memcheck-new")["delta"] == found["delta"]


def test_two_native_files(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    dumps = sorted((runs_dir / "heapprofile-old" / "raw").glob("*.heap"))
    found = document(capsys, dumps[1], dumps[-1])
    assert by_function(found)["growing_list"]["change"] == "grown"
    assert found["before"]["run"] is None
    (massif,) = (runs_dir / "massif-old" / "raw").glob("massif.*.out")
    assert by_function(document(capsys, f"{massif}@0", massif))["growing_list"]["delta"]["bytes"] == 800_000


def test_a_path_with_an_at_sign_in_it_wins(capsys: pytest.CaptureFixture[str], runs_dir: Path, tmp_path: Path) -> None:
    dump = sorted((runs_dir / "heapprofile-old" / "raw").glob("*.heap"))[-1]
    odd = tmp_path / "dump:12@1"
    shutil.copy(dump, odd)
    assert document(capsys, odd, dump)["delta"] == {"bytes": 0, "blocks": 0}
    assert document(capsys, f"{odd}@0", f"{odd}@-1")["before"]["snapshot"] == 0
    shutil.copytree(runs_dir / "heapprofile-old", tmp_path / "heapprofile@7")
    assert document(capsys, "heapprofile@7", "heapprofile@7@0", "--runs-dir", tmp_path)["before"]["run"] == "heapprofile@7"


def test_a_process_is_named_by_its_pid(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    run_directory = runs_dir / "heapprofile-old"
    pid = document(capsys, run_directory, run_directory)["after"]["pid"]
    named = document(capsys, f"{run_directory}:{pid}@0", f"{run_directory}:{pid}")
    assert (named["before"]["snapshot"], named["after"]["pid"]) == (0, pid)
    code, _, err = run(capsys, f"{run_directory}:1@0", run_directory)
    assert code == 2
    assert str(pid) in err


def test_the_table_says_what_came_and_what_went(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    code, out, err = run(capsys, runs_dir / "heapprofile-new", runs_dir / "heapprofile-old")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["before", "after", "change"]
    assert "1 gone" in lines[2] and "-120 kB" in lines[2]
    place = next(number for number, line in enumerate(lines) if "fresh_leak" in line)
    assert lines[place + 1].split()[0] == "gone"
    assert "steady_table" not in out  # the same on both sides


def test_what_can_not_be_compared_is_refused(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    for before, after in (("memcheck-old", "massif-old"), ("massif-old", "memcheck-old"), ("memcheck-old@0", "massif-old@0")):
        code, out, err = run(capsys, before, after, "--runs-dir", runs_dir)
        assert (code, out) == (2, "")
        assert err.startswith("leakrun: ") and len(err.splitlines()) == 2


@pytest.mark.parametrize(
    "word", ["massif-old@", "@3", "massif-old@x", "massif-old@1.5", "massif-old@+1", "massif-old@1@", "", "a\0b", "a\nb@0"]
)
def test_a_reference_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], runs_dir: Path, word: str) -> None:
    for words in ((word, "massif-old"), ("massif-old", word)):
        code, out, err = run(capsys, *words, "--runs-dir", runs_dir)
        assert (code, out) == (2, "")
        assert "RUN@N" in err
        assert len(err.splitlines()) == 2


def test_snapshots_without_stacks_are_compared_by_their_totals(
    capsys: pytest.CaptureFixture[str], runs_dir: Path, tmp_path: Path
) -> None:
    out_file = tmp_path / "massif.out"
    program = runs_dir.parent / "old" / "leaky"
    command = ["valgrind", "-q", "--tool=massif", "--detailed-freq=4", f"--massif-out-file={out_file}", program, "9"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    found = document(capsys, f"{out_file}@5", out_file)
    assert found["before"]["bytes"] > 0
    assert [site["listed"] for site in found["sites"]] == [False]
    assert any("totals only" in note and "0, 3, 7, 11" in note for note in found["notes"])
    assert "no site is listed" in run(capsys, f"{out_file}@5", out_file)[1]
    whole = document(capsys, f"{out_file}@7", out_file)
    assert "growing_list" in by_function(whole)


def test_a_word_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "only-one")[0] == 2
