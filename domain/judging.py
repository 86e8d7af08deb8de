"""What the gates are asked: which gates there are, and what one of them says about a commit."""

from domain.idea import Acceptance
from domain.record import ArtifactRef, Record
from domain.repository import Repository
from domain.review import GateSpec


class SelectGates(Record):
    """Gates come from the base commit only, plus what the idea adds."""

    repository: Repository
    base_sha: str
    validation: tuple[str, ...] = ()
    acceptance: tuple[Acceptance, ...] = ()
    protected_paths: tuple[str, ...] = ()


class JudgeCommit(Record):
    """Which commit is judged against which base, and what it was allowed to do."""

    key: str
    round: int
    where: str  # task, review or train
    task: str = ""
    attempt: int = 0
    repository: Repository
    base_sha: str
    sha: str
    gate_set: str  # digest of the set
    gate_set_ref: ArtifactRef | None = None  # where `gate` is read in full, if it came as a brief
    protected_paths: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ("**",)  # for the scope gate
    forbidden: tuple[str, ...] = ()
    max_changed_lines: int = 0  # for the churn gate; 0: no limit
    generated: tuple[str, ...] = ()  # paths edited by builtin operations, counted apart


class RunGate(JudgeCommit):
    """Judge `sha` against `base_sha` with one gate."""

    gate: GateSpec
