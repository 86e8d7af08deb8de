"""`slipway demo` as a user runs it: three ideas, real load, one undo, one repair."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.console import Answer, Document, Slipway, processes_with, told

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answer]:
    """A whole demo in a home of its own, of which nothing is left running."""
    slipway = Slipway(tmp_path_factory.mktemp("demo") / "home")
    try:
        yield slipway("demo")
    finally:
        assert slipway("down", "--services").code == 0
    assert not processes_with(str(slipway.home))


@pytest.fixture(scope="module")
def rollouts(demo: Answer) -> list[Document]:
    chapters = demo.document.get("chapters", ())
    return [rollout for chapter in chapters for rollout in chapter["rollouts"]]


def test_everything_that_the_demo_promises_holds(demo: Answer):
    assert demo.code == 0, told(demo)
    assert [check for check in demo.document["checks"] if not check["holds"]] == []


def test_three_ideas_are_completed_and_the_third_in_two_rounds(demo: Answer):
    ideas = [chapter["idea"] for chapter in demo.document["chapters"]]

    assert [idea["state"] for idea in ideas] == ["Completed"] * 3
    tags = [[release["tag"] for release in idea["releases"]] for idea in ideas]
    assert tags == [["v1.3.0"], ["v1.4.0"], ["v1.4.1", "v1.4.2"]]


def test_each_gate_of_the_release_that_hurts_has_passed(demo: Answer):
    gates = demo.document["chapters"][2]["idea"]["gates"]

    first = {gate["name"]: gate["verdict"] for gate in gates if gate["round"] == 1}
    assert {"tests", "security", "census", "accept-A1", "accept-A2"} <= set(first)
    assert set(first.values()) == {"passed"}


def test_the_first_release_is_an_install_and_the_second_a_canary(rollouts: list[Document]):
    first, second, *_ = rollouts

    assert (first["first"], first["state"]) == (True, "passed")
    assert {view["verdict"]["label"] for view in first["verdicts"]} == {"no_control"}
    assert [step["weight"] for step in second["plan"]["steps"]] == [2_000, 5_000, 10_000]
    assert {view["verdict"]["verdict"] for view in second["verdicts"]} == {"pass"}


def test_the_third_release_fails_on_live_traffic_and_is_undone_verified(rollouts: list[Document]):
    bad, verdict = rollouts[2], rollouts[2]["verdicts"][-1]["verdict"]

    assert (bad["state"], bad["tag"], bad["exposure"]) == ("undone", "v1.4.1", 0.2)
    assert verdict["verdict"] == "fail"
    error = verdict["classes"][0]
    assert (error["name"], error["failed"], error["control_bad"]) == ("error", True, 0)
    assert bad["undo"]["verified"]
    assert bad["undo"]["anchor_sha"] == rollouts[1]["sha"]


def test_the_fix_of_the_same_idea_passes_and_mends_what_was_barred(rollouts: list[Document]):
    bad, fixed = rollouts[2:]

    assert (fixed["state"], fixed["tag"]) == ("passed", "v1.4.2")
    assert (fixed["key"], fixed["round"]) == (bad["key"], 2)
    assert {item["cure"] for item in bad["barred"]} == {fixed["sha"]}


def test_every_request_is_accounted_for_and_only_the_canary_has_failed(demo: Answer):
    account = demo.document["account"]
    versions = account["versions"]

    answered = sum(each["good"] + each["refused"] + each["bad"] for each in versions.values())
    assert account["started"] == answered + account["aborted"]
    assert account["started"] - account["unsent"] == demo.document["counted"]
    assert account["aborted"] == 0
    assert [name for name, each in versions.items() if each["bad"] + each["refused"]] == ["v1.4.1"]
    assert set(versions) == {"v1.3.0", "v1.4.0", "v1.4.1", "v1.4.2"}
    seconds = (account["now_ms"] - account["began_ms"]) / 1_000
    assert account["started"] / seconds == pytest.approx(150, rel=0.1)


def test_the_moments_are_in_order_and_the_traffic_is_back_soon(demo: Answer):
    moments = {moment["what"].partition(":")[0]: moment["at_ms"]
               for moment in demo.document["moments"]}  # fmt: skip

    order = ("first bad answer", "judged", "traffic restored to v1.4.0", "undo verified", "fixed")
    times = [moments[what] for what in order]
    assert times == sorted(times)
    assert moments["traffic restored to v1.4.0"] - moments["first bad answer"] < 30_000


def test_each_release_has_a_report(demo: Answer):
    reports = [Path(report) for report in demo.document["reports"]]

    names = ["v1.4.1.html", "v1.3.0.html", "v1.4.0.html", "v1.4.2.html"]
    assert [report.name for report in reports] == names
    assert all("<svg" in report.read_text() for report in reports)
