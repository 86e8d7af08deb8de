"""The edge against a minimal proxy and HAProxy; changes of weight under load; its memory."""

import asyncio
from statistics import median

from bench.edge_field import Field, field, full_load, latencies_ms
from bench.ground import Load
from bench.row import Row, below, outdoing

MINIMAL = "minimal httptools and uvloop proxy"
HAPROXY = "HAProxy, one thread"
CHANGES = 16
WARM, MANY = 100_000, 1_100_000  # requests between which memory may not grow


async def measure(load: Load) -> list[Row]:
    """Return rows of throughput, processor time, latency, changes and memory."""
    async with field() as place:
        rows = await _speed(place, load)
        rows.append(await _latency(place, load))
        rows.append(await _changes(place, load))
        rows.append(await _memory(place, load))
    return rows


async def _speed(place: Field, load: Load) -> list[Row]:
    """Full load on each in turn; the order turns too."""
    ports = {"edge": place.edge, "minimal": place.minimal, "haproxy": place.haproxy}
    names = list(ports)
    rates: dict[str, list[float]] = {name: [] for name in names}
    costs: dict[str, list[float]] = {name: [] for name in names}
    for port in ports.values():
        await full_load(port, 1)
    for at in range(load.times(15, 3)):
        for name in names[at % 3 :] + names[: at % 3]:
            before = place.cpu_s(name)
            seen = await full_load(ports[name], load.times(3, 2))
            if seen.failed:
                raise AssertionError(f"{name} failed {seen.failed} of {seen.requests} requests")
            rates[name].append(seen.rate)
            costs[name].append(seen.requests / (place.cpu_s(name) - before))

    def row(name: str, found: dict[str, list[float]], rival: str, at_least: float) -> Row:
        pairs = list(zip(found["edge"], found[rival], strict=True))
        known = {"minimal": MINIMAL, "haproxy": HAPROXY}[rival]
        return outdoing(name, pairs, unit="requests/s", rival=known, at_least=at_least)

    return [
        row("edge, full load", rates, "minimal", 0.6),
        row("edge, full load, by processor time", costs, "minimal", 0.6),
        row("edge, full load, HAProxy", rates, "haproxy", 0.25),
    ]


async def _latency(place: Field, load: Load) -> Row:
    """What the edge adds to the 99th percentile at half of what it can serve; HAProxy beside it."""
    half = (await full_load(place.edge, load.times(5, 2))).rate / 2
    ports = {"edge": place.edge, "direct": place.origins[0], "haproxy": place.haproxy}
    seen: dict[str, list[float]] = {name: [] for name in ports}
    for _ in range(load.times(15, 3)):
        for name, port in ports.items():
            seen[name].append(_p99(await latencies_ms(port, load.times(4, 2), half)))

    def added(name: str) -> list[float]:
        return [one - direct for one, direct in zip(seen[name], seen["direct"], strict=True)]

    row = below("edge, added 99th percentile at half load", added("edge"), unit="ms", limit=5)
    return row.but(note=f"{half:.0f} requests/s; HAProxy adds {median(added('haproxy')):.3g} ms")


def _p99(values: list[float]) -> float:
    return sorted(values)[-(-len(values) * 99 // 100) - 1]


async def _changes(place: Field, load: Load) -> Row:
    """Change the weights again and again while wrk asks as fast as it can."""
    seconds = load.times(12, 4)
    running = asyncio.create_task(full_load(place.edge, seconds))
    for change in range(CHANGES):
        await asyncio.sleep(seconds / (CHANGES + 2))
        await place.weigh(change * 600)
    seen = await running
    return Row(
        name=f"edge, failed requests in {CHANGES} changes of weight",
        value=seen.failed,
        unit="requests",
        goal="0 requests",
        met=seen.failed == 0,
        note=f"of {seen.requests}",
    )


async def _memory(place: Field, load: Load) -> Row:
    """Resident memory after the warm requests and after the many; a part reconnects each time."""
    warm, many = (WARM, MANY) if not load.quick else (20_000, 60_000)
    await _until(place, warm)
    before = place.resident_kb()
    await _until(place, many)
    grown = (place.resident_kb() - before) / 1_024
    return Row(
        name=f"edge, growth from request {warm} to {many}",
        value=round(grown, 3),
        unit="MiB",
        goal="< 2 MiB",
        met=grown < 2,
        note=f"from {before} KiB",
    )


async def _until(place: Field, count: int) -> None:
    """Ask until the edge has begun so many requests."""
    while (left := count - await place.counted()) > 0:
        await full_load(place.edge, 3 if left > 50_000 else 1)
        await full_load(place.edge, 1, "Connection: close")
