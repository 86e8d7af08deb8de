"""Whatever is recorded, the chain holds; whatever is changed behind its back is found."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.change import Release
from domain.delivery import Stage, TaskState, Wait
from domain.fact import (
    AttemptEnded,
    BaseResolved,
    GatesRan,
    InputAsked,
    ReleaseMade,
    StageReached,
    Steered,
    TaskMoved,
    WaitsChanged,
)
from domain.review import GateResult, Verdict
from integrations.database import Database
from starter.reads import Reads, read_audit
from tests.facts import KEY, facts, stages, start

ANY = st.text(st.characters(exclude_categories=()), max_size=12)
SMALL = st.integers(0, 3)
FACT = st.one_of(
    st.builds(StageReached, stage=st.just(Stage.REGISTERED), reason=ANY),
    st.builds(BaseResolved, base_sha=ANY, notes=st.tuples(ANY)),
    st.builds(TaskMoved, task=ANY, state=st.sampled_from(TaskState), title=ANY, reason=ANY),
    st.builds(Steered, verb=ANY, actor=ANY, via=ANY, reason=ANY, task=ANY),
    st.builds(InputAsked, question=ANY, text=ANY, options=st.tuples(ANY)),
    st.builds(
        WaitsChanged,
        waits=st.tuples(
            st.builds(Wait, flag=st.just("Paused"), owner=ANY, predicate=ANY, since_ms=SMALL)
        ),
    ),
    st.builds(
        AttemptEnded,
        task=ANY,
        attempt=SMALL,
        backend=ANY,
        status=st.just("failed"),
        reason=ANY,
        seconds=st.floats(0, 1e6),
        runs=SMALL,
    ),
    st.builds(
        GatesRan,
        where=st.just("train"),
        sha=ANY,
        base_sha=ANY,
        results=st.tuples(
            st.builds(GateResult, gate=ANY, kind=ANY, verdict=st.sampled_from(Verdict), reason=ANY)
        ),
    ),
    st.builds(
        ReleaseMade,
        release=st.builds(
            Release, round=SMALL, sha=ANY, tree=ANY, branch=ANY, tag=ANY, base_moved=st.booleans()
        ),
    ),
)


@given(st.lists(st.lists(FACT, max_size=4), max_size=5))
@settings(max_examples=40, deadline=None)
async def test_any_facts_make_a_consistent_chain_and_a_readable_record(tmp_path_factory, told):
    url = f"sqlite:///{tmp_path_factory.mktemp('any')}/s.db"
    database = Database(url)
    await database.register(start())
    for number, group in enumerate(told):
        await database.append(facts(f"op{number}", *group))
    await database.close()

    report = await read_audit(url)
    async with Reads(url) as reads:
        record = await reads.record(KEY)

    assert (report.status, report.problems) == ("unanchored", ())
    assert report.size == len(record.timeline) == 1 + sum(len(group) for group in told)


@pytest.mark.parametrize(
    ("tampering", "code"),
    [
        ("UPDATE events SET entry = replace(entry, 'Plan', 'Pl4n') WHERE seq = 3", "entry_changed"),
        ("UPDATE events SET actor = 'eve' WHERE seq = 3", "column_changed"),
        ("DELETE FROM events WHERE seq = 3", "entry_missing"),
        ("UPDATE event_texts SET text = 'other' WHERE seq = 1", "text_changed"),
        ("DELETE FROM event_texts WHERE seq = 1", "text_missing"),
        ("UPDATE events SET seq = 9 WHERE seq = 5", "entry_missing"),
    ],
)  # fmt: skip
async def test_what_is_changed_behind_its_back_is_found(tmp_path, tampering, code):
    url = f"sqlite:///{tmp_path}/s.db"
    database = Database(url)
    await database.register(start())
    way = (Stage.VALIDATING, Stage.PLANNING, Stage.CRITIQUING, Stage.SCHEDULED)
    await database.append(stages("op", *way))
    await database.close()
    with closing(sqlite3.connect(tmp_path / "s.db")) as behind, behind:
        names = behind.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in names:
            behind.execute(f"DROP TRIGGER {name}")
        assert behind.execute(tampering).rowcount == 1

    report = await read_audit(url)

    assert report.status == "broken"
    assert code in {problem.code for problem in report.problems}
