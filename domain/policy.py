"""Phases, facts, rules and decisions: allow, require a person, or deny."""

from enum import StrEnum
from typing import Literal

from domain.approval import Phase
from domain.record import Record


class PolicyOutcome(StrEnum):
    ALLOW = "allow"
    REQUIRE = "require"
    DENY = "deny"


class Facts(Record):
    """All that a rule may read, flat; a fact that a phase does not know yet is empty."""

    phase: Phase
    repo: str = ""
    initiator: str = ""
    initiator_kind: str = "human"
    trust: str = "external"
    channel: str = "cli"
    risk: str = "low"
    labels: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    recipe: str = ""
    change: str = "feature"
    priority: int = 3
    paths: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()  # changed paths that are protected
    tests_missing: tuple[str, ...] = ()  # changed directories whose required tests are missing
    files: int = 0
    changed_lines: int = 0  # by agents
    generated_lines: int = 0  # by builtin operations
    tasks: int = 0
    irreversible: bool = False
    gates_failed: tuple[str, ...] = ()
    gates_held: tuple[str, ...] = ()
    tier: str = "none"
    base_moves: bool = False
    asked: bool = False  # the specification itself asks for an approval at this phase
    now_ms: int = 0


class Decision(Record):
    """What policy says at one phase, with the rules that said it."""

    phase: Phase
    outcome: PolicyOutcome
    rules: tuple[str, ...] = ()
    reason: str = ""
    quorum: int = 1
    approvers: tuple[str, ...] = ()
    self_approval: bool = False
    frozen_until_ms: int = 0  # a freeze window holds until then; 0: none
    policy_sha256: str = ""
    facts_sha256: str = ""
    requirement_sha256: str = ""
    layers: tuple[str, ...] = ()


Strictness = Literal["allow", "require", "deny"]
