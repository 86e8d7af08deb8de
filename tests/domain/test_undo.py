"""An undo counts only when everything that it promises was seen."""

import pytest

from domain.deployment import FULL, Artefact, Counts, Inspection, Observation, Route
from domain.rollout import Served
from domain.service import Environment, Service
from domain.undo import Seen, completed, health, proofs
from domain.verdict import Verdict

ANCHOR = Served(
    target="t",
    rollout="OLD",
    sha="a" * 40,
    tag="v1",
    artefact=Artefact(sha="a" * 40, digest="d1", location=""),
    at_ms=1,
    service=Service(run=("x",), environments={"production": Environment(port=1)}),
)


def route(instance: str, digest: str, weight: int) -> Route:
    return Route(instance=instance, address="", version="", digest=digest, weight=weight)


def counts(instance: str, started: int) -> Counts:
    return Counts(instance=instance, started=started, done={"2xx": started})


def observation(old: int, bad: int) -> Observation:
    return Observation(
        target="t", at_ms=1, generation=7, counts=(counts("OLD.0", old), counts("BAD.0", bad))
    )


def seen(**changes: object) -> Seen:
    good = Seen(
        anchor=ANCHOR,
        rollout="BAD",
        generation=7,
        started_then=40,
        before=observation(100, 40),
        after=observation(300, 40),
        inspection=Inspection(
            target="t", generation=7, routes=(route("OLD.0", "d1", FULL), route("BAD.0", "d2", 0))
        ),
        least=200,
    )
    return good.but(**changes)


def test_an_undo_that_kept_its_promises_is_good():
    assert all(check.good for check in proofs(seen()))
    assert completed(seen()) == 200


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"generation": 8}, "generation 7"),
        (
            {"inspection": Inspection(target="t", generation=7, routes=(
                route("OLD.0", "d1", 9_000), route("BAD.0", "d2", 1_000),
            ))},
            "90 % to the release before",
        ),
        (
            {"inspection": Inspection(target="t", generation=7, routes=(
                route("OLD.0", "d9", FULL),
            ))},
            "1 others run too",
        ),
        ({"after": observation(300, 41)}, "1 requests went to the undone release"),
        ({"after": observation(250, 40)}, "150 of 200 requests"),
    ],
)  # fmt: skip
def test_each_broken_promise_is_told(changes, text):
    bad = [check.text for check in proofs(seen(**changes)) if not check.good]

    assert any(text in each for each in bad), bad


def test_without_a_release_before_nothing_may_be_served():
    nothing = Inspection(target="t", generation=7, routes=(route("BAD.0", "d2", 0),))
    serving = Inspection(target="t", generation=7, routes=(route("BAD.0", "d2", FULL),))

    assert all(check.good for check in proofs(seen(anchor=None, inspection=nothing)))
    assert not all(check.good for check in proofs(seen(anchor=None, inspection=serving)))
    assert completed(seen(anchor=None)) == 0


@pytest.mark.parametrize(("verdict", "good"), [("pass", True), ("inconclusive", False)])
def test_health_is_what_the_judge_says(verdict, good):
    assert health(Verdict(verdict=verdict, reason="because")).good is good
