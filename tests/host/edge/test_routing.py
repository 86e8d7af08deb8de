"""Traffic goes where the weights say, at once, and to testers' wishes."""

import asyncio
from collections import Counter

import httpx2

from tests.host.edge.conftest import MakeApp
from tests.host.edge.ground import App, Edge, exchange, get, read_answer, status_of
from tests.processes import until


async def _versions(edge: Edge, count: int, **more: object) -> Counter[str]:
    async with httpx2.AsyncClient() as client:
        answers = [await client.get(edge.url, **more) for _ in range(count)]
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.text == answer.headers["x-slipway-version"] for answer in answers)
    return Counter(answer.text for answer in answers)


async def test_serves_by_weight_and_names_the_version(edge: Edge, make_app: MakeApp):
    blue, green = await make_app("blue"), await make_app("green")
    await edge.route({blue: 8_000, green: 2_000})

    versions = await _versions(edge, 500)

    assert abs(versions["green"] - 100) <= 2
    assert versions["blue"] + versions["green"] == 500


async def test_changes_weights_at_once_on_a_kept_connection(edge: Edge, make_app: MakeApp):
    blue, green = await make_app("blue"), await make_app("green")
    await edge.route({blue: 10_000, green: 0})
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    bodies = []

    for weights in ({blue: 10_000, green: 0}, {blue: 0, green: 10_000}, {blue: 10_000}):
        await edge.route(weights)
        writer.write(get())
        bodies.append((await read_answer(reader))[2])
    writer.close()

    assert bodies == [b"blue", b"green", b"blue"]


async def test_replicas_share_the_weight_of_their_version(edge: Edge, make_app: MakeApp):
    one, two = await make_app("one", version="v1"), await make_app("two", version="v1")
    other = await make_app("other", version="v2")
    await edge.route({one: 2_500, two: 2_500, other: 5_000})

    async with httpx2.AsyncClient() as client:
        for _ in range(200):
            assert (await client.get(edge.url)).status_code == 200

    assert abs(len(other.calls) - 100) <= 2
    assert abs(len(one.calls) - 50) <= 2


async def test_a_tester_asks_for_a_version_or_an_instance(edge: Edge, make_app: MakeApp):
    blue, green = await make_app("blue"), await make_app("green")
    await edge.route({blue: 10_000, green: 0})

    by_version = await _versions(edge, 5, headers={"X-Slipway-Version": "green"})
    by_instance = await _versions(edge, 5, headers={"x-slipway-version": "green.0"})
    unknown = await _versions(edge, 5, headers={"X-Slipway-Version": "none"})

    assert (by_version["green"], by_instance["green"], unknown["blue"]) == (5, 5, 5)
    assert all("x-slipway-version" not in call.names() for call in green.calls)


async def test_the_version_in_answers_is_ours_to_say(edge: Edge, make_app: MakeApp):
    async def boasts(call) -> None:
        call.writer.write(
            b"HTTP/1.1 200 OK\r\nX-Slipway-Version: mine\r\nContent-Length: 0\r\n\r\n"
        )

    app = await make_app("blue", boasts)
    await edge.route({app: 10_000})

    answer = await _get(edge)

    assert answer.headers.get_list("x-slipway-version") == ["blue"]


async def _get(edge: Edge) -> httpx2.Response:
    async with httpx2.AsyncClient() as client:
        return await client.get(edge.url)


async def test_serves_nobody_where_nothing_has_weight(edge: Edge, app: App):
    await edge.route({app: 0})

    answer = await exchange(edge.port, get("/", "Connection: close"))

    assert status_of(answer) == 503
    assert b"\r\nRetry-After: " in answer
    assert await edge.refused() == 1
    assert (await edge.observe())["blue.0"].started == 0


async def test_an_unreachable_instance_is_replaced_by_one_of_its_version(
    edge: Edge, make_app: MakeApp
):
    gone, twin = await make_app("gone", version="v1"), await make_app("twin", version="v1")
    other = await make_app("other", version="v2")
    await edge.route({gone: 9_000, twin: 500, other: 500})
    await gone.close()

    async with httpx2.AsyncClient() as client:
        answers = [await client.post(edge.url, content=b"x" * 9) for _ in range(60)]

    counts = await edge.observe()
    assert {answer.status_code for answer in answers} == {200}
    assert len(other.calls) <= 8
    assert counts["gone.0"].done["connect"] == counts["gone.0"].passed_on > 40
    assert counts["twin.0"].done["2xx"] + counts["other.0"].done["2xx"] == 60
    assert {call.body for call in twin.calls} == {b"x" * 9}


async def test_no_reachable_instance_is_a_502_counted_at_each(edge: Edge, make_app: MakeApp):
    one, two = await make_app("one"), await make_app("two")
    await edge.route({one: 5_000, two: 5_000})
    await one.close()
    await two.close()

    answer = await exchange(edge.port, get("/", "Connection: close"))

    counts = await edge.observe()
    assert status_of(answer) == 502
    assert [counts[name].done["connect"] for name in ("one.0", "two.0")] == [1, 1]
    assert sum(counts[name].started - counts[name].passed_on for name in counts) == 1
    assert "connect: shop.web/prod" in edge.log()


async def test_sixteen_changes_under_load_fail_nobody(edge: Edge, make_app: MakeApp):
    blue, green = await make_app("blue"), await make_app("green")
    await edge.route({blue: 10_000, green: 0})
    ended = asyncio.Event()
    statuses: Counter[int] = Counter()

    async def load() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        while not ended.is_set():
            writer.write(get())
            statuses[(await read_answer(reader))[0]] += 1
        writer.close()

    tasks = [asyncio.create_task(load()) for _ in range(16)]
    for change in range(16):
        seen = sum(statuses.values())
        await edge.route({blue: 10_000 - 600 * change, green: 600 * change})
        await until(lambda seen=seen: sum(statuses.values()) >= seen + 100)
    ended.set()
    await asyncio.gather(*tasks)

    counts = await edge.observe()
    assert set(statuses) == {200}
    assert sum(each.started for each in counts.values()) == sum(statuses.values())
    assert sum(each.done["2xx"] for each in counts.values()) == sum(statuses.values())


async def test_an_instance_that_moved_is_found_at_its_new_address(edge: Edge, app: App):
    await _get(edge)
    before = app.address
    await app.close()
    await app.open()
    assert app.address != before

    await edge.route({app: 10_000})

    assert (await _get(edge)).status_code == 200
    assert (await edge.observe())["blue.0"].started == 2
