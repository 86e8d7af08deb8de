"""Services as a whole: what is refused, what a change deploys, which words count."""

import pytest

from domain.errors import Rejected
from domain.service import Analysis, Environment, MetricSource, Service, Slow, Step, Strategy
from domain.service_check import (
    flaws,
    in_order,
    judging_words,
    release_words,
    softened,
    touched_services,
)
from tests.rollouts import service

LOCAL = Environment(port=8080)
STEPS = (Step(weight=5, hold=60), Step(weight=100, hold=0))


def found(**services: Service) -> list[tuple[str, str]]:
    """Return code and place of each flaw."""
    return [(flaw.code, ".".join(map(str, flaw.path))) for flaw in flaws(services)]


def canary(*weights: float) -> Strategy:
    return Strategy(steps=tuple(Step(weight=weight, hold=1) for weight in weights))


def test_a_plain_service_has_no_flaw():
    assert found(web=service()) == []


def test_needs_must_be_declared():
    needy = service(needs=("db", "cache"), environments={"production": Environment(port=1)})

    assert found(web=needy, cache=service()) == [("unknown_service", "web.needs.0")]


def test_services_must_not_need_each_other():
    ports = iter(range(1, 9))

    def needs(*names: str) -> Service:
        return service(needs=names, environments={"production": Environment(port=next(ports))})

    assert found(a=needs("b"), b=needs("c"), c=needs("b")) == [("cyclic", "b.needs")]
    assert "b -> c -> b" in flaws({"a": needs("b"), "b": needs("c"), "c": needs("b")})[0].text


@pytest.mark.parametrize(
    ("here", "one", "there", "other", "taken"),
    [
        ("production", LOCAL, "production", LOCAL, True),
        ("production", LOCAL, "staging", LOCAL, True),
        ("production", LOCAL, "production", LOCAL.but(host="0.0.0.0"), True),
        ("production", LOCAL, "production", LOCAL.but(host="127.0.0.2"), False),
        ("production", LOCAL, "production", LOCAL.but(port=8081), False),
        ("production", LOCAL, "staging", LOCAL.but(driver="haproxy"), False),
        ("production", LOCAL.but(driver="haproxy", port=0), "production",
         LOCAL.but(driver="haproxy", port=0), False),
    ],
)  # fmt: skip
def test_a_port_is_one_services(here, one, there, other, taken):
    flawed = found(web=service(environments={here: one}), api=service(environments={there: other}))

    assert flawed == ([("port_taken", f"api.environments.{there}.port")] if taken else [])


def test_one_service_has_a_port_of_its_own_in_each_environment_of_this_machine():
    twice = service(environments={"staging": LOCAL, "production": LOCAL})

    assert found(web=twice) == [("port_taken", "web.environments.production.port")]


@pytest.mark.parametrize(
    "changes",
    [
        {"run": ("serve", "--listen=127.0.0.1:{port}")},
        {"run": ("serve",), "env": {"PORT": "{port}"}},
        {"run": ("serve",), "environments": {"x": LOCAL.but(env={"PORT": "{port}"})}},
        {
            "run": ("serve",),
            "environments": {"x": Environment(driver="command", command=("deploy",))},
        },
    ],
)
def test_a_service_is_told_its_port_somewhere(changes):
    assert found(web=service(**changes)) == []


def test_a_service_that_is_not_told_its_port_is_refused():
    mute = {"one": LOCAL.but(env={"PORT": "{port}"}), "two": LOCAL.but(port=1)}

    assert found(web=service(run=("serve",), environments=mute)) == [("no_port", "web.run")]


def test_the_program_has_a_name():
    assert found(web=service(run=(" ", "{port}"))) == [("no_program", "web.run.0")]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"secrets": ("API_KEY", "TOKEN=abc")}, "web.secrets.1"),
        ({"secrets": ("9lives",)}, "web.secrets.0"),
        ({"secrets": ("API_KEY",), "env": {"API_KEY": "x"}}, "web.env.API_KEY"),
        ({"env": {"TOKEN": "ghp_" + "aB3dE6gH9" * 4}}, "web.env.TOKEN"),
        (
            {"environments": {"x": LOCAL.but(env={"TOKEN": "ghp_" + "aB3dE6gH9" * 4})}},
            "web.environments.x.env.TOKEN",
        ),
    ],
)
def test_secrets_are_names_and_their_values_stand_nowhere(changes, place):
    assert found(web=service(**changes)) == [("secret_value", place)]
    told = flaws({"web": service(**changes)})[0]
    assert not any(part in told.text + told.hint for part in ("abc", "aB3dE6"))


def test_something_must_be_judged_and_deployed():
    assert found(web=service(errors=(), paths=())) == [
        ("no_paths", "web.paths"),
        ("nothing_judged", "web.errors"),
    ]
    assert found(web=service(errors=(), slow=Slow(objective_ms=200))) == []


def test_metrics_have_names_and_sources_of_their_own():
    metrics = (
        MetricSource(name="queue", source="command", query="./queue"),
        MetricSource(name="queue", source="prometheus", query="x", url="http://localhost"),
        MetricSource(name="lag", source="http", query="/lag"),
    )

    assert found(web=service(analysis=Analysis(metrics=metrics))) == [
        ("duplicate_metric", "web.analysis.metrics.1.name"),
        ("no_url", "web.analysis.metrics.2"),
    ]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (canary(5, 50, 100), []),
        (canary(0.01, 100), []),
        (canary(50, 50, 100), [("not_increasing", "steps.1.weight")]),
        (canary(50, 5, 100), [("not_increasing", "steps.1.weight")]),
        (canary(5, 50), [("not_complete", "steps.1.weight")]),
        (canary(0.005, 100), [("too_fine", "steps.0.weight")]),
        (Strategy(kind="direct", steps=STEPS), [("no_canary", "steps")]),
        (Strategy(on_inconclusive="promote"), [("no_promote_mde", "on_inconclusive")]),
        (Strategy(on_inconclusive="promote", promote_mde=3), []),
    ],
)
def test_a_strategy_goes_up_to_all_traffic(strategy, expected):
    theirs = LOCAL.but(strategy=strategy)

    assert found(web=service(strategy=strategy)) == [
        (code, f"web.strategy.{place}") for code, place in expected
    ]
    assert found(web=service(environments={"x": theirs})) == [
        (code, f"web.environments.x.strategy.{place}") for code, place in expected
    ]


def test_a_change_deploys_what_it_touches_after_what_that_needs():
    services = {
        "web": service(paths=("web/**",), needs=("api", "gone")),
        "api": service(paths=("api/**", "shared/**"), needs=("db",)),
        "db": service(paths=("db/**", "shared/**")),
    }

    assert in_order(services) == ("db", "api", "web")
    assert touched_services(services, ("web/a.py", "shared/b.py")) == ("db", "api", "web")
    assert touched_services(services, ("web/a.py", "api/x.py")) == ("api", "web")
    assert touched_services(services, ("docs/index.md",)) == ()
    assert touched_services({"all": service()}, (".slipway.yaml",)) == ("all",)


def test_a_cycle_has_no_order():
    with pytest.raises(Rejected) as refused:
        in_order({"a": service(needs=("b",)), "b": service(needs=("a",))})

    assert refused.value.problem.code == "cyclic"


def test_what_judges_is_of_the_last_release_that_passed():
    judged = service()
    released = service(
        run=("new", "{port}"),
        env={"A": "b"},
        errors=("connect",),
        slow=Slow(objective_ms=9_000),
        strategy=Strategy(kind="direct"),
        analysis=Analysis(alpha=0.4),
        environments={"production": Environment(port=9_999)},
    )

    effective = release_words(released, judged)

    assert (effective.run, effective.env) == (("new", "{port}"), {"A": "b"})
    assert effective.but(run=judged.run, env={}) == judged
    assert softened(released, judged) == (
        "strategy", "analysis", "errors", "slow", "environments",
    )  # fmt: skip


def test_the_first_release_judges_itself():
    first = service(errors=("connect",))

    assert release_words(first, None) == first
    assert softened(first, None) == ()


def test_a_service_survives_being_written_and_read():
    assert Service.model_validate_json(service().model_dump_json()) == service()


@pytest.mark.parametrize("environment", [{}, {"driver": "command"}])
def test_an_environment_says_where_it_listens_or_who_deploys(environment):
    with pytest.raises(ValueError, match="is missing"):
        service(environments={"production": environment})


def test_names_the_programs_that_move_or_judge_a_release():
    metrics = (
        MetricSource(name="queue", source="command", query="python './bin/queue.py'"),
        MetricSource(name="lag", source="http", query="up", url="http://localhost"),
    )
    judged = service(
        strategy=Strategy(smoke="./smoke.sh $SLIPWAY_INSTANCE_URL"),
        analysis=Analysis(metrics=metrics),
        environments={
            "production": Environment(driver="command", command=("deploy/run", "--fast")),
            "staging": Environment(port=1, strategy=Strategy(smoke="./other.sh")),
        },
    )

    assert judging_words({"web": judged, "api": service()}) == (
        "smoke.sh", "$SLIPWAY_INSTANCE_URL", "other.sh", "deploy/run", "--fast", "python",
        "bin/queue.py",
    )  # fmt: skip
