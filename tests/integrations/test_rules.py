"""The policy as it reads today, with the repository's own layer from the base commit."""

import time
from pathlib import Path

import pytest

from config.policies import SHIPPED, PolicySource, repository_layer, run_cases
from domain.change import FileChange
from domain.policy import DecidePhase, Decision, Facts, Layer, decide
from domain.repository import Repository
from integrations.cel import Cel
from integrations.rules import PolicyRules

CEL = Cel()
REPOSITORY = Repository(id="web-1", name="web", location="/w", base="refs/heads/main")
TIGHTER = "schema: slipway.repo/1\npolicy: {rules: [{name: no, outcome: deny, phases: [merge]}]}"


def own_layer(text: bytes) -> Layer | None:
    return repository_layer(text, CEL.problem)


class Commits:
    """One commit with one file, and the paths that changed after it."""

    def __init__(self, file: str | None, *changed: str) -> None:
        self.file = file
        self.changed = changed

    async def show(self, repository_id: str, sha: str, path: str) -> bytes | None:
        assert (repository_id, sha, path) == ("web-1", "base", ".slipway.yaml")
        return None if self.file is None else self.file.encode()

    async def changes(self, repository_id: str, base_sha: str, sha: str) -> tuple[FileChange, ...]:
        assert (repository_id, base_sha, sha) == ("web-1", "base", "head")
        return tuple(FileChange(path=path, kind="modified") for path in self.changed)


async def decided(
    tmp_path: Path, commits: Commits, config_file: str = "", head_sha: str = "", **facts: object
) -> Decision:
    source = PolicySource(tmp_path / "policy.yaml", tmp_path / "last", CEL.problem)
    rules = PolicyRules(CEL.bind, source.layers, own_layer, commits)
    order = DecidePhase(
        facts=Facts.model_validate({"phase": "merge", "trust": "owner", **facts}),
        repository=REPOSITORY.but(config_file=config_file),
        base_sha="base",
        head_sha=head_sha,
    )
    return await rules.decide(order)


@pytest.mark.parametrize("file", [None, "", "schema: slipway.repo/1\n"])
async def test_without_a_policy_of_its_own_the_shipped_one_decides(
    tmp_path: Path, file: str | None
) -> None:
    result = await decided(tmp_path, Commits(file))

    assert (result.outcome, result.rules) == ("allow", ("owner-goes-on",))
    assert [layer.split("@")[0] for layer in result.layers] == ["shipped"]


async def test_a_repository_tightens_from_its_base_commit(tmp_path: Path) -> None:
    result = await decided(tmp_path, Commits(TIGHTER))

    assert (result.outcome, result.rules) == ("deny", ("no",))
    assert [layer.split("@")[0] for layer in result.layers] == ["shipped", "repository"]


async def test_a_file_named_at_the_start_tightens_where_the_commit_has_none(
    tmp_path: Path,
) -> None:
    assert (await decided(tmp_path, Commits(None), config_file=TIGHTER)).outcome == "deny"


async def test_a_repository_that_loosens_or_cannot_be_read_is_denied(tmp_path: Path) -> None:
    loose = TIGHTER.replace("deny", "allow")

    for file in (loose, "policy: [", "policy: {rules: [{name: x, outcome: deny, when: nope}]}"):
        result = await decided(tmp_path, Commits(file))
        assert (result.outcome, result.rules) == ("deny", ("policy_error",))
        assert ".slipway.yaml" in result.reason


async def test_all_changed_paths_are_looked_at(tmp_path: Path) -> None:
    changed = (*(f"src/m{at}.py" for at in range(300)), ".github/workflows/ci.yml")
    commits = Commits(None, *changed)

    seen = await decided(tmp_path, commits, head_sha="head", paths=changed[:100], files=301)
    unseen = await decided(tmp_path, commits, paths=changed[:100], files=301)

    assert seen.rules == ("protected_paths",)
    assert unseen.rules == ("paths_unknown",)


def test_the_shipped_policy_passes_its_own_cases(tmp_path: Path) -> None:
    layers = PolicySource(tmp_path / "none", tmp_path / "last", CEL.problem).layers()

    results = run_cases(
        SHIPPED.with_name("policy_tests.yaml"), lambda facts: decide(layers, facts, CEL.bind)
    )

    assert [result.message for result in results if not result.passed] == []


def test_five_hundred_rules_take_little_time(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    rules = "\n".join(
        f"  - {{name: r{at}, outcome: require, when: 'files > {at} && \"x\" in labels'}}"
        for at in range(500)
    )
    policy.write_text(f"schema: slipway.policy/1\nrules:\n{rules}\n")
    layers = PolicySource(policy, tmp_path / "last", CEL.problem).layers()
    facts = Facts(phase="merge", files=250, labels=("x",))
    decide(layers, facts, CEL.bind)
    before = time.process_time()

    result = decide(layers, facts, CEL.bind)

    assert len(result.rules) == 250
    assert time.process_time() - before < 0.1  # 0.005 s on an idle machine
