"""Rollouts for tests: short to write, valid in every field."""

from domain.deployment import Artefact, Place
from domain.rollout import PlannedStep, RolloutPlan, Served
from domain.service import Environment, Service
from domain.tick import Side, Tick
from domain.verdict import ClassEvidence, CountClass, GaugeEvidence, JudgeSetup, Verdict
from tests.facts import KEY, idea

FIRST, SECOND, THIRD = (f"01J000000000000000000000{letter}0" for letter in "ABC")
SHA = "5" * 40


def service(**changes: object) -> Service:
    values = {"run": ("serve", "{port}"), "environments": {"production": Environment(port=8080)}}
    return Service.model_validate(values | changes)


def place(name: str = "web", environment: str = "production") -> Place:
    return Place(repository=idea().repository, service=name, environment=environment)


TARGET = place().target


def plan(rollout: str = FIRST, **changes: object) -> RolloutPlan:
    made = RolloutPlan(
        rollout=rollout,
        place=place(),
        key=KEY,
        round=1,
        sha=SHA,
        tag="v1.0.0",
        service=service(),
        environment=Environment(port=8080),
        setup=JudgeSetup(classes=(CountClass(name="error", tolerance=0.25),)),
        steps=(
            PlannedStep(index=0, weight=500, hold_s=120, mde={"error": float("inf")}),
            PlannedStep(index=1, weight=10_000, hold_s=0.5),
        ),
        bake_s=1_800,
        merges=(SHA,),
    )
    return made.but(**changes)


def served(rollout: str = FIRST, sha: str = SHA, target: str = TARGET) -> Served:
    return Served(
        target=target,
        rollout=rollout,
        sha=sha,
        tag="v1.0.0",
        artefact=Artefact(sha=sha, digest=f"d{sha}", location="releases/web"),
        at_ms=1_000,
        service=service(),
    )


def tick(seq: int = 0, *, rollout: str = FIRST, step: int = 0, **changes: object) -> Tick:
    made = Tick(
        rollout=rollout,
        step=step,
        seq=seq,
        at_ms=10_000 * (seq + 1),
        ms=10_000,
        weight=500,
        generation=2,
        control=Side(started=95, done=95, error=1),
        canary=Side(started=5, done=5),
        metrics={"queue": (1.5, 2.25)},
        cursor='{"generation": 2}',
    )
    return made.but(**changes)


def verdict(**changes: object) -> Verdict:
    evidence = ClassEvidence(
        name="error",
        control_bad=1,
        control_total=1_000,
        canary_bad=9,
        canary_total=60,
        log_e=7.25,
        log_e_robust=6.5,
        threshold=5.298,
        interval=(2.5, float("inf")),
        mde=4.0,
        failed=True,
    )
    made = Verdict(
        verdict="fail",
        reason="errors rose from 0.1 % to 15 %",
        classes=(evidence,),
        gauges=(GaugeEvidence(name="queue", state="worse", change=0.25, reason="it grew"),),
        ticks=6,
        requests=60,
        at_ms=70_000,
    )
    return made.but(**changes)
