"""Rollouts on record for the tests of commands, written through the real database."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from config.settings import Settings
from domain.deployment import Place
from domain.fact import Fact
from domain.rollout import RolloutPlan, RolloutResult, RolloutState
from domain.rollout_fact import RolloutEnded, RolloutMoved, RolloutPlanned, ended
from domain.tick import Tick
from integrations.database import Database
from starter import entry
from tests.facts import KEY, facts, start
from tests.rollouts import FIRST, SECOND, TARGET, plan, served

S = RolloutState
Run = Callable[..., tuple[int, str, str]]
OLD, NEW = "1" * 40, "2" * 40


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An empty home; no server is named."""
    monkeypatch.delenv("SLIPWAY_DATABASE_URL", raising=False)
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "140")
    return Settings()


@pytest.fixture
def run(chosen: Settings, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line; its exit code and what it said."""

    def run(*line: str) -> tuple[int, str, str]:
        code = entry.run(line)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


class Teller:
    """Writes what happens to rollouts, as the workers would, each fact a second later."""

    def __init__(self, chosen: Settings) -> None:
        self.database = Database(chosen.database)
        self._told = 0

    async def begin(self, *keys: str) -> None:
        for key in keys or (KEY,):
            await self.database.register(start(key))

    async def tell(self, *told: Fact, key: str = KEY) -> None:
        for fact in told:
            self._told += 1
            order = facts(f"{key}{self._told}", fact, key=key, at_ms=self._told * 1_000)
            await self.database.append(order)

    async def see(self, *ticks: Tick) -> None:
        for tick in ticks:
            await self.database.rollouts.put_tick(tick)

    async def close(self) -> None:
        await self.database.close()


def passed(plan: RolloutPlan) -> RolloutEnded:
    return result(plan, S.PASSED, "no worse")


def result(plan: RolloutPlan, state: RolloutState, reason: str = "because") -> RolloutEnded:
    return ended(
        RolloutResult(
            rollout=plan.rollout, target=plan.place.target, status=state, reason=reason,
            sha=plan.sha, tag=plan.tag,
        )
    )  # fmt: skip


def first(where: Place | None = None) -> RolloutPlan:
    """Return the plan of v1.0.0, a first install."""
    return plan(
        FIRST, sha=OLD, tag="v1.0.0", merges=(OLD,), first=True, place=where or plan().place
    )


def second(where: Place | None = None) -> RolloutPlan:
    """Return the plan of v1.1.0, which came after it."""
    anchor = served(FIRST, OLD, (where or plan().place).target)
    return plan(
        SECOND, sha=NEW, tag="v1.1.0", merges=(NEW,), anchor=anchor, place=where or plan().place
    )


async def tell_two(teller: Teller, *more: Fact) -> None:
    """Tell of a release that passed, and of a second one that is planned."""
    await teller.begin()
    await teller.tell(RolloutPlanned(plan=first()), passed(first()))
    await teller.database.rollouts.set_current(served(FIRST, OLD))
    await teller.database.rollouts.set_passed(served(FIRST, OLD))
    await teller.tell(RolloutPlanned(plan=second()), *more)


async def tell_passed(teller: Teller) -> None:
    """Tell of two releases that have passed, the second of which is served."""
    moved = RolloutMoved(rollout=SECOND, state=S.BAKING, weight=10_000)
    await tell_two(teller, moved, passed(second()))
    now = served(SECOND, NEW).but(tag="v1.1.0")
    await teller.database.rollouts.set_current(now)
    await teller.database.rollouts.set_passed(now)


def shifting(weight: int = 500) -> RolloutMoved:
    return RolloutMoved(rollout=SECOND, state=S.SHIFTING, weight=weight, target=TARGET)


def write(chosen: Settings, work: Callable[[Teller], object]) -> None:
    """Let `work` tell what it wants, from a test that is not asynchronous."""

    async def writing() -> None:
        teller = Teller(chosen)
        try:
            await work(teller)  # type: ignore[misc]
        finally:
            await teller.close()

    asyncio.run(writing())
