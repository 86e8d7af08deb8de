"""Source: what we do to git; each method is one effect, checked before and read back after."""

from collections.abc import Callable
from datetime import timedelta
from typing import Literal, Protocol

from temporalio import activity
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.heartbeat import beating
from activities.staging import Objects, operation, stage, trailers
from activities.staging import Staged as Staged
from domain.change import Change, next_tag, release_notes
from domain.delivery import Patience
from domain.errors import Rejected, Unavailable
from domain.forge import Merged as Merged
from domain.forge import MergeOrder, ReadChange, TagOrder
from domain.idea import ChangeKind
from domain.ledger import EffectRow as EffectRow
from domain.record import Record
from domain.repository import Repository, RepositoryFacts
from domain.train import Joined as Joined
from domain.train import LeaveTrain as LeaveTrain
from domain.train import MergeResult as MergeResult
from domain.train import StartTrain
from domain.train import TrainEntry as TrainEntry


class OpenRound(Record):
    """Import the base into the object store and start the idea branch at it."""

    key: str
    round: int
    repository: Repository


class RoundOpened(Record):
    base_sha: str  # where the base branch stands; the idea branch starts here
    head_sha: str  # where the idea branch stands (not the base after a crash or a re-plan)
    facts: RepositoryFacts


class ReadHead(Record):
    """Where the idea branch stands now."""

    key: str
    round: int
    repository: Repository


class Head(Record):
    base_sha: str
    head_sha: str
    tree: str


class ComposeTask(Record):
    """Put a task's commit onto the idea branch; `parent_sha` is what the commit was made on."""

    key: str
    round: int
    task: str
    attempt: int
    repository: Repository
    sha: str
    parent_sha: str
    title: str
    at_ms: int  # commit date, so that a retry yields the same commit


class Composed(Record):
    status: Literal["merged", "conflict"]
    head_sha: str
    tree: str
    conflicts: tuple[str, ...] = ()
    rebased: bool = False  # the branch had moved since the task began


class MeasureChange(Record):
    repository: Repository
    base_sha: str
    sha: str


class DiscardIdea(Record):
    """Remove what an idea left in the store: branches and task refs (never the user's)."""

    key: str
    repository: Repository


class JoinTrain(Record):
    entry: TrainEntry
    patience: Patience


class ReadBase(Record):
    """Import the base branch as it stands now."""

    repository: Repository


class BaseNow(Record):
    base_sha: str
    base_moves: bool


class StageEntry(Record):
    """Put an entry's commits onto `onto`, which is the base commit or the entry before it.

    `base_sha` is the commit of the base branch that the whole batch starts from.
    """

    entry: TrainEntry
    onto: str
    base_sha: str
    base_moves: bool
    taken: tuple[str, ...] = ()  # tags of the entries before it in the same batch
    at_ms: int  # of the changelog entry and a calendar tag, so that a retry makes the same


class MergeEntry(Record):
    """Make the staged commit the newest of its branch."""

    entry: TrainEntry
    staged: Staged
    onto: str  # where the base branch must stand
    base_moves: bool


class TagEntry(Record):
    """Tag what was merged, once."""

    entry: TrainEntry
    sha: str
    tag: str
    base_moves: bool
    at_ms: int


class Tagged(Record):
    tag: str


class Effects(Protocol):
    """The one way into every effect: reads the switch, checks answers, writes the intent."""

    async def begin(
        self,
        op: str,
        *,
        key: str,
        kind: str,
        scopes: tuple[str, ...],
        subject_sha256: str,
        intent: str,
        approvals: tuple[str, ...] = (),
    ) -> EffectRow:
        """Write the intent row in the transaction that checks switches and consumes approvals.

        Raises `Rejected` with code `switched_off`, `not_approved` or `already_consumed`.
        """
        ...

    async def finish(self, op: str, readback: str) -> None:
        """Record what was read back after the write."""
        ...


class Forge(Protocol):
    """Where the user's repository lives; it names the branches and the tags that are no version."""

    async def look(self, repository: Repository) -> RepositoryFacts:
        """Import the base branch into the object store; say what is true of the repository."""
        ...

    async def versions(
        self, repository: Repository, base_sha: str
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the tags that `base_sha` can reach, and all tags."""
        ...

    def tag_name(self, key: str, round: int) -> str:
        """Return the tag of a result that lands beside the base branch."""
        ...

    async def read_change(self, order: ReadChange) -> Merged | None:
        """Return what an earlier try of the operation has merged; None: nothing."""
        ...

    async def merge(self, order: MergeOrder) -> Merged:
        """Merge once per `op`: look for it first, compare and swap, read back."""
        ...

    async def tag(self, order: TagOrder) -> str:
        """Tag once per `op`; return the name, or an empty text when the name is taken."""
        ...


ATTEMPTS_TO_COMPOSE = 20


class Source:
    """One effect per activity. `train_id` and `train_queue` say where merge trains run."""

    def __init__(
        self,
        forge: Forge,
        objects: Objects,
        effects: Effects,
        train_id: Callable[[Repository], str],
        train_queue: str,
    ) -> None:
        self._forge = forge
        self._objects = objects
        self._effects = effects
        self._train_id = train_id
        self._train_queue = train_queue

    @activity.defn
    async def open_round(self, order: OpenRound) -> RoundOpened:
        """Start the idea branch at the base as it stands; again: return what was started."""
        async with beating():
            facts = await self._forge.look(order.repository)
            store = order.repository.id
            start, branch = _start_ref(order), _idea_ref(order)
            base = await self._objects.read(store, start)
            if base is None:
                base = facts.base_sha
                await self._swap(store, start, base, None)
            head = await self._objects.read(store, branch)
            if head is None:
                head = base
                await self._swap(store, branch, head, None)
            return RoundOpened(base_sha=base, head_sha=head, facts=facts.but(base_sha=base))

    async def _swap(self, store: str, ref: str, new: str, old: str | None) -> None:
        """Swap a ref that only this idea writes; a rival is an earlier try that still runs."""
        try:
            await self._objects.swap(store, ref, new, old)
        except Rejected as error:
            if error.problem.code != "moved":
                raise
            raise Unavailable(str(error), code="moved") from error

    @activity.defn
    async def read_head(self, order: ReadHead) -> Head:
        """Return where the idea branch stands; raises `Rejected` with code `no_branch`."""
        async with beating():
            base, head = await self._round(order)
            tree = await self._objects.tree_of(order.repository.id, head)
            return Head(base_sha=base, head_sha=head, tree=tree)

    @activity.defn
    async def compose_task(self, order: ComposeTask) -> Composed:
        """Put a task's commit onto the idea branch, again and again while others move it."""
        async with beating():
            for _ in range(ATTEMPTS_TO_COMPOSE):
                composed = await self._compose(order)
                if composed is not None:
                    return composed
        raise Unavailable(
            f"the branch of {order.key} moved {ATTEMPTS_TO_COMPOSE} times meanwhile", code="busy"
        )

    async def _compose(self, order: ComposeTask) -> Composed | None:
        """Try once; None: the branch moved meanwhile."""
        store = order.repository.id
        base, head = await self._round(order)
        op = operation(order.key, order.round, f"task/{order.task}/{order.attempt}")
        if await self._holds(store, base, head, op):
            return await self._composed(store, head, order)
        message = f"{_line(order.title)}\n\n{trailers(order.key, op, task=order.task)}"
        picked = await self._objects.pick(
            store, order.sha, order.parent_sha, head, message, order.at_ms
        )
        if picked.conflicts:
            tree = await self._objects.tree_of(store, head)
            return Composed(status="conflict", head_sha=head, tree=tree, conflicts=picked.conflicts)
        try:
            await self._objects.swap(store, _idea_ref(order), picked.sha, head)
        except Rejected as error:
            if error.problem.code != "moved":
                raise
            return None
        return await self._composed(store, picked.sha, order, rebased=head != order.parent_sha)

    async def _composed(
        self, store: str, head: str, order: ComposeTask, rebased: bool = False
    ) -> Composed:
        tree = await self._objects.tree_of(store, head)
        return Composed(status="merged", head_sha=head, tree=tree, rebased=rebased)

    async def _holds(self, store: str, base: str, head: str, op: str) -> bool:
        """Return whether one of the commits between says that it is this operation."""
        line = trailers("", op).strip()
        for sha in await self._objects.commits(store, base, head):
            if line in (await self._objects.message_of(store, sha)).splitlines():
                return True
        return False

    async def _round(self, order: OpenRound | ReadHead | ComposeTask) -> tuple[str, str]:
        base = await self._objects.read(order.repository.id, _start_ref(order))
        head = await self._objects.read(order.repository.id, _idea_ref(order))
        if base is None or head is None:
            raise Rejected(
                f"round {order.round} of {order.key} has no branch; it was never opened",
                code="no_branch",
            )
        return base, head

    @activity.defn
    async def measure_change(self, order: MeasureChange) -> Change:
        async with beating():
            return await self._objects.measure(order.repository.id, order.base_sha, order.sha)

    @activity.defn
    async def discard_idea(self, order: DiscardIdea) -> None:
        """Remove what the idea left in the store; what is gone already is no error."""
        async with beating():
            for kind in ("ideas", "rounds", "tasks"):
                prefix = f"refs/slipway/{kind}/{order.key}/"
                for ref, sha in await self._objects.refs(order.repository.id, prefix):
                    await self._swap(order.repository.id, ref, "", sha)

    # The train --------------------------------------------------------------------------

    @activity.defn
    async def read_base(self, order: ReadBase) -> BaseNow:
        async with beating():
            facts = await self._forge.look(order.repository)
            return BaseNow(base_sha=facts.base_sha, base_moves=facts.base_moves)

    @activity.defn
    async def stage_entry(self, order: StageEntry) -> Staged:
        """Make the commits that would be merged, with tag and changelog; no ref is written."""
        async with beating():
            entry = order.entry
            tag = self._forge.tag_name(entry.key, entry.round)
            if order.base_moves:
                reachable, taken = await self._forge.versions(entry.repository, order.base_sha)
                tag = next_tag(
                    (*reachable, *order.taken), (*taken, *order.taken), entry.change, order.at_ms
                )
            version = tag if order.base_moves else ""
            done = await self._forge.read_change(self._change_of(entry, order.base_moves))
            if done is not None:
                return Staged(status="merged", sha=done.sha, tree=done.tree, tag=tag)
            made = await stage(self._objects, entry, order.onto, version, order.at_ms)
            return made.but(tag=tag)

    def _change_of(self, entry: TrainEntry, base_moves: bool) -> ReadChange:
        return ReadChange(
            op=operation(entry.key, entry.round, "merge"),
            key=entry.key,
            repository=entry.repository,
            since_sha=entry.base_sha,
            base_moves=base_moves,
        )

    @activity.defn
    async def merge_entry(self, order: MergeEntry) -> Merged:
        """Merge once; an earlier try that was lost on the way back is found, not repeated."""
        entry = order.entry
        op = operation(entry.key, entry.round, "merge")
        async with beating():
            row = await self._begin(entry, op, "merge", order.staged.sha, entry.approvals)
            if row.done:
                branch, _, sha = row.readback.rpartition(" ")
                return Merged(status="merged", sha=sha, branch=branch)
            change = self._change_of(entry, order.base_moves)
            staged = order.staged
            merged = await self._forge.merge(
                MergeOrder(**dict(change), base_sha=order.onto, sha=staged.sha, tree=staged.tree)
            )
            if merged.status == "merged":
                await self._effects.finish(op, f"{merged.branch} {merged.sha}")
            return merged

    @activity.defn
    async def tag_entry(self, order: TagEntry) -> Tagged:
        """Tag once; a name that somebody else took meanwhile is left to them."""
        entry = order.entry
        op = operation(entry.key, entry.round, "tag")
        async with beating():
            row = await self._begin(entry, op, "tag", order.sha, ())
            name = row.readback if row.done else await self._tag(order, op)
            if not row.done:
                await self._effects.finish(op, name)
            return Tagged(tag=name)

    async def _tag(self, order: TagEntry, op: str) -> str:
        entry, name = order.entry, order.tag
        notes = release_notes(entry.title, entry.notes, entry.change)
        message = f"{notes}\n\n{trailers(entry.key, op)}"
        for count in range(2, 100):
            made = await self._forge.tag(
                TagOrder(
                    op=op,
                    repository=entry.repository,
                    name=name,
                    sha=order.sha,
                    message=message,
                    at_ms=order.at_ms,
                )
            )
            if made:
                return made
            name = await self._other_name(order, count)
        raise Rejected(f"every name after {order.tag} is taken", code="tag_taken")

    async def _other_name(self, order: TagEntry, count: int) -> str:
        if not order.base_moves:
            return f"{order.tag}-{count}"
        reachable, taken = await self._forge.versions(order.entry.repository, order.sha)
        return next_tag((*reachable, order.tag), taken, ChangeKind.FIX, order.at_ms)

    async def _begin(
        self, entry: TrainEntry, op: str, kind: str, sha: str, approvals: tuple[str, ...]
    ) -> EffectRow:
        return await self._effects.begin(
            op,
            key=entry.key,
            kind=kind,
            scopes=(f"repository/{entry.repository.id}", f"idea/{entry.key}"),
            subject_sha256=entry.subject_sha256,
            intent=f"{kind} {sha} in {entry.repository.id}",
            approvals=approvals,
        )

    # Coming and going -------------------------------------------------------------------

    @activity.defn
    async def join_train(self, order: JoinTrain) -> Joined:
        """Put an entry into the queue of its train, and start the train if none runs."""
        entry, client = order.entry, activity.client()
        start = StartTrain(repository=entry.repository, patience=order.patience)
        begin: WithStartWorkflowOperation[object, object] = WithStartWorkflowOperation(
            "IntegrateChanges",
            start,
            id=self._train_id(entry.repository),
            task_queue=self._train_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            task_timeout=timedelta(seconds=order.patience.workflow_task),
            static_summary=f"merge train of {entry.repository.base} in {entry.repository.name}",
        )
        async with beating():
            try:
                joined: Joined = await client.execute_update_with_start_workflow(
                    "join",
                    entry,
                    start_workflow_operation=begin,
                    id=f"join/{entry.key}/{entry.round}/{entry.entered_at_ms}",
                    result_type=Joined,
                )
                return joined
            except WorkflowUpdateFailedError as error:
                raise _told(error) from error

    @activity.defn
    async def leave_train(self, order: LeaveTrain) -> None:
        """Ask the train to let the idea go; where no train runs, answer in its place."""
        client, train = activity.client(), self._train_id(order.repository)
        mine = activity.info().workflow_id or ""
        async with beating():
            try:
                await client.get_workflow_handle(train).execute_update(
                    "leave",
                    order.but(workflow_id=mine),
                    id=f"leave/{order.key}/{order.round}",
                    result_type=str,
                )
            except WorkflowUpdateFailedError as error:
                raise _told(error) from error
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                await self._answer_left(client, mine, order)

    async def _answer_left(self, client: Client, idea: str, order: LeaveTrain) -> None:
        """Tell the idea that it is in no train; one that had been answered knows it already."""
        result = MergeResult(key=order.key, round=order.round, status="left", reason=order.reason)
        await client.get_workflow_handle(idea).signal("merge_result", result)


def _told(error: WorkflowUpdateFailedError) -> Rejected | Unavailable:
    """Return what the train said: a refusal stays one, anything else is tried again."""
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type == "Rejected":
        return Rejected(cause.message, code="refused_by_train")
    return Unavailable(f"the merge train did not answer: {cause}", code="train_busy")


def _idea_ref(order: OpenRound | ReadHead | ComposeTask) -> str:
    return f"refs/slipway/ideas/{order.key}/r{order.round}"


def _start_ref(order: OpenRound | ReadHead | ComposeTask) -> str:
    """Where the round's base is kept; the base branch itself moves on."""
    return f"refs/slipway/rounds/{order.key}/r{order.round}"


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
