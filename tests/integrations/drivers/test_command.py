"""What a driver program can do wrong, and how it is told."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.deployment import (
    FULL,
    Artefact,
    BuildOrder,
    Instance,
    ObserveOrder,
    StartOrder,
    WeightOrder,
)
from domain.errors import Misconfigured, Rejected, Unavailable
from domain.service import Environment
from integrations.command_driver import PROTOCOL, CommandDriver
from tests.processes import running, until
from tests.rollouts import place, service

INSTANCE = "r1.0"
Make = Callable[..., tuple[CommandDriver, Environment]]


class Tree:
    """A store with one commit of one file."""

    async def tree_of(self, repository_id: str, sha: str) -> str:
        return "t" * 40

    async def materialise(self, repository_id: str, sha: str, folder: Path) -> None:
        _write_version(folder, sha)


def _write_version(folder: Path, sha: str) -> None:
    folder.mkdir(parents=True)
    (folder / "VERSION").write_text(sha)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a driver and an environment whose program is some Python."""

    def made(code: str, **patience: float) -> tuple[CommandDriver, Environment]:
        program = tmp_path / "program.py"
        program.write_text(f"import json, os, subprocess, sys, time\n{code}\n")
        env = {"PATH": "/usr/bin:/bin", "DEPLOY_TOKEN": "t0ken", "SLIPWAY_SECRET_KEY": "k3y"}
        driver = CommandDriver(tmp_path / "command", Tree(), env, patience)
        command = (sys.executable, "-S", str(program))
        return driver, Environment(driver="command", command=command)

    return made


async def test_a_program_is_asked_with_the_records_themselves(make: Make, tmp_path: Path):
    driver, environment = make(
        "question = json.load(sys.stdin)\n"
        f"open({str(tmp_path / 'asked')!r}, 'w').write(json.dumps([question, dict(os.environ)]))\n"
        "print(json.dumps({'generation': 7, 'unknown': 'words are ignored'}))"
    )
    order = WeightOrder(
        place=place(), service=service(), environment=environment, weights={INSTANCE: FULL},
        expected_generation=6, op="step/1",
    )  # fmt: skip
    generation = await driver.set_weights(order)
    question, env = json.loads((tmp_path / "asked").read_text())

    assert generation == 7
    assert question["protocol"] == PROTOCOL
    assert (question["op"], question["target"]) == ("set_weights", place().target)
    assert WeightOrder.model_validate(question["order"]) == order
    assert env["DEPLOY_TOKEN"] == "t0ken"
    assert not [name for name in env if name.startswith("SLIPWAY")]


async def test_every_call_reaches_the_program(make: Make):
    driver, environment = make(
        "question = json.load(sys.stdin)\n"
        "name = question['order'].get('instance', 'r1.0')\n"
        "instance = {'instance': name, 'target': question['target'], 'digest': 'd'}\n"
        "print(json.dumps({\n"
        "    'start': instance, 'probe': instance, 'stop': {}, 'drain': {'drained': True},\n"
        "    'inspect': {'target': question['target'], 'generation': 3},\n"
        "    'observe': {'target': question['target'], 'generation': 3, 'at_ms': 1},\n"
        "    'prune': {'removed': question['order'].get('keep')},\n"
        "    'build': {'sha': 's', 'digest': question.get('digest', ''), 'location': 'image:1'},\n"
        "}[question['op']]))"
    )
    at = place()
    plain = service(environments={"production": environment})
    built = await driver.build(BuildOrder(place=at, sha="5" * 40, service=plain))
    started = await driver.start(
        StartOrder(place=at, rollout="r1", replica=0, artefact=built, service=plain,
                   environment=environment)
    )  # fmt: skip
    seen = await driver.observe(ObserveOrder(place=at, service=plain, environment=environment))

    assert built.location == "image:1"
    assert started == Instance(instance=INSTANCE, target=at.target, digest="d")
    assert (await driver.probe(at, environment, "r9.0")).instance == "r9.0"
    assert (await driver.inspect(at, environment)).generation == seen.generation == 3
    assert await driver.drain(at, environment, INSTANCE, 1) is True
    await driver.stop(at, environment, INSTANCE)
    assert await driver.prune(at, environment, ("x", "y")) == ("x", "y")


async def test_a_start_alone_gets_the_secrets_of_its_service(make: Make):
    driver, environment = make(
        "key = str(os.environ.get('KEY'))\n"
        "print(json.dumps({'target': 'x', 'digest': '', 'instance': key}))"
    )
    plain = service(secrets=("KEY",), environments={"production": environment})
    order = StartOrder(
        place=place(), rollout="r1", replica=0, service=plain, environment=environment,
        artefact=Artefact(sha="5" * 40, digest="d", location="image:1"),
    )  # fmt: skip

    assert (await driver.start(order)).instance == "k3y"
    assert (await driver.probe(place(), environment, "r1.0")).instance == "None"
    with pytest.raises(Misconfigured, match="OTHER"):
        await driver.start(order.but(service=plain.but(secrets=("OTHER",))))


async def test_a_build_gets_the_files_of_its_commit_until_it_is_pruned(make: Make, tmp_path: Path):
    driver, environment = make(
        "question = json.load(sys.stdin)\n"
        "if question['op'] == 'prune':\n"
        "    print(json.dumps({'removed': ['5' * 40, '../..']}))\n"
        "else:\n"
        "    text = open(question['source'] + '/VERSION').read()\n"
        "    print(json.dumps({'sha': text, 'digest': 'd', 'location': question['source']}))"
    )
    plain = service(environments={"production": environment})
    order = BuildOrder(place=place(), sha="5" * 40, service=plain)
    built, again = await driver.build(order), await driver.build(order)
    other = await driver.build(order.but(sha="6" * 40))
    await driver.prune(place(), environment, ())

    assert built == again
    assert built.sha == "5" * 40
    assert _has_version(other.location)
    assert not _has_version(built.location)


def _has_version(location: str) -> bool:
    return Path(location, "VERSION").exists()


async def test_a_build_for_an_unknown_environment_is_refused(make: Make):
    driver, _ = make("")
    order = BuildOrder(place=place(environment="nowhere"), sha="5" * 40, service=service())
    with pytest.raises(Misconfigured, match="no such environment"):
        await driver.build(order)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(65, Rejected), (78, Misconfigured), (75, Unavailable), (1, Unavailable), (-9, Unavailable)],
)
async def test_an_exit_code_says_whether_to_try_again(make: Make, code: int, kind: type[Exception]):
    ending = f"sys.exit({code})" if code > 0 else f"os.kill(os.getpid(), {-code})"
    driver, environment = make(f"print('the cluster is on fire', file=sys.stderr)\n{ending}")
    with pytest.raises(kind, match="the cluster is on fire") as caught:
        await driver.inspect(place(), environment)

    assert type(caught.value) is kind
    assert ("exit code" if code > 0 else "signal 9") in str(caught.value)


@pytest.mark.parametrize(
    ("told", "kind", "code"),
    [
        ({"kind": "rejected", "code": "stale", "message": "late"}, Rejected, "stale"),
        ({"kind": "Unavailable", "code": "busy", "message": "late"}, Unavailable, "busy"),
        ({"kind": "misconfigured", "message": "late"}, Misconfigured, "refused"),
        ({"message": "late"}, Rejected, "refused"),
    ],
)
async def test_an_error_is_raised_as_it_is_told(
    make: Make, told: dict[str, str], kind: type[Exception], code: str
):
    driver, environment = make(f"print(json.dumps({{'error': {told!r}}}))")
    with pytest.raises(kind, match="late") as caught:
        await driver.inspect(place(), environment)

    assert caught.value.problem.code == code  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "said",
    ["", "hello", "[]", "1", '{"generation": "many"}', '{"target": "x"}', "{" * 100_000,
     '{"target": "x", "generation": 1} and more'],
)  # fmt: skip
async def test_an_answer_that_is_none_is_told(make: Make, said: str):
    driver, environment = make(f"print({said!r})")
    with pytest.raises(Misconfigured) as caught:
        await driver.inspect(place(), environment)

    assert caught.value.problem.code == "bad_answer"


async def test_an_endless_answer_is_none(make: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("integrations.command_program._MOST", 100)
    driver, environment = make("print(json.dumps({'target': 'x' * 200, 'generation': 1}))")
    with pytest.raises(Misconfigured, match="no JSON object"):
        await driver.inspect(place(), environment)


@pytest.mark.parametrize("program", ["/nowhere/deploy", "no-such-deploy-tool"])
async def test_a_program_that_is_not_there_is_told(make: Make, program: str):
    driver, environment = make("")
    with pytest.raises(Misconfigured, match=program) as caught:
        await driver.inspect(place(), environment.but(command=(program,)))

    assert caught.value.problem.code == "no_program"


SPAWNS = (
    "mark = 'command-driver-test-{0}'\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)', mark])\n"
    "open({1!r}, 'w').close()\n"
)


async def test_a_program_that_takes_too_long_is_ended_with_all_its_group(
    make: Make, tmp_path: Path
):
    driver, environment = make(
        SPAWNS.format("late", str(tmp_path / "up")) + "time.sleep(60)", inspect=1
    )
    with pytest.raises(Unavailable, match="within 1 s") as caught:
        await driver.inspect(place(), environment)

    assert caught.value.problem.code == "timeout"
    assert (tmp_path / "up").exists()
    await until(lambda: running("command-driver-test-late") == [])
    assert running(environment.command[-1]) == []


async def test_cancelling_ends_the_group_also_of_one_that_ignores_being_asked(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("integrations.command_program._GRACE", 0.2)
    driver, environment = make(
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        + SPAWNS.format("stubborn", str(tmp_path / "up"))
        + "time.sleep(60)"
    )
    asked = asyncio.create_task(driver.inspect(place(), environment))
    await until((tmp_path / "up").exists)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked

    assert running(environment.command[-1]) == []
    await until(lambda: running("command-driver-test-stubborn") == [])


async def test_what_is_left_in_the_background_is_not_waited_for(make: Make, tmp_path: Path):
    driver, environment = make(
        "sleeper = subprocess.Popen(['sleep', '30'])\n"
        "print(json.dumps({'target': 'x', 'generation': sleeper.pid}))"
    )
    begun = time.monotonic()
    sleeper = (await driver.inspect(place(), environment)).generation
    took = time.monotonic() - begun
    os.kill(sleeper, signal.SIGKILL)  # raises if it does not live

    assert took < 20
