"""The board of an idea, as people read it in the Temporal Web UI."""

from domain.board import LISTED_TASKS, Board, BoardTask, markdown
from domain.change import Release
from domain.delivery import FailureClass, Outcome, Stage, TaskState, Wait
from domain.review import GateResult, Verdict

BOARD = Board(key="k", title="A | title\nin two lines", stage=Stage.RUNNING)


def test_shows_title_and_stage_on_one_line():
    assert markdown(BOARD) == "### A \\| title in two lines\n\n**Running**, round 1"


def told(predicate: str, flag: str = "AwaitingInput") -> str:
    wait = Wait.model_validate(
        {"flag": flag, "owner": "ann", "predicate": predicate, "since_ms": 0}
    )
    return markdown(BOARD.but(waits=(wait,))).partition("round 1\n\n")[2]


def test_says_who_is_waited_for_and_what_for():
    assert told("the change is merged", "InTrain") == (
        "**Waits for ann** (InTrain): the change is merged"
    )


def test_a_command_that_ends_a_wait_can_be_copied():
    assert told("slipway idea resume k", "Paused") == (
        "**Waits for ann** (Paused)\n\nIt goes on with `slipway idea resume k`"
    )


def test_says_why_a_command_is_waited_for():
    assert told("slipway idea revise k FILE: a | b: c\nd") == (
        "**Waits for ann** (AwaitingInput): a \\| b: c · d\n\n"
        "It goes on with `slipway idea revise k FILE`"
    )


def test_gates_that_hold_an_idea_up_come_first():
    gates = tuple(
        GateResult(gate=verdict.value, kind="tests", verdict=verdict, reason="")
        for verdict in Verdict
    )

    shown = markdown(BOARD.but(gates=gates))

    rows = [line.split()[2] for line in shown.splitlines() if line.startswith("| ")][1:]
    assert set(rows[:2]) == {"failed", "held"}
    assert set(rows) == {verdict.value for verdict in Verdict}


def test_lists_tasks_and_gates():
    board = BOARD.but(
        tasks=(BoardTask(id="one", title="One"), BoardTask(id="two", title="Two")),
        gates=(GateResult(gate="tests", kind="tests", verdict=Verdict.HELD, reason="base red"),),
    ).task("two", TaskState.FAILED, "x" * 400)

    shown = markdown(board)

    assert "| · one | One | Pending |\n| ✘ two | Two | Failed |\n\n" in shown
    assert f"\n\n- two: {'x' * 299}…\n\n" in shown
    assert "- one" not in shown
    assert "| ? tests | held | base red |" in shown


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
