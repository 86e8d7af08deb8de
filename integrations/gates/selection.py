"""Which gates a repository has: declared ones by name, else what its files show."""

import json
import re
from typing import Literal

from domain.globs import matches
from domain.idea import Acceptance
from domain.record import digest
from domain.repo_config import DeclaredGate, RepoConfig
from domain.review import GateSet, GateSpec
from domain.service_check import judging_words
from integrations.gates import node_environment, python_layout, python_project
from integrations.gates.environments import project_of
from integrations.gates.snapshot import Snapshot

FLOOR = (  # what decides over judgement or release is always protected
    "/.slipway.yaml", "/.github/workflows/", "/.github/actions/", "/.gitlab-ci.yml",
    "/.circleci/", "CODEOWNERS",
)  # fmt: skip
ALWAYS = ("setup", "secrets", "churn", "protected", "scope")
TESTS_TIMEOUT = 900

PYTEST = (
    'python -m pytest ${SLIPWAY_SELECT:-%s} --junitxml="$SLIPWAY_REPORT" -o junit_family=xunit1 '
    '-o cache_dir="$TMPDIR/pytest" -p no:randomly --continue-on-collection-errors --maxfail=0'
)
UNITTEST = 'python "$SLIPWAY_TOOLS/unittest_run.py" "$SLIPWAY_REPORT" %s'
RUFF = '"${SLIPWAY_RUFF:-ruff}" check --no-cache --output-format json .'
FLAKE8 = "python -m flake8"
MYPY = (
    "python -m mypy --no-incremental --show-error-codes --no-pretty --no-color-output "
    "--no-error-summary --hide-error-context %s"
)
SECURITY = (
    '"$SLIPWAY_RUFF" check --isolated --select S --ignore S101 --no-cache --output-format json .'
)
GO = 'go test -count=1 -json ./... > "$SLIPWAY_REPORT"'
NODE = (
    'node --test --test-reporter=tap --test-reporter-destination="$SLIPWAY_REPORT" '
    "--test-reporter=spec --test-reporter-destination=stdout"
)
# What an npm test script has to start with, and what is added to get a report.
REPORTERS: tuple[tuple[str, str, Literal["junit", "tap"]], ...] = (
    ("vitest", '-- --reporter=default --reporter=junit --outputFile="$SLIPWAY_REPORT"', "junit"),
    ("jest", '-- --json --outputFile="$SLIPWAY_REPORT"', "junit"),
    ("mocha", "-- --reporter tap", "tap"),
    ("tap", "-- --reporter=tap", "tap"),
)


def select(
    snap: Snapshot,
    config: RepoConfig,
    origin: Literal["declared", "detected", "operator"],
    validation: tuple[str, ...],
    acceptance: tuple[Acceptance, ...],
    protected: tuple[str, ...],
) -> GateSet:
    """Return the gates of a base commit; the digest names this exact set."""
    project = project_of(snap)
    detected, notes = _detected(snap, project)
    names = {gate.name for gate in detected}
    gates = [GateSpec(name=name, kind=name) for name in ALWAYS]
    gates += [
        _declared(gate.name, config.gates[gate.name]) if gate.name in config.gates else gate
        for gate in detected
    ]
    gates += [_declared(name, gate) for name, gate in config.gates.items() if name not in names]
    gates.append(GateSpec(name="census", kind="census"))
    gates += _added(validation, acceptance)
    found = GateSet(
        project=project,
        gates=tuple(gates),
        protected_paths=tuple(
            dict.fromkeys((*FLOOR, *config.protected_paths, *protected, *_judging(snap, config)))
        ),
        origin=origin,
        notes=tuple(notes),
    )
    content = {**found.model_dump(mode="json"), "setup": [s.model_dump() for s in config.setup]}
    return found.but(digest=digest(json.dumps(content, sort_keys=True).encode()))


def _judging(snap: Snapshot, config: RepoConfig) -> tuple[str, ...]:
    """Return the files that services name where a release is moved or judged."""
    return tuple(f"/{path}" for path in judging_words(config.services) if snap.has(path))


def _detected(snap: Snapshot, project: str) -> tuple[list[GateSpec], list[str]]:
    match project:
        case "python":
            return _python(snap)
        case "node":
            return _node(snap)
        case "go":
            return [_tests(GO, "gotest")], []
    return [_tests("", "exit")], ["no manifest of a known kind was found"]


def _tests(run: str, report: Literal["junit", "gotest", "tap", "exit"]) -> GateSpec:
    return GateSpec(
        name="tests", kind="tests", run=run, report=report, timeout_seconds=TESTS_TIMEOUT
    )


def _python(snap: Snapshot) -> tuple[list[GateSpec], list[str]]:
    project = python_project.read(snap)
    targets = " ".join(project.targets)
    lines = {"pytest": PYTEST % targets, "unittest": UNITTEST % targets, "": ""}
    gates = [_tests(lines[project.runner].strip(), "junit")]
    notes = [] if project.runner else ["no tests were found"]
    if project.ruff or project.flake8:
        run = RUFF if project.ruff else FLAKE8
        gates.append(GateSpec(name="lint", kind="lint", run=run, report="findings"))
    else:
        notes.append("lint: neither ruff nor flake8 is configured")
    if project.mypy:
        roots = python_layout.guess_roots(snap.paths)
        packages = python_layout.guess_packages(snap.paths, roots)
        paths = [_package_path(snap, name, roots[0]) for name in packages]
        run = MYPY % ("" if project.mypy_configured else " ".join(paths))
        gates.append(GateSpec(name="types", kind="types", run=run.strip(), report="findings"))
    else:
        notes.append("types: mypy is not configured")
    gates.append(GateSpec(name="security", kind="security", run=SECURITY, report="findings"))
    return gates, notes


def _package_path(snap: Snapshot, name: str, root: str) -> str:
    path = "/".join(filter(None, (root, name.replace(".", "/"))))
    return path if snap.under(path) else f"{path}.py"


def _node(snap: Snapshot) -> tuple[list[GateSpec], list[str]]:
    script = str(node_environment.package(snap).get("scripts", {}).get("test", ""))
    if script and "no test specified" not in script:
        return [_npm(script)], []
    if any(matches(path, node_environment.TEST_FILES) for path in snap.paths):
        return [_tests(NODE, "tap")], []
    return [_tests("", "exit")], ["no tests were found"]


def _npm(script: str) -> GateSpec:
    """Ask the known runners for a report, where the script is one plain command."""
    words = script.split()
    if re.search(r"[;&|<>]", script) is None and words:
        if words[:2] == ["node", "--test"]:
            return _tests(f"{NODE} {' '.join(words[2:])}".strip(), "tap")
        for name, flags, report in REPORTERS:
            if words[0] == name:
                return _tests(f"npm test --silent {flags}", report)
    return _tests("npm test --silent", "exit")


def _declared(name: str, gate: DeclaredGate) -> GateSpec:
    kinds = {"tests": "tests", "lint": "command", "types": "command"}
    return GateSpec.model_validate({
        "name": name,
        "kind": kinds.get(name, "command"),
        "run": gate.run,
        "report": gate.report,
        "report_path": gate.path,
        "timeout_seconds": gate.timeout,
    })  # fmt: skip


def _added(validation: tuple[str, ...], acceptance: tuple[Acceptance, ...]) -> list[GateSpec]:
    gates = [
        GateSpec(name=f"validation-{number}", kind="command", run=line)
        for number, line in enumerate(validation, 1)
    ]
    return gates + [
        GateSpec(
            name=f"accept-{criterion.id}",
            kind="command",
            run=criterion.command,
            after_only=True,
            expected=criterion.expected,
        )
        for criterion in acceptance
        if criterion.command
    ]
