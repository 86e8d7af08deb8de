"""Runs the standard library's unittest over a checkout and writes a JUnit report at the end.

Usage: python unittest_run.py REPORT [START...]; the working folder is the checkout. The report
is written last, so that a run that was cut off has none.
"""

# os.path starts faster than pathlib, and this starts with every process.
# ruff: noqa: PTH100, PTH109, PTH110, PTH118
import os
import sys
import time
import unittest
from typing import Any
from xml.etree import ElementTree


class Recorder(unittest.TextTestResult):
    """Keeps the outcome of every test under its id."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outcomes: dict[str, str] = {}

    def _note(self, test: Any, outcome: str) -> None:
        name = test.id()
        if self.outcomes.get(name) != "failure":
            self.outcomes[name] = outcome

    def addSuccess(self, test: Any) -> None:  # noqa: N802 - the names are unittest's
        super().addSuccess(test)
        self._note(test, "")

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self._note(test, "failure")

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self._note(test, "failure")

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        self._note(test, "skipped")

    def addExpectedFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addExpectedFailure(test, err)
        self._note(test, "skipped")

    def addUnexpectedSuccess(self, test: Any) -> None:  # noqa: N802
        super().addUnexpectedSuccess(test)
        self._note(test, "failure")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test, "failure")


def discover(starts: "list[str]") -> unittest.TestSuite:
    """Collect tests below each start; a file is loaded by its module name."""
    suite = unittest.TestSuite()
    for start in starts or ["."]:
        loader = unittest.TestLoader()
        if start.endswith(".py"):
            suite.addTests(loader.loadTestsFromName(start[:-3].replace("/", ".")))
        elif start == "." or os.path.exists(os.path.join(start, "__init__.py")):
            suite.addTests(loader.discover(start, top_level_dir="."))
        else:
            suite.addTests(loader.discover(start))
    return suite


def write(path: str, outcomes: "dict[str, str]", seconds: float) -> None:
    """Write a report in the JUnit dialect that pytest calls xunit1."""
    root = ElementTree.Element("testsuite", name="unittest", time=str(round(seconds, 3)))
    for name, outcome in outcomes.items():
        classname, _, test = name.rpartition(".")
        case = ElementTree.SubElement(root, "testcase", classname=classname, name=test)
        if outcome:
            ElementTree.SubElement(case, outcome)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def main(report: str, starts: "list[str]") -> int:
    report = os.path.abspath(report)
    sys.path[0] = os.getcwd()
    started = time.monotonic()
    runner = unittest.TextTestRunner(verbosity=2, resultclass=Recorder)
    result = runner.run(discover(starts))
    assert isinstance(result, Recorder)
    write(report, result.outcomes, time.monotonic() - started)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
