"""A few programs of the measuring set: the same for a seed, they compile and run, and what is said of them is scored."""

import json
import shutil
from pathlib import Path

import pytest

from tests.truth.generate import Program, build, programs, read_truth, write
from tests.truth.parts import read_parts
from tests.truth.score import Bench, Score, run, score, write_scores
from tests.truth.table import misses, reliability, tables

pytestmark = pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")


def one_of(kind: str, cxx: bool) -> Program:
    return next(each for each in programs(200, 5) if each.kind == kind and each.cxx is cxx and each.drive.mode == "plain")


def answer_at(program: Program, line: int) -> dict[str, object]:
    place = program.places[0]
    finding = {
        "rank": 1,
        "kind": "lost",
        "function": place.function,
        "file": f"/src/{place.file}",
        "line": line,
        "confidence": 0.9,
    }
    return {"verdict": "leaking", "run": {"snapshots": 0}, "reasons": ["because"], "findings": [finding]}


def test_a_seed_makes_the_same_programs_again() -> None:
    assert [each.sources for each in programs(12, 3)] == [each.sources for each in programs(12, 3)]
    assert [each.sources for each in programs(12, 3)] != [each.sources for each in programs(12, 4)]


def test_a_leaking_part_marks_its_line_and_a_clean_one_none() -> None:
    assert all("//@ here" in part.text for part in read_parts("leaks"))
    assert not any("//@" in part.text for part in read_parts("clean"))
    for program in programs(80, 2):
        assert program.clean == (not any(place.role == "here" for place in program.places))
        for place in program.places:
            line = program.sources[place.file].splitlines()[place.line - 1]
            assert line.strip(), (place, line)
            assert "//@" not in line


def test_the_truth_is_read_back(tmp_path: Path) -> None:
    program = programs(3, 9)[0]
    write(program, tmp_path)
    read = read_truth(tmp_path)
    assert (read.kind, read.places, read.drive) == (program.kind, program.places, program.drive)


@pytest.mark.parametrize("cxx", [False, True])
def test_a_lost_block_is_found_at_its_line(tmp_path: Path, cxx: bool) -> None:
    program = one_of("lost", cxx)
    path = build(program, tmp_path)
    assert run(path, "memcheck", seconds=1) == ""
    found = score(program, "memcheck", json.loads((tmp_path / "run-memcheck" / "answer.json").read_text()))
    assert (found.rank, found.kind_ok, found.verdict) == (1, True, "leaking")


def test_a_finding_at_another_line_is_none() -> None:
    program = one_of("lost", cxx=False)
    right = score(program, "memcheck", answer_at(program, program.places[0].line))
    wrong = score(program, "memcheck", answer_at(program, 9999))
    assert (right.rank, right.others) == (1, 0)
    assert (wrong.rank, wrong.others) == (None, 1)


def test_the_tables_count_what_was_right_and_what_was_not() -> None:
    scores = [
        Score("p000", "a", "lost", "memcheck", "leaking", rank=1, kind_ok=True),
        Score("p001", "b", "lost", "memcheck", "leaking", rank=2, kind_ok=True, others=1, first="lost f a.c:1"),
        Score("p002", "c", "clean", "memcheck", "leaking", others=1, first="lost g a.c:1"),
        Score("p003", "d", "clean", "memcheck", "clean"),
    ]
    text = tables(scores)
    assert "| memcheck | lost | 2 | 1 | 2 | 2 | 2 | 0 | 1 |" in text
    assert "| memcheck | 2 | 1 | 1 | 0 |" in text
    assert [line.split()[0] for line in misses(scores)] == ["p001", "p002"]


def test_the_reliability_is_counted_by_confidence() -> None:
    scores = [
        Score("p000", "a", "lost", "memcheck", pairs=[(0.95, True), (0.93, False), (0.6, True)]),
        Score("p001", "b", "clean", "massif", pairs=[(0.99, True)]),
    ]
    text = reliability(scores)
    assert "| 0.9 to 1.0 | 3 | 2 | 67% | 0.96 |" in text
    assert "| 0.5 to 0.7 | 1 | 1 | 100% | 0.60 |" in text


def test_what_ran_already_is_not_run_again(tmp_path: Path) -> None:
    program = one_of("lost", cxx=False)
    noted = Score(program.name, program.part, "lost", "memcheck", "leaking", rank=1, pairs=[(0.95, True)])
    write_scores([noted], tmp_path / "scores.jsonl")
    with (tmp_path / "scores.jsonl").open("a") as notes:
        notes.write('{"program": "p9')  # broken off
    found = Bench(notes=tmp_path / "scores.jsonl").scores([(program, tmp_path / "there is none")], ["memcheck"])
    assert [(each.rank, [tuple(pair) for pair in each.pairs]) for each in found] == [(1, [(0.95, True)])]
