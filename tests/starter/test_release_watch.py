"""`slipway release watch` and `report`: followed from the records, without Temporal."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from rich.console import Console

from config.settings import Settings
from domain.errors import Unavailable
from domain.rollout import RolloutState
from domain.rollout_fact import RolloutMoved, RolloutPlanned, VerdictGiven
from domain.rollout_view import MoveView, RolloutRecord
from domain.tick import Side, Tick
from domain.verdict import ClassEvidence
from starter import entry, following, release_live
from starter.codes import Exit
from starter.lookup import open_reads
from starter.reads import Reads
from starter.release_board import board, e_value
from starter.release_live import Documents, Lines
from starter.release_watch import Eyes, Look, Progress, exit_code, follow, progress, waits
from tests.rollouts import SECOND, TARGET, tick, verdict
from tests.starter.report.canary import canary_plan
from tests.starter.report.canary import record as canary_record
from tests.starter.rollouts_told import Run, S, Teller, result, second, shifting, tell_two, write
from tests.starter.rollouts_told import chosen as chosen
from tests.starter.rollouts_told import run as run


def seen(seq: int, step: int = 0, bad: int = 0, weight: int = 500) -> Tick:
    return tick(
        seq,
        rollout=SECOND,
        step=step,
        weight=weight,
        control=Side(started=95, done=95),
        canary=Side(started=5, done=5, error=bad, errors=bad),
    )


@pytest_asyncio.fixture
async def teller(chosen: Settings) -> AsyncIterator[Teller]:
    teller = Teller(chosen)
    await tell_two(teller, shifting())
    yield teller
    await teller.close()


class Recorder:
    """A view that remembers."""

    def __init__(self) -> None:
        self.looks: list[Look] = []
        self.closed = False
        self.seen = asyncio.Event()

    def update(self, look: Look) -> None:
        self.looks.append(look)
        self.seen.set()

    def close(self) -> None:
        self.closed = True


async def test_each_event_and_tick_is_seen_once_until_the_end(chosen: Settings, teller: Teller):
    view = Recorder()
    await teller.see(seen(0), seen(1))

    async with open_reads(chosen) as reads:
        task = asyncio.create_task(follow(chosen, reads, SECOND, view))
        await teller.see(seen(2), seen(3))
        await teller.tell(VerdictGiven(rollout=SECOND, step=0, verdict=verdict()))
        await teller.tell(result(second(), S.UNDONE))
        record = await task

    assert record.state is S.UNDONE
    assert [each.seq for look in view.looks for each in look.ticks] == [0, 1, 2, 3]
    kinds = [event.kind for look in view.looks for event in look.events]
    assert kinds == ["rollout_planned", "rollout_moved", "verdict_given", "rollout_ended"]
    assert view.closed


class Late(Reads):
    """The end is told just after the events were read, and before the record is."""

    teller: Teller | None = None

    async def rollout(self, rollout: str) -> RolloutRecord:
        teller, self.teller = self.teller, None
        if teller:
            await teller.tell(result(second(), S.UNDONE))
        return await super().rollout(rollout)


async def test_the_last_event_is_shown_also_where_the_record_was_faster(
    chosen: Settings, teller: Teller
):
    view = Recorder()

    async with Late(chosen.database) as reads:
        eyes = asyncio.create_task(follow(chosen, reads, SECOND, view))
        await view.seen.wait()
        reads.teller = teller
        await teller.see(seen(0))
        await eyes

    assert [event.kind for look in view.looks for event in look.events][-1] == "rollout_ended"


async def test_what_is_told_of_other_rollouts_is_not_shown(chosen: Settings, teller: Teller):
    async with open_reads(chosen) as reads:
        look = await Eyes(reads, SECOND).look()

    assert look is not None
    assert all(event.body["rollout"] == SECOND for event in look.events)


async def test_the_judge_says_what_it_thinks_before_the_step_is_over(
    chosen: Settings, teller: Teller
):
    await teller.see(*(seen(seq, bad=4) for seq in range(4)))

    async with open_reads(chosen) as reads:
        eyes = Eyes(reads, SECOND)
        bad = await eyes.look()
        nothing = await eyes.look()

    assert bad is not None
    assert bad.verdict is not None
    assert bad.verdict.verdict == "fail"
    assert nothing is None


async def test_the_bake_is_judged_by_the_steps_before(chosen: Settings, teller: Teller):
    ticks = [seen(seq) for seq in range(3)]
    bake = [
        seen(seq, step=2, weight=10_000).but(control=Side(), canary=Side(done=100))
        for seq in range(2)
    ]
    await teller.see(*ticks, *bake)

    async with open_reads(chosen) as reads:
        look = await Eyes(reads, SECOND).look()

    assert look is not None
    assert look.verdict is not None
    assert look.verdict.label == "non_concurrent"
    assert look.progress is not None
    assert (look.progress.number, look.progress.of, look.progress.weight) == (3, 3, 10_000)


async def test_following_ends_when_slipway_is_stopped(
    chosen: Settings, teller: Teller, monkeypatch: pytest.MonkeyPatch
):
    ran = iter([object()])
    monkeypatch.setattr(following, "running", lambda home: next(ran, None))
    monkeypatch.setattr(following, "_LOOK_SECONDS", 0)
    view = Recorder()

    async with open_reads(chosen) as reads:
        with pytest.raises(Unavailable, match=SECOND) as caught:
            await follow(chosen, reads, SECOND, view)

    assert f"slipway release watch {SECOND}" in caught.value.problem.hint
    assert view.closed


# Progress and waits -------------------------------------------------------------------


def test_progress_counts_the_steps_the_bake_and_the_time_that_is_left():
    moved = canary_record(S.SHIFTING, step=1, weight=5_000)
    ticks = (seen(0), seen(1), seen(0, step=1, weight=5_000))

    now = progress(moved, ticks)

    assert now is not None
    assert (now.number, now.of, now.weight, now.hold_s, now.later_s) == (2, 4, 5_000, 10, 10)
    assert now.over_s(ticks[2].at_ms + 4_000) == 4
    assert now.left_s(ticks[2].at_ms + 4_000) == 16
    assert now.left_s(ticks[2].at_ms + 60_000) == 10


def test_before_any_traffic_there_is_no_progress():
    assert progress(canary_record(S.BUILDING, started_at_ms=None), ()) is None
    assert progress(canary_record(S.BUILDING, plan=None), ()) is None


def test_a_step_without_a_tick_has_not_begun():
    now = Progress(number=1, of=2, weight=500, began_ms=0, hold_s=10, later_s=5)

    assert (now.over_s(99_000), now.left_s(99_000)) == (0, 15)


@pytest.mark.parametrize(
    ("state", "said", "expected"),
    [
        (S.WAITING, "fail", "because"),
        (S.SHIFTING, "inconclusive", f"a person: slipway release promote {TARGET}, or rollback"),
        (S.SHIFTING, "pass", ""),
        (S.HELD, "inconclusive", ""),
    ],
)
def test_it_says_for_whom_a_rollout_waits(state: RolloutState, said: str, expected: str):
    told = canary_record(state).verdicts[0]
    record = canary_record(state, verdicts=(told.but(verdict=verdict(verdict=said)),), moves=())

    assert waits(record) == expected


def test_a_rollout_that_has_moved_on_does_not_wait():
    told = canary_record(S.SHIFTING).verdicts[0]
    later = MoveView(at_ms=told.at_ms + 1, state=S.SHIFTING, step=1, weight=1_000)
    unclear = told.but(verdict=verdict(verdict="inconclusive"))
    record = canary_record(S.SHIFTING, verdicts=(unclear,), moves=(later,))

    assert waits(record) == ""


@pytest.mark.parametrize(
    ("state", "code"),
    [(S.PASSED, Exit.DONE), (S.HELD, Exit.WAITS), (S.UNDONE, Exit.ENDED), (S.FAILED, Exit.ENDED)],
)
def test_the_end_has_its_code(state: RolloutState, code: Exit):
    assert exit_code(canary_record(state)) == code


# What is shown ------------------------------------------------------------------------


def look(record: RolloutRecord, **changes: object) -> Look:
    values = {
        "record": record,
        "progress": Progress(1, 4, 2_000, 1_000, 10, 20),
        "verdict": verdict(verdict="watching", reason="nothing speaks against it so far"),
        "last": seen(1),
        "waits": "",
        "ticks": (seen(1),),
    }
    return Look(**values | changes)  # type: ignore[arg-type]


def shown(told: Look, now_ms: int = 5_000) -> str:
    console = Console(width=110, record=True, file=None, force_terminal=False, quiet=False)
    with console.capture() as capture:
        console.print(board(told, now_ms))
    return capture.get()


def test_the_board_shows_traffic_counts_evidence_and_time():
    said = shown(look(canary_record(S.SHIFTING, weight=2_000)))

    assert f"v1.1.0 → {TARGET}" in said
    assert "step 1 of 4" in said
    assert "4.0 s of 10.0 s, at least 26.0 s to the end" in said
    assert "█" * 6 + "░" * 26 + "  20 %" in said
    assert "█" * 26 + "░" * 6 + "  80 %" in said
    assert "bad answers" in said
    assert "15 %  9 of 60" in said
    assert "665" in said  # the evidence without its worst tick
    assert "nothing speaks against it so far" in said


def test_the_board_says_when_a_step_waits_for_evidence_or_for_a_person():
    late = shown(look(canary_record(S.SHIFTING)), now_ms=60_000)
    asked = shown(look(canary_record(S.SHIFTING), waits="a person: slipway release promote web"))

    assert "waits for evidence" in late
    assert "⏳ waits for a person: slipway release promote web" in asked


def test_the_board_of_a_first_install_or_of_no_traffic_leaves_out_what_there_is_not():
    plan = canary_plan(anchor=None, steps=canary_plan().steps[2:])
    first = shown(
        look(
            canary_record(S.SHIFTING, plan=plan),
            progress=Progress(1, 2, 10_000, 0, 0, 10),
            verdict=None,
        )
    )
    none = shown(look(canary_record(S.BUILDING), progress=None, verdict=None))

    assert "before" not in first
    assert "100 %" in first
    assert "building" in none


def test_the_bake_is_called_by_its_name():
    said = shown(look(canary_record(S.BAKING), progress=Progress(4, 4, 10_000, 1_000, 10, 0)))

    assert "bake, the last step" in said


@pytest.mark.parametrize(
    ("log_e", "text"), [(0, "1"), (-2, "0.14"), (5.298, "200"), (12.0, "162,755"), (40, "1e17")]
)
def test_evidence_is_short(log_e: float, text: str):
    assert e_value(log_e) == text


def test_counts_of_nothing_are_no_share():
    empty = ClassEvidence(
        name="slow", control_bad=0, control_total=0, canary_bad=0, canary_total=0, log_e=0,
        log_e_robust=0, threshold=0, interval=(0, 1), mde=1,
    )  # fmt: skip
    said = shown(look(canary_record(S.SHIFTING), verdict=verdict(classes=(empty,))))

    assert "slow answers" in said
    assert "–" in said


def test_lines_tell_each_tick_and_what_speaks_against_the_release(
    capsys: pytest.CaptureFixture[str],
):
    Lines().update(look(canary_record(S.SHIFTING)))
    told = capsys.readouterr().err

    assert "step 1, 5 %: new 0 bad of 5, before 0 of 95" in told
    assert "watching: nothing speaks against it so far [error 665 of 200]" in told


def test_lines_that_begin_in_the_middle_tell_the_last_tick_only(
    capsys: pytest.CaptureFixture[str],
):
    Lines().update(look(canary_record(S.SHIFTING), ticks=tuple(seen(seq) for seq in range(9))))

    assert capsys.readouterr().err.count("bad of") == 1


def test_documents_are_one_per_tick_and_judgement(capsys: pytest.CaptureFixture[str]):
    Documents().update(look(canary_record(S.SHIFTING), waits="a person"))
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [each["kind"] for each in told] == ["tick", "judged"]
    assert "cursor" not in told[0]["tick"]
    assert (told[1]["waits"], told[1]["verdict"]["verdict"]) == ("a person", "watching")


def test_the_board_is_drawn_on_a_terminal_and_taken_off_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    drawn = release_live.view()
    drawn.update(look(canary_record(S.SHIFTING)))
    drawn.close()

    assert isinstance(drawn, release_live.Board)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    assert isinstance(release_live.view(), Lines)


# The commands -------------------------------------------------------------------------


async def undone(teller: Teller) -> None:
    await tell_two(teller, shifting(), result(second(), S.UNDONE, "errors rose"))
    await teller.see(seen(0), seen(1, bad=2))


def test_watching_what_has_ended_shows_it_and_ends_with_its_code(chosen: Settings, run: Run):
    write(chosen, undone)

    code, out, err = run("release", "watch", "web")

    assert code == Exit.ENDED
    assert "errors rose" in out
    assert "new 2 bad of 5" in err


def test_watching_for_programs_prints_one_document_per_line(chosen: Settings, run: Run):
    write(chosen, undone)

    code, out, _ = run("release", "watch", "--json")

    kinds = [json.loads(line)["kind"] for line in out.splitlines()]
    assert code == Exit.ENDED
    assert kinds.count("tick") == 2
    assert kinds[:2] == ["rollout_planned", "rollout_moved"]


async def test_ctrl_c_leaves_the_rollout_running(chosen: Settings, teller: Teller):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "starter.entry", "release", "watch", "web",
        cwd=Path(__file__).parents[2], stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    await process.stderr.readline()
    process.send_signal(signal.SIGINT)
    rest = await process.stderr.read()

    assert await process.wait() == Exit.INTERRUPTED
    assert f"slipway release watch {SECOND}" in rest.decode()


def test_the_report_lies_in_the_home_and_tells_the_rollout(chosen: Settings, run: Run):
    write(chosen, undone)

    code, out, _ = run("release", "report", "web")

    file = chosen.home / "reports" / f"{SECOND}.html"
    assert (code, out) == (Exit.DONE, f"{file}\n")
    html = file.read_text(encoding="utf-8")
    assert "v1.1.0 was undone" in html
    assert "Add a health endpoint" in html
    assert "plans v1.1.0 for" in html


def test_the_report_goes_where_it_is_wanted(chosen: Settings, run: Run, tmp_path: Path):
    write(chosen, undone)
    wanted = tmp_path / "deep" / "report.html"

    code, out, _ = run("release", "report", SECOND, "-o", str(wanted), "--json")

    assert code == Exit.DONE
    assert json.loads(out) == {
        "rollout": SECOND, "target": TARGET, "state": "undone", "file": str(wanted),
    }  # fmt: skip
    assert wanted.exists()


def test_a_report_that_can_not_be_written_is_one_clear_error(
    chosen: Settings, run: Run, tmp_path: Path
):
    write(chosen, undone)
    (tmp_path / "taken").write_text("")

    code, _, err = run("release", "report", "web", "-o", str(tmp_path / "taken" / "report.html"))

    assert code == Exit.OTHER
    assert "The report cannot be written" in err


def test_commands_of_releases_complete_targets(chosen: Settings):
    from starter.release_steering_commands import _targets

    write(chosen, undone)

    assert _targets("web") == ["web/production"]
    assert entry.run(["release", "watch", "--help"]) == Exit.DONE


def test_planned_anew_and_moved_are_told_by_name(chosen: Settings, run: Run):
    async def waiting(teller: Teller) -> None:
        held = RolloutMoved(rollout=SECOND, state=S.WAITING, reason="waits for a freeze window")
        await tell_two(teller, RolloutPlanned(plan=second()), held, result(second(), S.HELD))

    write(chosen, waiting)

    code, _, err = run("release", "watch", "web")

    assert code == Exit.WAITS
    assert "waits for a freeze window" in err
