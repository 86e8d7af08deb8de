"""What is special about the driver `local`: ports, secrets, and a supervisor that is away."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from domain.deployment import FULL
from domain.errors import Misconfigured, Rejected, Unavailable
from domain.service import Limits
from integrations.git import Git
from integrations.local_driver import LocalDriver
from tests.host.supervisor.load import Load
from tests.integrations.drivers.site import LocalSite, Stage


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[LocalSite]:
    site = LocalSite(tmp_path, Git(tmp_path / "objects"))
    await site.open()
    yield site
    await site.close()


@pytest_asyncio.fixture
async def stage(site: LocalSite, tmp_path: Path) -> Stage:
    stage = Stage(tmp_path, site, Git(tmp_path / "objects"))
    await stage.prepare()
    return stage


async def test_only_a_secret_that_is_meant_for_services_reaches_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLOUR", "of the worker")
    stage.service = stage.service.but(secrets=("COLOUR",))
    with pytest.raises(Misconfigured) as caught:
        await stage.run("one", "r1")
    assert caught.value.problem.code == "no_secret"
    assert "SLIPWAY_SECRET_COLOUR" in caught.value.problem.hint

    monkeypatch.setenv("SLIPWAY_SECRET_COLOUR", "green")
    seen = await stage.run("one", "r1")

    assert await stage.get(address=seen.address) == (200, "one green")


async def test_the_supervisor_is_told_all_that_the_service_declares(stage: Stage):
    stage.service = stage.service.but(
        env={"WHERE": "{release}/data", "AT": "{port}"}, limits=Limits(memory_mb=7, files=99)
    )
    assert isinstance(stage.driver, LocalDriver)
    artefact = await stage.build("one")
    told = stage.driver.process(stage.start_order(artefact, "r1"))

    assert told.cwd == artefact.location
    assert told.argv[1:] == (f"{artefact.location}/application.py", "{port}")
    assert told.env["WHERE"] == f"{artefact.location}/data"
    assert told.env["AT"] == "{port}"
    assert told.env["SLIPWAY_INSTANCE"] == "r1.0"
    assert (told.limits.memory_mb, told.limits.files, told.drain_s) == (7, 99, 3)
    assert (told.sha, told.digest) == (artefact.sha, artefact.digest)


async def test_a_public_port_of_another_program_is_refused_and_nothing_is_started(stage: Stage):
    artefact = await stage.build("one")
    with socket.create_server(("127.0.0.1", stage.environment.port)):
        with pytest.raises(Rejected) as caught:
            await stage.driver.start(stage.start_order(artefact, "r1"))
        assert caught.value.problem.code == "port_taken"
        assert (await stage.probe("r1.0")).state == "gone"

    assert (await stage.run("one", "r1")).state == "ready"


async def test_traffic_can_be_taken_back_while_no_supervisor_runs(stage: Stage, site: LocalSite):
    await stage.run("one", "r1")
    await stage.run("two", "r2")
    generation = await stage.driver.set_weights(
        stage.weights({"r1.0": 8_000, "r2.0": 2_000}, 0, "canary")
    )
    await site.house.kill()
    await stage.driver.set_weights(stage.weights({"r1.0": FULL}, generation, "undo"))
    answers = {(await stage.get())[1] for _ in range(20)}
    with pytest.raises(Unavailable):
        await stage.driver.inspect(stage.place, stage.environment)
    await site.house.open()

    assert answers == {"one blue"}
    seen = await stage.driver.inspect(stage.place, stage.environment)
    assert seen.weight_of("r1.0") == FULL


async def test_no_weights_at_all_serve_nobody(stage: Stage):
    await stage.run("one", "r1")
    generation = await stage.give_all("r1.0")
    await stage.driver.set_weights(stage.weights({}, generation, "nobody"))
    status, _ = await stage.get()

    assert status == 503


async def test_a_canary_goes_on_while_its_supervisor_is_killed(stage: Stage, site: LocalSite):
    await stage.run("one", "r1")
    await stage.run("two", "r2")
    generation = await stage.give_all("r1.0")
    async with Load(stage.environment.port) as load:
        await site.house.kill()
        await site.house.open()
        await stage.driver.set_weights(
            stage.weights({"r1.0": 9_000, "r2.0": 1_000}, generation, "canary")
        )

    assert load.failed == []
    counted = await stage.counts("r1.0"), await stage.counts("r2.0")
    assert sum(each["started"] for each in counted) == len(load.sent)
