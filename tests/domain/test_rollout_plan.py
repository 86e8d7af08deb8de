"""A rollout begins only where nothing speaks against it."""

import pytest

from domain.deployment import FULL, Artefact, Capabilities, Place
from domain.repository import Repository
from domain.rollout import (
    Quarantined,
    Refusal,
    RolloutPlan,
    RolloutState,
    Served,
    StartRollout,
)
from domain.rollout_plan import Known, deployed_at, planned
from domain.rollout_view import RolloutLine
from domain.service import Analysis, Environment, Service, Slow, Step, Strategy

SERVICE = Service(
    run=("serve", "{port}"),
    slow=Slow(objective_ms=100),
    strategy=Strategy(steps=(Step(weight=20, hold=6), Step(weight=100, hold=0)), bake=8),
    environments={"production": Environment(port=8080)},
)
START = StartRollout(
    rollout="NEW",
    place=Place(
        repository=Repository(id="r", name="r", location="/r", base="refs/heads/main"),
        service="api",
        environment="production",
    ),
    key="idea",
    round=1,
    sha="b" * 40,
    tag="v2",
    base_moved=True,
)
DAY_MS = 86_400_000
NOW = 100 * DAY_MS


def anchor(**changes: object) -> Served:
    return Served(
        target="r.api/production",
        rollout="OLD",
        sha="a" * 40,
        tag="v1",
        artefact=Artefact(sha="a" * 40, digest="d", location=""),
        at_ms=1,
        service=SERVICE,
    ).but(**changes)


def known(**changes: object) -> Known:
    return Known(
        service=SERVICE,
        current=anchor(),
        anchor=anchor(),
        merges=("b" * 40,),
        capabilities=Capabilities(name="local"),
        rps=100,
        base_rate=0.01,
        now_ms=NOW,
    ).but(**changes)


def past(state: RolloutState, days: float = 0.5, reason: str = "500s") -> RolloutLine:
    at = NOW - int(days * DAY_MS)
    return RolloutLine(
        rollout="P", key="k", round=1, target="t", state=state, reason=reason,
        created_at_ms=at, updated_at_ms=at,
    )  # fmt: skip


def plan_of(**changes: object) -> RolloutPlan:
    plan = planned(START, known(**changes))
    assert isinstance(plan, RolloutPlan)
    return plan


def refusal_of(start: StartRollout = START, **changes: object) -> Refusal:
    refusal = planned(start, known(**changes))
    assert isinstance(refusal, Refusal)
    return refusal


def test_plans_the_steps_of_the_service_and_what_each_can_see():
    plan = plan_of()

    assert [(step.weight, step.hold_s) for step in plan.steps] == [(2_000, 6), (FULL, 0)]
    assert plan.steps[0].mde["error"] > 1
    assert (plan.bake_s, plan.first, plan.anchor) == (8, False, anchor())
    assert [kind.name for kind in plan.setup.classes] == ["error", "slow"]


def test_the_first_install_takes_all_traffic_at_once():
    plan = plan_of(anchor=None, current=None, capabilities=None)

    assert [(step.weight, step.hold_s) for step in plan.steps] == [(FULL, 0)]
    assert plan.first
    assert not plan.setup.control


def test_without_a_running_release_before_only_a_person_can_release():
    gone = known(anchor_ready=False)
    confirmed = planned(START.but(confirmed=True), gone)
    plain = planned(START, gone)

    assert isinstance(confirmed, RolloutPlan)
    assert isinstance(plain, RolloutPlan)
    assert (confirmed.first, confirmed.anchor) == (True, None)
    assert (plain.first, plain.anchor) == (False, anchor())


def test_a_change_can_not_soften_its_own_judgement():
    soft = SERVICE.but(analysis=Analysis(alpha=0.4), run=("serve", "--new", "{port}"))
    plan = plan_of(service=soft)

    assert plan.setup.analysis.alpha == 0.01
    assert plan.service.run == ("serve", "--new", "{port}")


def test_an_environment_may_have_a_strategy_of_its_own():
    own = Environment(port=8080, strategy=Strategy(kind="direct", bake=3))
    served = anchor(service=SERVICE.but(environments={"production": own}))
    plan = plan_of(anchor=served)

    assert ([step.weight for step in plan.steps], plan.bake_s) == ([FULL], 3)


@pytest.mark.parametrize(
    "service", [None, SERVICE.but(environments={"staging": Environment(port=1)})]
)
def test_where_nothing_is_declared_nothing_is_done(service):
    assert (refusal_of(service=service).status, refusal_of(service=service).code) == (
        "nothing", "no_service",
    )  # fmt: skip


def test_an_environment_that_is_new_is_taken_from_the_release():
    served = anchor(service=SERVICE.but(environments={"staging": Environment(port=1)}))

    assert plan_of(anchor=served).environment.port == 8080


@pytest.mark.parametrize(
    ("start", "changes", "status", "code"),
    [
        (START.but(base_moved=False), {}, "held", "base_not_moved"),
        (START.but(base_moved=False, tag=""), {}, "held", "base_not_moved"),
        (START, {"anchor": anchor(sha="b" * 40)}, "nothing", "serves"),
        (START, {"descends": False}, "held", "not_descended"),
    ],
)
def test_a_release_that_does_not_follow_the_last_one_is_refused(start, changes, status, code):
    refusal = refusal_of(start, **changes)

    assert (refusal.status, refusal.code) == (status, code)


def test_what_was_undone_and_not_mended_does_not_come_back():
    bad = Quarantined(
        repository="r", sha="e" * 40, rollout="P", key="other", reason="it failed", at_ms=1
    )
    refusal = refusal_of(poisoned=(bad,))

    assert refusal.code == "quarantined"
    assert "idea other" in refusal.reason


def test_two_undone_releases_in_a_row_are_for_a_person():
    twice = (past(RolloutState.UNDONE), past(RolloutState.HELD), past(RolloutState.UNDONE))
    once = (past(RolloutState.UNDONE), past(RolloutState.PASSED))

    assert refusal_of(past=twice).code == "undone_twice"
    assert isinstance(planned(START.but(confirmed=True), known(past=twice)), RolloutPlan)
    assert plan_of(past=once)


def test_what_counts_for_the_budget_is_what_had_traffic_and_undone_ones_twice():
    lines = (
        past(RolloutState.UNDONE),
        past(RolloutState.HELD),
        past(RolloutState.PASSED, days=2),
        past(RolloutState.BAKING, days=0),
    )

    assert deployed_at(lines) == (
        NOW - DAY_MS // 2, NOW - DAY_MS // 2, NOW - 2 * DAY_MS, NOW,
    )  # fmt: skip
