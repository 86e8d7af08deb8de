"""What commands read: records written through the real database, shown by the real commands."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from domain.delivery import FailureClass, Outcome, Stage, TaskState, Wait
from domain.errors import Rejected, Unavailable
from domain.fact import (
    Fact,
    IdeaEnded,
    InputAsked,
    PlanMade,
    QuestionAsked,
    StageReached,
    TaskMoved,
    WaitsChanged,
)
from domain.plan import Plan, PlanTask, Skeleton, SkeletonTask
from domain.record_view import EventView, IdeaRecord
from integrations.artifacts import ArtifactFiles
from integrations.database import Database
from starter import entry, following, steering
from starter.codes import Exit
from starter.following import at_end, at_first_wait, follow
from starter.lookup import exit_code, full_key, open_reads, record_of
from starter.words import duration, explain
from tests.facts import KEY, WAY_TO_INTEGRATING, WAY_TO_RUNNING, facts, question, stages, start

NOW = 100_000


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("SLIPWAY_DATABASE_URL", raising=False)
    monkeypatch.setenv("SLIPWAY_HOME", str(tmp_path))
    return Settings()


class Story:
    """Writes what happens to ideas, as the workers would."""

    def __init__(self, chosen: Settings) -> None:
        self._database = Database(chosen.database)
        self._artifacts = ArtifactFiles(chosen.artifacts)
        self._told = 0

    async def begin(self, *keys: str) -> None:
        for key in keys or (KEY,):
            await self._database.register(start(key))

    async def reach(self, *reached: Stage) -> None:
        self._told += 1
        await self._database.append(stages(f"s{self._told}", *reached))

    async def tell(self, *told: Fact) -> None:
        self._told += 1
        await self._database.append(facts(f"t{self._told}", *told))

    async def plan(self) -> None:
        plan = Plan(
            plan_id="p1",
            idea_key=KEY,
            created_by="hand",
            spec_digest="d" * 64,
            base_sha="b" * 40,
            rationale="Because.",
            tasks=tuple(PlanTask(id=id_, title=f"Do {id_}") for id_ in ("a", "b")),
        )
        ref = await self._artifacts.put(plan.model_dump_json(by_alias=True).encode())
        tasks = (
            SkeletonTask(id="a", title="Do a"),
            SkeletonTask(id="b", title="Do b", needs=("a",)),
        )
        skeleton = Skeleton(plan=ref, plan_id="p1", version=1, created_by="hand", tasks=tasks)
        await self.tell(PlanMade(skeleton=skeleton, rationale="Because."))

    async def close(self) -> None:
        await self._database.close()


def wait(flag: str, **changes: object) -> Wait:
    told = {"flag": flag, "owner": "ada", "predicate": "something happens", "since_ms": 40_000}
    return Wait.model_validate({**told, **changes})


async def told(chosen: Settings, *steps: Callable[[Story], Any]) -> IdeaRecord:
    story = Story(chosen)
    await story.begin()
    for step in steps:
        await step(story)
    await story.close()
    async with open_reads(chosen) as reads:
        return await record_of(chosen, reads, KEY)


async def test_the_beginning_of_a_key_is_enough_where_it_is_clear(chosen: Settings):
    story = Story(chosen)
    await story.begin(KEY, "zones-1", "zones-2")
    await story.close()

    async with open_reads(chosen) as reads:
        assert await full_key(reads, "add-") == KEY
        assert await full_key(reads, "zones-1") == "zones-1"
        with pytest.raises(Rejected) as several:
            await full_key(reads, "zones")
        with pytest.raises(Rejected) as misspelt:
            await full_key(reads, "zomes-1")

    assert "zones-1" in several.value.problem.hint
    assert "zones-2" in several.value.problem.hint
    assert misspelt.value.problem.hint.startswith("Did you mean zones-1")


@pytest.mark.parametrize(
    ("flag", "code"),
    [
        ("AwaitingInput", Exit.WAITS),
        ("AwaitingApproval", Exit.WAITS),
        ("Paused", Exit.WAITS),
        ("InTrain", Exit.DONE),
        ("Frozen", Exit.DONE),
    ],
)
async def test_only_a_wait_for_a_person_ends_with_4(chosen: Settings, flag: str, code: Exit):
    record = await told(
        chosen,
        lambda story: story.reach(*WAY_TO_INTEGRATING),
        lambda story: story.tell(WaitsChanged(waits=(wait(flag),))),
    )

    assert exit_code(record) == code
    assert at_first_wait(record) == (code == Exit.WAITS)
    assert not at_end(record)


@pytest.mark.parametrize(
    ("stage", "code"),
    [
        (Stage.COMPLETED, Exit.DONE),
        (Stage.FAILED, Exit.ENDED),
        (Stage.CANCELLED, Exit.ENDED),
    ],
)
async def test_the_end_has_its_code(chosen: Settings, stage: Stage, code: Exit):
    record = await told(
        chosen,
        lambda story: story.reach(*WAY_TO_INTEGRATING),
        lambda story: story.tell(IdeaEnded(outcome=Outcome(stage=stage, reason="so it was"))),
    )

    assert (exit_code(record), at_end(record)) == (code, True)


async def test_explain_says_on_whom_it_waits_since_when_and_when_it_looks_again(chosen: Settings):
    record = await told(
        chosen,
        lambda story: story.reach(*WAY_TO_INTEGRATING),
        lambda story: story.tell(
            WaitsChanged(waits=(wait("Frozen", owner="the calendar", recheck_ms=200_000),))
        ),
    )

    sentences = explain(record, running=True, now_ms=NOW).sentences

    assert sentences[0] == f"{KEY} is Integrating."
    assert "1 min 0 s for the calendar" in sentences[1]
    assert "goes on when: something happens" in sentences[1]
    assert "looks again at 1970-01-01" in sentences[1]


async def test_explain_says_what_stands_behind_what(chosen: Settings):
    record = await told(
        chosen,
        lambda story: story.reach(*WAY_TO_RUNNING),
        lambda story: story.plan(),
        lambda story: story.tell(
            TaskMoved(task="a", state=TaskState.WORKING),
            TaskMoved(task="b", state=TaskState.PENDING),
        ),
    )

    told_ = explain(record, running=False, now_ms=NOW)

    assert told_.blocked == {"b": ("a",)}
    assert "At work: a (Working)." in told_.sentences
    assert "Task b comes after a." in told_.sentences
    assert any("nothing moves until `slipway up`" in one for one in told_.sentences)


async def test_explain_tells_a_failed_task_with_its_reason(chosen: Settings):
    record = await told(
        chosen,
        lambda story: story.reach(*WAY_TO_RUNNING),
        lambda story: story.plan(),
        lambda story: story.tell(
            TaskMoved(
                task="a",
                state=TaskState.FAILED,
                reason="tests are red",
                failure=FailureClass.GATE_FAILED,
            )
        ),
    )

    told_ = explain(record, running=True, now_ms=NOW)

    assert "Task a has failed: tests are red." in told_.sentences


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1.26, "1.3 s"), (61, "1 min 1 s"), (7_260, "2 h 1 min"), (200_000, "2 days")],
)
def test_lengths_of_time_have_the_unit_that_fits(seconds: float, words: str):
    assert duration(seconds) == words


async def test_what_is_shown_is_one_document_of_the_record(
    chosen: Settings, capsys: pytest.CaptureFixture[str]
):
    await told(chosen, lambda story: story.reach(*WAY_TO_RUNNING), lambda story: story.plan())

    code = await asyncio.to_thread(entry.run, ["idea", "show", KEY, "--json"])

    lines = capsys.readouterr().out.splitlines()
    assert (code, len(lines)) == (Exit.DONE, 1)
    assert json.loads(lines[0])["schema"] == "slipway.record/1"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["idea", "show", KEY], ["Add a health endpoint", "Running", "Do a", "/srv/shop"]),
        (["idea", "plan", KEY], ["Plan p1 version 1", "Because.", "Do b"]),
        (["idea", "explain", "add"], [f"{KEY} is Running"]),
        (["idea", "list", "--state", "running"], [KEY]),
        (["idea", "evidence", KEY], ["Specification dddd"]),
        (["audit", "verify"], ["unanchored"]),
    ],
)
async def test_people_are_shown_what_there_is(
    chosen: Settings, capsys: pytest.CaptureFixture[str], line: list[str], words: list[str]
):
    await told(chosen, lambda story: story.reach(*WAY_TO_RUNNING), lambda story: story.plan())

    code = await asyncio.to_thread(entry.run, line)

    said = capsys.readouterr().out
    assert code == Exit.DONE
    for word in words:
        assert word in said


async def test_without_a_plan_it_says_so(chosen: Settings, capsys: pytest.CaptureFixture[str]):
    await told(chosen)

    code = await asyncio.to_thread(entry.run, ["idea", "plan", KEY, "--json"])

    assert code == Exit.INVALID
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "no_plan"


async def test_markup_in_texts_of_others_is_not_interpreted(
    chosen: Settings, capsys: pytest.CaptureFixture[str]
):
    text = "[bold red]fine[/] :boom:"
    await told(
        chosen,
        lambda story: story.reach(*WAY_TO_RUNNING),
        lambda story: story.tell(InputAsked(question="q1", text=text)),
    )

    await asyncio.to_thread(entry.run, ["idea", "show", KEY])

    assert text in capsys.readouterr().out


class Seen:
    """A view that remembers."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.closed = False

    def update(self, record: IdeaRecord, events: tuple[EventView, ...]) -> None:
        self.events += [event.kind for event in events]

    def close(self) -> None:
        self.closed = True


async def test_following_sees_each_event_once_and_ends_at_the_first_wait(chosen: Settings):
    story, view = Story(chosen), Seen()
    await story.begin()

    async with open_reads(chosen) as reads:
        task = asyncio.create_task(follow(chosen, reads, KEY, view, at_first_wait))
        await story.reach(*WAY_TO_RUNNING)
        await story.tell(StageReached(stage=Stage.REVIEWING))
        await story.tell(WaitsChanged(waits=(wait("AwaitingApproval"),)))
        record = await task
    await story.close()

    assert record.state == Stage.REVIEWING
    assert view.events.count("stage_reached") == len(WAY_TO_RUNNING) + 1
    assert view.events[-1] == "waits_changed"
    assert view.closed


async def test_following_ends_when_slipway_is_stopped(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
):
    story, view = Story(chosen), Seen()
    await story.begin()
    await story.close()
    ran = iter([object()])
    monkeypatch.setattr(following, "running", lambda home: next(ran, None))
    monkeypatch.setattr(following, "ui_url", lambda chosen, key: "")
    monkeypatch.setattr(following, "_LOOK_SECONDS", 0)

    async with open_reads(chosen) as reads:
        with pytest.raises(Unavailable, match="goes on where it is when it runs again"):
            await follow(chosen, reads, KEY, view, at_end)

    assert view.closed


async def test_an_approval_is_found_by_its_idea(chosen: Settings):
    await told(
        chosen,
        lambda story: story.reach(*WAY_TO_INTEGRATING),
        lambda story: story.tell(QuestionAsked(question=question())),
    )

    async with open_reads(chosen) as reads:
        found = await steering._question(reads, KEY, "")
        with pytest.raises(Rejected) as other:
            await steering._question(reads, KEY, "nope")

    assert found.approval == f"{KEY}/1/merge/1"
    assert found.approval in other.value.problem.hint


async def test_two_open_questions_must_be_told_apart(chosen: Settings):
    await told(
        chosen,
        lambda story: story.reach(*WAY_TO_RUNNING),
        lambda story: story.tell(
            InputAsked(question="q1", text="this?"), InputAsked(question="q2", text="that?")
        ),
    )

    async with open_reads(chosen) as reads:
        asked = (await reads.open_questions(KEY)).inputs

    assert steering._only(KEY, "q2", asked).text == "that?"
    with pytest.raises(Rejected) as several:
        steering._only(KEY, "", asked)
    assert "q1: this?" in several.value.problem.hint


@pytest.mark.parametrize("line", [["watch", KEY], ["watch", KEY, "--json"]])
async def test_ctrl_c_leaves_the_idea_running_and_says_how_to_come_back(
    chosen: Settings, line: list[str]
):
    await told(chosen, lambda story: story.reach(*WAY_TO_RUNNING))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "starter.entry", "idea", *line,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    shown = process.stdout if "--json" in line else process.stderr
    assert shown is not None
    first = await shown.readline()

    process.send_signal(signal.SIGINT)
    _, rest = await process.communicate()

    assert process.returncode == Exit.INTERRUPTED
    assert b"registered" in first
    assert (b"slipway idea watch" in rest) == ("--json" not in line)
