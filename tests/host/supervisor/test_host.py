"""The host as a whole: one per home, its ports, its door, its end, its size."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from domain.errors import Rejected, Unavailable
from domain.service import Limits
from host.supervisor.census import identity, proportional
from tests.host.supervisor.house import TARGET, House, until


def test_a_second_supervisor_of_a_home_ends_at_once(tmp_path: Path):
    folder = tmp_path / "host"
    folder.mkdir()
    import fcntl

    with (folder / "host.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = subprocess.run(
            [sys.executable, "-P", "-m", "host", "--home", str(tmp_path)],
            capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip

    assert second.returncode == 3
    assert "runs already" in second.stderr


async def test_two_homes_do_not_disturb_each_other(house: House, tmp_path: Path):
    other = House(tmp_path / "other")
    await other.open()
    try:
        await house.start()
        await other.start()
        one, two = await house.ready(), await other.ready()

        assert one.address != two.address
        await other.sockets.stop("r1.0")
        assert (await house.ready()).pid == one.pid
    finally:
        await other.close()


async def test_a_public_port_that_is_taken_is_refused_with_who_has_it(house: House):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(Rejected) as caught:
            await house.sockets.declare(TARGET, "127.0.0.1", taken)

    assert caught.value.problem.code == "port_taken"
    assert f"process {os.getpid()}" in caught.value.problem.message
    assert (await house.sockets.status()).targets == {}


async def test_two_targets_cannot_have_one_port(house: House, port: int):
    await house.sockets.declare(TARGET, "127.0.0.1", port)
    with pytest.raises(Rejected) as caught:
        await house.sockets.declare("other.web/prod", "127.0.0.1", port)

    assert caught.value.problem.code == "port_taken"
    assert TARGET in caught.value.problem.message


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 9999), ("127.0.0.1", 99_999_999)])
async def test_an_address_that_is_none_is_refused(house: House, host: str, port: int):
    with pytest.raises(Rejected) as caught:
        await house.sockets.declare(TARGET, host, port)

    assert caught.value.problem.code == "bad_address"


async def test_a_target_moves_to_another_port_when_it_is_declared_there(house: House, port: int):
    await house.sockets.declare(TARGET, "127.0.0.1", port)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        other = probe.getsockname()[1]
    await house.sockets.declare(TARGET, "127.0.0.1", other)
    await house.sockets.declare(TARGET, "127.0.0.1", other)

    assert (await house.sockets.status()).targets == {TARGET: f"127.0.0.1:{other}"}
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_forgotten_target_is_not_reached_any_more(house: House, port: int):
    await house.start()
    await house.publish(port, await house.ready())
    with pytest.raises(Rejected) as caught:
        await house.sockets.forget(TARGET)
    await house.sockets.stop("r1.0")
    await house.sockets.forget(TARGET)
    await house.sockets.forget(TARGET)

    assert caught.value.problem.code == "has_instances"
    assert (await house.sockets.status()).targets == {}
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_port_that_is_taken_at_the_start_is_bound_as_soon_as_it_is_free(
    house: House, port: int
):
    await house.sockets.declare(TARGET, "127.0.0.1", port)
    edge = (await house.sockets.status()).edge_pid
    await house.kill()
    os.kill(edge, 9)

    async def gone() -> bool:
        return identity(edge) is None

    await until(gone)
    with socket.create_server(("127.0.0.1", port)):
        await house.open()
        assert "is taken by" in house.log("host")

    async def reached() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return False
        writer.close()
        return True

    await until(reached)


@pytest.mark.parametrize(
    "line",
    [b"no json\n", b"[]\n", b'{"op": "dance"}\n', b'{"op": "start"}\n', b'{"op": ["start"]}\n',
     b'{"op": "start", "instance": "a", "target": "t", "argv": []}\n', b"\xff\xfe\n"],
)  # fmt: skip
async def test_an_order_that_is_none_is_refused_and_the_next_one_is_carried_out(
    house: House, line: bytes
):
    reader, writer = await asyncio.open_unix_connection(house.folder / "host.sock")
    writer.write(line + b'{"op": "ping"}\n')
    first, second = json.loads(await reader.readline()), json.loads(await reader.readline())
    writer.close()

    assert first["error"]["code"] in ("bad_order", "bad_command")
    assert first["error"]["message"]
    assert second == {}


async def test_only_its_owner_may_open_the_door(house: House):
    for path in (house.folder / "host.sock", house.folder / "edge.sock"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE(house.folder.stat().st_mode) == 0o700


async def test_a_home_with_a_long_path_is_fine(tmp_path: Path):
    house = House(tmp_path / ("long-" * 20) / "home")
    await house.open()
    try:
        await house.start()
        seen = await house.ready()
        assert seen.state == "ready"
    finally:
        await house.close()


async def test_an_idle_host_that_is_ended_leaves_nothing(tmp_path: Path):
    house = House(tmp_path / "home")
    state = await house.open()
    await house.leave()

    assert identity(state.edge_pid) is None


async def test_services_that_were_ended_with_the_host_start_with_the_next_one(
    house: House, port: int
):
    await house.start()
    before = await house.ready()
    await house.publish(port, before)
    await house.close()
    assert identity(before.pid) is None
    await house.open()
    after = await house.ready()

    assert (after.address, after.restarts) == (before.address, 0)
    _, routes = await house.sockets.routes(TARGET)
    assert [route.address for route in routes] == [after.address]


async def test_with_nobody_there_an_order_is_unavailable(tmp_path: Path):
    house = House(tmp_path / "home")
    with pytest.raises(Unavailable) as caught:
        await house.sockets.status()

    assert caught.value.problem.code == "host_away"
    assert "slipway up" in caught.value.problem.hint


async def test_a_start_on_a_full_disk_is_refused_and_nothing_is_started(house: House):
    house.folder.joinpath("instances").rmdir()
    house.folder.joinpath("instances").write_text("in the way")
    try:
        with pytest.raises(Unavailable) as caught:
            await house.start()
    finally:
        house.folder.joinpath("instances").unlink()
        house.folder.joinpath("instances").mkdir()

    assert caught.value.problem.code == "disk"
    assert await house.sockets.instances() == ()


async def test_at_rest_with_two_services_it_is_small(house: House, port: int):
    for name in ("r1.0", "r2.0"):
        await house.start(name=name, limits=Limits(memory_mb=500))
    await house.publish(port, await house.ready("r1.0"), await house.ready("r2.0"))
    state = await house.sockets.status()

    assert proportional((state.pid, state.edge_pid)) < 80_000_000
