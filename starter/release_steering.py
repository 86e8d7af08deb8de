"""Steering releases: promote, hold and undo rollouts, and let their ideas try again."""

import time

from activities.undoing import RestoreTraffic
from config.settings import Settings
from domain.delivery import CALM, Patience, Steer
from domain.errors import Rejected
from domain.record import Record
from domain.rollout import ENDED, RolloutPlan, Served, Undo
from domain.rollout_view import RolloutLine
from domain.way_back import way_back
from starter.client import Deliveries
from starter.lookup import open_reads
from starter.reads import Reads
from starter.release_client import Rollouts, Verb
from starter.release_lookup import meant
from workflows.undo import StartRollback


class Steered(Record):
    """What a rollout answered to a message."""

    target: str
    rollout: str
    key: str
    message: str
    alone: bool = False  # an undo that no open rollout looks after


class Planned(Record):
    """An undo as it would be: what loses the traffic, and what gets it."""

    target: str
    rollout: str
    key: str
    name: str  # of the release that is undone
    to: str = ""  # tag or commit that gets all the traffic; empty: nobody, it was the first
    open: bool = False  # whether its rollout is under way, and undoes itself
    merges: tuple[str, ...] = ()  # are barred from release until they are mended
    start: StartRollback | None = None  # None: nothing was planned yet, so no traffic has moved


async def steer(chosen: Settings, given: str, verb: Verb, message: Steer) -> Steered:
    """Promote or hold the open rollout; raises `Rejected` with the reason when it refuses."""
    async with open_reads(chosen) as reads:
        line = await meant(reads, given)
    if line.state in ENDED:
        raise _over(line)
    answer = await (await Rollouts.connect(chosen)).steer(line.target, verb, message)
    return _told(line, answer)


async def retry(chosen: Settings, given: str, message: Steer) -> Steered:
    """Let the idea of a held or failed rollout try again."""
    async with open_reads(chosen) as reads:
        line = await meant(reads, given, prefer_open=False)
    answer = await (await Deliveries.connect(chosen)).steer(line.key, "retry_task", message)
    return _told(line, answer)


def _told(line: RolloutLine, message: str) -> Steered:
    return Steered(target=line.target, rollout=line.rollout, key=line.key, message=message)


def _over(line: RolloutLine) -> Rejected:
    state = line.state.value.replace("_", " ")
    return Rejected(
        f"No rollout of {line.target} is open: the last one, {line.tag or line.sha[:12]}, "
        f"ended as {state}",
        code="not_open",
        path=line.target,
        hint=f"`slipway release show {line.rollout}` says why.",
    )


async def plan_undo(
    reads: Reads, given: str, to: str, message: Steer, patience: Patience = CALM
) -> Planned:
    """Return what an undo would do, from the records alone.

    What is undone is the open rollout, else what the target serves now. Raises `Rejected` where
    there is nothing to undo, or no way back.
    """
    line = await meant(reads, given)
    if line.state not in ENDED:
        return await _undo_of_open(reads, line, to, message, patience)
    plan = (await reads.rollout(await _served(reads, line))).plan
    if plan is None:
        raise AssertionError("what is served was planned")
    back = way_back(await reads.past_rollouts(line.target), plan.rollout, to)
    return _planned(plan.but(anchor=back.anchor, merges=back.merges), message, patience)


async def _undo_of_open(
    reads: Reads, line: RolloutLine, to: str, message: Steer, patience: Patience
) -> Planned:
    """Return the undo of an open rollout, which goes back by itself to where it came from."""
    plan = (await reads.rollout(line.rollout)).plan
    anchor = plan.anchor if plan else None
    if to:
        back = way_back(await reads.past_rollouts(line.target), line.rollout, to)
        if anchor is None or back.anchor.rollout != anchor.rollout:
            raise _elsewhere(line, anchor, to)
    if plan is None:
        return Planned(
            target=line.target,
            rollout=line.rollout,
            key=line.key,
            open=True,
            name=line.tag or line.sha[:12] or line.rollout,
        )
    return _planned(plan, message, patience).but(open=True)


def _planned(plan: RolloutPlan, message: Steer, patience: Patience) -> Planned:
    anchor = plan.anchor
    return Planned(
        target=plan.place.target,
        rollout=plan.rollout,
        key=plan.key,
        name=plan.tag or plan.sha[:12],
        to=(anchor.tag or anchor.sha[:12]) if anchor else "",
        merges=plan.merges,
        start=_start(plan, message, patience),
    )


async def _served(reads: Reads, line: RolloutLine) -> str:
    current, _ = await reads.served(line.target)
    if current is None:
        raise Rejected(
            f"{line.target} serves nothing that slipway has released",
            code="nothing_served",
            path=line.target,
            hint=f"`slipway release list --target {line.target}` shows what was tried.",
        )
    return current.rollout


def _elsewhere(line: RolloutLine, anchor: Served | None, to: str) -> Rejected:
    name = (anchor.tag or anchor.sha[:12]) if anchor else "nothing"
    return Rejected(
        f"A rollout of {line.target} is open; its undo goes back to {name}, not to {to}",
        code="rollout_open",
        path="to",
        hint=f"Undo it first, then: slipway release rollback {line.target} --to {to}",
    )


def _start(plan: RolloutPlan, message: Steer, patience: Patience) -> StartRollback:
    now_ms = time.time_ns() // 1_000_000
    order = RestoreTraffic(
        place=plan.place,
        key=plan.key,
        rollout=plan.rollout,
        service=plan.service,
        environment=plan.environment,
        anchor=plan.anchor,
        op=f"{plan.rollout}/by-hand/{now_ms}",
    )
    wanted = f"{message.actor} wanted it undone: {message.reason}".rstrip(": ")
    return StartRollback(
        order=order,
        plan=plan,
        round=plan.round,
        reason=wanted,
        patience=patience,
        least=min(200, plan.service.analysis.min_requests * 4),
        by=message,
    )


async def roll_back(chosen: Settings, planned: Planned, message: Steer) -> Steered:
    """Have a release undone: by its rollout while that is open, else by a way back of its own."""
    rollouts = await Rollouts.connect(chosen)
    told = Steered(target=planned.target, rollout=planned.rollout, key=planned.key, message="")
    if planned.open:
        try:
            answer = await rollouts.steer(planned.target, "roll_back", message)
            return told.but(message=answer)
        except Rejected as error:
            if error.problem.code != "not_open" or planned.start is None:
                raise
    if planned.start is None:
        raise AssertionError("what is not open was planned once")
    await rollouts.roll_back(planned.start.but(patience=rollouts.patience))
    what = f"all traffic goes to {planned.to}" if planned.to else "nothing is served"
    return told.but(message=f"undoing {planned.name}: {what}", alone=True)


async def until_undone(chosen: Settings, target: str) -> Undo:
    """Wait until an undo by hand is proven, or its patience is over."""
    return await (await Rollouts.connect(chosen)).undone(target)
