"""Starting once: what the database knows, what the server says, and how runs get their names."""

from pathlib import Path

import pytest

from config.settings import Settings
from domain.delivery import FAST, Outcome, Stage, StartDelivery
from domain.errors import Rejected
from domain.fact import IdeaEnded, StageReached
from domain.idea import Idea, Mode
from starter import starting
from starter.lookup import open_reads
from starter.starting import Begun, begin
from tests.facts import KEY, WAY_TO_INTEGRATING, facts, idea, start
from tests.starter.test_records import Story
from tests.starter.test_records import chosen as chosen


class Server:
    """A server that knows which workflows it has, and runs them as far as their record."""

    patience = FAST

    def __init__(self, story: Story) -> None:
        self._story = story
        self.started: list[Idea] = []
        self.known: dict[str, str] = {}
        self.broken = ""

    async def start(self, order: StartDelivery) -> bool:
        key = order.idea.key
        if key in self.known:
            return False
        self.known[key] = order.idea.spec_digest
        self.started.append(order.idea)
        if not self.broken:
            await self._story._database.register(start(key, digest=order.idea.spec_digest))
        return True

    async def digest_of(self, key: str) -> str:
        return self.known[key]

    async def failure_of(self, key: str) -> str:
        return self.broken


@pytest.fixture
def story(chosen: Settings) -> Story:
    return Story(chosen)


@pytest.fixture
def server(story: Story, monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server(story)

    class Door:
        @classmethod
        async def connect(cls, chosen: Settings) -> Server:
            return server

    monkeypatch.setattr(starting, "Deliveries", Door)
    return server


async def tried(chosen: Settings, one: Idea, *, again: bool = False) -> Begun:
    async with open_reads(chosen) as reads:
        return await begin(chosen, reads, one, again=again)


async def end(story: Story, key: str) -> None:
    for number, stage in enumerate(WAY_TO_INTEGRATING):
        await story._database.append(facts(f"{key}{number}", StageReached(stage=stage), key=key))
    over = IdeaEnded(outcome=Outcome(stage=Stage.COMPLETED))
    await story._database.append(facts(f"{key}end", over, key=key))


async def test_the_same_idea_starts_once(chosen: Settings, server: Server):
    first, second = await tried(chosen, idea()), await tried(chosen, idea())

    assert (first.started, second.started) == (True, False)
    assert first.workflow_id == second.workflow_id == f"idea/{KEY}"


async def test_a_start_that_the_database_does_not_know_yet_is_found_on_the_server(
    chosen: Settings, server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(starting, "_LOOKS", 1)
    server.known[KEY] = idea().spec_digest

    begun = await tried(chosen, idea())

    assert not begun.started


async def test_a_key_of_another_specification_is_refused(chosen: Settings, server: Server):
    await tried(chosen, idea())

    with pytest.raises(Rejected, match="another specification") as caught:
        await tried(chosen, idea(digest="e" * 64))

    assert caught.value.problem.code == "key_taken"


async def test_a_key_of_another_repository_is_refused(chosen: Settings, server: Server):
    await tried(chosen, idea())
    elsewhere = idea().repository.but(id="other-1")

    with pytest.raises(Rejected, match="another specification or repository"):
        await tried(chosen, idea().but(repository=elsewhere))


async def test_an_ended_idea_runs_again_only_when_asked_to(
    chosen: Settings, server: Server, story: Story
):
    await tried(chosen, idea())
    await end(story, KEY)

    without = await tried(chosen, idea())
    second = await tried(chosen, idea(), again=True)
    await end(story, second.key)
    third = await tried(chosen, idea(), again=True)

    assert (without.started, second.key, third.key) == (False, f"{KEY}-2", f"{KEY}-3")


async def test_again_does_not_start_beside_one_that_runs(
    chosen: Settings, server: Server, story: Story
):
    await tried(chosen, idea())
    running = await tried(chosen, idea(), again=True)
    await end(story, KEY)
    await tried(chosen, idea(), again=True)

    with pytest.raises(Rejected, match=f"{KEY}-2 still runs"):
        await tried(chosen, idea(), again=True)

    assert not running.started


async def test_dry_runs_have_names_of_their_own(chosen: Settings, server: Server, story: Story):
    dry = idea().but(mode=Mode.DRY_RUN)

    live, first = await tried(chosen, idea()), await tried(chosen, dry)
    await end(story, first.key)
    second = await tried(chosen, dry)

    assert [live.key, first.key, second.key] == [KEY, f"{KEY}-dry", f"{KEY}-dry-2"]
    assert live.started
    assert first.started
    assert second.started


async def test_long_keys_leave_room_for_what_is_added(
    chosen: Settings, server: Server, tmp_path: Path
):
    begun = await tried(chosen, idea(key="k" * 100).but(mode=Mode.DRY_RUN))

    assert len(begun.key) <= 100
    assert begun.key.endswith("-dry")


async def test_a_start_that_breaks_at_once_says_why(
    chosen: Settings, server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(starting, "_LOOKS", 1)
    server.broken = "the database is read-only"

    with pytest.raises(Rejected, match="the database is read-only"):
        await tried(chosen, idea())
