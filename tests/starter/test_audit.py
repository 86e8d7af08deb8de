import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from config.settings import Settings
from domain.errors import Rejected
from starter import entry
from starter.audit import noted
from starter.codes import Exit
from tests.facts import WAY_TO_RUNNING
from tests.starter.test_records import chosen as chosen
from tests.starter.test_records import told


def test_an_end_of_the_chain_is_read_as_it_is_printed():
    head = noted(f"12:{'a' * 64}")

    assert head is not None
    assert (head.size, head.sha256) == (12, "a" * 64)
    assert noted("") is None


@pytest.mark.parametrize("written", ["12", "x:y", f"-1:{'a' * 64}", f"1:{'a' * 63}"])
def test_an_end_that_is_none_is_refused(written: str):
    with pytest.raises(Rejected, match="is not SIZE:SHA256"):
        noted(written)


async def test_a_chain_is_exported_whole_and_verified_against_its_end(
    chosen: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    await told(chosen, lambda story: story.reach(*WAY_TO_RUNNING))
    file = tmp_path / "audit.jsonl"

    codes = [await run(["audit", "export", str(file), "--json"])]
    head = json.loads(capsys.readouterr().out)
    codes.append(await run(["audit", "verify", "--head", f"{head['size']}:{head['sha256']}"]))

    assert codes == [Exit.DONE, Exit.DONE]
    assert capsys.readouterr().out.startswith("anchored")
    assert head["size"] > len(WAY_TO_RUNNING)
    assert len(file.read_text().splitlines()) >= head["size"]


async def test_a_changed_entry_breaks_the_chain(
    chosen: Settings, capsys: pytest.CaptureFixture[str]
):
    await told(chosen, lambda story: story.reach(*WAY_TO_RUNNING))
    engine = create_engine(f"sqlite:///{chosen.home}/slipway.db")
    with engine.begin() as conn:
        triggers = conn.execute(text("select name from sqlite_master where type = 'trigger'"))
        for (name,) in triggers.fetchall():
            conn.execute(text(f"drop trigger {name}"))
        conn.execute(text("update events set actor = 'mallory' where seq = 2"))
    engine.dispose()

    code = await run(["audit", "verify", "--json"])

    assert code == Exit.OTHER
    assert json.loads(capsys.readouterr().out)["status"] == "broken"


async def run(line: list[str]) -> int:
    return await asyncio.to_thread(entry.run, line)
