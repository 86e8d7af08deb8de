"""A rollout: one attempt to bring a release to a target; its plan, its states, its result."""

from enum import StrEnum
from typing import Literal

from domain.delivery import CALM, Patience
from domain.deployment import Artefact, Inspection, Place
from domain.record import Record
from domain.service import Environment, Service
from domain.verdict import JudgeSetup, Verdict


class RolloutState(StrEnum):
    PLANNED = "planned"
    WAITING = "waiting"  # for policy, a person or a window
    BUILDING = "building"
    STARTING = "starting"
    SHIFTING = "shifting"  # traffic moves step by step
    BAKING = "baking"  # all traffic, still watched
    UNDOING = "undoing"
    PASSED = "passed"
    UNDONE = "undone"
    RESTORED_UNVERIFIED = "restored_unverified"
    HELD = "held"  # nothing was changed, or everything stands still for a person
    SUPERSEDED = "superseded"
    FAILED = "failed"  # before any traffic


ENDED = (
    RolloutState.PASSED,
    RolloutState.UNDONE,
    RolloutState.RESTORED_UNVERIFIED,
    RolloutState.HELD,
    RolloutState.SUPERSEDED,
    RolloutState.FAILED,
)


class PlannedStep(Record):
    """One step of traffic: how much, how long, and what it can see."""

    index: int
    weight: int  # basis points
    hold_s: float
    mde: dict[str, float] = {}  # by class: smallest ratio seen, at the traffic of the last day


class Served(Record):
    """What a target serves: rollout, commit and artefact."""

    target: str
    rollout: str
    sha: str
    tag: str
    artefact: Artefact
    at_ms: int
    service: Service


class RolloutPlan(Record):
    """All that a rollout will do, decided before anything starts."""

    rollout: str  # ULID
    place: Place
    key: str  # the idea
    round: int
    sha: str
    tag: str
    service: Service  # merged: run words of the commit, judgement words of the last passed one
    environment: Environment
    setup: JudgeSetup
    steps: tuple[PlannedStep, ...]
    bake_s: float
    anchor: Served | None = None  # last passed, the way back; None: first install
    merges: tuple[str, ...] = ()  # merge commits between anchor and sha, oldest first
    first: bool = False  # nothing is served yet: no control, a smoke test only


class StartRollout(Record):
    """The start input of `DeployRelease`."""

    rollout: str
    place: Place
    key: str
    round: int
    sha: str
    tag: str
    base_moved: bool
    initiator: str = ""
    patience: Patience = CALM
    waiter: str = ""  # workflow id of the idea, which is told the end
    confirmed: bool = False  # a person wants it although the last ones were undone


class RolloutTurn(Record):
    """What a release that waits for a target is told: it is its turn, or another holds it too."""

    target: str
    rollout: str
    go: bool
    superseded_by: str = ""  # idea


class Refusal(Record):
    """Why a rollout does not start; `held` waits for a person, `failed` will never do."""

    status: Literal["held", "failed", "nothing"]
    code: str
    reason: str
    hint: str = ""


class Undo(Record):
    """How a release was undone, and what was verified of it."""

    rollout: str
    verified: bool
    reason: str
    generation: int = 0
    anchor_sha: str = ""
    decided_ms: int = 0
    restored_ms: int = 0  # traffic is back
    verified_ms: int = 0
    checks: tuple[str, ...] = ()  # one sentence per check
    inspection: Inspection | None = None


class RolloutResult(Record):
    """How a rollout ended; an idea repairs what was undone."""

    rollout: str
    target: str
    status: RolloutState
    reason: str
    sha: str
    tag: str = ""
    verdict: Verdict | None = None
    undo: Undo | None = None
    merges: tuple[str, ...] = ()  # quarantined, if undone
    exposure: float = 0  # largest share of traffic it had, 0 to 1
    superseded_by: str = ""
    bad_since_ms: int = 0  # end of the first tick with bad answers


class Quarantined(Record):
    """A merge commit that was undone; nothing that holds it may be released without `cure`."""

    repository: str
    sha: str
    rollout: str
    key: str
    reason: str
    at_ms: int
    cure: str = ""  # commit of the recorded fix or revert; empty: none yet
    cure_kind: Literal["", "fix", "revert", "flag_off"] = ""
