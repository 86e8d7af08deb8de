"""Census, scope, secrets, churn, protected paths, lint, types, security, set-up, declared gates."""

from pathlib import Path

import pytest

from domain.census import WEAKENED
from domain.errors import Rejected
from domain.idea import Acceptance
from domain.review import EvidenceLevel, Verdict
from tests.integrations.gates.ground import SHOP, TESTS, Ground

DECLARED = """\
schema: slipway.repo/1
setup:
  - run: echo ready > prepared.txt
gates:
  tests: {run: 'cat prepared.txt && python -m unittest', report: exit}
  points: {run: 'printf "1..2\\nok 1 - a\\nok 2 - $(cat word)\\n"', report: tap}
protected_paths: [deploy/]
"""


async def test_a_removed_test_is_found(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)
    fewer = TESTS.replace("    def test_takes_many(self):", "    def takes_many(self):")

    result = await ground.judge("census", {"tests/test_price.py": fewer})

    assert result.verdict == Verdict.FAILED
    assert (
        result.reason == f"{WEAKENED}1 tests fewer, first tests.test_price.Totals::test_takes_many"
    )


async def test_the_census_shares_the_run_of_the_tests_gate(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)
    await ground.judge("tests", {})
    before = len(ground.progress)

    result = await ground.judge("census", {})

    assert result.verdict == Verdict.PASSED
    assert len(list((tmp_path / "cache" / "gates").glob("*.json"))) == 1
    assert len(ground.progress) == before + 2


async def test_paths_outside_the_scope_fail(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)
    change = {"shop/price.py": "x = 1\n", 'odd "näme\n.txt': "x", "README": "x"}

    result = await ground.judge(
        "scope", change, allowed=("shop/", "README"), forbidden=("*.md", "README")
    )

    assert result.verdict == Verdict.FAILED
    assert [each.path for each in result.findings] == ['odd "näme\n.txt', "README"]


async def test_paths_inside_the_scope_pass(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)

    result = await ground.judge("scope", {"shop/price.py": "x = 1\n"}, allowed=("shop/**",))

    assert (result.verdict, result.reason) == (Verdict.PASSED, "1 paths, all inside the scope")


async def test_a_credential_in_an_added_line_fails_and_is_not_repeated(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"

    result = await ground.judge("secrets", {"shop/key.py": f"KEY = '{secret}'\n"})

    assert result.verdict == Verdict.FAILED
    assert "github-token in shop/key.py:1" in result.reason
    assert secret not in result.model_dump_json()


async def test_churn_counts_lines_by_people_and_machines_apart(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)
    change = {"shop/a.py": "x = 1\n" * 30, "shop/b.py": "x = 1\n" * 50}

    result = await ground.judge("churn", change, max_changed_lines=29, generated=("shop/b.py",))

    assert result.verdict == Verdict.FAILED
    assert result.reason == "30 changed lines and 50 by machines, the limit is 29"


async def test_protected_paths_are_told_to_the_policy(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP | {".slipway.yaml": DECLARED})
    change = {".slipway.yaml": "schema: slipway.repo/1\n", "deploy/web": "x", "shop/a.py": "x"}

    result = await ground.judge("protected", change)

    assert result.verdict == Verdict.PASSED
    assert [(each.path, each.severity) for each in result.findings] == [
        (".slipway.yaml", "warning"),
        ("deploy/web", "warning"),
    ]


async def test_security_tells_only_new_findings_outside_tests(tmp_path: Path) -> None:
    risky = "import subprocess\n\n\ndef run(x):\n    subprocess.call(x, shell=True)\n"
    ground = Ground(tmp_path, SHOP | {"shop/old.py": risky})
    moved = "# one more line\n" + risky

    kept = await ground.judge("security", {"shop/old.py": moved, "tests/test_b.py": risky})
    new = await ground.judge("security", {"shop/new.py": risky + "\n\nrun(eval('1'))\n"})

    assert (kept.verdict, kept.reason) == (Verdict.PASSED, "no new finding (1 now, 1 before)")
    assert new.verdict == Verdict.FAILED
    assert {each.rule for each in new.findings} == {"S602", "S307"}


async def test_lint_runs_where_it_is_configured_and_a_broken_base_skips_it(tmp_path: Path) -> None:
    ground = Ground(tmp_path / "good", SHOP | {"ruff.toml": "line-length = 40\n"})
    broken = Ground(tmp_path / "bad", SHOP | {"ruff.toml": "line-length = 'wide'\n"})

    new = await ground.judge("lint", {"shop/price.py": "import os\n"})
    skipped = await broken.judge("lint", {"shop/price.py": "import os\n"})

    assert (new.verdict, [each.rule for each in new.findings]) == (Verdict.FAILED, ["F401"])
    assert skipped.verdict == Verdict.SKIPPED
    assert "cannot run on the base" in skipped.reason


async def test_gates_that_are_not_configured_are_absent_with_a_reason(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)

    found = await ground.select()

    assert [gate.name for gate in found.gates] == [
        "setup", "secrets", "churn", "protected", "scope", "tests", "security", "census",
    ]  # fmt: skip
    assert found.notes == (
        "lint: neither ruff nor flake8 is configured",
        "types: mypy is not configured",
    )


async def test_set_up_tells_what_was_built(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)

    result = await ground.judge("setup", {"shop/price.py": "total = sum\n"})

    assert result.verdict == Verdict.PASSED
    assert "the same environment as on the base" in result.reason


async def test_declared_gates_win_and_set_up_is_laid_into_each_checkout(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP | {".slipway.yaml": DECLARED, "word": "b\n"})

    tests = await ground.judge("tests", {"shop/price.py": "total = sum\n"})
    points = await ground.judge("points", {"word": "c\n"})

    assert ground.set.origin == "declared"
    assert (tests.verdict, tests.reason) == (
        Verdict.PASSED,
        "3 of 3 tests pass (3 of 3 before)",
    )
    assert tests.level == EvidenceLevel.COUNTS
    assert (points.verdict, points.after and points.after.collected) == (Verdict.PASSED, 2)


async def test_output_that_is_whole_tap_names_single_tests(tmp_path: Path) -> None:
    declared = "schema: slipway.repo/1\ngates: {points: {run: sh points.sh}}\n"
    points = "echo 1..2; echo ok 1 - a; echo ok 2 - b\n"
    ground = Ground(tmp_path, SHOP | {".slipway.yaml": declared, "points.sh": points})

    result = await ground.judge("points", {"points.sh": points.replace("ok 2", "not ok 2")})

    assert (result.level, result.newly_failed) == (EvidenceLevel.IDS, ("b",))


async def test_a_change_cannot_redeclare_its_own_gates(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP | {".slipway.yaml": DECLARED})
    lax = DECLARED.replace("python -m unittest", "true")

    result = await ground.judge(
        "tests", {".slipway.yaml": lax, "shop/price.py": "def total(prices):\n    return 0\n"}
    )

    assert result.verdict == Verdict.FAILED


async def test_a_change_cannot_redeclare_its_own_set_up(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP | {".slipway.yaml": DECLARED})
    other = DECLARED.replace("echo ready > prepared.txt", "exit 3")

    result = await ground.judge("setup", {".slipway.yaml": other})

    assert result.verdict == Verdict.PASSED


async def test_failing_set_up_holds_on_the_base_and_fails_after_the_change(tmp_path: Path) -> None:
    declared = "schema: slipway.repo/1\nsetup: [{run: 'sh pyproject.sh'}]\n"
    broken = SHOP | {".slipway.yaml": declared, "pyproject.sh": "echo it broke; exit 3\n"}
    good = broken | {"pyproject.sh": "true\n"}
    held, fails = Ground(tmp_path / "held", broken), Ground(tmp_path / "fails", good)

    on_base = await held.judge("setup", {})
    tests = await held.judge("tests", {})
    after = await fails.judge("setup", {"pyproject.sh": "exit 4\n"})

    assert on_base.verdict == tests.verdict == Verdict.HELD
    assert "set-up fails on the base: sh pyproject.sh: exit code 3 it broke" in on_base.reason
    assert (after.verdict, "exit code 4" in after.reason) == (Verdict.FAILED, True)


async def test_a_repository_file_that_is_not_valid_is_refused(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP | {".slipway.yaml": "schema: slipway.repo/1\ngatez: {}\n"})

    with pytest.raises(Rejected) as caught:
        await ground.select()

    assert caught.value.problem.code == "bad_repo_config"
    assert ".slipway.yaml of the base commit cannot be used" in str(caught.value)


async def test_an_operators_file_serves_repositories_without_one(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP, config_file=DECLARED)

    found = await ground.select()

    assert found.origin == "operator"
    assert "deploy/" in found.protected_paths


async def test_the_idea_adds_validation_and_acceptance(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)
    criterion = Acceptance(id="A1", command="test ! -e shop/new.py", expected=1)
    await ground.select(validation=("test -e shop/price.py",), acceptance=(criterion,))
    change = {"shop/new.py": "x = 1\n"}

    accepted = await ground.judge("accept-A1", change)
    validated = await ground.judge("validation-1", {"shop/price.py": None})

    assert (accepted.verdict, accepted.base) == (Verdict.PASSED, None)
    assert (validated.verdict, validated.reason[:12]) == (Verdict.FAILED, "ended with 1")


async def test_the_digest_of_a_set_names_its_gates(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)

    first = await ground.select()
    again = await ground.select()
    other = await ground.select(validation=("true",))

    assert first.digest == again.digest != other.digest


async def test_a_brief_of_a_gate_is_completed_from_the_set(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)
    await ground.select()
    ground.gates = ground.open()
    sha = await ground.change({"README": "x"})
    brief = {"name": "tests", "kind": "tests"}

    result = await ground.gates.judge(ground.order(gate=brief, sha=sha), ground.progress.append)

    assert result.verdict == Verdict.PASSED
    assert result.after is not None
    assert result.after.passed == 3
