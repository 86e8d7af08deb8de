"""The exported chain can be verified without slipway."""

import subprocess
import sys
from pathlib import Path

import pytest

from domain.delivery import Stage
from starter.reads import export_audit
from tests.facts import WAY_TO_RUNNING, stages, start

SCRIPT = Path(__file__).parents[3] / "scripts" / "verify_audit.py"


@pytest.fixture
async def export(database, url, tmp_path) -> Path:
    await database.register(start())
    await database.append(stages("way", *WAY_TO_RUNNING))
    await database.append(stages("review", Stage.REVIEWING))
    path = tmp_path / "audit.jsonl"
    with path.open("w", encoding="utf-8") as out:
        await export_audit(url, out)
    return path


def verify(*arguments: object) -> tuple[int, str]:
    # -I: neither our folder nor our environment is seen
    command = [sys.executable, "-I", str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip()


async def test_a_whole_export_is_consistent(export):
    anchor = export.read_text().splitlines()[2].split('"sha256": "')[1][:64]

    assert verify(export) == (0, "consistent, unanchored")
    assert verify(export, anchor) == (0, "consistent, anchored")
    assert verify(export, "f" * 64) == (1, "the chain does not contain the anchor")


@pytest.mark.parametrize(
    ("line", "old", "new", "told"),
    [
        (2, "Planning", "Plannin9", "its bytes do not have the hash"),
        (0, "Add a health", "Add a wealth", "its text title is not the one recorded"),
        (3, None, "", "expected entry"),
        (-1, None, "", "cut off"),
    ],
)
async def test_a_changed_export_is_not(export, line, old, new, told):
    lines = export.read_text().splitlines(keepends=True)
    assert old is None or old in lines[line]
    lines[line] = lines[line].replace(old, new) if old else new
    export.write_text("".join(lines))

    code, said = verify(export)

    assert (code, told in said) == (1, True)


def test_says_how_it_is_used():
    assert verify()[0] == 2
