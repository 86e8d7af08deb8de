"""The policy as a door sees it: checked, tried on cases, explained."""

import asyncio
from pathlib import Path

from pydantic import ValidationError

from config.policies import SHIPPED, CaseResult, check_policy, run_cases
from domain.errors import Rejected
from domain.policy import Decision, Facts, Layer, decide
from domain.record import Record
from domain.record_view import DecisionView
from integrations.cel import Cel
from starter.lookup import open_reads, record_of
from starter.place import settings


class Checked(Record):
    """A policy file that holds."""

    file: str
    sha256: str
    rules: int


def in_force() -> Path:
    """Return the operator's policy if there is one, else the shipped one."""
    own = settings().operator / "policy.yaml"
    return own if own.exists() else SHIPPED


def check_file(file: Path | None) -> Checked:
    """Read a policy file; raises `Refused` with every problem."""
    path = file or in_force()
    layer = check_policy(path, Cel().problem)
    return Checked(file=str(path), sha256=layer.sha256, rules=len(layer.policy.rules))


def try_cases(cases: Path, policy: Path | None) -> tuple[CaseResult, ...]:
    """Try a policy on a file of cases; raises `Refused` when one of them cannot be read."""
    cel = Cel()
    layer = _layer(policy, cel)
    return run_cases(cases, lambda facts: decide((layer,), facts, cel.bind))


def decide_facts(pairs: tuple[str, ...], policy: Path | None) -> DecisionView:
    """Decide about facts given as NAME=VALUE; raises `Rejected` for one that does not exist."""
    cel = Cel()
    decision: Decision = decide((_layer(policy, cel),), _facts(pairs), cel.bind)
    return DecisionView(**decision.model_dump())


def decisions_of(given: str) -> tuple[DecisionView, ...]:
    """Return what was decided for an idea, oldest first."""

    async def read() -> tuple[DecisionView, ...]:
        chosen = settings()
        async with open_reads(chosen) as reads:
            return (await record_of(chosen, reads, given)).decisions

    return asyncio.run(read())


def _layer(policy: Path | None, cel: Cel) -> Layer:
    return check_policy(policy or in_force(), cel.problem)


def _facts(pairs: tuple[str, ...]) -> Facts:
    told = dict(_fact(pair) for pair in pairs)
    told.setdefault("phase", "merge")
    try:
        return Facts.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise Rejected(
            f"fact {name}={told.get(name)}: {first['msg']}", code="bad_fact", path=name
        ) from error


def _fact(pair: str) -> tuple[str, object]:
    name, equals, value = pair.partition("=")
    if not equals or name not in Facts.model_fields:
        raise Rejected(
            f"--fact {pair} names no fact",
            code="unknown_fact",
            path=name,
            hint=f"There are {', '.join(Facts.model_fields)}; for example --fact risk=high",
        )
    if Facts.model_fields[name].annotation == tuple[str, ...]:
        return name, tuple(part for part in value.split(",") if part)
    return name, value
