"""The production shape: what docker-compose.yml promises, and its services really at work."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
import yaml
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from temporalio.testing import WorkflowEnvironment

from integrations.engine import parse
from starter.demo import IDEA
from starter.demo.repository import make_repository
from starter.init import missing_attributes
from tests.end_to_end.composition import FILE, ROOMS, ROOT, Host, image, read_compose, variables
from tests.postgres import Postgres, running_postgres
from tests.processes import until
from workflows.names import AGENTS, CHECKS, DEPLOYMENTS, INTEGRATIONS, QUEUES
from workflows.plugin import slipway_plugin

COMPOSE = read_compose()
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = (*QUEUES, "init")
KEEPERS = (INTEGRATIONS, DEPLOYMENTS)  # of records
ONCE = ("init", "temporal-schema")
REPOSITORY = "/repositories/1/parcels.git"
TOOLS = (("docker-compose",), ("docker", "compose"))


def worker_of(service: dict[str, Any]) -> list[str]:
    """Return the queues that a service serves."""
    command = service.get("command", [])
    return command[3:] if command[:3] == ["python", "-m", "workers"] else []


def test_each_queue_has_exactly_one_worker_service():
    served = {name: worker_of(service) for name, service in SERVICES.items() if worker_of(service)}

    assert {queue: [queue] for queue in QUEUES} == served


def test_every_image_is_pinned_to_an_exact_version():
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    images = [service["image"] for service in SERVICES.values()]

    assert all(re.search(r":\d+\.\d+(\.\d+)?(-\w+)*$", name) for name in (*images, *bases))
    assert "latest" not in FILE.read_text() + (ROOT / "Dockerfile").read_text()
    assert {SERVICES[name]["image"] for name in OURS} == {f"slipway:{_version()}"}


def _version() -> str:
    found = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert found
    return found[1]


def test_ports_are_published_on_loopback_only():
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert {"temporal", "ui"} == set(ports)
    assert all(port.startswith("127.0.0.1:") for each in ports.values() for port in each)


def test_only_who_keeps_records_gets_a_credential_and_reaches_the_database():
    words = ("PASSWORD", "PWD", "DATABASE", "TOKEN", "SECRET")
    holders = {
        name
        for name, service in SERVICES.items()
        if any(word in variable for variable in service["environment"] for word in words)
    }
    reaching = {name for name, service in SERVICES.items() if "records" in service["networks"]}

    assert {"postgres", "temporal", "temporal-schema", *KEEPERS} == holders == reaching
    assert COMPOSE["networks"]["records"] == {"internal": True}


def test_what_must_run_is_restarted_watched_and_given_time_to_stop():
    lasting = {name: each for name, each in SERVICES.items() if name not in ONCE}

    assert {"unless-stopped"} == {service["restart"] for service in lasting.values()}
    assert {"on-failure:5"} == {SERVICES[name]["restart"] for name in ONCE}
    assert all("healthcheck" in service for service in lasting.values())
    assert all(SERVICES[queue]["stop_grace_period"] == "60s" for queue in QUEUES)
    assert all(service["logging"]["options"]["max-size"] for service in SERVICES.values())


def test_nothing_starts_before_what_it_needs():
    done, healthy = "service_completed_successfully", "service_healthy"
    needs = {
        name: {other: each["condition"] for other, each in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }

    assert needs["postgres"] == {}
    assert {"postgres": healthy} == needs["temporal-schema"]
    assert {"postgres": healthy, "temporal-schema": done} == needs["temporal"]
    assert {"temporal": healthy} == needs["init"] == needs["ui"]
    for queue in QUEUES:
        own = {"postgres": healthy} if queue in KEEPERS else {}
        assert needs[queue] == {"init": done, **own}


def test_only_those_that_need_state_share_it():
    mounts = {name: set(SERVICES[name].get("volumes", ())) for name in OURS}

    homes = {name for name in OURS if "home:/var/lib/slipway" in mounts[name]}
    assert {AGENTS, CHECKS, INTEGRATIONS, DEPLOYMENTS} == homes
    assert {name for name in OURS if "cache:/var/cache/slipway" in mounts[name]} == {CHECKS}
    assert {name for name in OURS if "./repositories:/repositories" in mounts[name]} == set(KEEPERS)


def test_the_example_environment_names_every_variable_with_its_default():
    written = (ROOT / "deploy/example.env").read_text()

    assert variables() == dict(re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", written, re.MULTILINE))


def test_the_server_settings_name_our_queues():
    settings = yaml.safe_load((ROOT / "deploy/temporal/dynamic.yaml").read_text())

    named = {
        entry["constraints"]["taskQueueName"]
        for entries in settings.values()
        for entry in entries
        if "constraints" in entry
    }
    assert {AGENTS, CHECKS} == named
    assert settings["limit.maxIDLength"] == [{"value": 255}]


def test_the_image_is_built_from_locked_packages_and_runs_as_nobody_special():
    dockerfile = (ROOT / "Dockerfile").read_text()
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    installs = re.findall(r"pip install (.+)", dockerfile)

    assert all("--require-hashes" in each or "--no-deps" in each for each in installs)
    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE) == ["slipway"]
    assert set(ROOMS) <= set(allowed)
    assert all((ROOT / name).exists() for name in allowed)


@pytest.mark.parametrize(
    "files", [("docker-compose.yml",), ("docker-compose.yml", "deploy/bubblewrap.yml")]
)
def test_the_tools_of_this_machine_take_the_files(files: tuple[str, ...]):
    # Reading needs no engine; machines without such a tool still run all other tests.
    given = [word for name in files for word in ("-f", str(ROOT / name))]

    taken = {tool: _runs(*tool, *given, "config") for tool in TOOLS if _runs(*tool, "version")}

    assert all(taken.values()), taken


def _runs(*words: str) -> bool:
    if shutil.which(words[0]) is None:
        return False
    return subprocess.run(words, capture_output=True, check=False, timeout=60).returncode == 0


class Stack(NamedTuple):
    """All services of ours at work, and what they were to leave behind."""

    host: Host
    workers: dict[str, asyncio.subprocess.Process]
    database: str
    unhealthy_before: bool
    registered: dict[str, Any]
    record: dict[str, Any]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of the image: our wheel and the locked packages, nothing editable."""
    return image(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server with the databases that deploy/postgres makes."""
    with running_postgres() as server:
        path = f"{server.programs}:{os.environ['PATH']}"
        given = SERVICES["postgres"]["environment"]
        for script in sorted((ROOT / "deploy/postgres").iterdir()):
            subprocess.run(
                ["sh", str(script)], check=True, timeout=60,
                env={"PATH": path, "PGHOST": server.socket, **given},
            )  # fmt: skip
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(
    installed: Path,
    postgres: Postgres,
    temporal: WorkflowEnvironment,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stack]:
    """Run `init`, then the four workers, then one idea by the command line of `integrations`."""
    address = temporal.client.service_client.config.target_host
    database = f"@/slipway?host={postgres.socket}"
    folder = tmp_path_factory.mktemp("host")
    addresses = {"temporal:7233": address, "@postgres:5432/slipway": database}
    host = Host(folder, installed, addresses)
    registered = await _document(host, "init", *SERVICES["init"]["command"], "--json")
    before = await host.healthy(INTEGRATIONS)
    repositories = host.folder(INTEGRATIONS, "/repositories")
    make_repository(repositories)
    shutil.copy(IDEA, repositories / "idea.yaml")
    workers: dict[str, asyncio.subprocess.Process] = {}
    try:
        for queue in QUEUES:
            workers[queue] = await host.begin(queue)
        for queue in QUEUES:
            await until(partial(host.seen_alive, queue, workers[queue]), 60)
        record = await _document(
            host, INTEGRATIONS, "slipway", "idea", "start", "/repositories/idea.yaml", "--repo",
            REPOSITORY,
            "--wait", "--json",
        )  # fmt: skip
        url = host.environment(INTEGRATIONS)["SLIPWAY_DATABASE_URL"]
        yield Stack(host, workers, url, before, registered, record)
    finally:
        for worker in workers.values():
            if worker.returncode is None:
                worker.kill()
                await worker.wait()


async def _document(host: Host, service: str, *words: str) -> dict[str, Any]:
    code, out, err = await host.run(service, *words)
    assert code == 0, (words, out, err)
    document: dict[str, Any] = json.loads(out)
    return document


@pytest.mark.server
@pytest.mark.slow
async def test_init_makes_the_namespace_with_every_search_attribute(
    stack: Stack, temporal: WorkflowEnvironment
):
    address = temporal.client.service_client.config.target_host
    client = await type(temporal.client).connect(
        address, namespace="slipway", plugins=[slipway_plugin()]
    )
    again = await _document(stack.host, "init", *SERVICES["init"]["command"], "--json")

    assert stack.registered["created"]
    assert await missing_attributes(client) == ()
    assert (again["created"], again["added"]) == (False, [])


@pytest.mark.server
@pytest.mark.slow
async def test_an_idea_is_completed_by_one_process_for_each_queue(stack: Stack):
    _, tags, _ = await stack.host.run(INTEGRATIONS, "git", "-C", REPOSITORY, "tag")

    assert stack.record["state"] == "Completed"
    assert tags.split() == ["v1.2.0", "v1.3.0"]
    assert all(worker.returncode is None for worker in stack.workers.values())


@pytest.mark.server
@pytest.mark.slow
async def test_the_records_are_in_postgresql_and_nowhere_else(stack: Stack):
    engine = create_async_engine(parse(stack.database))
    async with engine.connect() as connection:
        told = await connection.execute(text("SELECT key, stage FROM ideas"))
        ideas = [tuple(row) for row in told]
        tasks = await connection.scalar(text("SELECT count(*) FROM tasks"))
    await engine.dispose()
    audit = await _document(stack.host, INTEGRATIONS, "slipway", "audit", "verify", "--json")

    assert [(stack.record["key"], "Completed")] == ideas
    assert tasks == 5
    assert (audit["status"], audit["problems"]) == ("unanchored", [])
    assert not list(stack.host.folder(INTEGRATIONS, "/var/lib/slipway").rglob("*.db"))


@pytest.mark.server
@pytest.mark.slow
async def test_no_process_but_those_that_keep_records_holds_a_credential(stack: Stack):
    held = {queue: _environment_of(worker.pid) for queue, worker in stack.workers.items()}
    holders = {queue for queue, text in held.items() if "DATABASE" in text or "change-me" in text}

    assert set(KEEPERS) == holders


def _environment_of(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


@pytest.mark.server
@pytest.mark.slow
async def test_a_worker_is_healthy_while_it_lives_and_stops_when_asked(stack: Stack):
    running = [await stack.host.healthy(queue) for queue in QUEUES]
    for worker in stack.workers.values():
        worker.send_signal(signal.SIGTERM)
    ended = [await asyncio.wait_for(worker.wait(), 60) for worker in stack.workers.values()]

    assert not stack.unhealthy_before
    assert [True] * len(QUEUES) == running
    assert [0] * len(QUEUES) == ended
    assert all(f"serving {queue}" in stack.host.said(queue) for queue in QUEUES)


@pytest.mark.slow
async def test_the_image_has_all_that_the_commands_read(installed: Path, tmp_path: Path):
    host = Host(tmp_path, installed, {})

    recipes = await _document(host, "init", "slipway", "recipes", "--json")
    code, queues, _ = await host.run("init", "python", "-m", "workers", "--help")

    shipped = {path.stem for path in (ROOT / "config" / "recipes").glob("*.yaml")}
    assert {recipe["name"] for recipe in recipes["recipes"]} == shipped
    assert (code, ", ".join(QUEUES) in queues) == (0, True)
