"""Whose words are whose."""

import pytest

from runner.cli.words import arrange

VERBS = ("run", "show", "profiles")
VALUED = ("-p", "--profile", "-o", "--output", "--set")


@pytest.mark.parametrize(
    ("typed", "arranged"),
    [
        ("./app", "run -- ./app"),
        ("./app -q --help", "run -- ./app -q --help"),
        ("-p massif ./app --profile x", "run -p massif -- ./app --profile x"),
        ("--profile=massif ./app", "run --profile=massif -- ./app"),
        ("-pmassif ./app", "run -pmassif -- ./app"),
        ("-qp massif ./app -v", "run -qp massif -- ./app -v"),
        ("-q -o out ./app show", "run -q -o out -- ./app show"),
        ("-- show last", "run -- show last"),
        ("-q -- -weird", "run -q -- -weird"),
        ("run ./app --json", "run -- ./app --json"),
        ("run -q -- ./app", "run -q -- ./app"),
        ("run -p show profiles", "run -p show -- profiles"),
        ("show last --json", "show last --json"),
        ("-v show last", "show -v last"),
        ("-p massif", "run -p massif"),
        ("-p", "run -p"),
        ("--version", "--version"),
        ("-q -p massif --version ./app", "--version"),
        ("-q ./app --version", "run -q -- ./app --version"),
        ("-h", "-h"),
        ("-p massif --help", "run -p massif --help"),
        ("", ""),
        ("- x", "run -- - x"),
    ],
)
def test_words_reach_whom_they_are_meant_for(typed: str, arranged: str) -> None:
    assert arrange(typed.split(), VERBS, VALUED) == arranged.split()
