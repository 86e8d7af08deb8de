"""Orders and answers of a rollout's activities."""

from typing import Literal

from domain.deployment import Artefact, Instance, Place
from domain.record import Record
from domain.rollout import Refusal, RolloutPlan, Served
from domain.service import Environment, Service
from domain.verdict import Verdict


class FindServices(Record):
    """Which services of a commit does a change deploy, and where?"""

    key: str
    place: Place  # repository only; service and environment are found
    base_sha: str
    sha: str


class ServicesFound(Record):
    """Places in the order in which they are deployed: what others need comes first."""

    places: tuple[Place, ...] = ()
    deployed_at_ms: dict[str, tuple[int, ...]] = {}  # by target, for its change budget
    note: str = ""


class PreparedRollout(Record):
    """A plan, or why there is none; `facts` are for policy at phase deploy."""

    plan: RolloutPlan | None = None
    refusal: Refusal | None = None


class BuildRelease(Record):
    plan: RolloutPlan


class StartReplicas(Record):
    """Ensure all replicas of an artefact run and are ready."""

    plan: RolloutPlan
    artefact: Artefact


class Replicas(Record):
    """Instances that are ready, and the generation of the traffic that they do not have yet."""

    instances: tuple[Instance, ...]
    generation: int


class RunHook(Record):
    """Run one of the service's shell lines in the release folder."""

    plan: RolloutPlan
    hook: Literal["pre", "post", "pre_deploy", "smoke"]
    artefact: Artefact
    url: str = ""  # of the new instance


class HookEnd(Record):
    hook: str
    ok: bool
    reason: str = ""


class WarmUp(Record):
    plan: RolloutPlan
    instances: tuple[Instance, ...]


class ShiftTraffic(Record):
    """Give the rollout's instances `weight` basis points of the traffic.

    `expected` is the generation that the workflow knows: were it read again here, a late retry
    could move traffic back to a release that has been undone meanwhile.
    """

    plan: RolloutPlan
    weight: int
    expected: int
    op: str


class Shifted(Record):
    """`stale`: somebody else has moved the traffic, as an undo by hand does."""

    status: Literal["shifted", "stale"]
    generation: int
    weight: int
    at_ms: int
    reason: str = ""


class JudgeStep(Record):
    """Watch one step until it is decided: tick by tick, each on record before it counts."""

    plan: RolloutPlan
    step: int
    hold_s: float
    cap_s: float
    bake: bool = False
    generation: int = 0  # of the traffic that is watched; 0: whatever it is


class StepJudged(Record):
    verdict: Verdict
    since_ms: int = 0  # end of the first tick with bad answers of the new release
    moved: bool = False  # somebody else has moved the traffic: there is nothing to watch any more
    exposure: float = 0


class PlanUndo(Record):
    """Find the plan of a rollout that has ended, so that it can be undone."""

    rollout: str
    key: str


class UndoPlanned(Record):
    plan: RolloutPlan | None = None


class RestoreTraffic(Record):
    """Give all traffic back to the anchor; starts its instances if they are gone."""

    place: Place
    key: str
    rollout: str  # that is undone
    service: Service
    environment: Environment
    anchor: Served | None
    op: str


class Restored(Record):
    generation: int
    at_ms: int
    started: int  # requests that the undone instances had begun until then
    weights: dict[str, int] = {}


class VerifyUndo(Record):
    order: RestoreTraffic
    restored: Restored
    plan: RolloutPlan | None
    verdict: Verdict | None = None  # that failed the release, if one did
    decided_ms: int
    patience_s: float = 600
    least: int = 200  # completed requests


class EndInstances(Record):
    """Drain and stop a rollout's instances, unless they carry traffic."""

    place: Place
    service: Service
    environment: Environment
    rollout: str


class PruneReleases(Record):
    """Remove what was built of releases that nobody will come back to."""

    place: Place
    environment: Environment


class FinishRollout(Record):
    """Make a release the one to come back to."""

    plan: RolloutPlan
    artefact: Artefact
    passed: bool  # False: it serves, but has not proven itself yet


class QuarantineMerges(Record):
    plan: RolloutPlan
    reason: str


class CureMerges(Record):
    """Say which commit mends what was undone."""

    repository: str
    shas: tuple[str, ...]
    cure: str
    kind: Literal["fix", "revert", "flag_off"]


class ChooseNext(Record):
    """Of several releases that wait for one target, find the one that holds all others."""

    place: Place
    shas: tuple[str, ...]


class Chosen(Record):
    sha: str
