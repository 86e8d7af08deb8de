"""The board of an idea, as people read it in the Temporal Web UI."""

from domain.board import LISTED_TASKS, Board, BoardTask, markdown
from domain.change import Release
from domain.delivery import FailureClass, Outcome, Stage, TaskState, Wait
from domain.review import GateResult, Verdict

BOARD = Board(key="k", title="A | title\nin two lines", stage=Stage.RUNNING)


def test_shows_title_and_stage_on_one_line():
    assert markdown(BOARD) == "### A \\| title in two lines\n\n**Running**, round 1"


def test_says_who_is_waited_for_and_until_when():
    wait = Wait(flag="AwaitingInput", owner="ann", predicate="slipway idea answer", since_ms=0)

    shown = markdown(BOARD.but(waits=(wait,)))

    assert "⏳ **AwaitingInput**: waits for ann, until slipway idea answer" in shown


def test_lists_tasks_and_gates():
    board = BOARD.but(
        tasks=(BoardTask(id="one", title="One"), BoardTask(id="two", title="Two")),
        gates=(GateResult(gate="tests", kind="tests", verdict=Verdict.HELD, reason="base red"),),
    ).task("two", TaskState.FAILED, "x" * 400)

    shown = markdown(board)

    assert "| · one | One | Pending |  |" in shown
    assert f"| ❌ two | Two | Failed | {'x' * 299}… |" in shown
    assert "| ✋ tests | held | base red |" in shown


def test_counts_tasks_when_there_are_too_many_to_list():
    tasks = tuple(BoardTask(id=f"t{n}", title="T") for n in range(LISTED_TASKS + 1))

    shown = markdown(BOARD.but(tasks=tasks).task("t0", TaskState.MERGED))

    assert f"{LISTED_TASKS + 1} tasks: {LISTED_TASKS} Pending, 1 Merged" in shown


def test_names_release_and_outcome():
    release = Release(round=1, sha="a" * 40, tree="t", branch="main", tag="v1.0.0", base_moved=True)
    outcome = Outcome(stage=Stage.FAILED, failure=FailureClass.CONFLICT, reason="too late")

    shown = markdown(BOARD.but(release=release, outcome=outcome))

    assert "**Released**: tag `v1.0.0`, branch `main`, commit `aaaaaaaaaaaa`" in shown
    assert shown.endswith("**Failed**: too late")
