"""Target environments: laid, shared, rebuilt, cancelled."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from domain.command import CommandOrder, CommandOutcome
from domain.review import Tier, Verdict
from integrations.gates.environment import Distribution, Environment, Room
from integrations.gates.interpreters import Interpreters
from integrations.gates.python_checkout import enter, lay_venv, witnessed
from integrations.gates.workshop import SetupFailed, Workshop, locked
from integrations.process import OnEvent, Processes
from tests.integrations.gates.ground import SHOP, TESTS, Ground


async def said(*argv: object) -> str:
    """Run a program and return what it says."""
    words = [str(word) for word in argv]
    done = await asyncio.to_thread(subprocess.run, words, capture_output=True, check=True)
    return done.stdout.decode()


async def found(requires: str = ">=3.9") -> tuple[str, str, str]:
    interpreter = await Interpreters().find(requires)
    assert interpreter is not None
    return interpreter.path, interpreter.prefix, interpreter.name


async def test_the_interpreter_is_never_a_virtual_environment() -> None:
    path, prefix, name = await found()

    out = await said(path, "-c", "import sys; print(sys.prefix == sys.base_prefix)")

    assert out == "True\n"
    assert path == f"{prefix}/bin/{name}"


async def test_no_interpreter_is_told_with_what_there_is(tmp_path: Path) -> None:
    text = '[project]\nname = "shop"\nrequires-python = ">=9.9"\n'
    ground = Ground(tmp_path, SHOP | {"pyproject.toml": text})

    result = await ground.judge("setup", {})

    assert result.verdict == Verdict.HELD
    assert "needs Python >=9.9; this host has 3." in result.reason


async def laid(tmp_path: Path, roots: tuple[str, ...] = ("src",)) -> tuple[Environment, Room]:
    """An environment with one dependency and one script, and a checkout with one package."""
    path, prefix, name = await found()
    folder = tmp_path / "env" / "room"
    lay_venv(folder / "venv", path, prefix)
    environment = Environment(
        project="python", digest="d", folder=str(folder), python=path, python_prefix=prefix,
        python_name=name, roots=roots, packages=("shop",),
        distributions=(Distribution(info="shop-1.0.dist-info", scripts={"shop": "shop:main"}),),
    )  # fmt: skip
    (environment.site / "needed.py").write_text("WORD = 'needed'\n")
    tool = folder / "venv" / "bin" / "tool"
    tool.write_text(f"#!{folder}/venv/bin/python\nimport sys\nprint('tool', sys.prefix)\n")
    info = environment.kept / "shop-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    (environment.kept / "files" / "src" / "shop").mkdir(parents=True)
    (environment.kept / "files" / "src" / "shop" / "_version.py").write_text("V = '1.0'\n")
    room = Room(folder=str(tmp_path / "gate" / "room"))
    (room.tree / "src" / "shop").mkdir(parents=True)
    code = "import needed\nfrom shop._version import V\ndef main():\n    print('shop', V)\n"
    (room.tree / "src" / "shop" / "__init__.py").write_text(code)
    return environment, room


async def test_a_checkout_sees_dependencies_metadata_generated_files_and_scripts(
    tmp_path: Path,
) -> None:
    environment, room = await laid(tmp_path)

    entered = await asyncio.to_thread(enter, environment, room)

    code = (
        "import shop, needed, importlib.metadata as m;"
        "print(shop.__file__, needed.WORD, m.version('shop'))"
    )
    out = await said(room.venv / "bin" / "python", "-c", code)
    assert out.split() == [str(room.tree / "src/shop/__init__.py"), "needed", "1.0"]
    assert await said(room.venv / "bin" / "shop") == "shop 1.0\n"
    assert await said(room.venv / "bin" / "tool") == f"tool {room.venv}\n"
    assert entered.env["PATH"].startswith(f"{room.venv}/bin:")
    assert witnessed(room) == (True, "")


async def test_a_second_copy_of_the_project_is_noticed(tmp_path: Path) -> None:
    environment, room = await laid(tmp_path, roots=())
    (environment.site / "shop.py").write_text("x = 1\n")

    await asyncio.to_thread(enter, environment, room)
    await said(room.venv / "bin" / "python", "-c", "import shop")

    assert witnessed(room) == (True, "module shop was loaded from shop.py outside the checkout")


async def test_an_environment_is_built_once_for_a_lock(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)
    marker = tmp_path / "cache" / "environments"

    await ground.judge("setup", {"shop/price.py": "total = sum\n"})
    one = sorted(path.name for path in marker.glob("*/environment.json"))
    await ground.judge("setup", {"pyproject.toml": SHOP["pyproject.toml"] + "readme = 'x'\n"})

    assert one == ["environment.json"]
    assert len(list(marker.glob("*/environment.json"))) == 2
    assert not list(marker.glob("*/room/home"))


async def test_an_environment_that_was_cut_off_is_built_again(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SHOP)
    await ground.judge("setup", {})
    (half,) = (tmp_path / "cache" / "environments").glob("*/environment.json")
    half.unlink()

    result = await ground.judge("setup", {})

    assert (result.verdict, half.exists()) == (Verdict.PASSED, True)


class Waiting:
    """Real commands that say when one has begun."""

    def __init__(self, inner: Processes) -> None:
        self._inner = inner
        self.begun = asyncio.Event()

    async def run(self, order: CommandOrder, on_event: OnEvent | None = None) -> CommandOutcome:
        self.begun.set()
        return await self._inner.run(order, on_event)

    async def tier(self) -> Tier:
        return await self._inner.tier()


async def test_cancelling_a_gate_leaves_no_folder_and_no_evidence(tmp_path: Path) -> None:
    hanging = TESTS + "\n\nimport threading\nthreading.Event().wait()\n"
    ground = Ground(tmp_path, SHOP | {"tests/test_price.py": hanging}, commands=Waiting)
    await ground.select()
    running = asyncio.create_task(ground.judge("tests"))
    assert isinstance(ground.used, Waiting)
    await ground.used.begun.wait()

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert ground.left() == []
    assert not list((tmp_path / "cache" / "gates").glob("*.json"))


async def test_two_holders_of_a_lock_take_turns(tmp_path: Path) -> None:
    order: list[str] = []
    first_in = asyncio.Event()

    async def hold(name: str) -> None:
        async with locked(tmp_path / "x.lock"):
            order.append(f"{name} in")
            first_in.set()
            await asyncio.to_thread(lambda: None)
            order.append(f"{name} out")

    first = asyncio.create_task(hold("a"))
    await first_in.wait()
    await asyncio.gather(first, hold("b"))

    assert order == ["a in", "a out", "b in", "b out"]


class Refusing:
    """Commands that end red; what they were told is kept."""

    def __init__(self) -> None:
        self.orders: list[CommandOrder] = []

    async def run(self, order: CommandOrder, on_event: OnEvent | None = None) -> CommandOutcome:
        self.orders.append(order)
        await asyncio.to_thread(Path(order.output).write_text, "no such package\n")
        return CommandOutcome(ended="exited", exit_code=1)

    async def tier(self) -> Tier:
        return Tier()


async def test_only_set_up_with_network_sees_the_users_index_settings(tmp_path: Path) -> None:
    commands = Refusing()
    env = {"PIP_INDEX_URL": "https://index.example", "PIP_CERT": str(tmp_path), "SECRET": "x"}
    shop = Workshop(tmp_path / "shop", commands, lambda text: None, env=env)
    shop.furnish()

    for network in (True, False):
        with pytest.raises(SetupFailed, match="exit code 1\nno such package"):
            await shop.run("pip install x", network=network, env={"A": "b"})

    online, offline = commands.orders
    assert online.env == {
        "PIP_INDEX_URL": "https://index.example", "PIP_CERT": str(tmp_path), "A": "b",
    }  # fmt: skip
    assert str(tmp_path) in online.readable
    assert (offline.env, offline.readable, offline.network) == ({"A": "b"}, (), False)
    assert "no such package" in shop.log.read_text()
