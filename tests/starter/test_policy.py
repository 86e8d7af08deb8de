import json
from pathlib import Path

import pytest

from domain.errors import Refused, Rejected
from starter import entry
from starter.codes import Exit
from starter.policy import check_file, decide_facts, in_force, try_cases

CASES = Path("config/policy_tests.yaml")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def own(home: Path) -> Path:
    """An operator's policy that denies everything."""
    path = home / "config" / "policy.yaml"
    path.parent.mkdir()
    path.write_text(
        "schema: slipway.policy/1\n"
        "rules:\n"
        "  - {name: nothing, phases: [merge], when: 'files >= 0', outcome: deny, reason: no}\n"
    )
    return path


def test_the_shipped_policy_holds_until_there_is_an_own_one(home: Path):
    assert in_force().name == "policy.yaml"
    assert in_force().parent.name == "config"


def test_the_operators_policy_replaces_the_shipped_one(own: Path):
    assert (check_file(None).file, check_file(None).rules) == (str(own), 1)
    assert decide_facts(("trust=owner",), None).outcome == "deny"


def test_a_broken_policy_is_told_with_its_line(own: Path):
    own.write_text(own.read_text().replace("files >= 0", "fils >= 0"))

    with pytest.raises(Refused) as caught:
        check_file(own)

    assert caught.value.problems[0].line == 3


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        (("phase=start", "trust=owner"), "allow"),
        (("risk=high", "trust=owner"), "require"),
        (("trust=owner", "labels=payments,security"), "require"),
        (("trust=owner", "gates_failed=tests"), "deny"),
    ],
)
def test_facts_are_decided_as_the_workers_would(facts: tuple[str, ...], outcome: str):
    assert decide_facts(facts, None).outcome == outcome


@pytest.mark.parametrize("pair", ["x=1", "risk", "=high"])
def test_a_fact_that_is_none_is_refused_with_those_there_are(pair: str):
    with pytest.raises(Rejected) as caught:
        decide_facts((pair,), None)

    assert "initiator" in caught.value.problem.hint


def test_a_value_that_does_not_fit_is_refused():
    with pytest.raises(Rejected, match="fact files=many"):
        decide_facts(("files=many",), None)


def test_all_shipped_cases_come_out_as_expected():
    assert all(result.passed for result in try_cases(CASES, None))


def test_a_case_that_comes_out_otherwise_ends_with_1(own: Path, capsys: pytest.CaptureFixture[str]):
    code = entry.run(["policy", "test", str(CASES), "--policy", str(own), "--json"])

    told = json.loads(capsys.readouterr().out)
    assert (code, told["passed"]) == (Exit.OTHER, False)
