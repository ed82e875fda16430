"""`leakrun growth`: real runs and native files."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from runner import cli


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = cli.main(["growth", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def document(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    code, out, err = run(capsys, *words, "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    assert found["schema"] == "leakrun.growth/1"
    return found


@pytest.mark.parametrize("profile", ["massif", "heapprofile"])
def test_what_grows_stands_over_what_is_large(capsys: pytest.CaptureFixture[str], runs_dir: Path, profile: str) -> None:
    found = document(capsys, runs_dir / f"{profile}-old")
    sites = {site["function"]: site for site in found["sites"]}
    leak, table = sites["growing_list"], sites["steady_table"]
    assert (leak["rank"], leak["shape"], leak["kind"]) == (1, "growing", "growing")
    assert Path(leak["file"]).name == "leaky.c" and leak["line"] is not None
    assert leak["last"] == 40 * 20_000
    assert leak["first"] + leak["rise"] == leak["last"]
    assert leak["bytes_per_second"] > 0 and leak["rate"]["unit"] == "bytes/s"
    assert leak["series"][-1][1] == leak["last"]
    assert (table["shape"], table["last"], table["share"]) in {("steady", 500_000, 0), ("plateau", 500_000, 0)}
    assert [process["unjudged"] for process in found["processes"]] == [None]
    assert found["processes"][0]["snapshots"] >= 8


def test_it_agrees_with_the_answer_of_the_run(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    finding = json.loads((runs_dir / "massif-old" / "answer.json").read_text())["findings"][0]
    site = document(capsys, runs_dir / "massif-old")["sites"][0]
    keys = ("function", "signature", "file", "line", "share", "bytes_per_second", "pids", "stack")
    assert {key: site[key] for key in keys} == {key: finding[key] for key in keys}
    assert site["rise"] == finding["bytes"]


def test_people_see_the_place_the_figures_and_a_line_of_blocks(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    code, out, err = run(capsys, "massif-old", "--runs-dir", runs_dir)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "massif-old"
    place = next(number for number, line in enumerate(lines) if line.startswith("  1. "))
    assert lines[place].split()[1] == "growing_list"
    assert lines[place + 1].split()[0] == "growing"
    assert "800 kB" in lines[place + 1]
    assert set(lines[place + 2].strip()) <= set("▁▂▃▄▅▆▇█")
    assert "\x1b" not in out


def test_top_bounds_the_sites_and_says_what_is_left(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    everything = document(capsys, runs_dir / "massif-old")
    assert everything["count"] == len(everything["sites"]) > 1
    assert len(document(capsys, runs_dir / "massif-old", "--top", 1)["sites"]) == 1
    out = run(capsys, runs_dir / "massif-old", "--top", 1)[1]
    assert f"and {everything['count'] - 1} more site" in out
    assert run(capsys, runs_dir / "massif-old", "--top", 0)[0] == 2


def test_native_files_alone_are_ranked_too(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    dumps = sorted((runs_dir / "heapprofile-old" / "raw").glob("*.heap"))
    whole = document(capsys, *dumps)
    assert whole["processes"][0]["snapshots"] == len(dumps)
    assert whole["processes"][0]["unjudged"] is None
    assert (whole["sites"][0]["function"], whole["sites"][0]["last"]) == ("growing_list", 800_000)
    two = document(capsys, dumps[0], dumps[-1])
    assert "2 snapshots" in two["processes"][0]["unjudged"]
    assert two["sites"][0]["function"] == "growing_list"
    assert two["sites"][0]["rise"] == two["sites"][0]["last"] - two["sites"][0]["first"] > 0
    one = document(capsys, dumps[-1])
    assert [site["first"] for site in one["sites"]] == [None] * one["count"]
    assert [site["last"] for site in one["sites"]] == sorted((site["last"] for site in one["sites"]), reverse=True)
    assert any("growth can't be judged" in note for note in one["notes"])
    assert "growth can't be judged" in run(capsys, dumps[-1])[1]


def test_a_warm_up_leaves_snapshots_out(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    whole = document(capsys, runs_dir / "massif-old")["processes"][0]
    seconds = json.loads((runs_dir / "massif-old" / "manifest.json").read_text())["seconds"]
    rest = document(capsys, runs_dir / "massif-old", "--warmup", f"{seconds * 0.7:.2f}s")["processes"][0]
    assert rest["snapshots"] < whole["snapshots"]
    assert rest["span"] < whole["span"]


def test_a_run_without_snapshots_says_so(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    found = document(capsys, runs_dir / "memcheck-old")
    assert (found["sites"], found["processes"][0]["snapshots"]) == ([], 0)
    code, out, _ = run(capsys, runs_dir / "memcheck-old")
    assert code == 0
    assert "no snapshot" in out and "leakrun show" in out


def test_a_run_that_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str], runs_dir: Path) -> None:
    code, out, err = run(capsys, "no-such-run", "--runs-dir", runs_dir)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 2
    assert run(capsys, runs_dir / "massif-old", runs_dir / "memcheck-old")[0] == 2


def test_a_run_whose_output_is_gone_says_so(capsys: pytest.CaptureFixture[str], runs_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(runs_dir / "massif-old", tmp_path / "empty")
    for file in (tmp_path / "empty" / "raw").iterdir():
        file.unlink()
    found = document(capsys, tmp_path / "empty")
    assert (found["sites"], found["processes"]) == ([], [])
    assert any("massif" in note for note in found["notes"])
