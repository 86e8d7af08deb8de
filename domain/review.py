"""Findings, quality gates and their verdicts; comparing a change with its base."""

from enum import StrEnum
from typing import Literal

from domain.record import ArtifactRef, Record


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    HELD = "held"  # evidence is missing: a person is asked
    SKIPPED = "skipped"  # does not apply here


class EvidenceLevel(StrEnum):
    """What a gate knows: single test ids, counts, or an exit code only."""

    IDS = "ids"
    COUNTS = "counts"
    EXIT = "exit"


class GateSpec(Record):
    """One quality gate of a repository."""

    name: str
    kind: Literal[
        "setup", "tests", "lint", "types", "security", "secrets", "churn", "protected",
        "census", "scope", "command",
    ]  # fmt: skip
    run: str = ""  # a shell line, run in the checkout; empty for gates that slipway computes
    report: Literal["junit", "gotest", "tap", "exit", "findings"] = "exit"
    report_path: str = ""
    timeout_seconds: int = 900
    network: bool = False
    after_only: bool = False  # judged without the base, by `expected` (acceptance commands)
    expected: int = 0  # exit code


class GateSet(Record):
    """The gates of one repository at one base commit; `digest` names this exact set."""

    project: Literal["python", "node", "go", "other"]
    gates: tuple[GateSpec, ...]
    protected_paths: tuple[str, ...] = ()
    origin: Literal["declared", "detected", "operator"] = "detected"
    digest: str = ""
    notes: tuple[str, ...] = ()  # for people: why a gate is absent
    ref: ArtifactRef | None = None  # the set itself, for those who carry only briefs


class GateBrief(Record):
    """As much of a gate as a workflow needs to run it; the rest is in the gate set's artifact."""

    name: str
    kind: str
    timeout_seconds: int = 900


class Tier(Record):
    """The sandbox in which a command ran, and what was probed to hold there."""

    name: Literal["limits", "bwrap", "none"] = "none"
    claims: tuple[str, ...] = ()


class Counts(Record):
    collected: int = 0
    passed: int = 0
    failed: int = 0
    skipped: int = 0


class Finding(Record):
    """One thing that a gate found; `key` is stable under moved lines."""

    key: str
    rule: str = ""
    path: str = ""
    line: int = 0
    text: str = ""
    severity: Literal["info", "warning", "error"] = "error"


class GateResult(Record):
    """What one gate says about a commit, measured against its base."""

    gate: str
    kind: str
    verdict: Verdict
    reason: str
    level: EvidenceLevel = EvidenceLevel.EXIT
    base: Counts | None = None
    after: Counts | None = None
    newly_failed: tuple[str, ...] = ()  # test ids, at most 50
    flaky: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()  # new ones, at most 20
    log: ArtifactRef | None = None
    cached: bool = False
    seconds: float = 0
    tier: Tier = Tier()
