"""Numbers from HTTP endpoints, good ones and all others; and what is true of every source."""

import time
from typing import Any

import pytest

from domain.command import CommandOrder, CommandOutcome
from domain.errors import Misconfigured
from domain.review import Tier
from domain.service import MetricSource
from integrations.metric_sources.reader import MetricReader
from tests.integrations.metric_sources.scene import NEW, OLD, OLDER, Answers, instance, plan, seen
from tests.rollouts import SECOND, TARGET


class NoCommands:
    """A sandbox that an operator has to mend first."""

    async def run(self, order: CommandOrder, on_event: Any = None) -> CommandOutcome:
        raise Misconfigured("no sandbox here")

    async def tier(self) -> Tier:
        raise Misconfigured("no sandbox here")


class Told(list[str]):
    def reader(self) -> MetricReader:
        return MetricReader(NoCommands(), lambda place, sha: None, self.append)


def queue(answers: Answers, query: str = "/{instance}", **changes: Any) -> MetricSource:
    plain = MetricSource(name="queue", source="http", url=answers.url, query=query)
    return plain.but(**changes)


async def test_the_control_is_the_average_of_all_others(answers: Answers):
    for name, value in ((OLD, 2), (OLDER, 4.0), (NEW, 9)):
        answers.say(f"/{name}", value)
    told = Told()

    assert await told.reader().read(plan(queue(answers)), seen()) == {"queue": (3.0, 9.0)}
    assert told == []


async def test_what_is_the_same_question_is_asked_once(answers: Answers):
    answers.say("/v1?of=web", 5)
    answers.say("/v2?of=web", 6)
    found = await Told().reader().read(plan(queue(answers, "/{version}?of=web")), seen())

    assert found == {"queue": (5.0, 6.0)}
    assert sorted(answers.asked) == ["/v1?of=web", "/v2?of=web"]


async def test_the_instance_itself_is_asked_by_its_address(answers: Answers):
    answers.say("/depth", 1)
    every = (
        instance(OLD, "v1", address=f"127.0.0.1:{answers.port}"),
        instance(NEW, "v2", address=f"localhost:{answers.port}"),
    )
    source = queue(answers, "/depth", url="http://{address}")

    assert await Told().reader().read(plan(source), seen(*every)) == {"queue": (1.0, 1.0)}


@pytest.mark.parametrize(
    "document",
    [{"jobs": {"queue/depth": 7}}, {"jobs": {"queue/depth": {"value": 7, "unit": "jobs"}}}],
)
async def test_a_fragment_points_at_the_number(answers: Answers, document: object):
    answers.say(f"/{OLD}", document)
    answers.say(f"/{NEW}", document)
    source = queue(answers, "/{instance}#/jobs/queue~1depth", unit="jobs")
    found = await Told().reader().read(plan(source), seen(instance(OLD, "1"), instance(NEW, "2")))

    assert found == {"queue": (7.0, 7.0)}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "no JSON"),
        ("seven", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("null", "is no number but 'None'"),
        ('"7"', "is no number but '7'"),
        ("true", "is no number"),
        ("[7]", "is no number"),
        ("{}", "is no number but 'None'"),
        ("NaN", "is nan"),
        ("1e999", "is inf"),
        ("-1", "is negative"),
        ("1" + "0" * 400, "too large"),
        ('{"value": 1, "unit": 3}', "unit that is no word"),
    ],
)
async def test_a_bad_answer_is_told_and_no_reading(answers: Answers, body: str, why: str):
    told = Told()
    reader = told.reader()
    for name, text in ((OLD, "1"), (OLDER, "1"), (NEW, body)):
        answers.say(f"/{name}", text)

    assert await reader.read(plan(queue(answers)), seen()) == {}
    assert len(told) == 1
    assert told[0].startswith(f"{TARGET}, rollout {SECOND}: queue ")
    assert why in told[0]
    assert list(reader.complaints(SECOND)) == ["queue"]


@pytest.mark.parametrize("status", [301, 404, 503])
async def test_another_status_is_no_reading(answers: Answers, status: int):
    answers.status = status
    for name in (OLD, OLDER, NEW):
        answers.say(f"/{name}", 1)
    told = Told()

    assert await told.reader().read(plan(queue(answers)), seen()) == {}
    assert f"with status {status}" in told[0]


async def test_a_pointer_that_leads_nowhere_is_told(answers: Answers):
    for name in (OLD, OLDER, NEW):
        answers.say(f"/{name}", [1, {"a": 2}])
    told = Told()
    source = queue(answers, "/{instance}#/1/b")

    assert await told.reader().read(plan(source), seen()) == {}
    assert "is not in the answer at /1/b" in told[0]


async def test_one_that_never_answers_takes_no_longer_than_the_tick_allows(answers: Answers):
    answers.hanging = True
    told, begun = Told(), time.monotonic()
    found = await told.reader().read(plan(queue(answers), tick=0.5), seen())

    assert found == {}
    assert time.monotonic() - begun < 5
    assert "queue did not come within 0.4 s" in told[0]


async def test_an_answer_without_end_is_cut(answers: Answers, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("integrations.metric_sources.web._MOST", 100)
    for name in (OLD, OLDER, NEW):
        answers.say(f"/{name}", " " * 200 + "1")
    told = Told()

    assert await told.reader().read(plan(queue(answers)), seen()) == {}
    assert "longer than 100 bytes" in told[0]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://[", "ftp://127.0.0.1"])
async def test_an_address_that_leads_nowhere_is_told(answers: Answers, url: str):
    told = Told()

    assert await told.reader().read(plan(queue(answers, url=url)), seen()) == {}
    assert "cannot be read from" in told[0]


async def test_two_units_are_not_compared(answers: Answers):
    answers.say(f"/{OLD}", {"value": 0.3, "unit": "s"})
    answers.say(f"/{OLDER}", {"value": 0.3})
    answers.say(f"/{NEW}", {"value": 300, "unit": "ms"})
    told = Told()

    assert await told.reader().read(plan(queue(answers)), seen()) == {}
    assert "is in ms and in s" in told[0]


async def test_another_unit_than_declared_is_not_compared(answers: Answers):
    for name in (OLD, OLDER, NEW):
        answers.say(f"/{name}", {"value": 300, "unit": "ms"})
    told = Told()

    assert await told.reader().read(plan(queue(answers, unit="s")), seen()) == {}
    assert "is in ms, declared is s" in told[0]


async def test_a_question_that_is_the_same_for_both_sides_is_none(answers: Answers):
    told = Told()

    assert await told.reader().read(plan(queue(answers, "/all")), seen()) == {}
    assert "asks the same for both sides" in told[0]
    assert answers.asked == []


@pytest.mark.parametrize("left", [OLD, NEW])
async def test_one_side_alone_is_not_compared(answers: Answers, left: str):
    told = Told()
    every = [instance(OLD, "v1"), instance(NEW, "v2")]
    ready = [each if each.instance == left else each.but(state="down") for each in every]

    assert await told.reader().read(plan(queue(answers)), seen(*ready)) == {}
    assert ("new release" if left == OLD else "stable release") in told[0]


async def test_nothing_is_read_for_a_first_install(answers: Answers):
    told = Told()

    assert await told.reader().read(plan(queue(answers)).but(first=True), seen()) == {}
    assert (list(told), answers.asked) == ([], [])


async def test_nothing_is_read_where_nothing_is_declared():
    assert await Told().reader().read(plan(), seen()) == {}


async def test_a_version_that_is_no_plain_word_is_not_put_into_a_question(answers: Answers):
    told = Told()
    every = instance(OLD, "v1"), instance(NEW, "v2 or 1=1")

    assert await told.reader().read(plan(queue(answers, "/{version}")), seen(*every)) == {}
    assert "it is no plain word" in told[0]


async def test_it_is_told_once_until_it_changes(answers: Answers):
    told = Told()
    reader, wanted = told.reader(), plan(queue(answers))
    for body in ("null", "null", "1", "null", "-1"):
        for name in (OLD, OLDER, NEW):
            answers.say(f"/{name}", body)
        await reader.read(wanted, seen())

    assert ["negative" if "negative" in each else "no number" for each in told] == [
        "no number", "no number", "negative",
    ]  # fmt: skip


async def test_what_goes_wrong_elsewhere_ends_no_rollout_and_spoils_no_other(answers: Answers):
    for name in (OLD, OLDER, NEW):
        answers.say(f"/{name}", 1)
    broken = MetricSource(name="broken", source="command", query="echo {instance}")
    told = Told()

    assert await told.reader().read(plan(broken, queue(answers)), seen()) == {"queue": (1.0, 1.0)}
    assert "broken could not be read: Misconfigured('no sandbox here')" in told[0]


async def test_what_is_remembered_has_an_end(answers: Answers, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("integrations.metric_sources.reader._MOST_TOLD", 2)
    reader = Told().reader()
    for rollout in ("a", "b", "c"):
        await reader.read(plan(queue(answers, "/same")).but(rollout=rollout), seen())

    assert [bool(reader.complaints(rollout)) for rollout in ("a", "b", "c")] == [False, True, True]


async def test_by_default_it_is_logged(answers: Answers, caplog: pytest.LogCaptureFixture):
    reader = MetricReader(NoCommands(), lambda place, sha: None)
    await reader.read(plan(queue(answers, "/same")), seen())

    assert "queue asks the same for both sides" in caplog.text
