"""Policy files: read strictly, checked when loaded, and the last good one kept."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import Field

from config.document import Document, Value
from config.files import load, read, read_bytes
from config.shape import fit
from domain.errors import Misconfigured, Problem, Refused
from domain.policy import Decision, Facts, Layer, PolicyFile, loosening
from domain.record import Record, digest
from domain.repo_config import FILE_NAME, RepoConfig

# Returns what is wrong with an expression, or nothing.
Check = Callable[[str], str]
SHIPPED = Path(__file__).with_name("policy.yaml")
logger = logging.getLogger(__name__)


class PolicyCase(Record):
    """Facts, and what the policy must say about them."""

    name: str
    facts: Facts
    expect: Literal["allow", "require", "deny"]
    rules: tuple[str, ...] = ()  # empty: any


class PolicyCases(Record):
    """Schema `slipway.policy-tests/1`: cases for a policy."""

    schema_: Literal["slipway.policy-tests/1"] = Field(alias="schema")
    cases: tuple[PolicyCase, ...] = Field(min_length=1)

    model_config = {"populate_by_name": True}


class CaseResult(Record):
    """Whether one case came out as expected."""

    name: str
    passed: bool
    message: str


def read_layer(text: bytes, name: str, check: Check) -> Layer:
    """Read a whole policy file; raises `Refused` with every problem."""
    return _layer(read(text, name), name, text, check)


def read_repository_layer(text: bytes, check: Check) -> Layer | None:
    """Read the `policy` section of a repository's file, which may only tighten.

    Returns None where there is no such section; raises `Refused`.
    """
    document = read(text, FILE_NAME)
    fit(document, RepoConfig, FILE_NAME)
    exists, section = document.find(("policy",))
    if not exists or not isinstance(section, dict) or not section:
        return None
    lines = {path[1:]: line for path, line in document.lines.items() if path[:1] == ("policy",)}
    filled: dict[str, Value] = {"schema": "slipway.policy/1", **section}
    layer = _layer(Document(filled, lines), f"{FILE_NAME} policy", text, check)
    loose = tuple(
        Problem(
            code="loosens",
            message=f"{FILE_NAME}: policy.{place} loosens; a repository may only tighten",
            path=f"policy.{place}",
            line=document.line(("policy",)),
            hint="use require or deny; an operator's policy can allow",
        )
        for place in loosening(layer.policy)
    )
    if loose:
        raise Refused(loose)
    return layer.but(name="repository")


def repository_layer(text: bytes, check: Check) -> Layer | None:
    """Return the repository's layer; one that cannot be read denies, with the reason."""
    try:
        return read_repository_layer(text, check)
    except Refused as refused:
        return broken_layer("repository", text, refused)


def broken_layer(name: str, text: bytes, refused: Refused) -> Layer:
    """Return a layer that denies everything: a file that cannot be read allows nothing."""
    return Layer(
        name=name,
        sha256=digest(text),
        policy=PolicyFile.model_validate({"schema": "slipway.policy/1"}),
        error=str(refused)[:500],
    )


def _layer(document: Document, name: str, text: bytes, check: Check) -> Layer:
    policy = fit(document, PolicyFile, name)
    found = (*_rule_problems(policy, document, name, check), *_twice(policy, document, name))
    if found:
        raise Refused(found)
    return Layer(name=name, sha256=digest(text), policy=policy)


def _rule_problems(
    policy: PolicyFile, document: Document, name: str, check: Check
) -> tuple[Problem, ...]:
    found = []
    for at, rule in enumerate(policy.rules):
        line = document.line(("rules", at, "when"))
        if reason := check(rule.when):
            text = f"{name}, line {line}: rule {rule.name}: {reason}"
            found.append(_bad("bad_expression", text, f"rules[{at}].when", line))
        if rule.approvers and rule.quorum > len(set(rule.approvers)):
            text = f"{name}, line {line}: rule {rule.name} wants more answers than it has approvers"
            found.append(_bad("bad_quorum", text, f"rules[{at}].quorum", line))
        if rule.outcome != "require" and (rule.approvers or rule.quorum > 1):
            text = f"{name}, line {line}: rule {rule.name} asks nobody, but names approvers"
            found.append(_bad("bad_approvers", text, f"rules[{at}].approvers", line))
    return tuple(found)


def _twice(policy: PolicyFile, document: Document, name: str) -> tuple[Problem, ...]:
    seen: dict[str, int] = {}
    found = []
    for at, rule in enumerate(policy.rules):
        line = document.line(("rules", at))
        if rule.name in seen:
            text = f"{name}, line {line}: rule {rule.name} is also on line {seen[rule.name]}"
            found.append(_bad("duplicate_rule", text, f"rules[{at}].name", line))
        seen.setdefault(rule.name, line)
    return tuple(found)


def _bad(code: str, message: str, path: str, line: int) -> Problem:
    return Problem(code=code, message=message, path=path, line=line)


class PolicySource:
    """The layers that hold now: the operator's file if there is one, else the shipped one.

    A changed file that is broken does not count: the last good one goes on, loudly. It is kept
    in `last_good`, so that a restart does not fall back to nothing.
    """

    def __init__(self, operator: Path, last_good: Path, check: Check) -> None:
        self._operator = operator
        self._last_good = last_good
        self._check = check
        self._layer: Layer | None = None
        self._seen = ""
        self.problem = ""  # why the operator's file does not count; empty: it does

    def layers(self) -> tuple[Layer, ...]:
        """Return the layers, read again if the file has changed.

        Raises `Misconfigured` if the operator's file is broken and no good one was ever read.
        """
        if not self._operator.exists():
            self._seen, self.problem = "", ""
            return (read_layer(read_bytes(SHIPPED), "shipped", self._check),)
        return (self._operators(),)

    def _operators(self) -> Layer:
        try:
            text = read_bytes(self._operator)
            if self._layer is None or digest(text) != self._seen:
                self._layer = read_layer(text, str(self._operator), self._check).but(
                    name="operator"
                )
                self._seen, self.problem = digest(text), ""
                self._keep(text)
        except Refused as refused:
            return self._before(refused)
        return self._layer

    def _before(self, refused: Refused) -> Layer:
        """Fall back to the last good layer of this process, or of the one before."""
        if str(refused) != self.problem:
            logger.error("the policy does not count, the last good one goes on: %s", refused)
        self.problem = str(refused)
        if self._layer is None and self._last_good.exists():
            kept = read_bytes(self._last_good)
            self._layer = read_layer(kept, str(self._last_good), self._check).but(name="operator")
        if self._layer is None:
            raise Misconfigured(
                f"the policy {self._operator} cannot be used: {refused}",
                code="policy_error",
                hint="slipway policy check FILE tells each problem",
            ) from refused
        return self._layer

    def _keep(self, text: bytes) -> None:
        self._last_good.parent.mkdir(parents=True, exist_ok=True)
        new = self._last_good.with_suffix(".new")
        new.write_bytes(text)
        new.replace(self._last_good)


def check_policy(path: Path, check: Check) -> Layer:
    """Read the policy in a file as the workers would; raises `Refused`."""
    return read_layer(read_bytes(path), str(path), check)


def run_cases(path: Path, decide: Callable[[Facts], Decision]) -> tuple[CaseResult, ...]:
    """Try a policy on a file of cases; raises `Refused` if that cannot be read."""
    return tuple(_result(case, decide(case.facts)) for case in load(path, PolicyCases).cases)


def _result(case: PolicyCase, decision: Decision) -> CaseResult:
    missing = [rule for rule in case.rules if rule not in decision.rules]
    said = f"{decision.outcome} ({decision.reason})"
    if decision.outcome != case.expect:
        return CaseResult(
            name=case.name, passed=False, message=f"expected {case.expect}, got {said}"
        )
    if missing:
        text = f"{said}, but not because of {', '.join(missing)}"
        return CaseResult(name=case.name, passed=False, message=text)
    return CaseResult(name=case.name, passed=True, message=said)
