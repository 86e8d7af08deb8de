"""Speaking with the host: answers become records, refusals and silences become our errors."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from domain.errors import Misconfigured, Rejected, Unavailable
from domain.hosting import RouteTraffic, StartProcess
from integrations import host_sockets
from integrations.host_sockets import Sockets

Answer = Callable[[dict[str, object]], bytes]


@asynccontextmanager
async def answering(path: Path, answer: Answer) -> AsyncIterator[list[dict[str, object]]]:
    """Answer every order at a socket; yields what was said."""
    said: list[dict[str, object]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            said.append(json.loads(line))
            writer.write(answer(said[-1]))
        writer.close()

    path.parent.mkdir(parents=True, exist_ok=True)
    async with await asyncio.start_unix_server(serve, path):
        yield said


def telling(document: object) -> Answer:
    return lambda _: json.dumps(document).encode() + b"\n"


def error(code: str, **more: str) -> Answer:
    return telling({"error": {"code": code, "message": "no", "hint": "do so", **more}})


ROUTE = RouteTraffic(target="t", routes=(), expected_generation=3, op_id="op")


async def test_an_order_is_one_line_and_its_answer_a_record(tmp_path: Path):
    instance = {"instance": "r1.0", "target": "t", "digest": "d", "state": "ready"}
    async with answering(tmp_path / "host.sock", telling({"instances": [instance]})) as said:
        found = await Sockets(tmp_path).instances("t")

    assert said == [{"op": "list", "target": "t"}]
    assert [(each.instance, each.state) for each in found] == [("r1.0", "ready")]


@pytest.mark.parametrize(
    ("code", "more", "kind"),
    [
        ("stale", {}, Rejected),
        ("port_taken", {}, Rejected),
        ("has_weight", {}, Rejected),
        ("busy", {}, Unavailable),
        ("disk", {}, Unavailable),
        ("fault", {}, Unavailable),
        ("edge_away", {"kind": "Unavailable"}, Unavailable),
        ("odd", {"kind": "Misconfigured"}, Misconfigured),
        ("odd", {"kind": "Rejected"}, Rejected),
        ("odd", {"kind": "KeyboardInterrupt"}, Rejected),
    ],
)
async def test_a_refusal_keeps_its_code_and_becomes_one_of_our_errors(
    tmp_path: Path, code: str, more: dict[str, str], kind: type[Exception]
):
    async with answering(tmp_path / "edge.sock", error(code, **more)):
        with pytest.raises((Rejected, Unavailable, Misconfigured)) as caught:
            await Sockets(tmp_path).route(ROUTE)

    assert type(caught.value) is kind
    assert (caught.value.problem.code, caught.value.problem.hint) == (code, "do so")


@pytest.mark.parametrize(
    "answer",
    [b"", b"no json\n", b"[1]\n", b'{"error": "bare"}\n', b'{"half": ', b"\xff\xff\n"],
)
async def test_what_is_no_answer_is_unavailable(tmp_path: Path, answer: bytes):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(serve, tmp_path / "host.sock"):
        with pytest.raises(Unavailable) as caught:
            await Sockets(tmp_path).status()

    assert caught.value.problem.code in ("host_away", "bad_answer")


async def test_an_answer_of_another_shape_is_unavailable_and_says_why(tmp_path: Path):
    async with answering(tmp_path / "host.sock", telling({"pid": "many"})):
        with pytest.raises(Unavailable) as caught:
            await Sockets(tmp_path).status()

    assert caught.value.problem.code == "bad_answer"
    assert "different versions" in caught.value.problem.hint


async def test_silence_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    over = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async with await asyncio.start_unix_server(serve, tmp_path / "edge.sock"):
        monkeypatch.setattr(host_sockets, "PATIENCE", 0.05)
        with pytest.raises(Unavailable, match=r"no answer to `drain` within 0\.06 s"):
            await Sockets(tmp_path).drain("t", "r1.0", 0.01)
        over.set()


async def test_nobody_there_is_unavailable_and_says_what_to_do(tmp_path: Path):
    with pytest.raises(Unavailable, match="edge does not answer") as caught:
        await Sockets(tmp_path).observe("t", 0)

    assert caught.value.problem.code == "host_away"
    assert "slipway up" in caught.value.problem.hint


async def test_a_target_that_the_edge_never_heard_of_has_no_routes(tmp_path: Path):
    async with answering(tmp_path / "edge.sock", error("unknown_target")):
        assert await Sockets(tmp_path).routes("t") == (0, ())
    async with answering(tmp_path / "edge.sock", telling({"generation": 0, "routes": []})):
        assert await Sockets(tmp_path).routes("t") == (0, ())
    async with answering(tmp_path / "edge.sock", error("bad_order")):
        with pytest.raises(Rejected):
            await Sockets(tmp_path).routes("t")


async def test_a_long_path_is_reached(tmp_path: Path):
    folder = tmp_path / ("long-" * 30)
    folder.mkdir()
    short = tmp_path / "s"
    async with answering(short, telling({})) as said:
        (folder / "host.sock").symlink_to(short)
        await Sockets(folder).forget("t")

    assert said == [{"op": "forget", "target": "t"}]


async def test_counts_and_instances_of_a_start_come_as_records(tmp_path: Path):
    order = StartProcess(instance="r1.0", target="t", argv=("x",), cwd="/")
    counts = {"instance": "r1.0", "started": 3, "done": {"2xx": 2}}
    begun = {"instance": "r1.0", "target": "t", "digest": ""}
    async with answering(tmp_path / "edge.sock", telling({"generation": 4, "counts": [counts]})):
        generation, found = await Sockets(tmp_path).observe("t", 250)
    async with answering(tmp_path / "host.sock", telling(begun)) as said:
        instance = await Sockets(tmp_path).start(order)

    assert (generation, found[0].started, found[0].done) == (4, 3, {"2xx": 2})
    assert instance.instance == "r1.0"
    assert said[0]["argv"] == ["x"]
