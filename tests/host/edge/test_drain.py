"""Leaving: an instance without weight, and the edge itself, end what is in flight first."""

import asyncio

import httpx2

from domain.hosting import Drain
from tests.host.edge.conftest import MakeApp, MakeEdge
from tests.host.edge.ground import TARGET, Call, Edge, get, read_answer, reply
from tests.processes import until


class Gate:
    """An app's answer that waits to be let through."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.waiting = 0

    async def __call__(self, call: Call) -> None:
        self.waiting += 1
        await self.open.wait()
        reply(call, b"done")


async def test_drain_waits_for_the_last_request(edge: Edge, make_app: MakeApp):
    gate = Gate()
    old, new = await make_app("old", gate), await make_app("new")
    await edge.route({old: 10_000})
    async with httpx2.AsyncClient() as client:
        request = asyncio.create_task(client.get(edge.url))
        await until(lambda: gate.waiting == 1)
        await edge.route({new: 10_000, old: 0})
        drain = asyncio.create_task(edge.say(Drain(target=TARGET, instance="old.0", deadline_s=30)))
        fresh = await client.get(edge.url)
        early = drain.done()
        gate.open.set()
        answers = await request, await drain

    assert (fresh.text, early) == ("new", False)
    assert answers[0].text == "done"
    assert answers[1] == {"drained": True, "left": 0}


async def test_drain_says_what_is_left_at_the_deadline(edge: Edge, make_app: MakeApp):
    gate = Gate()
    old, new = await make_app("old", gate), await make_app("new")
    await edge.route({old: 10_000})
    async with httpx2.AsyncClient() as client:
        request = asyncio.create_task(client.get(edge.url))
        await until(lambda: gate.waiting == 1)
        await edge.route({new: 10_000})
        answer = await edge.say(Drain(target=TARGET, instance="old.0", deadline_s=0.1))
        gate.open.set()
        late = await request

    assert answer == {"drained": False, "left": 1}
    assert late.text == "done"
    assert (await edge.observe())["old.0"].done["2xx"] == 1


async def test_drain_refuses_an_instance_with_traffic(edge: Edge, make_app: MakeApp):
    await edge.route({await make_app("blue"): 10_000})

    answer = await edge.say(Drain(target=TARGET, instance="blue.0", deadline_s=1))

    assert answer["error"]["code"] == "has_weight"


async def test_the_edge_answers_what_is_in_flight_before_it_ends(edge: Edge, make_app: MakeApp):
    gate = Gate()
    await edge.route({await make_app("blue", gate): 10_000})
    busy_reader, busy = await asyncio.open_connection("127.0.0.1", edge.port)
    busy.write(get())
    await until(lambda: gate.waiting == 1)
    idle_reader, idle = await asyncio.open_connection("127.0.0.1", edge.port)

    edge.terminate()
    gate_opened = asyncio.get_running_loop().call_later(0.2, gate.open.set)
    answer = await read_answer(busy_reader)
    rest = await busy_reader.read()
    silence = await idle_reader.read()
    code = await edge.ended()
    for writer in (busy, idle):
        writer.close()

    assert (answer[0], answer[2], answer[1]["connection"]) == (200, b"done", "close")
    assert (rest, silence, code, gate_opened.cancelled()) == (b"", b"", 0, False)


async def test_what_hangs_is_cut_at_the_end_of_the_grace(make_edge: MakeEdge, make_app: MakeApp):
    edge = await make_edge("grace_s=0.3", "farewell_s=0.1")
    gate = Gate()
    await edge.route({await make_app("blue", gate): 10_000})
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(get())
    await until(lambda: gate.waiting == 1)

    edge.terminate()
    code = await edge.ended()
    writer.close()
    await edge.start()

    assert code == 0
    counts = (await edge.observe())["blue.0"]
    assert (counts.started, counts.done["aborted"]) == (1, 1)
    assert reader.at_eof() is False


async def test_a_successor_may_start_while_the_edge_still_answers(edge: Edge, make_app: MakeApp):
    gate = Gate()
    app = await make_app("blue", gate)
    await edge.route({app: 10_000})
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(get())
    await until(lambda: gate.waiting == 1)
    edge.terminate()
    old = edge.running
    await edge.start()
    app.answer = None

    async with httpx2.AsyncClient() as client:
        fresh = [(await client.get(edge.url)).text for _ in range(5)]
    between = (await edge.observe())["blue.0"]
    gate.open.set()
    answer = await read_answer(reader)
    writer.close()
    await asyncio.to_thread(old.wait, 15)

    after = (await edge.observe())["blue.0"]
    assert fresh == ["blue"] * 5
    assert (between.started, between.done["2xx"], between.done["aborted"]) == (6, 5, 0)
    assert answer[2] == b"done"
    assert (after.started, after.done["2xx"]) == (6, 6)
