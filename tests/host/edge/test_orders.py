"""Orders: the edge reads by hand what the records of the domain say, and refuses the rest."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.deployment import FULL, Inspection
from domain.deployment import Route as DomainRoute
from domain.hosting import Forget, GiveBack, Ping, RouteTraffic
from host.edge import orders
from host.edge.folder import Folder, Held
from host.edge.orders import Refused, RouteOrder, parse, read_route_order
from tests.host.edge.conftest import MakeApp
from tests.host.edge.ground import TARGET, App, Edge, exchange, get, listening, status_of

WORDS = st.from_regex(r"[!-~]{1,40}", fullmatch=True)
ADDRESSES = st.builds("127.0.0.{}:{}".format, st.integers(1, 255), st.integers(1, 65_535))


@st.composite
def route_orders(draw: st.DrawFn) -> RouteTraffic:
    names = draw(st.lists(WORDS, max_size=5, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, FULL), min_size=len(names), max_size=len(names))))
    weights = [high - low for low, high in zip([0, *cuts], [*cuts[:-1], FULL], strict=False)]
    return RouteTraffic(
        target=draw(WORDS),
        routes=tuple(
            DomainRoute(
                instance=name,
                address=draw(ADDRESSES),
                version=draw(WORDS | st.just("")),
                digest=draw(WORDS | st.just("")),
                weight=weight,
            )
            for name, weight in zip(names, weights, strict=False)
        ),
        expected_generation=draw(st.integers(0, 2**40)),
        op_id=draw(WORDS),
        sticky=draw(st.from_regex(r"[A-Za-z0-9_-]{0,64}", fullmatch=True)),
        timeout_s=draw(st.floats(0.001, 3_600)),
        slow_ms=draw(st.floats(0, 1e6)),
    )


@given(route_orders())
def test_reads_route_orders_as_the_domain_writes_them(order: RouteTraffic):
    read = read_route_order(parse(order.model_dump_json().encode()))

    fields = {**orders.told(read), "routes": [orders.asdict(route) for route in read.routes]}
    assert RouteTraffic.model_validate(fields) == order


def test_leaves_out_what_the_domain_may_leave_out():
    least = RouteTraffic(target="t", routes=(), expected_generation=0, op_id="o")

    read = read_route_order(parse(least.model_dump_json(exclude_defaults=True).encode()))

    assert RouteTraffic.model_validate(orders.told(read)) == least
    assert orders.FULL == FULL


def _order(**changes: object) -> dict[str, object]:
    route = {"instance": "a.0", "address": "127.0.0.1:1", "version": "v", "digest": "d"}
    order: dict[str, object] = {
        "op": "route", "target": TARGET, "expected_generation": 0, "op_id": "o",
        "routes": [{**route, "weight": FULL}],
    }  # fmt: skip
    for name, value in changes.items():
        if name in (*route, "weight"):
            order["routes"] = [{**route, "weight": FULL, name: value}]
        else:
            order[name] = value
    return order


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (b"nonsense", "bad_order"),
        (b"[1]", "bad_order"),
        (b'{"op": NaN}', "unknown_op"),
        (b"[" * 100_000, "bad_order"),
        ({"op": "inspect"}, "bad_order"),
        ({"op": "frob", "target": "a"}, "unknown_op"),
        ({"op": "listen", "target": TARGET}, "no_socket"),
        ({"op": "give_back", "target": "unknown"}, "unknown_target"),
        ({"op": "drain", "target": TARGET, "instance": "a", "deadline_s": -1}, "bad_order"),
        (_order(weight=-1), "bad_order"),
        (_order(weight=0.5), "bad_order"),
        (_order(weight=True), "bad_order"),
        (_order(weight=20_000), "bad_order"),
        (_order(weight=9_999), "bad_weights"),
        (_order(address="127.0.0.1"), "bad_order"),
        (_order(address="127.0.0.1:99999"), "bad_order"),
        (_order(address="127.0.0.1:0"), "bad_order"),
        (_order(version="a\r\nX: b"), "bad_order"),
        (_order(instance=""), "bad_order"),
        (_order(sticky="a;b"), "bad_order"),
        (_order(routes="all"), "bad_order"),
        (_order(routes=[1]), "bad_order"),
        (_order(routes=_order()["routes"] * 2), "bad_order"),  # type: ignore[operator]
        (_order(op_id=None), "bad_order"),
        (_order(expected_generation=7), "stale"),
        (_order(timeout_s="long"), "bad_order"),
    ],
)
async def test_refuses_what_it_can_not_carry_out(
    edge: Edge, order: dict[str, object] | bytes, code: str
):
    answer = await edge.say(order)

    assert answer["error"]["code"] == code
    assert answer["error"]["message"]
    assert (await edge.inspect())["generation"] == 0


async def test_compares_and_swaps_generations(edge: Edge, make_app: MakeApp):
    app = await make_app("blue")
    order = RouteTraffic(
        target=TARGET, routes=(app.route(FULL),), expected_generation=0, op_id="one"
    )

    first = await edge.say(order)
    again = await edge.say(order)
    stale = await edge.say(order.but(op_id="two"))
    second = await edge.say(order.but(op_id="two", expected_generation=1))
    late = await edge.say(order)

    assert first == again == {"generation": 1}
    assert stale["error"]["code"] == late["error"]["code"] == "stale"
    assert second == {"generation": 2}
    inspected = Inspection.model_validate(await edge.inspect())
    assert inspected == Inspection(target=TARGET, generation=2, routes=(app.route(FULL),))


async def test_of_two_orders_at_once_one_wins(edge: Edge, make_app: MakeApp):
    app = await make_app("blue")
    order = RouteTraffic(target=TARGET, routes=(app.route(FULL),), expected_generation=0, op_id="x")

    answers = await asyncio.gather(*(edge.say(order.but(op_id=f"op{at}")) for at in range(8)))

    assert sorted(str(answer.get("generation", "")) for answer in answers) == [""] * 7 + ["1"]


async def test_what_was_answered_is_on_disk(edge: Edge, app: App):
    await edge.kill()
    kept = list((edge.folder / "edge" / "routes").glob("*"))
    await edge.start()

    assert [path.suffix for path in kept] == [".json"]
    assert json.loads(kept[0].read_text())["generation"] == 1
    assert Inspection.model_validate(await edge.inspect()).routes == (app.route(FULL),)


def test_routes_are_synced_before_they_replace_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def fsync(file: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(file).st_mode) else "file")
        sync(file)

    def rename(path: Path, target: Path) -> Path:
        steps.append("replace")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)

    Folder(tmp_path).keep(Held(RouteOrder("t", (), 0, "o"), 1))

    assert steps == ["file", "replace", "folder"]


async def test_a_damaged_file_costs_its_own_target_only(edge: Edge, app: App):
    folder = edge.folder / "edge" / "routes"
    await edge.kill()
    (folder / "other-1234.json").write_text('{"generation": 3')
    await edge.start()

    assert status_of(await exchange(edge.port, get("/", "Connection: close"))) == 200
    assert "damaged: " in edge.log()
    assert sorted(path.suffix for path in folder.iterdir()) == [".damaged", ".json"]


async def test_a_full_disk_changes_nothing(edge: Edge, app: App):
    folder = edge.folder / "edge" / "routes"
    folder.rename(folder.with_name("away"))

    answer = await edge.say(
        RouteTraffic(target=TARGET, routes=(), expected_generation=1, op_id="two")
    )

    assert answer["error"]["code"] == "disk"
    assert (await edge.inspect())["generation"] == 1
    assert "disk: " in edge.log()


async def test_a_public_socket_is_given_back_and_closed(edge: Edge, app: App):
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(str(edge.door))
        door.sendall(GiveBack(target=TARGET).model_dump_json().encode() + b"\n")
        answer, descriptors, _, _ = await asyncio.to_thread(socket.recv_fds, door, 65_536, 4)
    with socket.socket(fileno=descriptors[0]) as given:
        given_port = given.getsockname()[1]
    served = await exchange(edge.port, get("/", "Connection: close"))

    answers = [await edge.say(Forget(target=TARGET)) for _ in range(2)]
    edge.public.close()

    assert (json.loads(answer), given_port, status_of(served)) == ({}, edge.port, 200)
    assert answers == [{}, {}]
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", edge.port)
    assert list((edge.folder / "edge" / "routes").iterdir()) == []
    assert list((edge.folder / "edge" / "counts").iterdir()) == []
    assert (await edge.inspect())["generation"] == 0


async def test_another_public_socket_takes_over(edge: Edge, app: App):
    with listening() as other:
        answers = [
            await edge.say({"op": "listen", "target": TARGET}, each)
            for each in (edge.public, edge.public, other)
        ]
        served = await exchange(other.getsockname()[1], get("/", "Connection: close"))

    assert answers == [{"listening": True}] * 3
    assert status_of(served) == 200
    assert (await edge.say(Ping()))["listening"] == [TARGET]


async def test_a_socket_that_does_not_listen_is_refused(edge: Edge):
    with socket.socket() as plain:
        answer = await edge.say({"op": "listen", "target": "other"}, plain)

    assert answer["error"]["code"] == "no_socket"


async def test_many_orders_on_one_connection_are_answered_in_turn(edge: Edge):
    reader, writer = await asyncio.open_unix_connection(str(edge.door))
    for target in ("a", "b", "c"):
        writer.write(json.dumps({"op": "inspect", "target": target}).encode() + b"\n")
    targets = [json.loads(await reader.readline())["target"] for _ in range(3)]
    writer.write(b"x" * 2_000_000)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()

    assert targets == ["a", "b", "c"]


async def test_the_door_is_for_its_owner(edge: Edge):
    assert edge.door.stat().st_mode & 0o777 == 0o600
    assert (edge.folder / "edge" / "routes").stat().st_mode & 0o777 == 0o700


async def test_the_admin_socket_may_come_from_the_parent(tmp_path: Path):
    """So orders wait, too, while the edge starts."""
    path = str(tmp_path / "door")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(8)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(Ping().model_dump_json().encode() + b"\n")
        words = ["--state", str(tmp_path / "edge"), "--admin", "unused"]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "host.edge", *words, "--inherit", str(door.fileno()),
            pass_fds=[door.fileno()],
        )  # fmt: skip
        answer = json.loads(await reader.readline())
        writer.close()
        process.terminate()
        code = await process.wait()

    assert (answer["pid"], code) == (process.pid, 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--limit", "none=1"], "no limit is named none"),
        (["--limit", "head_s=x"], "could not convert"),
        (["--state", "/proc/none"], "can not serve from /proc/none"),
    ],
)
async def test_a_wrong_start_is_one_line(tmp_path: Path, words: list[str], message: str):
    usual = ["--state", str(tmp_path / "edge"), "--admin", str(tmp_path / "door")]
    run = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "host.edge", *usual, *words],
        capture_output=True,
        text=True,
        timeout=20,
    )

    assert run.returncode == 2
    assert message in run.stderr
    assert len(run.stderr.splitlines()) == 1


async def test_the_edge_does_without_pydantic():
    """It would cost more memory than all the rest."""
    words = "import sys, host.edge.__main__; print(sorted({'pydantic', 'ssl'} & set(sys.modules)))"
    run = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", words], capture_output=True, text=True, timeout=20
    )

    assert "pydantic" not in run.stdout


def test_refusals_say_what_to_do():
    with pytest.raises(Refused) as refused:
        read_route_order(_order(weight=1))

    assert "10000" in refused.value.hint
