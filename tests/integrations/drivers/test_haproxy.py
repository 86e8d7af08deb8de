"""What is HAProxy's own: exact shares, what outlives what, other hands, and what it cannot do."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from domain.deployment import FULL, BuildOrder, Counts, ObserveOrder
from domain.errors import Misconfigured, Rejected, Unavailable
from domain.service import Environment, Strategy
from integrations.git import Git
from integrations.haproxy import HaproxyDriver
from integrations.haproxy_admin import Admin
from integrations.haproxy_folder import HaproxyFolder
from integrations.haproxy_proxy import Proxy
from tests.host.supervisor.house import until
from tests.integrations.drivers.more_sites import HaproxySite, living_below
from tests.integrations.drivers.site import Stage, free_port


class Scene(Stage):
    """A stage whose HAProxy the test may touch."""

    def __init__(self, folder: Path, site: HaproxySite, git: Git) -> None:
        super().__init__(folder, site, git)
        self.house = site.house
        self.home = site.home
        self.another = site.another
        self.local = site.local

    @property
    def folder(self) -> HaproxyFolder:
        return HaproxyFolder(self.home / "haproxy", self.place.target)

    @property
    def proxy(self) -> Proxy:
        return Proxy(self.place.target, self.folder, self.house.sockets, "haproxy")

    @property
    def admin(self) -> Admin:
        return Admin(self.folder.path)

    async def both(self) -> None:
        """Run two versions, and give the first one all traffic."""
        await self.run("one", "r1")
        await self.run("two", "r2")
        await self.give_all("r1.0")

    async def shift(self, canary: int, op: str) -> int:
        seen = await self.driver.inspect(self.place, self.environment)
        shares = {"r1.0": FULL - canary, "r2.0": canary}
        return await self.driver.set_weights(self.weights(shares, seen.generation, op))

    async def share(self) -> int:
        seen = await self.driver.inspect(self.place, self.environment)
        return seen.weight_of("r2.0")

    async def observed(self, instance: str) -> Counts:
        order = ObserveOrder(place=self.place, service=self.service, environment=self.environment)
        seen = await self.driver.observe(order)
        return next(each for each in seen.counts if each.instance == instance)

    async def visit(self, count: int, *headers: str) -> list[str]:
        """Send requests over one connection; return the version that each answer names."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.environment.port)
        lines = "".join(f"{line}\r\n" for line in headers)
        found = []
        for _ in range(count):
            writer.write(f"GET / HTTP/1.1\r\nHost: t\r\n{lines}\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            await reader.readexactly(int(fields["content-length"]))
            found.append(fields.get("x-slipway-version", ""))
        writer.close()
        return found


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    git = Git(tmp_path / "objects")
    site = HaproxySite(tmp_path, git)
    await site.open()
    try:
        scene = Scene(tmp_path, site, git)
        await scene.prepare()
        yield scene
    finally:
        await site.close()


async def test_a_share_is_exact_from_the_first_request_on(scene: Scene):
    await scene.both()
    await scene.visit(300)  # a round robin would now owe the other one as many
    await scene.shift(5_000, "half")
    half = await scene.visit(200)
    await scene.shift(500, "few")
    few = await scene.visit(2_000)

    assert 60 <= half.count("v-r2") <= 140
    assert 55 <= few.count("v-r2") <= 150  # 100 expected, five standard deviations
    assert set(half) == set(few) == {"v-r1", "v-r2"}


@pytest.mark.parametrize("basis_points", [1, 10, 123, 9_999])
async def test_what_is_in_force_is_what_was_ordered(scene: Scene, basis_points: int):
    await scene.both()
    await scene.shift(basis_points, "fine")

    assert await scene.proxy.shares() == {"r1.0": FULL - basis_points, "r2.0": basis_points}
    assert await scene.share() == basis_points


async def test_a_killed_haproxy_comes_back_with_the_same_weights(scene: Scene):
    await scene.both()
    generation = await scene.shift(2_500, "step")
    await scene.visit(20)
    before = await scene.observed("r1.0")
    os.kill((await scene.admin.info()).worker, signal.SIGKILL)

    async def is_back() -> bool:
        try:
            return (await scene.get())[0] == 200
        except OSError:
            return False

    await until(is_back, seconds=3)
    seen = await scene.driver.inspect(scene.place, scene.environment)
    assert (seen.generation, seen.weight_of("r2.0")) == (generation, 2_500)
    assert (await scene.observed("r1.0")).epoch != before.epoch


async def test_it_outlives_worker_and_supervisor(scene: Scene):
    await scene.both()
    await scene.shift(1_000, "step")
    before = (await scene.admin.info()).worker
    await scene.house.kill()
    during = await scene.visit(50)
    await scene.house.open()
    after = await scene.another().inspect(scene.place, scene.environment)

    assert len(during) == 50
    assert (await scene.admin.info()).worker == before
    assert (after.generation, after.weight_of("r2.0")) == (2, 1_000)


async def test_traffic_is_moved_also_while_no_supervisor_runs(scene: Scene):
    await scene.both()
    await scene.house.kill()
    await scene.driver.set_weights(scene.weights({"r2.0": FULL}, 1, "undo"))
    versions = await scene.visit(20)
    await scene.house.open()

    assert set(versions) == {"v-r2"}


async def test_of_two_workers_one_wins(scene: Scene):
    await scene.both()
    orders = [scene.weights({name: FULL}, 1, f"op-{name}") for name in ("r1.0", "r2.0")]
    ends = await asyncio.gather(
        *(scene.another().set_weights(order) for order in orders), return_exceptions=True
    )

    assert sorted(type(end).__name__ for end in ends) == ["Rejected", "int"]


async def test_another_time_out_takes_effect_without_a_failed_request(scene: Scene):
    await scene.both()
    first = await scene.observed("r1.0")
    scene.service = scene.service.but(timeout=0.2)
    enough = asyncio.Event()
    visits = asyncio.create_task(_visit_until(enough, scene))
    await scene.give_all("r1.0", op="impatient")
    enough.set()

    assert await visits == {200}
    assert (await scene.get("/slow"))[0] == 504
    assert (await scene.observed("r1.0")).epoch != first.epoch


async def _visit_until(enough: asyncio.Event, scene: Scene) -> set[int]:
    found = set()
    while not enough.is_set():
        found.add((await scene.get())[0])
    return found


async def test_draining_waits_for_a_former_worker_too(scene: Scene):
    await scene.both()
    one = await scene.probe("r1.0")
    asked = asyncio.create_task(scene.get("/slow"))
    await scene.settled("r1.0", {"started": 1})
    scene.service = scene.service.but(timeout=20)  # a new worker takes over
    await scene.give_all("r2.0")
    new = await scene.counts("r1.0")
    in_time = await scene.driver.drain(scene.place, scene.environment, "r1.0", 0.1)
    await scene.get("/go", address=one.address)
    drained = await scene.driver.drain(scene.place, scene.environment, "r1.0", 10)

    assert new["started"] == 0
    assert not in_time
    assert drained
    assert await asked == (200, "one blue")


async def test_what_haproxy_does_not_serve_in_the_end_is_told(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
):
    await scene.both()
    order = scene.weights({"r2.0": FULL}, 1, "move")
    with monkeypatch.context() as patched:
        patched.setattr(Admin, "replace_map", _take_no_notice)
        with pytest.raises(Unavailable) as caught:
            await scene.driver.set_weights(order)

    assert caught.value.problem.code == "not_applied"
    assert await scene.driver.set_weights(order) == 2
    assert await scene.share() == FULL


async def _take_no_notice(*_: object) -> None:
    return None


async def test_an_answer_that_comes_too_late_counts_as_reset(scene: Scene):
    scene.service = scene.service.but(timeout=0.2)
    await scene.both()
    status, _ = await scene.get("/slow")
    counts = await scene.observed("r1.0")

    assert status == 504
    assert (counts.started, counts.done["reset"], counts.bad_clients) == (1, 1, 1)


async def test_an_instance_out_of_reach_is_counted_and_nobody_sees_it(scene: Scene):
    await scene.both()
    await scene.shift(5_000, "half")
    await scene.local.stop(scene.place, scene.environment, "r2.0")
    versions = await scene.visit(40)
    counts = await scene.observed("r2.0")

    assert set(versions) == {"v-r1"}
    assert counts.done["connect"] == counts.started > 5
    assert counts.done["2xx"] == 0


async def test_no_weights_at_all_serve_nothing(scene: Scene):
    await scene.both()
    await scene.driver.set_weights(scene.weights({}, 1, "nothing"))
    status, _ = await scene.get()

    assert status == 503
    assert await scene.proxy.shares() == {"r1.0": 0, "r2.0": 0}


async def test_a_tester_gets_the_version_or_instance_that_is_asked_for(scene: Scene):
    await scene.both()

    assert set(await scene.visit(5, "X-Slipway-Version: v-r2")) == {"v-r2"}
    assert set(await scene.visit(5, "X-Slipway-Version: r2.0")) == {"v-r2"}
    assert set(await scene.visit(5, "X-Slipway-Version: v-unknown")) == {"v-r1"}


async def test_what_another_program_changed_is_told_and_mended(scene: Scene):
    await scene.both()
    await scene.shift(3_000, "step")
    await scene.admin.order("set server instances/r2.0 state maint")
    seen = await scene.share()
    order = scene.weights({"r1.0": 7_000, "r2.0": 3_000}, 1, "step")
    await scene.driver.set_weights(order)

    assert seen == 0
    assert await scene.share() == 3_000


async def test_a_stopped_instance_begins_its_counts_anew(scene: Scene):
    await scene.both()
    await scene.give_all("r2.0")
    await scene.visit(3)
    first = await scene.observed("r2.0")
    await scene.give_all("r1.0")
    await scene.driver.stop(scene.place, scene.environment, "r2.0")
    await scene.run("two", "r2")
    await scene.give_all("r2.0", op="again")
    again = await scene.observed("r2.0")

    assert (first.started, again.started) == (3, 0)
    assert again.epoch != first.epoch


async def test_with_the_last_instance_haproxy_ends_and_its_generation_stays(scene: Scene):
    await scene.both()
    for name in ("r2.0", "r1.0"):
        await scene.driver.stop(scene.place, scene.environment, name)
    seen = await scene.driver.inspect(scene.place, scene.environment)

    assert (seen.generation, seen.routes, seen.instances) == (1, (), ())
    assert living_below(scene.folder.path) == []
    await scene.run("one", "r3")
    assert await scene.give_all("r3.0") == 2
    assert (await scene.get())[0] == 200


async def test_a_taken_port_is_refused_before_anything_starts(scene: Scene):
    with socket.create_server(("127.0.0.1", scene.environment.port)):
        with pytest.raises(Rejected) as caught:
            await scene.run("one", "r1")

        assert caught.value.problem.code == "port_taken"
        assert (await scene.probe("r1.0")).state == "gone"
    assert (await scene.run("one", "r1")).state == "ready"


async def test_two_targets_do_not_share_a_port(scene: Scene):
    await scene.run("one", "r1")
    other, sha = scene.place.but(environment="stage"), await scene.commit("one")
    artefact = await scene.driver.build(BuildOrder(place=other, sha=sha, service=scene.service))
    with pytest.raises(Rejected) as caught:
        await scene.driver.start(scene.start_order(artefact, "r2").but(place=other))

    assert caught.value.problem.code == "port_taken"


async def test_another_port_is_served_from_the_next_order_on(scene: Scene):
    await scene.both()
    old = scene.environment.port
    scene.environment = Environment(driver="haproxy", port=free_port())
    await scene.give_all("r2.0")
    versions = await scene.visit(3)

    assert versions == ["v-r2"] * 3
    with pytest.raises(ConnectionRefusedError):
        await scene.get(address=f"127.0.0.1:{old}")


@pytest.mark.parametrize(
    ("host", "port"),
    [("127.0.0.1", 0), ("127.0.0.1\n    stats enable", 8080), ("192.0.2.1", 8080), ("", 80)],
)
async def test_an_address_that_cannot_be_served_is_refused(scene: Scene, host: str, port: int):
    scene.environment = Environment(driver="haproxy", host=host, port=port)
    with pytest.raises(Rejected) as caught:
        await scene.run("one", "r1")

    assert caught.value.problem.code == "bad_address"
    assert (await scene.probe("r1.0")).state == "gone"


async def test_sticky_clients_are_refused(scene: Scene):
    scene.service = scene.service.but(strategy=Strategy(sticky="SHOP"))
    with pytest.raises(Rejected) as caught:
        await scene.run("one", "r1")

    assert caught.value.problem.code == "no_sticky"


async def test_a_missing_program_says_what_to_install(scene: Scene):
    scene.driver = HaproxyDriver(
        scene.local, scene.house.folder, scene.home / "haproxy", program="no-such-haproxy"
    )
    with pytest.raises(Misconfigured, match="no-such-haproxy") as caught:
        await scene.run("one", "r1")

    assert caught.value.problem.code == "no_haproxy"


async def test_one_that_hangs_is_unavailable_and_obeys_when_it_is_back(scene: Scene, monkeypatch):
    monkeypatch.setattr("integrations.haproxy_admin._PATIENCE", 0.3)
    monkeypatch.setattr("integrations.haproxy_proxy._PATIENCE", 0.5)
    await scene.both()
    order = scene.weights({"r2.0": FULL}, 1, "late")
    worker = (await scene.admin.info()).worker
    os.kill(worker, signal.SIGSTOP)
    with pytest.raises(Unavailable):
        await scene.driver.set_weights(order)
    os.kill(worker, signal.SIGCONT)

    assert await scene.driver.set_weights(order) == 2
    assert set(await scene.visit(10)) == {"v-r2"}


async def test_a_long_home_and_a_strange_version_are_no_matter(tmp_path: Path):
    git = Git(tmp_path / "objects")
    site = HaproxySite(tmp_path / ("long" * 40), git)
    await site.open()
    try:
        scene = Scene(tmp_path / ("long" * 40), site, git)
        await scene.prepare()
        strange = scene.start_order(await scene.build("one"), "r1").but(version="v1;shutdown `x`")
        await scene.driver.start(strange)
        await scene.becomes("r1.0", lambda each: each.state == "ready")
        await scene.give_all("r1.0")

        assert await scene.get() == (200, "one blue")
        assert await scene.visit(1) == [""]
    finally:
        await site.close()


async def test_what_cannot_be_written_down_is_not_done(scene: Scene):
    await scene.both()
    (scene.folder.path / ".in-force.json.new").mkdir()  # as on a disk that takes no more
    order = scene.weights({"r2.0": FULL}, 1, "move")
    with pytest.raises(Unavailable) as caught:
        await scene.driver.set_weights(order)

    assert caught.value.problem.code == "disk"
    assert await scene.share() == 0
    (scene.folder.path / ".in-force.json.new").rmdir()
    assert await scene.driver.set_weights(order) == 2


async def test_a_broken_state_is_told_and_not_guessed(scene: Scene):
    await scene.both()
    (scene.folder.path / "in-force.json").write_text("{")
    with pytest.raises(Misconfigured) as caught:
        await scene.driver.inspect(scene.place, scene.environment)

    assert caught.value.problem.code == "bad_state"
    assert (await scene.get())[0] == 200
