"""The file `.slipway.yaml` of a repository."""

import pytest

from config.repo import read_repo_config
from domain.errors import Refused
from domain.repo_config import DeclaredGate, RepoConfig, SetupStep

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
services: {web: {}}
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
        services={"web": {}},
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
