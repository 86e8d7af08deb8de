"""Node and Go projects on real checkouts, without any dependency to fetch."""

from pathlib import Path

import pytest

from domain.review import Counts, EvidenceLevel, Verdict
from integrations.gates import node_environment
from integrations.gates.environment import Environment, Room
from tests.integrations.gates.ground import Ground

NODE = {
    "package.json": '{"name": "shop", "version": "1.0.0", "scripts": {"test": "node --test"}}',
    "price.js": "exports.total = (prices) => prices.reduce((a, b) => a + b, 0);\n",
    "test/price.test.js": (
        "const test = require('node:test');\nconst assert = require('node:assert');\n"
        "const { total } = require('../price.js');\n"
        "test('adds', () => assert.equal(total([1, 2]), 3));\n"
        "test('is zero', () => assert.equal(total([]), 0));\n"
    ),
}
GO = {
    "go.mod": "module example.org/shop\n\ngo 1.20\n",
    "price.go": (
        "package shop\n\nfunc Total(prices []int) int {\n\tsum := 0\n"
        "\tfor _, p := range prices {\n\t\tsum += p\n\t}\n\treturn sum\n}\n"
    ),
    "price_test.go": (
        'package shop\n\nimport "testing"\n\nfunc TestAdds(t *testing.T) {\n'
        '\tif Total([]int{1, 2}) != 3 {\n\t\tt.Fatal("wrong")\n\t}\n}\n'
    ),
}


async def test_a_node_change_is_judged_by_single_tests(tmp_path: Path) -> None:
    ground = Ground(tmp_path, NODE)

    good = await ground.judge("tests", {"README.md": "hello\n"})
    bad = await ground.judge("tests", {"price.js": "exports.total = () => 3;\n"})

    assert (good.verdict, good.level) == (Verdict.PASSED, EvidenceLevel.IDS)
    assert good.after == Counts(collected=2, passed=2)
    assert (bad.verdict, bad.newly_failed) == (Verdict.FAILED, ("is zero",))


@pytest.mark.slow
async def test_a_go_change_is_judged_by_single_tests(tmp_path: Path) -> None:
    ground = Ground(tmp_path, GO)
    broken = GO["price.go"].replace("sum += p", "sum -= p")

    bad = await ground.judge("tests", {"price.go": broken})
    unbuildable = await ground.judge("tests", {"price.go": "package shop\n\nfunc Total(\n"})

    assert bad.newly_failed == ("example.org/shop::TestAdds",)
    assert unbuildable.verdict == Verdict.FAILED
    assert "example.org/shop (build or set-up)" in unbuildable.newly_failed


def test_packages_are_linked_and_workspaces_lead_to_the_checkout(tmp_path: Path) -> None:
    source = tmp_path / "env" / "room" / "tree"
    (source / "node_modules" / "left").mkdir(parents=True)
    (source / "node_modules" / "@scope" / "right").mkdir(parents=True)
    (source / "packages" / "own").mkdir(parents=True)
    (source / "node_modules" / "own").symlink_to("../packages/own")
    room = Room(folder=str(tmp_path / "gate" / "room"))
    (room.tree / "packages" / "own").mkdir(parents=True)
    environment = Environment(project="node", digest="d", folder=str(tmp_path / "env" / "room"))

    entered = node_environment.enter(environment, room)

    modules = room.tree / "node_modules"
    assert (modules / "left").resolve() == source / "node_modules" / "left"
    assert (modules / "@scope" / "right").resolve() == source / "node_modules/@scope/right"
    assert (modules / "own").resolve() == room.tree / "packages" / "own"
    assert entered.readable == (str(tmp_path / "env" / "room"),)
