"""What a release would do, said before anything starts."""

import pytest

from domain.release_plan import Traffic, chosen, foresee
from domain.service import Environment, Step, Strategy
from tests.rollouts import TARGET, served, service

CANARY = Strategy(steps=(Step(weight=20, hold=60), Step(weight=100, hold=0)), bake=300)
BUSY = Traffic(rps=50, base_rate=0.002)


def test_says_steps_and_times_and_where_it_comes_back_to():
    released = service(strategy=CANARY)
    anchor = served().but(service=released)

    told = foresee(released, "web", "production", traffic=BUSY, anchor=anchor)

    assert (told.service, told.environment, told.target) == ("web", "production", TARGET)
    assert (told.driver, told.address, told.kind) == ("local", "127.0.0.1:8080", "canary")
    assert [(step.weight, step.hold_s) for step in told.steps] == [(2_000, 60), (10_000, 0)]
    assert (told.seconds, told.longest_s) == (360, 2_100)
    assert 1.25 < told.steps[0].mde["error"] < 20
    assert (told.anchor, told.notes, told.later) == ("v1.0.0", (), ())


def test_more_traffic_sees_a_smaller_regression():
    quiet, busy = (
        foresee(service(), "web", "production", traffic=Traffic(rps=rps, base_rate=0.002))
        for rps in (5, 500)
    )

    assert all(
        one.mde["error"] > other.mde["error"]
        for one, other in zip(quiet.steps[:-1], busy.steps[:-1], strict=True)
    )


def test_nothing_is_said_of_what_is_seen_without_traffic():
    told = foresee(service(), "web", "production")

    assert [step.mde for step in told.steps] == [{}] * 5
    assert told.anchor == told.target == ""


def test_a_first_install_has_all_traffic_at_once():
    told = foresee(service(), "web", "production", traffic=BUSY, first=True)

    assert [(step.weight, step.mde) for step in told.steps] == [(10_000, {})]
    assert [step.weight for step in told.later] == [500, 1_000, 2_500, 5_000, 10_000]
    assert told.later[0].mde["error"] > 1
    assert told.notes == ("first install: nothing to compare with, so all traffic at once",)


def test_judging_words_are_those_of_the_last_that_passed():
    anchor = served().but(service=service(strategy=CANARY))

    told = foresee(service(strategy=Strategy(kind="direct")), "web", "production", anchor=anchor)

    assert told.kind == "canary"
    assert told.notes == ("its changed strategy count from the next release on",)


def test_an_environment_that_is_new_is_told_from_the_commit_itself():
    new = service(environments={"staging": Environment(driver="haproxy")})

    told = foresee(new, "web", "staging", anchor=served())

    assert (told.driver, told.address) == ("haproxy", "")


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"schema_change": "contract"}, "its schema change can not be undone: a bad release"),
        ({"strategy": Strategy(on_failure="ask")}, "on_failure is ask"),
        ({"strategy": Strategy(confirm=("start", "promote"))}, "says yes at: start, promote"),
    ],
)
def test_says_what_a_person_should_know(changes, note):
    told = foresee(service(**changes), "web", "production")

    assert len(told.notes) == 1
    assert note in told.notes[0]


def test_services_come_after_what_they_need_and_may_be_chosen():
    staged = {"staging": Environment(port=1), "production": Environment(port=2)}
    services = {"web": service(needs=("db",), environments=staged), "db": service()}

    assert chosen(services) == (
        ("db", "production"), ("web", "staging"), ("web", "production"),
    )  # fmt: skip
    assert chosen(services, "web", "production") == (("web", "production"),)
    assert chosen(services, environment="staging") == (("web", "staging"),)
    assert chosen(services, "nobody") == ()
