"""The tests gate on a real checkout: compare with the base, repeat, hold, fail."""

from pathlib import Path

import pytest

from domain.command import CommandOrder, CommandOutcome
from domain.review import Counts, EvidenceLevel, Tier, Verdict
from integrations.process import OnEvent, Processes
from tests.integrations.gates.ground import SHOP, TESTS, Ground

BROKEN = {"shop/price.py": "def total(prices):\n    return sum(prices) + len(prices) // 10\n"}


async def test_a_harmless_change_passes_with_single_test_ids(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)

    result = await ground.judge("tests", {"shop/price.py": "total = sum\n"})

    assert (result.verdict, result.level) == (Verdict.PASSED, EvidenceLevel.IDS)
    assert result.base == result.after == Counts(collected=3, passed=3)
    assert ground.left() == []
    assert result.log is not None
    assert b"test_adds" in await ground.artifacts.get(result.log)


async def test_a_broken_change_fails_and_names_the_test(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)

    result = await ground.judge("tests", BROKEN)

    assert result.verdict == Verdict.FAILED
    assert result.newly_failed == ("tests.test_price.Totals::test_takes_many",)


async def test_the_same_commit_is_measured_once_for_all_installations(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)
    first = await ground.judge("tests", {})
    ground.gates = ground.open()

    again = await ground.judge("tests", {})

    assert (first.cached, again.cached) == (False, True)
    assert again.but(cached=False, seconds=0) == first.but(seconds=0)


async def test_a_red_base_is_not_blamed_on_the_change(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP | BROKEN)

    result = await ground.judge("tests", {"README": "hello\n"})

    assert result.verdict == Verdict.PASSED
    assert "1 red as before" in result.reason


class Counting:
    """Real commands that can count their own runs (in RUN); only gates are counted."""

    def __init__(self, inner: Processes) -> None:
        self._inner = inner
        self.runs = 0

    async def run(self, order: CommandOrder, on_event: OnEvent | None = None) -> CommandOutcome:
        self.runs += 1
        return await self._inner.run(order.but(env={**order.env, "RUN": str(self.runs)}), on_event)

    async def tier(self) -> Tier:
        return await self._inner.tier()


def red_in(condition: str) -> dict[str, str | None]:
    extra = "\n    def test_run(self):\n        import os\n        run = int(os.environ['RUN'])\n"
    return {"tests/test_price.py": f"{TESTS}{extra}        self.assertFalse({condition})\n"}


async def test_a_flaky_test_is_recorded_and_not_blamed(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP, commands=Counting)

    result = await ground.judge("tests", red_in("run == 2"))

    assert (result.verdict, result.newly_failed) == (Verdict.PASSED, ())
    assert result.flaky == ("tests.test_price.Totals::test_run",)
    assert "1 flaky" in result.reason


async def test_a_newly_red_test_runs_once_more_on_both_sides(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP, commands=Counting)

    result = await ground.judge("tests", red_in("run in (2, 4)"))

    assert result.verdict == Verdict.FAILED
    assert result.newly_failed == ("tests.test_price.Totals::test_run",)
    assert result.flaky == ()


async def test_a_suite_that_ends_early_with_0_has_not_passed(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)
    early = TESTS.replace("self.assertEqual(total([]), 0)", "import os; os._exit(0)")

    result = await ground.judge("tests", {"tests/test_price.py": early})

    assert result.verdict == Verdict.FAILED
    assert "before its report was complete" in result.reason


async def test_a_hanging_test_fails_at_its_limit_and_leaves_no_folder(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)
    await ground.select()
    tests = next(gate for gate in ground.set.gates if gate.name == "tests")
    hanging = TESTS.replace("self.assertEqual(total([]), 0)", "input() if 0 else HANG()")
    hanging += "\n\ndef HANG():\n    import threading\n    threading.Event().wait()\n"
    sha = await ground.change({"tests/test_price.py": hanging})

    order = ground.order(gate=tests.but(timeout_seconds=3), sha=sha, gate_set="", gate_set_ref=None)
    result = await ground.gates.judge(order, ground.progress.append)

    assert result.verdict == Verdict.FAILED
    assert "did not end within 3 s" in result.reason
    assert ground.left() == []


async def test_a_project_without_tests_is_held(tmp_path: Path) -> None:
    ground = Ground(tmp_path, {"shop.py": "x = 1\n"})

    result = await ground.judge("tests", {"shop.py": "x = 2\n"})

    assert (result.verdict, result.reason) == (Verdict.HELD, "no tests found")


async def test_a_module_loaded_from_elsewhere_is_no_evidence(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)
    stray = (
        "import os, sys, tempfile\n"
        "folder = tempfile.mkdtemp()\n"
        "os.mkdir(folder + '/shop')\n"
        "open(folder + '/shop/__init__.py', 'w').close()\n"
        "open(folder + '/shop/price.py', 'w').write('total = sum')\n"
        "sys.path.insert(0, folder)\n"
    )

    result = await ground.judge("tests", {"tests/__init__.py": stray})

    assert result.verdict == Verdict.HELD
    assert "module shop was loaded from __init__.py outside the checkout" in result.reason


async def test_modules_come_from_the_checkout_in_src_layout_and_in_subprocesses(
    tmp_path: Path,
) -> None:
    files = {f"src/{name}" if name.startswith("shop/") else name: t for name, t in SHOP.items()}
    child = TESTS + (
        "\n    def test_child(self):\n"
        "        import subprocess, sys\n"
        "        code = 'import shop.price; print(shop.price.__file__)'\n"
        "        out = subprocess.check_output([sys.executable, '-c', code], env={}, cwd='/')\n"
        "        self.assertIn(b'/tree/src/shop/price.py', out)\n"
    )
    ground = Ground(tmp_path, files | {"tests/test_price.py": child})

    result = await ground.judge("tests", {"README": "x\n"})

    assert (result.verdict, result.after) == (Verdict.PASSED, Counts(collected=4, passed=4))


class Recording:
    """Real commands; what was ordered is kept."""

    def __init__(self, inner: Processes) -> None:
        self._inner = inner
        self.orders: list[CommandOrder] = []

    async def run(self, order: CommandOrder, on_event: OnEvent | None = None) -> CommandOutcome:
        self.orders.append(order)
        return await self._inner.run(order, on_event)

    async def tier(self) -> Tier:
        return await self._inner.tier()


async def test_gates_have_neither_network_nor_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:word@index.example/simple")
    probe = TESTS + (
        "\n    def test_surroundings(self):\n"
        "        import os\n"
        "        names = [name for name in os.environ if name.startswith(('PIP', 'GIT', 'SSL'))]\n"
        "        self.assertEqual(names, [])\n"
        "        self.assertEqual(os.environ['PYTHONHASHSEED'], '0')\n"
    )
    ground = Ground(tmp_path, SHOP | {"tests/test_price.py": probe}, commands=Recording)

    result = await ground.judge("tests", {"README": "x"})

    assert result.after == Counts(collected=4, passed=4)
    assert isinstance(ground.used, Recording)
    assert [order.network for order in ground.used.orders] == [False, False]
