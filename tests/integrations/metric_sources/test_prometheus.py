"""A real Prometheus that scrapes two instances: what is read from it, and what is not."""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from domain.service import MetricSource
from integrations.metric_sources.reader import MetricReader
from integrations.process import Processes
from tests.host.supervisor.house import until
from tests.integrations.metric_sources.scene import NEW, OLD, OLDER, Answers, instance, plan, seen

CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
- job_name: web
  static_configs: [{{targets: [{targets}]}}]
"""
METRICS = """
queue_depth{{version="{version}"}} {depth}
cpu_seconds{{version="{version}",core="0"}} 1
cpu_seconds{{version="{version}",core="1"}} 2
rss{{unit="bytes",version="{version}"}} 1000
zero{{version="{version}"}} 0
"""


class Scraped:
    """A Prometheus, and the three instances that it scrapes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers = [Answers() for _ in range(3)]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}"

    async def open(self) -> None:
        program = shutil.which("prometheus")
        assert program, "these tests need a real Prometheus: apt-get install prometheus"
        for server, depth in zip(self._servers, (2, 4, 9), strict=True):
            await server.open()
            version = "v2" if depth == 9 else "v1"
            server.bodies["/metrics"] = METRICS.format(version=version, depth=depth)
        targets = ", ".join(f"'127.0.0.1:{each.port}'" for each in self._servers)
        (self._folder / "prometheus.yml").write_text(CONFIG.format(targets=targets))
        self._process = await asyncio.create_subprocess_exec(
            program, f"--config.file={self._folder}/prometheus.yml",
            f"--storage.tsdb.path={self._folder}/data", "--log.level=error",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        )  # fmt: skip
        await until(self._has_scraped, 60)

    async def _has_scraped(self) -> bool:
        async with httpx2.AsyncClient(trust_env=False) as client:
            with contextlib.suppress(httpx2.HTTPError):
                found = await client.get(f"{self.url}/api/v1/query?query=count(queue_depth)")
                return '"3"' in found.text
        return False

    async def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.wait()
        for server in self._servers:
            await server.close()

    def seen(self):
        named = zip(self._servers, ((OLD, "v1"), (OLDER, "v1"), (NEW, "v2")), strict=True)
        return seen(
            *(
                instance(name, version, address=f"127.0.0.1:{server.port}")
                for server, (name, version) in named
            )
        )

    async def read(self, query: str, unit: str = "") -> tuple[dict[str, tuple[float, float]], str]:
        """Return what is read, and what is told of it."""
        told: list[str] = []
        reader = MetricReader(
            Processes("python", "keeper", "none"), lambda place, sha: None, told.append
        )
        source = MetricSource(name="m", source="prometheus", url=self.url, query=query, unit=unit)
        return await reader.read(plan(source), self.seen()), " ".join(told)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scraped(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scraped]:
    scraped = Scraped(tmp_path_factory.mktemp("prometheus"))
    await scraped.open()
    try:
        yield scraped
    finally:
        await scraped.close()


@pytest.mark.parametrize(
    ("query", "pair"),
    [
        ('queue_depth{instance="{address}"}', (3, 9)),
        ('avg(queue_depth{version="{version}"})', (3, 9)),
        ('scalar(queue_depth{instance="{address}"}) * 2', (6, 18)),
        ('sum(cpu_seconds{instance="{address}"})', (3, 3)),
    ],
)
async def test_one_number_per_instance_is_read(scraped: Scraped, query: str, pair: object):
    found, told = await scraped.read(query)

    assert (found, told) == ({"m": pair}, "")


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ('nothing{instance="{address}"}', "has no value now"),
        ('cpu_seconds{instance="{address}"}', "is 2 series, and must be one, as by avg()"),
        ('queue_depth{instance="{address}"}[1m]', "is a matrix, and must be one number"),
        ('"{instance}"', "is a string, and must be one number"),
        ('zero{instance="{address}"} / 0', "is nan"),
        ('queue_depth{instance="{address}"} / 0', "is inf"),
        ('-queue_depth{instance="{address}"}', "is negative"),
        ('avg(queue_depth{instance="{address}"}', "with status 400: "),
    ],
)
async def test_what_is_no_single_number_is_told(scraped: Scraped, query: str, why: str):
    found, told = await scraped.read(query)

    assert found == {}
    assert why in told


async def test_a_label_unit_is_the_unit(scraped: Scraped):
    query = 'rss{instance="{address}"}'

    assert await scraped.read(query, "bytes") == ({"m": (1000, 1000)}, "")
    found, told = await scraped.read(query, "kilobytes")
    assert found == {}
    assert "is in bytes, declared is kilobytes" in told


@pytest.mark.parametrize(
    "said",
    [
        '{"status": "success"}',
        '{"status": "success", "data": {"resultType": "vector", "result": 3}}',
        '{"status": "success", "data": {"resultType": "scalar", "result": [1, "x"]}}',
        "[]",
        "{}",
    ],
)
async def test_another_program_in_its_place_is_told(
    scraped: Scraped, answers: Answers, said: str, monkeypatch: pytest.MonkeyPatch
):
    for name in (OLD, OLDER, NEW):
        answers.bodies[f"/api/v1/query?query={name}"] = said
    monkeypatch.setattr(scraped, "url", answers.url)
    found, told = await scraped.read("{instance}")

    assert found == {}
    assert "shape that is not known" in told or "is refused" in told
