"""Counts: each request once, by how it ended; they outlive the edge."""

import asyncio
import random
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx2

from domain.deployment import BUCKETS_MS, Counts
from host.edge.counts import ABORTED, BOOT, BOUNDS_MS, CLASSES, SERVER_ERROR, CountFile
from tests.host.edge.conftest import MakeApp
from tests.host.edge.ground import App, Call, Edge, get, read_answer, reply, reset
from tests.processes import until


def _adds_up(counts: Counts) -> bool:
    return counts.started == sum(counts.done.values())


def test_the_buckets_are_those_of_the_domain():
    assert BOUNDS_MS == BUCKETS_MS


async def test_answers_are_counted_by_class_and_latency(edge: Edge, make_app: MakeApp):
    async def as_told(call: Call) -> None:
        reply(call, b"", f"{call.target[1:]} Told")

    await edge.route({await make_app("blue", as_told): 10_000})

    async with httpx2.AsyncClient() as client:
        for status in (200, 201, 301, 404, 404, 500, 503, 599):
            await client.get(f"{edge.url}/{status}")

    counts = (await edge.observe())["blue.0"]
    assert [counts.done[name] for name in CLASSES] == [0, 2, 1, 2, 3, 0, 0, 0, 0]
    assert counts.started == sum(counts.histogram) == 8
    assert len(counts.histogram) == 40
    assert len(counts.epoch) == 16


async def test_latency_is_until_the_first_byte(edge: Edge, make_app: MakeApp):
    async def late(call: Call) -> None:
        await asyncio.sleep(0.12)
        reply(call, b"x")

    await edge.route({await make_app("blue", late): 10_000})
    async with httpx2.AsyncClient() as client:
        await client.get(edge.url)

    histogram = (await edge.observe())["blue.0"].histogram
    bucket = histogram.index(1)
    assert 100 <= BUCKETS_MS[bucket] <= 1_000


async def test_a_bad_client_counts_once_in_a_stretch(edge: Edge, make_app: MakeApp):
    async def fails(call: Call) -> None:
        reply(call, b"", "500 Sorry")

    await edge.route({await make_app("blue", fails): 10_000})

    async def ask(times: int, **headers: str) -> int:
        async with httpx2.AsyncClient(headers=headers) as client:
            for _ in range(times):
                await client.get(edge.url)
        return (await edge.observe())["blue.0"].bad_clients

    assert await ask(5, **{"X-Forwarded-For": "192.0.2.1, 198.51.100.9"}) == 1
    assert await ask(5, **{"X-Forwarded-For": "192.0.2.1"}) == 2
    assert await ask(5) == 7


async def test_a_bad_client_counts_once_for_all_versions(edge: Edge, make_app: MakeApp):
    """Else few clients with many bad answers weigh more on a small share of the traffic."""

    async def fails(call: Call) -> None:
        reply(call, b"", "500 Sorry")

    blue, green = await make_app("blue", fails), await make_app("green", fails)
    await edge.route({blue: 5_000, green: 5_000})
    async with httpx2.AsyncClient(headers={"X-Forwarded-For": "192.0.2.1"}) as client:
        for _ in range(200):
            await client.get(edge.url)

    counts = await edge.observe()
    assert sum(each.bad_clients for each in counts.values()) == 1
    assert all(each.done["5xx"] > 90 for each in counts.values())


async def test_what_waits_too_long_is_overdue(edge: Edge, make_app: MakeApp):
    go_on, head = asyncio.Event(), asyncio.Event()

    async def waits(call: Call) -> None:
        if call.target == "/stream":
            call.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
            head.set()
        await go_on.wait()
        call.writer.write(b"x" if call.target == "/stream" else b"HTTP/1.1 204 No Content\r\n\r\n")

    app = await make_app("blue", waits)
    await edge.route({app: 10_000}, slow_ms=1)
    async with httpx2.AsyncClient() as client:
        requests = [
            asyncio.create_task(client.get(edge.url + path)) for path in ("/", "/", "/stream")
        ]
        await head.wait()
        await until(lambda: len(app.calls) == 3)

        async def overdue(slow_ms: float) -> int:
            return (await edge.observe(slow_ms))["blue.0"].overdue

        async with asyncio.timeout(10):
            while await overdue(50) < 2:
                pass
        by_route, far = await overdue(0), await overdue(60_000)
        go_on.set()
        await asyncio.gather(*requests)

    assert by_route >= 2
    assert far == 0
    assert await overdue(50) == 0


async def test_clients_that_leave_are_aborted_but_bad_answers_stay_bad(
    edge: Edge, make_app: MakeApp
):
    async def begins(call: Call) -> None:
        if call.target == "/bad":
            call.writer.write(b"HTTP/1.1 500 Sorry\r\nContent-Length: 9\r\n\r\nhalf")
        await call.writer.drain()
        await call.reader.read()

    app = await make_app("blue", begins)
    await edge.route({app: 10_000})
    for path in ("/", "/bad"):
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(get(path))
        await until(lambda path=path: bool(app.calls) and app.calls[-1].target == path)
        if path == "/bad":
            await reader.readuntil(b"half")
        reset(writer)

    async def counted() -> Counts:
        return (await edge.observe())["blue.0"]

    async with asyncio.timeout(10):
        while not _adds_up(await counted()):
            pass
    counts = await counted()
    assert (counts.started, counts.done["aborted"], counts.done["5xx"]) == (2, 1, 1)


async def test_all_that_was_sent_is_counted_whoever_leaves_when(edge: Edge, make_app: MakeApp):
    """Started = done + in flight at every look, under answers, breaks and aborts of all kinds."""
    chance = random.Random(7)
    kinds = ("fine", "fails", "breaks", "half", "slow")

    async def moody(call: Call) -> None:
        kind = call.header("x-kind")
        if kind == "breaks":
            reset(call.writer)
        elif kind == "half":
            call.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf")
            call.writer.close()
        else:
            await asyncio.sleep(0.01 if kind == "slow" else 0)
            reply(call, b"x" * 5_000, "500 Sorry" if kind == "fails" else "200 OK")

    blue, green = await make_app("blue", moody), await make_app("green", moody)
    gone = await make_app("gone")
    await gone.close()
    await edge.route({blue: 5_000, green: 4_000, gone: 1_000})
    sent: Counter[str] = Counter()

    async def ask() -> None:
        kind = chance.choice(kinds)
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        sent[kind] += 1
        body = b"y" * chance.choice((0, 10, 100_000))
        head = (
            f"PATCH / HTTP/1.1\r\nHost: a\r\nX-Kind: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        if chance.random() < 0.7:
            await read_answer(reader)
        elif chance.random() < 0.5:
            await reader.read(1)
        reset(writer)

    async def ask_often() -> None:
        for _ in range(40):
            with suppress(OSError, asyncio.IncompleteReadError):
                await ask()

    asking = [asyncio.create_task(ask_often()) for _ in range(10)]
    looks = 0
    while not all(task.done() for task in asking):
        for counts in (await edge.observe()).values():
            in_flight = counts.started - sum(counts.done.values())
            assert 0 <= in_flight <= 10
        looks += 1
    await asyncio.gather(*asking)
    async with asyncio.timeout(10):
        while not all(map(_adds_up, (found := await edge.observe()).values())):
            pass

    first_tries = sum(each.started - each.passed_on for each in found.values())
    assert looks > 3
    assert found["gone.0"].done["connect"] == found["gone.0"].passed_on > 0
    # A client may be gone before the edge read its request: that one nobody can count.
    assert sum(sent.values()) - 40 <= first_tries <= sum(sent.values())
    assert found["blue.0"].done["reset"] > 0
    assert found["blue.0"].done["aborted"] > 0


async def test_a_killed_edge_loses_no_count_and_no_route(edge: Edge, make_app: MakeApp):
    stuck = asyncio.Event()

    async def answers(call: Call) -> None:
        if call.target == "/stuck":
            stuck.set()
            await call.reader.read()
        else:
            reply(call, b"ok")

    app = await make_app("blue", answers)
    await edge.route({app: 10_000}, sticky="ship")
    async with httpx2.AsyncClient() as client:
        for _ in range(10):
            await client.get(edge.url)
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(get("/stuck"))
    await stuck.wait()
    before = (await edge.observe())["blue.0"]

    await edge.kill()
    queued = asyncio.create_task(_get(edge))
    await edge.start()
    answer = await queued
    after = (await edge.observe())["blue.0"]
    lost = await reader.read()
    writer.close()

    assert before.started - sum(before.done.values()) == 1
    assert (after.epoch, after.done["aborted"], after.started) == (before.epoch, 1, 12)
    assert _adds_up(after)
    assert (await edge.inspect())["sticky"] == "ship"
    assert (answer.status_code, lost) == (200, b"")
    assert await edge.route({app: 10_000}) == 2


async def _get(edge: Edge) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=20) as client:
        return await client.get(edge.url)


async def test_kills_under_load_lose_only_what_was_in_flight(edge: Edge, app: App):
    """After each of five kills the counts of before are there, and add up again."""
    answered = 0
    stop = asyncio.Event()

    async def load() -> None:
        nonlocal answered
        while not stop.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
                while not stop.is_set():
                    writer.write(get())
                    assert (await read_answer(reader))[0] == 200
                    answered += 1
            except (OSError, asyncio.IncompleteReadError):
                continue
            finally:
                writer.close()

    tasks = [asyncio.create_task(load()) for _ in range(8)]
    for _ in range(5):
        seen = answered
        await until(lambda seen=seen: answered > seen + 100)
        await edge.kill()
        await edge.start()
    stop.set()
    await asyncio.gather(*tasks)

    counts = (await edge.observe())["blue.0"]
    assert _adds_up(counts)
    assert counts.done["2xx"] >= answered
    assert counts.done["aborted"] <= 5 * 8
    assert counts.done["2xx"] - answered <= 5 * 8


def test_counts_of_another_boot_begin_anew(tmp_path: Path):
    path = tmp_path / "a.counts"
    first = CountFile(path, 0)
    first.start()
    same = CountFile(path, 1)
    path.write_bytes(path.read_bytes().replace(BOOT.read_bytes().strip(), b"0" * 36))
    other = CountFile(path, 0)

    assert (same.epoch, same.read()["started"]) == (first.epoch, 1)
    assert other.epoch != first.epoch
    assert other.read()["started"] == 0


def test_rows_of_processes_are_summed_and_the_dead_are_buried(tmp_path: Path):
    rows = [CountFile(tmp_path / "a.counts", slot) for slot in range(4)]
    for slot, row in enumerate(rows):
        for _ in range(slot + 2):
            row.start()
        row.end(SERVER_ERROR, 10)

    rows[0].bury(3)
    rows[0].bury(3)
    found = rows[1].read()

    assert found["started"] == 14
    assert found["done"] == dict.fromkeys(CLASSES, 0) | {"5xx": 4, "aborted": 4}
    assert CLASSES[ABORTED] == "aborted"


def test_a_damaged_file_of_counts_is_replaced(tmp_path: Path):
    path = tmp_path / "a.counts"
    for damaged in (b"", b"x" * 4_096, b"SLIPWAY-COUNTS-1"):
        path.write_bytes(damaged)

        assert CountFile(path, 0).read()["started"] == 0
        assert path.stat().st_size == 4_096
