"""Effects: one way in, through the switch, the answers and the intent row."""

import asyncio

import pytest

from domain.errors import Rejected
from domain.fact import QuestionAsked, QuestionClosed
from domain.ledger import EffectRow
from integrations import tables
from tests.facts import KEY, facts, question, start
from tests.integrations.records.rows import rows

OP = f"{KEY}/1/merge"
APPROVAL = f"{KEY}/1/merge/1"
NOW = 5_000  # the clock of the fixture


async def begin(database, op=OP, *, approvals=(), subject="a" * 64, intent="merge s into main"):
    return await database.begin(
        op,
        key=KEY,
        kind="merge",
        scopes=("repository/shop-0a1b2c3d", f"idea/{KEY}"),
        subject_sha256=subject,
        intent=intent,
        approvals=approvals,
    )


async def ask(database, approval=APPROVAL, state="approved", use_by=9_000):
    asked = question(approval, use_by=use_by)
    told = (QuestionAsked(question=asked),)
    if state != "open":
        told = (*told, QuestionClosed(approval=approval, state=state))
    await database.append(facts(f"ask {approval}", *told))


async def code_of(awaitable) -> str:
    with pytest.raises(Rejected) as refused:
        await awaitable
    return refused.value.problem.code


async def test_an_effect_is_begun_and_finished_once(database, url):
    begun = await begin(database)
    again = await begin(database)
    await database.finish(OP, "s is in main")
    await database.finish(OP, "s is in main")
    done = await begin(database)

    assert (begun, again) == (EffectRow(op=OP), EffectRow(op=OP))
    assert done == EffectRow(op=OP, done=True, readback="s is in main")
    kinds = [row["kind"] for row in await rows(url, tables.events)]
    assert kinds == ["effect_begun", "effect_done"]


async def test_another_read_back_is_an_error(database):
    await begin(database)
    await database.finish(OP, "s is in main")

    assert await code_of(database.finish(OP, "t is in main")) == "readback_differs"


async def test_what_was_never_begun_cannot_be_finished(database):
    assert await code_of(database.finish(OP, "s is in main")) == "unknown_effect"


async def test_a_changed_intent_of_an_open_effect_is_told(database, url):
    await begin(database)

    await begin(database, intent="merge s2 into main")

    assert [row["intent"] for row in await rows(url, tables.effects)] == ["merge s2 into main"]
    assert [row["kind"] for row in await rows(url, tables.events)] == ["effect_begun"] * 2


@pytest.mark.parametrize("scope", ["all", "repository/shop-0a1b2c3d", f"idea/{KEY}"])
async def test_a_switch_holds_every_effect_in_its_scope(database, url, scope):
    await database.switch(scope, off=True, actor="ada", reason="too hot")

    held = await code_of(begin(database))
    await database.switch(scope, off=False, actor="ada", reason="cooler")

    assert held == "switched_off"
    assert await rows(url, tables.effects) == []
    assert not (await begin(database)).done


async def test_a_switch_of_another_scope_holds_nothing(database):
    await database.switch("idea/other", off=True, actor="ada", reason="too hot")

    assert not (await begin(database)).done


async def test_a_switch_does_not_hide_what_was_done(database):
    await begin(database)
    await database.finish(OP, "s is in main")
    await database.switch("all", off=True, actor="ada", reason="too hot")

    assert (await begin(database)).done


async def test_an_approval_is_used_up_with_the_intent(database, url):
    await database.register(start())
    await ask(database)

    await begin(database, approvals=(APPROVAL,))
    await begin(database, approvals=(APPROVAL,))

    used = [(row["approval"], row["op"]) for row in await rows(url, tables.consumed)]
    assert used == [(APPROVAL, OP)]


async def test_an_approval_serves_one_operation_only(database, url):
    await database.register(start())
    await ask(database)
    await begin(database, approvals=(APPROVAL,))

    refused = await code_of(begin(database, f"{KEY}/2/merge", approvals=(APPROVAL,)))

    assert refused == "already_consumed"
    assert [row["op"] for row in await rows(url, tables.effects)] == [OP]


async def test_of_many_operations_at_once_one_gets_the_approval(database):
    await database.register(start())
    await ask(database)

    told = await asyncio.gather(
        *(begin(database, f"{KEY}/{n}/merge", approvals=(APPROVAL,)) for n in range(8)),
        return_exceptions=True,
    )

    assert [isinstance(answer, EffectRow) for answer in told].count(True) == 1


@pytest.mark.parametrize("state", ["open", "denied", "expired", "void"])
async def test_only_an_approved_question_counts(database, url, state):
    await database.register(start())
    await ask(database, state=state)

    assert await code_of(begin(database, approvals=(APPROVAL,))) == "not_approved"
    assert await rows(url, tables.effects) == []


async def test_an_approval_that_nobody_was_asked_for_does_not_count(database):
    assert await code_of(begin(database, approvals=(APPROVAL,))) == "not_approved"


async def test_an_approval_holds_for_its_subject_only(database):
    await database.register(start())
    await ask(database)

    refused = await code_of(begin(database, approvals=(APPROVAL,), subject="c" * 64))

    assert refused == "not_approved"


async def test_an_approval_must_be_used_in_time_but_a_retry_may_come_later(database):
    await database.register(start())
    await ask(database, use_by=NOW)
    await ask(database, f"{APPROVAL}b", use_by=NOW - 1)

    late = await code_of(begin(database, f"{OP}b", approvals=(f"{APPROVAL}b",)))
    await begin(database, approvals=(APPROVAL,))
    database._clock = lambda: NOW + 1
    retried = await begin(database, approvals=(APPROVAL,))

    assert late == "not_approved"
    assert not retried.done
