"""What an undo by hand would do: foreseen from the records alone, without any server."""

import json

from config.settings import Settings
from domain.rollout_fact import RolloutMoved
from starter.codes import Exit
from tests.rollouts import SECOND, TARGET
from tests.starter.rollouts_told import (
    NEW,
    Run,
    S,
    Teller,
    first,
    result,
    shifting,
    tell_passed,
    tell_two,
    write,
)
from tests.starter.rollouts_told import chosen as chosen
from tests.starter.rollouts_told import run as run


def test_it_says_what_would_be_undone_and_does_nothing(chosen: Settings, run: Run):
    write(chosen, tell_passed)

    code, out, _ = run("release", "rollback", "web", "--dry-run")

    assert code == Exit.DONE
    assert out.splitlines() == [
        f"{TARGET}: v1.1.0 would be undone; all its traffic would go to v1.0.0",
        f"  by a way back of its own: its rollout {SECOND} has ended",
        f"  barred from release until a fix or a revert is recorded: {NEW[:12]}",
        "nothing was done: --dry-run",
    ]


def test_an_open_rollout_would_undo_itself(chosen: Settings, run: Run):
    write(chosen, lambda teller: tell_two(teller, shifting()))

    _, out, _ = run("release", "rollback", "web", "--dry-run")
    _, direct, _ = run("release", "rollback", "web", "--dry-run", "--direct")

    assert f"by its rollout {SECOND}, which is under way" in out
    assert "by this command, at the edge of this machine" in direct


def test_the_same_for_programs(chosen: Settings, run: Run):
    write(chosen, tell_passed)

    _, out, _ = run("release", "rollback", TARGET, "--to", "v1.0.0", "--dry-run", "--json")

    told = json.loads(out)
    assert (told["rollout"], told["to"], told["merges"]) == (SECOND, "v1.0.0", [NEW])
    assert (told["dry_run"], told["open"], "start" in told) == (True, False, False)


def test_a_version_that_never_passed_is_refused_with_those_that_have(chosen: Settings, run: Run):
    write(chosen, tell_passed)

    code, _, err = run("release", "rollback", "web", "--to", "v7", "--dry-run")

    assert code == Exit.INVALID
    assert "can only go back to what has passed before" in err
    assert "It can go back to v1.0.0." in err


def test_an_open_rollout_goes_back_to_where_it_came_from_only(chosen: Settings, run: Run):
    write(chosen, lambda teller: tell_two(teller, shifting()))

    same, *_ = run("release", "rollback", "web", "--to", "v1.0.0", "--dry-run")
    other, _, err = run("release", "rollback", "web", "--to", "v0.9.0", "--dry-run")

    assert same == Exit.DONE
    assert (other, "can only go back" in err) == (Exit.INVALID, True)


def test_a_target_that_serves_nothing_of_ours_has_nothing_to_undo(chosen: Settings, run: Run):
    async def failed(teller: Teller) -> None:
        await teller.begin()
        await teller.tell(result(first(), S.FAILED))

    write(chosen, failed)

    code, _, err = run("release", "rollback", "web", "--dry-run")

    assert code == Exit.INVALID
    assert "serves nothing that slipway has released" in err


def test_what_is_planned_only_would_be_stopped(chosen: Settings, run: Run):
    async def begun(teller: Teller) -> None:
        await teller.begin()
        await teller.tell(RolloutMoved(rollout=SECOND, state=S.BUILDING, target=TARGET))

    write(chosen, begun)

    code, out, _ = run("release", "rollback", SECOND, "--dry-run")

    assert code == Exit.DONE
    assert "nothing would be served" in out


def test_without_temporal_it_says_how_it_goes_without_temporal(chosen: Settings, run: Run):
    write(chosen, tell_passed)

    code, _, err = run("release", "rollback", "web")

    assert code == Exit.UNREACHABLE
    assert f"slipway release rollback {TARGET} --direct" in err
