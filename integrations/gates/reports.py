"""Readers of test reports and of linters' output; what cannot be read is no evidence."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from domain.evidence import Case, finding_key
from domain.review import Counts, Finding

MAX_REPORT = 128 * 1024 * 1024
ID_LENGTH = 300
WORST = {"passed": 0, "skipped": 1, "failed": 2}


def junit(path: Path) -> tuple[Case, ...] | None:
    """Read a JUnit report; None when it is missing, cut off, too large, or has a DOCTYPE."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_REPORT:
            return None
        data = path.read_bytes()
        if b"<!DOCTYPE" in data:
            return None
        root = ElementTree.fromstring(data)
    except (OSError, ElementTree.ParseError):
        return None
    return merged(_junit_case(element) for element in root.iter("testcase"))


def _junit_case(element: ElementTree.Element) -> Case:
    tags = {child.tag for child in element}
    outcome = "failed" if tags & {"failure", "error"} else "passed"
    if outcome == "passed" and "skipped" in tags:
        outcome = "skipped"
    name = "::".join(filter(None, (element.get("classname", ""), element.get("name", ""))))
    return Case.model_validate(
        {"id": shorten(name), "outcome": outcome, "file": element.get("file", "")}
    )


def merged(cases: Iterator[Case]) -> tuple[Case, ...]:
    """Join reports of the same test (a red teardown is a second one); the worst outcome holds."""
    found: dict[str, Case] = {}
    for case in cases:
        known = found.get(case.id)
        if known is None or WORST[case.outcome] > WORST[known.outcome]:
            found[case.id] = case
    return tuple(found.values())


def shorten(name: str) -> str:
    """Keep ids readable and short; what is cut is told apart by its digest."""
    clean = name.encode("utf-8", "replace").decode()
    clean = "".join(sign if sign.isprintable() else "?" for sign in clean)
    if len(clean) <= ID_LENGTH:
        return clean
    return f"{clean[:ID_LENGTH]}#{finding_key('', '', clean)}"


def gotest(text: str) -> tuple[tuple[Case, ...], bool]:
    """Read `go test -json`; the second value says whether each started package has ended."""
    cases: list[Case] = []
    started: set[str] = set()
    ended: set[str] = set()
    with_red: set[str] = set()
    red: list[str] = []
    for event in _json_lines(text):
        package, test, action = event.get("Package", ""), event.get("Test", ""), event.get("Action")
        if action == "start" or action == "run":
            started.add(package)
        if action not in ("pass", "fail", "skip"):
            continue
        if test:
            outcome = {"pass": "passed", "fail": "failed", "skip": "skipped"}[action]
            cases.append(
                Case.model_validate({"id": shorten(f"{package}::{test}"), "outcome": outcome})
            )
            with_red |= {package} if action == "fail" else set()
        else:
            ended.add(package)
            red += [package] if action == "fail" else []
    cases += [Case(id=f"{p} (build or set-up)", outcome="failed") for p in red if p not in with_red]
    return merged(iter(cases)), bool(ended) and started <= ended


def _json_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event


_POINT = re.compile(r"^(\s*)(not ok|ok)\b\s*(\d+)?\s*(?:- )?(.*)$")
_PLAN = re.compile(r"^1\.\.(\d+)")
_SUBTEST = re.compile(r"^(\s*)# Subtest: (.*)$")
_DIRECTIVE = re.compile(r"\s+#\s*(skip|todo)\b.*$|\s+#\s*time=.*$", re.I)


def tap(text: str) -> tuple[tuple[Case, ...], bool]:
    """Read TAP 13 or 14 with subtests; the second value says whether the plan was kept."""
    names: dict[int, str] = {}
    children: Counter[int] = Counter()
    seen: Counter[str] = Counter()
    cases: list[Case] = []
    planned, points = -1, 0
    for line in text.splitlines():
        if subtest := _SUBTEST.match(line):
            names[len(subtest[1]) // 4] = subtest[2].strip()
        elif plan := _PLAN.match(line):
            planned = int(plan[1])
        elif point := _POINT.match(line):
            depth = len(point[1]) // 4
            points += depth == 0
            suite = children.pop(depth + 1, 0) > 0
            children[depth] += 1
            if suite and point[2] == "ok":
                continue
            above = [names[at] for at in range(depth) if at in names]
            name = " > ".join([*above, _DIRECTIVE.sub("", point[4]).strip() or f"#{point[3]}"])
            seen[name] += 1
            name = name if seen[name] == 1 else f"{name} ({seen[name]})"
            cases.append(_tap_case(name, point))
    return merged(iter(cases)), planned >= 0 and points == planned


def _tap_case(name: str, point: re.Match[str]) -> Case:
    directive = _DIRECTIVE.search(point[4])
    skipped = bool(directive and directive[1])
    outcome = "skipped" if skipped else "passed" if point[2] == "ok" else "failed"
    return Case.model_validate({"id": shorten(name), "outcome": outcome})


def jest(path: Path) -> tuple[Case, ...] | None:
    """Read the JSON report of jest; None when it is missing or cut off."""
    try:
        document = json.loads(path.read_bytes())
        files = document["testResults"]
        cases = [
            Case.model_validate({
                "id": shorten(test["fullName"]),
                "outcome": {"passed": "passed", "failed": "failed"}.get(test["status"], "skipped"),
            })
            for file in files
            for test in file["assertionResults"]
        ]  # fmt: skip
        broken = [
            Case(id=shorten(Path(file["name"]).name), outcome="failed")
            for file in files
            if file["status"] == "failed" and not file["assertionResults"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return merged(iter(cases + broken))


# How test runners sum up, for commands of which only the output is known.
_SUMS = (
    re.compile(  # pytest
        r"^=* ?(?=.*\b(?:passed|failed|error|errors|skipped)\b)(?:(?P<failed>\d+) failed,? ?)?"
        r"(?:(?P<passed>\d+) passed,? ?)?(?:(?P<skipped>\d+) skipped)?.* in [\d.]+s", re.M,
    ),
    re.compile(  # jest
        r"^Tests:\s+(?:(?P<failed>\d+) failed, )?(?:(?P<skipped>\d+) (?:skipped|todo), )?"
        r"(?:(?P<passed>\d+) passed, )?(?P<total>\d+) total", re.M,
    ),
    re.compile(  # uvu
        r"^\s*Total:\s+(?P<total>\d+)\s+Passed:\s+(?P<passed>\d+)\s+Skipped:\s+(?P<skipped>\d+)",
        re.M,
    ),
    re.compile(  # mocha
        r"^\s+(?P<passed>\d+) passing\b.*(?:\n\s+(?P<skipped>\d+) pending)?"
        r"(?:\n\s+(?P<failed>\d+) failing)?", re.M,
    ),
    re.compile(  # tape, node-tap, node --test
        r"^# tests (?P<total>\d+)\n(?:# suites \d+\n)?# pass\s+(?P<passed>\d+)"
        r"(?:\n# fail\s+(?P<failed>\d+))?", re.M,
    ),
    re.compile(  # tap-spec and its like
        r"^\s*total:\s+(?P<total>\d+)\s+passing:\s+(?P<passed>\d+)"
        r"(?:\s+failing:\s+(?P<failed>\d+))?", re.M,
    ),
)  # fmt: skip
_UNITTEST = re.compile(r"^Ran (\d+) tests? in [\d.]+s\s+(?:OK|FAILED)(?: \(([^)]*)\))?", re.M)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def counts(text: str) -> Counts | None:
    """Read the last sum that a test runner prints; None when there is none."""
    plain = _COLOURS.sub("", text[-64 * 1024 :])
    for pattern in _SUMS:
        if found := list(pattern.finditer(plain)):
            return _sum(found[-1].groupdict())
    if found := list(_UNITTEST.finditer(plain)):
        named = dict(re.findall(r"(\w+)=(\d+)", found[-1][2] or ""))
        failed = int(named.get("failures", 0)) + int(named.get("errors", 0))
        total = {"total": found[-1][1], "failed": str(failed), "skipped": named.get("skipped")}
        return _sum({"passed": None, **total})
    return None


def _sum(found: dict[str, str | None]) -> Counts:
    number = {name: int(value) for name, value in found.items() if value}
    known = [number.get(name, 0) for name in ("passed", "failed", "skipped")]
    total = number.get("total", sum(known))
    passed, failed, skipped = known
    if found.get("passed") is None:
        passed = total - failed - skipped
    elif found.get("failed") is None:
        failed = total - passed - skipped
    elif found.get("skipped") is None:
        skipped = total - passed - failed
    return Counts(collected=total, passed=passed, failed=failed, skipped=skipped)


def ruff(text: str, tree: Path) -> tuple[Finding, ...] | None:
    """Read `ruff check --output-format json`; None when that is not what it is."""
    try:
        rows = json.loads(text[text.index("[") :])
        lines = _Lines(tree)
        return tuple(
            _finding(
                rule=row.get("code") or "syntax",
                path=_relative(row["filename"], tree),
                line=row["location"]["row"],
                message=row["message"],
                lines=lines,
            )
            for row in rows
        )
    except (ValueError, KeyError, TypeError):
        return None


_MYPY = re.compile(
    r"^(?P<path>[^:\n]+):(?P<line>\d+)(?::\d+)?: error: (?P<text>.*?)(?:  \[(?P<rule>[\w-]+)\])?$"
)
_FLAKE8 = re.compile(r"^(?P<path>[^:\n]+):(?P<line>\d+):\d+: (?P<rule>[A-Z]+\d+) (?P<text>.*)$")


def mypy(text: str, tree: Path) -> tuple[Finding, ...]:
    """Read the errors that mypy prints."""
    return _by_line(_MYPY, text, tree)


def flake8(text: str, tree: Path) -> tuple[Finding, ...]:
    """Read what flake8 prints in its default format."""
    return _by_line(_FLAKE8, text, tree)


def _by_line(pattern: re.Pattern[str], text: str, tree: Path) -> tuple[Finding, ...]:
    lines = _Lines(tree)
    return tuple(
        _finding(
            rule=match["rule"] or "error",
            path=_relative(match["path"], tree),
            line=int(match["line"]),
            message=match["text"],
            lines=lines,
        )
        for match in map(pattern.match, text.splitlines())
        if match
    )


class _Lines:
    """Lines of files of a checkout, each file read once."""

    def __init__(self, tree: Path) -> None:
        self._tree = tree
        self._files: dict[str, list[str]] = {}

    def get(self, path: str, line: int) -> str:
        if path not in self._files:
            file = self._tree / path
            inside = file.resolve().is_relative_to(self._tree.resolve())
            text = file.read_text("utf-8", "replace") if inside and file.is_file() else ""
            self._files[path] = text.splitlines()
        rows = self._files[path]
        return rows[line - 1] if 0 < line <= len(rows) else ""


def _finding(*, rule: str, path: str, line: int, message: str, lines: _Lines) -> Finding:
    key = finding_key(rule, path, lines.get(path, line))
    return Finding(key=key, rule=rule, path=path, line=line, text=shorten(message))


def _relative(path: str, tree: Path) -> str:
    return path.removeprefix(f"{tree}/").removeprefix("./").encode("utf-8", "replace").decode()
