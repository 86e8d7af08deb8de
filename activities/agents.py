"""Agents: run one attempt of one task in a fresh workspace, and collect what it really changed."""

from typing import Literal

from domain.change import Change
from domain.delivery import FailureClass
from domain.record import ArtifactRef, Record
from domain.repository import Repository
from domain.review import Finding, Tier


class ImplementTask(Record):
    """One attempt. A crash makes a new run of the same attempt, a repair round a new attempt."""

    key: str
    round: int
    task: str
    attempt: int
    plan: ArtifactRef
    repository: Repository
    base_sha: str  # the commit that the workspace starts from and the change is measured against
    start_sha: str = ""  # a repair continues from this commit; empty: from base_sha
    findings: tuple[Finding, ...] = ()  # what the last attempt's gates found
    scope_out: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()  # what a person answered to the agent's questions
    at_ms: int  # commit date


class Usage(Record):
    input_tokens: int = 0
    output_tokens: int = 0
    micro_usd: int = 0


class AttemptResult(Record):
    """What one attempt left behind; `status` is the platform's word, never the agent's."""

    status: Literal["changed", "no_change", "needs_input", "failed"]
    failure: FailureClass = FailureClass.NONE
    reason: str = ""
    summary: str = ""  # the agent's words, shown as such
    questions: tuple[str, ...] = ()
    change: Change | None = None
    out_of_scope: tuple[str, ...] = ()
    usage: Usage = Usage()
    transcript: ArtifactRef | None = None
    backend: str = ""
    tier: Tier = Tier()
    seconds: float = 0
    runs: int = 1
