"""`slipway release rollback --direct`: at the edge of a real host, while no Temporal runs."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from config.settings import Settings
from domain.deployment import FULL, Artefact
from domain.errors import Unavailable
from domain.rollout import RolloutPlan, Served
from domain.rollout_fact import RolloutMoved, RolloutPlanned
from domain.rollout_view import RolloutRecord
from integrations.database import Database
from integrations.git import Git
from integrations.local_driver import LocalDriver
from integrations.process import Processes
from starter import entry
from starter.codes import Exit
from starter.lookup import open_reads
from tests.host.supervisor.house import House
from tests.integrations.drivers.site import LocalSite, Stage
from tests.processes import KEEPER
from tests.rollouts import FIRST, SECOND, plan
from tests.starter.rollouts_told import S, Teller, passed
from tests.starter.rollouts_told import chosen as chosen

Said = tuple[int, str, str]
Say = Callable[..., Awaitable[Said]]


class HomeSite(LocalSite):
    """The host of this very home, whose releases lie where the commands look for them."""

    def __init__(self, chosen: Settings, git: Git) -> None:
        super().__init__(chosen.home.parent, git)
        self.house = House(chosen.home)
        processes = Processes(sys.executable, KEEPER, "limits")
        self.driver = LocalDriver(chosen.releases, chosen.host, git, processes)


class Shop:
    """A service with two releases, the newer of which has traffic, and what is on record of it."""

    def __init__(self, chosen: Settings, stage: Stage) -> None:
        self.chosen = chosen
        self.stage = stage
        self.target = stage.place.target
        self._teller = Teller(chosen)

    async def serve(self, *, share: int, keep_old: bool = True) -> None:
        """Run both releases, with `share` basis points to the newer one."""
        built = {rollout: await self.stage.build(name) for rollout, name in RELEASES.items()}
        for rollout, name in RELEASES.items():
            await self.stage.run(name, rollout)
        await self.route({f"{FIRST}.0": FULL - share, f"{SECOND}.0": share})
        if not keep_old:
            await self.stage.driver.stop(self.stage.place, self.stage.environment, f"{FIRST}.0")
        await self._record(built)

    async def route(self, shares: dict[str, int]) -> None:
        """Move traffic, whatever generation is in force."""
        stage = self.stage
        seen = await stage.driver.inspect(stage.place, stage.environment)
        op = f"test/{seen.generation}"
        await stage.driver.set_weights(stage.weights(shares, seen.generation, op))

    async def _record(self, built: dict[str, Artefact]) -> None:
        old, new = (self._plan(rollout, artefact) for rollout, artefact in built.items())
        new = new.but(anchor=self._served(old, built[FIRST]))
        await self._teller.begin()
        await self._teller.tell(RolloutPlanned(plan=old), passed(old), RolloutPlanned(plan=new))
        await self._teller.tell(RolloutMoved(rollout=SECOND, state=S.BAKING, weight=FULL))
        self.plan = new
        self.built = built
        rollouts = self._teller.database.rollouts
        await rollouts.set_passed(self._served(old, built[FIRST]))

    async def end(self) -> None:
        """Tell that the newer release has passed."""
        await self._teller.tell(passed(self.plan))
        now = self._served(self.plan, self.built[SECOND])
        await self._teller.database.rollouts.set_current(now)
        await self._teller.database.rollouts.set_passed(now)

    def _plan(self, rollout: str, artefact: Artefact) -> RolloutPlan:
        return plan(
            rollout,
            place=self.stage.place,
            service=self.stage.service,
            environment=self.stage.environment,
            sha=artefact.sha,
            tag=f"v-{RELEASES[rollout]}",
            merges=(artefact.sha,),
        )

    def _served(self, plan: RolloutPlan, artefact: Artefact) -> Served:
        return Served(
            target=self.target, rollout=plan.rollout, sha=plan.sha, tag=plan.tag,
            artefact=artefact, at_ms=1, service=plan.service,
        )  # fmt: skip

    async def shares(self) -> dict[str, int]:
        """Return what the edge really does."""
        _, routes = await self.house.sockets.routes(self.target)
        return {route.instance: route.weight for route in routes if route.weight}

    async def record(self) -> RolloutRecord:
        async with open_reads(self.chosen) as reads:
            return await reads.rollout(SECOND)

    @property
    def house(self) -> House:
        site = self.stage.site
        assert isinstance(site, HomeSite)
        return site.house

    async def close(self) -> None:
        await self._teller.close()


RELEASES = {FIRST: "one", SECOND: "two"}


@pytest_asyncio.fixture
async def shop(chosen: Settings, tmp_path: Path) -> AsyncIterator[Shop]:
    git = Git(tmp_path / "objects")
    site = HomeSite(chosen, git)
    await site.open()
    try:
        stage = Stage(tmp_path, site, git)
        await stage.prepare()
        shop = Shop(chosen, stage)
        yield shop
        await shop.close()
    finally:
        await site.close()


@pytest.fixture
def say(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Say:
    async def say(*line: str) -> Said:
        words = ["release", "rollback", "web", "--direct", *line]
        code = await asyncio.to_thread(entry.run, words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return say


async def test_all_traffic_goes_back_and_the_open_rollout_is_told_later(shop: Shop, say: Say):
    await shop.serve(share=2_000)

    code, out, _ = await say("-r", "it burns")

    assert code == Exit.DONE
    assert await shop.shares() == {f"{FIRST}.0": FULL}
    assert f"{shop.target}: all traffic goes to v-one instead of v-two" in out
    assert "its rollout is still open" in out
    assert len(await shop.house.sockets.instances()) == 2
    record = await shop.record()
    assert (record.state, record.ended_at_ms) == (S.UNDOING, None)
    assert [change.generation for change in record.weights] == [2]
    async with open_reads(shop.chosen) as reads:
        current, last = await reads.served(shop.target)
    assert current is not None
    assert current.rollout == FIRST
    assert last == current


async def test_what_has_passed_is_undone_and_its_merges_are_barred(shop: Shop, say: Say):
    await shop.serve(share=FULL)
    await shop.end()

    code, out, _ = await say("--json")

    told = json.loads(out)
    assert (code, told["weights"], told["unrecorded"]) == (Exit.DONE, {f"{FIRST}.0": FULL}, "")
    assert told["stopped"] == [f"{SECOND}.0"]
    assert [each.instance for each in await shop.house.sockets.instances()] == [f"{FIRST}.0"]
    record = await shop.record()
    assert record.state is S.RESTORED_UNVERIFIED
    assert record.undo is not None
    assert (record.undo.verified, record.undo.generation) == (False, told["generation"])
    assert [item.sha for item in record.barred] == [shop.plan.sha]
    async with open_reads(shop.chosen) as reads:
        events = await reads.events_after(shop.plan.key)
        served = await reads.served(shop.target)
    assert [each and each.rollout for each in served] == [FIRST, FIRST]
    assert [event.body.get("via") for event in events if event.kind == "steered"] == ["direct"]


async def test_a_release_that_was_stopped_is_started_again(shop: Shop, say: Say):
    await shop.serve(share=FULL, keep_old=False)
    await shop.end()

    code, out, err = await say()

    assert code == Exit.DONE
    assert await shop.shares() == {f"{FIRST}.0": FULL}
    assert "starting v-one, which does not run any more" in err
    assert f"started for it: {FIRST}.0" in out


async def test_a_release_that_does_not_come_up_leaves_the_traffic_where_it_is(shop: Shop, say: Say):
    await shop.serve(share=FULL, keep_old=False)
    await shop.end()
    (Path(shop.built[FIRST].location) / "application.py").write_text("raise SystemExit(1)\n")

    code, _, err = await say()

    assert code == Exit.INVALID
    assert "v-one of" in err
    assert "The traffic was not moved" in err
    assert await shop.shares() == {f"{SECOND}.0": FULL}


async def test_somebody_who_moves_traffic_at_the_same_time_is_overtaken(
    shop: Shop, say: Say, monkeypatch: pytest.MonkeyPatch
):
    await shop.serve(share=2_000)
    routed = LocalDriver.set_weights
    interfered: list[int] = []

    async def late(driver: LocalDriver, order):
        if not interfered:
            interfered.append(1)
            await shop.route({f"{FIRST}.0": 5_000, f"{SECOND}.0": 5_000})
        return await routed(driver, order)

    monkeypatch.setattr(LocalDriver, "set_weights", late)

    code, *_ = await say()

    assert code == Exit.DONE
    assert await shop.shares() == {f"{FIRST}.0": FULL}


async def test_traffic_comes_first_where_nothing_can_be_recorded(
    shop: Shop, say: Say, monkeypatch: pytest.MonkeyPatch
):
    await shop.serve(share=2_000)

    async def full(*_: object, **__: object) -> None:
        raise Unavailable("the disk is full", code="full")

    monkeypatch.setattr(Database, "append", full)

    code, out, _ = await say()

    assert code == Exit.DONE
    assert await shop.shares() == {f"{FIRST}.0": FULL}
    assert "NOT on record: the disk is full" in out


async def test_a_first_release_has_no_way_back(shop: Shop, say: Say):
    teller = Teller(shop.chosen)
    await teller.begin()
    only = plan(FIRST, place=shop.stage.place)
    await teller.tell(RolloutPlanned(plan=only))
    await teller.close()

    code, _, err = await say()

    assert code == Exit.INVALID
    assert "nothing has passed" in err


async def test_what_another_driver_runs_has_no_door_here(shop: Shop, say: Say):
    teller = Teller(shop.chosen)
    await teller.begin()
    served = Served(
        target=shop.target, rollout=FIRST, sha="1" * 40, tag="v1", at_ms=1,
        artefact=Artefact(sha="1" * 40, digest="d", location="x"), service=shop.stage.service,
    )  # fmt: skip
    elsewhere = shop.stage.environment.but(driver="haproxy")
    new = plan(SECOND, place=shop.stage.place, environment=elsewhere, anchor=served)
    old = plan(FIRST, place=shop.stage.place)
    await teller.tell(RolloutPlanned(plan=old), passed(old), RolloutPlanned(plan=new), passed(new))
    await teller.database.rollouts.set_current(served.but(rollout=SECOND))
    await teller.close()

    code, _, err = await say()

    assert code == Exit.INVALID
    assert "is run by the driver haproxy" in err
