"""IntegrateChanges: the merge train of one branch; ideas join it, and it answers each of them."""

import asyncio
from datetime import timedelta
from typing import NamedTuple

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from activities.quality import JudgeCommit
from activities.source import (
    BaseNow,
    Merged,
    MergeEntry,
    ReadBase,
    Source,
    Staged,
    StageEntry,
    TagEntry,
)
from domain.change import Release
from domain.errors import Rejected
from domain.review import GateResult, Verdict
from domain.train import (
    Joined,
    LeaveTrain,
    MergeResult,
    Search,
    StartTrain,
    Status,
    TrainEntry,
    TrainView,
    markdown,
    next_batch,
    verdict,
    why_red,
)
from workflows.chronicle import now_ms
from workflows.failures import failure_of
from workflows.names import REPO
from workflows.options import plumbing
from workflows.review import briefs, run_gates

# A base that moves more often than this while the gates run is told to the idea.
MOST_MOVES = 20


class Car(NamedTuple):
    """An entry with the commit that would be merged for it."""

    entry: TrainEntry
    staged: Staged


class Stopped(Exception):
    """Somebody who rides wants to leave: the ride begins again without them."""


@workflow.defn
class IntegrateChanges:
    """Rebase, judge, merge and tag, a batch at a time; ends when nobody has come for a while."""

    @workflow.init
    def __init__(self, start: StartTrain) -> None:
        self._start = start
        self._state = start.state
        self._patience = start.patience
        self._riding: tuple[TrainEntry, ...] = ()
        self._merging: TrainEntry | None = None
        self._leaving: dict[str, str] = {}  # entry -> reason
        self._judging: asyncio.Task[tuple[GateResult, ...]] | None = None
        self._moves: dict[str, int] = {}  # how often the base moved under an entry
        self._alone = 0  # so many rides carry one entry each
        self._doing = "waiting for entries"

    @workflow.run
    async def run(self, start: StartTrain) -> int:
        workflow.upsert_search_attributes([REPO.value_set(start.repository.id)])
        rides = 0
        while await self._somebody_waits():
            if rides == start.rides_per_run or workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(start.but(state=self._state))
            await self._ride()
            rides += 1
        return self._state.merged

    # Messages ---------------------------------------------------------------------------

    @workflow.update
    def join(self, entry: TrainEntry) -> Joined:
        """Take an entry into the queue; the same entry again changes nothing."""
        self._state = self._state.joined(entry, now_ms())
        self._show(self._doing)
        return Joined(
            train=workflow.info().workflow_id,
            position=self._state.position(entry.key, entry.round),
        )

    @join.validator
    def _check_join(self, entry: TrainEntry) -> None:
        mine = self._start.repository
        if (entry.repository.id, entry.repository.base) != (mine.id, mine.base):
            raise Rejected(
                f"this train is for {mine.base} of {mine.id}, not for {entry.repository.base} "
                f"of {entry.repository.id}",
                code="other_train",
            )

    @workflow.update
    async def leave(self, order: LeaveTrain) -> str:
        """Let an idea go, unless its merge has begun; it is answered in any case."""
        entry = self._state.find(order.key, order.round)
        if entry is None:
            if self._state.has_left(order.key, order.round):
                return "answered before"
            await self._signal(order.workflow_id, _left(order.key, order.round, order.reason))
            return "not in the queue"
        if entry == self._merging:
            return "being merged; the answer follows"
        if entry in self._riding:
            self._leaving[_name(entry)] = order.reason
            if self._judging is not None:
                self._judging.cancel()
            return "leaving the batch"
        await self._answer(entry, "left", order.reason)
        return "left the queue"

    @workflow.query
    def queue(self) -> TrainView:
        """Who waits, who rides, and why the others left."""
        riding = tuple(_name(entry) for entry in self._riding)
        waiting = tuple(name for e in self._state.queue if (name := _name(e)) not in riding)
        still = now_ms() - self._state.moved_at_ms if self._state.queue else 0
        return TrainView(
            waiting=waiting,
            riding=riding,
            doing=self._doing,
            departures=self._state.departures,
            merged=self._state.merged,
            still_for_ms=still,
        )

    # A ride -----------------------------------------------------------------------------

    async def _somebody_waits(self) -> bool:
        """Wait for entries, a moment longer for others to join them; False: nobody came."""
        if not self._state.queue:
            self._show("waiting for entries")
            try:
                await workflow.wait_condition(
                    lambda: bool(self._state.queue),
                    timeout=timedelta(seconds=self._patience.train_idle),
                    timeout_summary="ends when nobody joins",
                )
                await workflow.sleep(self._patience.batch_window, summary="others may join")
            except asyncio.TimeoutError:  # noqa: UP041 (the name that the SDK raises)
                await workflow.wait_condition(workflow.all_handlers_finished)
        return bool(self._state.queue)

    async def _ride(self) -> None:
        first = self._state.queue[0]
        self._riding = (first,)
        try:
            base = await self._read_base(first)
            self._riding = next_batch(self._state.queue, base.base_moves and not self._alone)
            self._alone = max(0, self._alone - 1)
            cars = await self._couple(base)
            if cars:
                await self._judge_and_merge(cars, base)
        except ActivityError as error:
            await self._give_up(error)
        except Stopped:
            pass
        finally:
            self._riding, self._merging = (), None
        leaving, self._leaving = self._leaving, {}
        for entry in self._state.queue:
            if _name(entry) in leaving:
                await self._answer(entry, "left", leaving[_name(entry)])

    async def _give_up(self, error: ActivityError) -> None:
        """Answer the one entry to which this happened; of several, find out which one it is."""
        if is_cancelled_exception(error):
            raise error
        if len(self._riding) > 1 and self._merging is None:
            self._alone = len(self._riding)
            return
        entry = self._merging or self._riding[0]
        if self._state.position(entry.key, entry.round):
            await self._answer(entry, "refused", failure_of(error)[1])

    async def _couple(self, base: BaseNow) -> tuple[Car, ...]:
        """Put the commits of each entry onto those of the one before; answer who does not fit."""
        self._show("putting the commits onto the base branch")
        cars: tuple[Car, ...] = ()
        for entry in self._riding:
            onto = cars[-1].staged.sha if cars else base.base_sha
            taken = tuple(car.staged.tag for car in cars)
            staged = await self._stage(entry, onto, base, taken)
            self._stop_if_leaving()
            if staged.status == "staged":
                cars = (*cars, Car(entry, staged))
            elif staged.status == "merged":
                await self._merge(Car(entry, staged), base.base_sha, base, ())
                return ()
            else:
                await self._answer_unfit(entry, staged, base)
        self._riding = tuple(car.entry for car in cars)
        return cars

    async def _answer_unfit(self, entry: TrainEntry, staged: Staged, base: BaseNow) -> None:
        if staged.status == "empty":
            reason = "the base branch holds this change already"
            await self._answer(entry, "refused", reason, base_sha=base.base_sha)
            return
        reason = "on the newer base it is another patch than the one that was approved"
        if staged.status == "conflict":
            reason = f"conflicts with the base branch in {', '.join(staged.conflicts[:10])}"
        await self._answer(
            entry, "conflict", reason, conflicts=staged.conflicts[:50], base_sha=base.base_sha
        )

    async def _judge_and_merge(self, cars: tuple[Car, ...], base: BaseNow) -> None:
        results = await self._judge(cars, base)
        says = verdict(self._riding, results)
        if says is Verdict.PASSED:
            await self._merge_all(cars, base, results)
        elif len(cars) == 1:
            status: Status = "red" if says is Verdict.FAILED else "held"
            await self._answer(
                cars[0].entry, status, why_red(results), gates=results, base_sha=base.base_sha
            )
        elif says is Verdict.HELD:
            self._alone = len(cars)
        else:
            await self._find_culprit(cars, base, results)

    async def _find_culprit(
        self, cars: tuple[Car, ...], base: BaseNow, red: tuple[GateResult, ...]
    ) -> None:
        """Bisect: those before the culprit merge, it is answered, those behind ride again."""
        green: tuple[GateResult, ...] = ()
        search = Search(red=len(cars))
        while not search.found:
            results = await self._judge(cars[: search.probe], base)
            failed = any(result.verdict is Verdict.FAILED for result in results)
            red, green = (results, green) if failed else (red, results)
            search = search.seen(search.probe, failed)
        good, culprit = cars[: search.green], cars[search.culprit].entry
        if good and verdict(tuple(car.entry for car in good), green) is Verdict.PASSED:
            await self._merge_all(good, base, green)
        await self._answer(culprit, "red", why_red(red), gates=red, base_sha=base.base_sha)

    async def _judge(self, cars: tuple[Car, ...], base: BaseNow) -> tuple[GateResult, ...]:
        """Run the gates on the combined result of these; raises `Stopped` when one leaves."""
        self._show(f"judging {len(cars)} together on {base.base_sha[:10]}")
        self._stop_if_leaving()
        entry, staged = cars[-1]
        order = JudgeCommit(
            key=entry.key,
            round=entry.round,
            where="train",
            repository=entry.repository,
            base_sha=base.base_sha,
            sha=staged.sha,
            gate_set=entry.gates.digest,
            gate_set_ref=entry.gates.ref,
            protected_paths=entry.gates.protected_paths,
        )
        self._judging = asyncio.create_task(run_gates(order, briefs(entry.gates), self._patience))
        try:
            return await self._judging
        except (ActivityError, asyncio.CancelledError) as error:
            if is_cancelled_exception(error):
                self._stop_if_leaving()
            raise
        finally:
            self._judging = None

    async def _merge_all(
        self, cars: tuple[Car, ...], base: BaseNow, results: tuple[GateResult, ...]
    ) -> None:
        """Merge one after the other, each onto the one before; stop where one is not taken."""
        onto = base.base_sha
        for car in cars:
            self._stop_if_leaving()
            if not await self._merge(car, onto, base, results):
                return
            onto = car.staged.sha

    async def _merge(
        self, car: Car, onto: str, base: BaseNow, results: tuple[GateResult, ...]
    ) -> bool:
        """Merge, tag and answer one entry; False: it was not merged."""
        entry = self._merging = car.entry
        self._show(f"merging {_name(entry)}")
        merged = await self._merge_entry(MergeEntry(
            entry=entry, staged=car.staged, onto=onto, base_moves=base.base_moves
        ))  # fmt: skip
        if merged.status == "moved":
            await self._again(entry, merged.reason)
        elif merged.status == "refused":
            await self._answer(entry, "refused", merged.reason, base_sha=base.base_sha)
        else:
            await self._answer_merged(car, onto, merged, base, results)
        self._merging = None
        return merged.status == "merged"

    async def _again(self, entry: TrainEntry, reason: str) -> None:
        """The base moved meanwhile: ride again, but not for ever."""
        name = _name(entry)
        self._moves[name] = self._moves.get(name, 0) + 1
        if self._moves[name] >= MOST_MOVES:
            await self._answer(entry, "refused", f"the base never stood still: {reason}")

    async def _answer_merged(
        self,
        car: Car,
        onto: str,
        merged: Merged,
        base: BaseNow,
        results: tuple[GateResult, ...],
    ) -> None:
        entry = car.entry
        tag, reason = await self._tag(car, merged, base)
        release = Release(
            round=entry.round,
            sha=merged.sha,
            tree=car.staged.tree,
            branch=merged.branch,
            tag=tag,
            base_moved=base.base_moves,
            provenance=f"{entry.key}/{entry.round}/merge",
            # What an earlier try has merged stands somewhere below `onto`.
            parent_sha=onto if car.staged.status == "staged" else "",
        )
        self._moves.pop(_name(entry), None)
        await self._answer(
            entry, "merged", reason, release=release, gates=results, base_sha=base.base_sha
        )

    # Activities -------------------------------------------------------------------------

    async def _read_base(self, entry: TrainEntry) -> BaseNow:
        return await workflow.execute_activity_method(
            Source.read_base,
            ReadBase(repository=entry.repository),
            **plumbing(self._patience, "read the base branch"),
        )

    async def _stage(
        self, entry: TrainEntry, onto: str, base: BaseNow, taken: tuple[str, ...]
    ) -> Staged:
        order = StageEntry(
            entry=entry,
            onto=onto,
            base_sha=base.base_sha,
            base_moves=base.base_moves,
            taken=taken,
            at_ms=entry.entered_at_ms,
        )
        return await workflow.execute_activity_method(
            Source.stage_entry,
            order,
            **plumbing(self._patience, f"put {_name(entry)} onto {onto[:10]}"),
        )

    async def _merge_entry(self, order: MergeEntry) -> Merged:
        """Merge, and ask again for as long as the forge has not decided."""
        options = plumbing(self._patience, f"merge {_name(order.entry)}")
        while True:
            merged = await workflow.execute_activity_method(Source.merge_entry, order, **options)
            if merged.status != "pending":
                return merged
            await workflow.sleep(self._patience.retry_max, summary="the forge decides")

    async def _tag(self, car: Car, merged: Merged, base: BaseNow) -> tuple[str, str]:
        """Return the tag; what can not be tagged stays merged, and the reason says so."""
        order = TagEntry(
            entry=car.entry,
            sha=merged.sha,
            tag=car.staged.tag,
            base_moves=base.base_moves,
            at_ms=car.entry.entered_at_ms,
        )
        try:
            tagged = await workflow.execute_activity_method(
                Source.tag_entry,
                order,
                **plumbing(self._patience, f"tag {_name(car.entry)} as {order.tag}"),
            )
        except ActivityError as error:
            return "", f"merged, but not tagged: {failure_of(error)[1]}"
        return tagged.tag, f"merged into {merged.branch}"

    # Answers ----------------------------------------------------------------------------

    async def _answer(self, entry: TrainEntry, status: Status, reason: str, **more: object) -> None:
        """Let an entry go, with a reason that is kept, and tell its idea."""
        result = MergeResult.model_validate(
            {"key": entry.key, "round": entry.round, "status": status, "reason": reason, **more}
        )
        self._state = self._state.departed(entry, result, now_ms())
        self._show(self._doing)
        await self._signal(entry.workflow_id, result)

    async def _signal(self, idea: str, result: MergeResult) -> None:
        try:
            await workflow.get_external_workflow_handle(idea).signal("merge_result", result)
        except ApplicationError as error:
            workflow.logger.warning("%s took no answer: %s", idea, error)

    def _stop_if_leaving(self) -> None:
        if self._leaving:
            raise Stopped

    def _show(self, doing: str) -> None:
        self._doing = doing
        workflow.set_current_details(markdown(self.queue()))


def _name(entry: TrainEntry) -> str:
    return f"{entry.key}/{entry.round}"


def _left(key: str, round_: int, reason: str) -> MergeResult:
    return MergeResult(key=key, round=round_, status="left", reason=reason)
