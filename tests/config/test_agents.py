"""Which agents there are."""

from pathlib import Path

import pytest

from config.agents import load_backends
from domain.errors import Refused

MINE = "schema: slipway.agent/1\nname: {name}\nkind: command\nargv: [sh, fix.sh]\n"


def declare(operator: Path, file: str, text: str) -> Path:
    (operator / "agents").mkdir(exist_ok=True)
    (operator / "agents" / file).write_text(text)
    return operator


def test_ships_the_builtin_agent(tmp_path):
    assert [backend.name for backend in load_backends(tmp_path)] == ["builtin"]


def test_adds_what_the_operator_declares(tmp_path):
    declare(tmp_path, "mine.yaml", MINE.format(name="mine"))

    backends = load_backends(tmp_path)

    assert [backend.name for backend in backends] == ["builtin", "mine"]
    assert backends[1].argv == ("sh", "fix.sh")


def test_a_script_may_lie_beside_its_declaration(tmp_path):
    text = MINE.format(name="mine").replace("fix.sh", "./fix.sh")

    backends = load_backends(declare(tmp_path, "mine.yaml", text))

    assert backends[1].argv == ("sh", str(tmp_path / "agents" / "fix.sh"))


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("other.yaml", MINE.format(name="mine"), "must stand in mine.yaml"),
        ("builtin.yaml", MINE.format(name="builtin"), "name builtin is taken"),
        (
            "mine.yaml",
            "schema: slipway.agent/1\nname: mine\nkind: builtin\n",
            "only the shipped backend",
        ),
        ("mine.yaml", MINE.format(name="mine") + "surprise: 1\n", "surprise"),
        ("mine.yaml", "schema: slipway.agent/1\nname: mine\nkind: command\n", "has argv"),
    ],
)
def test_refuses_a_declaration_that_is_wrong(tmp_path, file, text, reason):
    with pytest.raises(Refused, match=reason):
        load_backends(declare(tmp_path, file, text))
