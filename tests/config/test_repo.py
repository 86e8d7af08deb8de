"""The file `.slipway.yaml` of a repository."""

import re
from pathlib import Path

import pytest

from config.repo import read_repo_config
from domain.errors import Refused
from domain.record import Record
from domain.repo_config import DeclaredGate, RepoConfig, SetupStep
from domain.service import (
    Analysis,
    Environment,
    Limits,
    MetricSource,
    Probe,
    Ready,
    Service,
    Slow,
    Step,
    Strategy,
    Synthetic,
)

FULL = """\
schema: slipway.repo/1
setup:
  - run: pip install -r requirements.txt
    network: true
  - run: make generated
gates:
  tests: {run: make test, report: junit, path: out/junit.xml, timeout: 60}
  smoke: {run: ./smoke.sh}
protected_paths: [deploy/]
policy: {rules: []}
services:
  web:
    run: [serve, "{port}"]
    strategy:
      steps:
        - {weight: 20, hold: 6}
        - {weight: 100, hold: 0.5}
    environments:
      production: {port: 8080}
"""


def test_reads_the_whole_file() -> None:
    config = read_repo_config(FULL, ".slipway.yaml")

    assert config == RepoConfig(
        setup=(
            SetupStep(run="pip install -r requirements.txt", network=True),
            SetupStep(run="make generated"),
        ),
        gates={
            "tests": DeclaredGate(
                run="make test", report="junit", path="out/junit.xml", timeout=60
            ),
            "smoke": DeclaredGate(run="./smoke.sh"),
        },
        protected_paths=("deploy/",),
        policy={"rules": ()},
        services={
            "web": Service(
                run=("serve", "{port}"),
                strategy=Strategy(steps=(Step(weight=20, hold=6), Step(weight=100, hold=0.5))),
                environments={"production": Environment(port=8080)},
            )
        },
    ) or config.policy == {"rules": []}


@pytest.mark.parametrize(
    "text",
    [
        "schema: slipway.repo/2\n",
        "schema: slipway.repo/1\ngate: {}\n",
        "schema: slipway.repo/1\ngates: {tests: {report: junit}}\n",
        "schema: slipway.repo/1\ngates: {tests: {run: x, timeout: soon}}\n",
        "schema: slipway.repo/1\ngates: {tests: {run: x}, tests: {run: y}}\n",
        "schema: slipway.repo/1\ngates: {'No Name': {run: x}}\n",
        "schema: slipway.repo/1\ngates: {secrets: {run: 'true'}}\n",
    ],
)
def test_refuses_what_it_does_not_know(text: str) -> None:
    with pytest.raises(Refused):
        read_repo_config(text, ".slipway.yaml")


SERVICE = """\
schema: slipway.repo/1
services:
  web:
    run: [serve, "{port}"]
    environments:
      production: {port: 8080}
"""


def refused(text: str) -> list[tuple[str, int, str]]:
    with pytest.raises(Refused) as told:
        read_repo_config(text, ".slipway.yaml")
    return [(each.path, each.line, each.message) for each in told.value.problems]


@pytest.mark.parametrize(
    ("change", "path", "line", "reason"),
    [
        ("    drivers: x\n", "services.web.drivers", 7, "is not a key that is known here"),
        ("    replicas: two\n", "services.web.replicas", 7, "should be a whole number"),
        ("    needs: [db]\n", "services.web.needs[0]", 7, "no service is called 'db'"),
        ("    strategy: {kind: sideways}\n", "services.web.strategy.kind", 7, "'canary'"),
        (
            "    strategy:\n      steps:\n        - {weight: 50, hold: 1}\n",
            "services.web.strategy.steps[0].weight",
            9,
            "the last step must be 100 per cent, not 50",
        ),
        ("    secrets: [TOKEN=abc]\n", "services.web.secrets[0]", 7, "not a value"),
        ("    health: {path: no-slash}\n", "services.web.health.path", 7, "should match"),
    ],
)
def test_says_where_a_service_is_wrong(change: str, path: str, line: int, reason: str) -> None:
    told = refused(SERVICE + change)

    assert [(where, at) for where, at, _ in told] == [(path, line)]
    assert f".slipway.yaml, line {line}: `{path}`" in told[0][2]
    assert reason in told[0][2]
    assert "TOKEN" not in told[0][2]


@pytest.mark.parametrize(
    ("old", "new", "path", "reason"),
    [
        ('[serve, "{port}"]', "[]", "services.web.run", "at least 1 item"),
        ('[serve, "{port}"]', "[serve]", "services.web.run", "on which port to listen"),
        ("{port: 8080}", "{port: 8080, driver: kubernetes}",
         "services.web.environments.production.driver", "'local'"),
        ("{port: 8080}", "{}", "services.web", "environments.production.port is missing"),
        ("{port: 8080}", "{driver: command}", "services.web",
         "environments.production.command is missing"),
        ("  web:", "  Web:", "services.Web", "should match pattern"),
    ],
)  # fmt: skip
def test_refuses_a_service_that_could_not_run(old: str, new: str, path: str, reason: str) -> None:
    told = refused(SERVICE.replace(old, new))

    assert told[0][0] == path
    assert reason in told[0][2]


def test_tells_all_flaws_at_once_in_the_order_of_the_file() -> None:
    text = SERVICE + SERVICE.split("services:\n")[1].replace("web:", "api:") + "    paths: []\n"

    told = refused(text + "    needs: [db]\n")

    assert [(path, line) for path, line, _ in told] == [
        ("services.api.environments.production.port", 10),
        ("services.api.paths", 11),
        ("services.api.needs[0]", 12),
    ]


DOCS = Path(__file__).parents[2] / "docs" / "services.md"
TOLD = (
    Service, Probe, Ready, Limits, Slow, Synthetic, Step, Strategy, MetricSource, Analysis,
    Environment,
)  # fmt: skip


@pytest.mark.parametrize("record", TOLD)
def test_every_field_of_a_service_is_told_in_the_docs(record: type[Record]) -> None:
    told = set(re.findall(r"`([a-z_]+)`", DOCS.read_text()))

    assert set(record.model_fields) - told == set()


def test_the_example_of_the_docs_holds() -> None:
    example = DOCS.read_text().split("```yaml\n")[1].split("```")[0]

    assert set(read_repo_config(example, ".slipway.yaml").services) == {"web", "prices"}
