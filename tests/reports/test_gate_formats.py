"""The formats of `leakrun check`, as those who read them parse them, with symbols that try to break them."""

import json
import re
import urllib.parse
from pathlib import Path
from xml.etree import ElementTree

import pytest

from runner.gate import Standing, Terms, judge, updated
from runner.model import FindingKind
from runner.reports import gate_text, github, gitlab, junit, sarif
from tests.formats.test_writers import NASTY
from tests.gate_items import a_run, error, finding

HOSTILE = [finding(name, file=f"/src/{name}.c", size=10 + n) for n, name in enumerate(NASTY)]
NAMELESS = finding(None, file=None, module="/opt/lib/plug in.so")


def result(*held, **more):
    return judge([a_run(*held, **more)], Terms())


EVERYTHING = result(*HOSTILE, NAMELESS, error(count=4))
UNMEASURED = result(doubts=("it was killed: a % b\nsecond line",))
KINDS = [finding(kind.value, kind=kind, rate=5.0) for kind in FindingKind]


def test_text_is_a_line_for_each_and_names_its_place() -> None:
    lines = gate_text.render(EVERYTHING).splitlines()
    assert len(lines) == len(HOSTILE) + 2
    assert all(line.isprintable() for line in lines)
    pattern = re.compile(r".+:\d+:\d+: (error|warning|note): .+ \[[\w-]+\]")
    assert sum(pattern.fullmatch(line) is not None for line in lines) == len(HOSTILE) + 1
    assert lines[-2].startswith("/opt/lib/plug in.so: error: ")
    assert lines[-1] == "/src/a.c:9:1: error: Invalid read of size 4 (4 times) in f [InvalidRead]"


def test_text_says_why_it_could_not_be_judged() -> None:
    assert gate_text.render(UNMEASURED) == "a-run: error: inconclusive: it was killed: a % b\\x0asecond line\n"
    assert "not passed" in next(iter(gate_text.summary(UNMEASURED)))


def test_text_is_relative_to_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert gate_text.render(result(finding(file=f"{tmp_path}/src/b.c"))).startswith("src/b.c:7:1: error: ")


def checked_sarif(text: str) -> dict:
    """The properties that the standard requires, and the values that it allows, of all that we write."""
    log = json.loads(text)
    assert log["version"] == "2.1.0" and "sarif-2.1.0" in log["$schema"]
    for run in log["runs"]:
        rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
        assert len(set(rules)) == len(rules) and run["tool"]["driver"]["name"]
        assert isinstance(run["invocations"][0]["executionSuccessful"], bool)
        bases = run["originalUriBaseIds"]
        assert all(base["uri"].startswith("file:///") and base["uri"].endswith("/") for base in bases.values())
        for found in run["results"]:
            assert rules[found["ruleIndex"]] == found["ruleId"]
            assert found["level"] in ("none", "note", "warning", "error") and found["message"]["text"]
            assert found.get("baselineState", "new") in ("new", "unchanged", "updated", "absent")
            assert all(isinstance(value, str) for value in found["partialFingerprints"].values())
            assert len(found["locations"]) == 1
            for location in (*found["locations"], *(each["location"] for stack in found["stacks"] for each in stack["frames"])):
                check_location(location, bases)
            assert all(stack["frames"] for stack in found["stacks"])
    return log


def check_location(location: dict, bases: dict) -> None:
    physical = location.get("physicalLocation")
    if physical is not None:
        uri = physical["artifactLocation"]["uri"]
        assert re.fullmatch(r"[\w\-.~!$&'()*+,;=:@/%]+", uri, re.ASCII), uri
        absolute = urllib.parse.urlsplit(uri).scheme == "file"
        assert absolute or physical["artifactLocation"]["uriBaseId"] in bases
        assert physical.get("region", {"startLine": 1})["startLine"] >= 1
    assert all(name["fullyQualifiedName"] for name in location.get("logicalLocations", []))


def test_sarif_holds_what_the_standard_asks_for() -> None:
    log = checked_sarif(sarif.render(EVERYTHING))
    results = log["runs"][0]["results"]
    assert len(results) == len(HOSTILE) + 2 and {each["level"] for each in results} == {"error"}
    assert results[0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 7}
    assert {each["ruleId"] for each in checked_sarif(sarif.render(result(*KINDS)))["runs"][0]["results"]} == {
        f"leakrun/{kind.value}" for kind in FindingKind
    }


def test_sarif_tells_new_from_known() -> None:
    known = updated(result(finding("old"), finding("worse", size=10)), [])
    compared = judge([a_run(finding("old"), finding("worse", size=11), finding("fresh"))], Terms(), known)
    log = checked_sarif(sarif.render(compared))
    assert [each["baselineState"] for each in log["runs"][0]["results"]] == ["unchanged", "updated", "new"]
    assert [each["level"] for each in log["runs"][0]["results"]] == ["note", "error", "error"]


def test_sarif_keeps_the_bytes_of_a_path() -> None:
    log = checked_sarif(sarif.render(result(finding(file="/src/\udcff ü.c"))))
    uri = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "file:///src/%FF%20%C3%BC.c"


def test_sarif_says_that_it_could_not_be_judged() -> None:
    run = checked_sarif(sarif.render(UNMEASURED))["runs"][0]
    assert run["invocations"][0]["executionSuccessful"] is False and run["results"] == []
    assert "killed" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


def test_junit_is_xml_whatever_the_names_are() -> None:
    root = ElementTree.fromstring(junit.render(EVERYTHING))
    cases = root.findall("testsuite/testcase")
    assert len(cases) == len(HOSTILE) + 2 == int(root.get("tests", "")) == int(root.get("failures", ""))
    assert all(case.find("failure") is not None and case.get("name") for case in cases)
    assert "at f a.c:9" in (cases[-1].findtext("failure") or "")


def test_junit_tells_clean_from_unmeasured() -> None:
    clean, unmeasured = (ElementTree.fromstring(junit.render(each)) for each in (result(), UNMEASURED))
    assert (clean.get("tests"), clean.get("failures"), clean.get("errors")) == ("1", "0", "0")
    assert (unmeasured.get("tests"), unmeasured.get("errors")) == ("1", "1")
    assert unmeasured.find("testsuite/testcase/error") is not None


def test_junit_skips_what_is_allowed() -> None:
    root = ElementTree.fromstring(junit.render(judge([a_run(finding())], Terms(max_bytes=9999))))
    assert (root.get("failures"), root.get("skipped")) == ("0", "1")


def test_gitlab_has_a_fingerprint_for_each() -> None:
    entries = json.loads(gitlab.render(result(*HOSTILE, NAMELESS, error(), finding(line=1), finding(line=2))))
    assert len({entry["fingerprint"] for entry in entries}) == len(entries) == len(HOSTILE) + 4
    for entry in entries:
        assert (
            entry["description"]
            and entry["check_name"]
            and entry["severity"] in ("info", "minor", "major", "critical", "blocker")
        )
        assert entry["location"]["path"] and entry["location"]["lines"]["begin"] >= 1


def test_a_fingerprint_outlives_an_edit() -> None:
    one, moved, other = (
        json.loads(gitlab.render(result(each)))[0]["fingerprint"]
        for each in (finding(line=7), finding(line=99, size=5, file="/elsewhere/a.c"), finding("g"))
    )
    assert one == moved != other


def test_gitlab_shows_an_unmeasured_run() -> None:
    (entry,) = json.loads(gitlab.render(UNMEASURED))
    assert entry["severity"] == "blocker" and "killed" in entry["description"]


def parsed_command(line: str) -> tuple[str, dict[str, str], str]:
    """As GitHub's runner takes a command apart."""

    def unescaped(text: str, pairs: tuple[tuple[str, str], ...]) -> str:
        for code, char in pairs:
            text = text.replace(code, char)
        return text

    data = (("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))
    match = re.fullmatch(r"::(\w+) (.*?)::(.*)", line)
    assert match, line
    properties = dict(part.split("=", 1) for part in match[2].split(","))
    named = {key: unescaped(value, (("%3A", ":"), ("%2C", ","), *data)) for key, value in properties.items()}
    return match[1], named, unescaped(match[3], data)


def test_github_commands_are_one_line_each() -> None:
    lines = github.render(EVERYTHING).splitlines()
    assert len(lines) == len(HOSTILE) + 2 and all(line.isprintable() for line in lines)
    for line, held in zip(lines, HOSTILE, strict=False):
        command, properties, message = parsed_command(line)
        assert command == "error" and properties["line"] == "7" and set(properties) == {"file", "line", "title"}
        assert message.startswith(f"{held.bytes} bytes in 3 blocks lost in ")
    comma = parsed_command(github.render(result(finding(file="/src/a,b:c%2Cd.c"))).strip())[1]
    assert comma["file"] == "/src/a,b:c%2Cd.c"
    assert "::error title=" in github.render(UNMEASURED)


@pytest.mark.parametrize("render", [gate_text.render, gitlab.render, github.render])
def test_what_is_suppressed_is_not_told(render) -> None:
    run = a_run(finding("hidden_one"), finding("told_one"))
    run.items[0].standing = Standing.SUPPRESSED
    text = render(judge([run], Terms()))
    assert "told_one" in text and "hidden_one" not in text


@pytest.mark.parametrize("render", [gate_text.render, sarif.render, junit.render, gitlab.render, github.render])
def test_bytes_that_are_no_text_can_be_written(render) -> None:
    render(EVERYTHING).encode("utf-8")
