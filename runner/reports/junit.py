"""A gate's result as JUnit's XML, as CI servers read it: a suite for each run, a test for each finding."""

from xml.etree import ElementTree

from runner.analysis.wording import place_text
from runner.gate import CheckedRun, Item, Result
from runner.model import AnswerFrame
from runner.paths import near
from runner.reports.gate_text import message, severity
from runner.reports.plain import plain

_PASSED_OVER = "note"


def render(result: Result) -> str:
    """What fails is a failure, what is known or allowed is skipped, and a run that can't be judged is an error.

    A run without any of these is one test that passed. Control characters, which XML can't hold, are shown as \\xNN.
    """
    root = ElementTree.Element("testsuites", name="leakrun")
    sums = [0, 0, 0, 0]
    for run in result.runs:
        counts = _suite(root, run)
        sums = [total + count for total, count in zip(sums, counts, strict=True)]
    for key, total in zip(("tests", "failures", "errors", "skipped"), sums, strict=True):
        root.set(key, str(total))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(root: ElementTree.Element, run: CheckedRun) -> list[int]:
    """Adds the suite; how many tests, failures, errors and skipped ones it has."""
    suite = ElementTree.SubElement(root, "testsuite", name=plain(run.name))
    failures = skipped = 0
    for item in run.items:
        failed = severity(item, run) != _PASSED_OVER
        failures, skipped = failures + failed, skipped + (not failed)
        _case(suite, item, failed=failed)
    for doubt in run.doubts:
        case = ElementTree.SubElement(suite, "testcase", classname="leakrun", name=plain(f"measured: {doubt}"))
        ElementTree.SubElement(case, "error", type="inconclusive", message=plain(doubt))
    if not len(suite):
        ElementTree.SubElement(suite, "testcase", classname="leakrun", name="clean")
    counts = [len(suite), failures, len(run.doubts), skipped]
    for key, number in zip(("tests", "failures", "errors", "skipped"), counts, strict=True):
        suite.set(key, str(number))
    return counts


def _case(suite: ElementTree.Element, item: Item, *, failed: bool) -> None:
    place = place_text(item.function, item.file, item.line, item.module)
    case = ElementTree.SubElement(
        suite, "testcase", classname=f"leakrun.{plain(item.label)}", name=plain(f"{item.label} at {place}")
    )
    if item.file is not None:
        case.set("file", plain(near(item.file)))
        case.set("line", str(item.line or 1))
    if not failed:
        ElementTree.SubElement(case, "skipped", message=message(item))
        return
    failure = ElementTree.SubElement(case, "failure", type=plain(item.label), message=message(item))
    failure.text = "\n".join(_frame(frame) for frame in item.stack)


def _frame(frame: AnswerFrame) -> str:
    return plain(f"  at {place_text(frame.signature or frame.function, frame.file, frame.line, frame.module)}")
