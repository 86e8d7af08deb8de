"""Sticky sessions: a client keeps its version while that has any weight."""

import httpx2
import pytest

from tests.host.edge.conftest import MakeApp
from tests.host.edge.ground import App, Edge


@pytest.fixture
async def pair(edge: Edge, make_app: MakeApp) -> tuple[App, App]:
    blue, green = await make_app("blue"), await make_app("green")
    await edge.route({blue: 5_000, green: 5_000}, sticky="ship")
    return blue, green


async def test_a_client_keeps_its_version_while_it_has_weight(edge: Edge, pair: tuple[App, App]):
    blue, green = pair
    async with httpx2.AsyncClient() as client:
        first = await client.get(edge.url)
        kept = [(await client.get(edge.url)).text for _ in range(20)]
        mine, other = (blue, green) if first.text == "blue" else (green, blue)
        await edge.route({mine: 1, other: 9_999}, sticky="ship")
        still = [await client.get(edge.url) for _ in range(20)]
        await edge.route({mine: 0, other: 10_000}, sticky="ship")
        moved = await client.get(edge.url)

    assert set(kept) == {first.text}
    assert {answer.text for answer in still} == {first.text}
    assert "set-cookie" not in still[0].headers
    assert moved.text == other.name
    assert moved.headers["set-cookie"].startswith("ship=")


async def test_clients_without_a_cookie_come_by_weight(edge: Edge, make_app: MakeApp):
    blue, green = await make_app("blue"), await make_app("green")
    await edge.route({blue: 8_000, green: 2_000}, sticky="ship")

    async with httpx2.AsyncClient() as client:
        for _ in range(200):
            answer = await client.get(edge.url)
            client.cookies.clear()

    assert abs(len(green.calls) - 40) <= 2
    parts = answer.headers["set-cookie"].split("; ")
    assert parts[1:] == ["Path=/", "HttpOnly", "SameSite=Lax"]


async def test_a_cookie_from_a_secure_page_is_secure(edge: Edge, pair: tuple[App, App]):
    async with httpx2.AsyncClient(headers={"X-Forwarded-Proto": "https"}) as client:
        answer = await client.get(edge.url)

    assert answer.headers["set-cookie"].endswith("; Secure")


async def test_a_strange_cookie_is_no_cookie(edge: Edge, pair: tuple[App, App]):
    headers = {"Cookie": 'a=b; ship="; ship=\\x00; shipped=1'}
    async with httpx2.AsyncClient(headers=headers) as client:
        answer = await client.get(edge.url)

    assert answer.status_code == 200
    assert answer.headers["set-cookie"].startswith("ship=")


async def test_a_tester_is_not_kept(edge: Edge, pair: tuple[App, App]):
    async with httpx2.AsyncClient() as client:
        answer = await client.get(edge.url, headers={"X-Slipway-Version": "green"})

    assert answer.text == "green"
    assert "set-cookie" not in answer.headers
