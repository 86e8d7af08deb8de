"""The typed client of `DeliverIdea`: start it, steer it, answer it."""

from datetime import timedelta
from typing import Any, Literal, Self

from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from config.settings import Settings
from domain.approval import Answered, Envelope
from domain.delivery import CALM, FAST, Answer, Patience, Revise, Stage, StartDelivery, Steer
from domain.errors import Rejected, Unavailable
from domain.idea import Idea, IdeaSpec
from domain.record import digest
from starter.place import foreign_server
from starter.server import connect
from starter.state import running
from workflows.names import (
    DELIVERY,
    IDEA,
    INITIATOR,
    LABELS,
    PRIORITY,
    REPO,
    RISK,
    STAGE,
    TITLE,
    idea_id,
)
from workflows.plugin import slipway_plugin

_RPC = timedelta(seconds=5)
_UPDATE = timedelta(seconds=20)  # a worker has to answer, after its own records are written
_GONE = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)

Verb = Literal["pause", "resume", "cancel_idea", "retry_task", "skip_task"]


class Deliveries:
    """Speaks to one server; every method raises `Unavailable` or `Rejected`, nothing else."""

    def __init__(self, client: Client, patience: Patience) -> None:
        self._client = client
        self.patience = patience

    @classmethod
    async def connect(cls, chosen: Settings) -> Self:
        """Connect to the server that the environment names, else to that of `slipway up`.

        Patience fits the server: short on our own, calm elsewhere.
        """
        return cls(*await connected(chosen))

    async def start(self, start: StartDelivery) -> bool:
        """Start an idea; false when its workflow exists already, running or ended."""
        idea = start.idea
        try:
            await self._client.start_workflow(
                "DeliverIdea",
                start,
                id=idea_id(idea.key),
                task_queue=DELIVERY,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                task_timeout=timedelta(seconds=start.patience.workflow_task),
                memo={"spec_digest": idea.spec_digest, "repository": idea.repository.location},
                search_attributes=_attributes(idea),
                static_summary=idea.spec.title[:200],
                static_details=idea.spec.goal[:2_000],
                priority=Priority(
                    priority_key=_priority(idea.spec), fairness_key=idea.repository.id[:64]
                ),
                rpc_timeout=_RPC,
            )
        except WorkflowAlreadyStartedError:
            return False
        except RPCError as error:
            raise translated(error, _ended(idea.key)) from error
        return True

    async def digest_of(self, key: str) -> str:
        """Return the spec digest of an idea's workflow, from its memo."""
        try:
            told = await self._handle(key).describe(rpc_timeout=_RPC)
        except RPCError as error:
            raise translated(error, _ended(key)) from error
        return str((await told.memo()).get("spec_digest", ""))

    async def failure_of(self, key: str) -> str:
        """Return why the workflow itself broke; empty while it runs or when it ended well."""
        try:
            told = await self._handle(key).describe(rpc_timeout=_RPC)
            if told.close_time is None:
                return ""
            await self._handle(key).result(rpc_timeout=_RPC)
        except WorkflowFailureError as error:
            return str(error.cause or error)
        except RPCError as error:
            raise translated(error, _ended(key)) from error
        return ""

    async def steer(self, key: str, verb: Verb, steer: Steer) -> str:
        """Send a steering message; what the idea answered."""
        return str(await self._update(key, verb, steer))

    async def answer_approval(self, key: str, envelope: Envelope) -> Answered:
        """Approve or deny; the id of the update is the digest of the answer, so that it counts
        once however often it is sent.
        """
        id_ = digest(envelope.payload.encode())
        answered = await self._update(
            key, "answer_approval", envelope, id=id_, result_type=Answered
        )
        return Answered.model_validate(answered)

    async def answer_question(self, key: str, answer: Answer) -> str:
        """Answer what the planner or an agent asked."""
        return str(await self._update(key, "answer_question", answer))

    async def revise(self, key: str, revise: Revise) -> str:
        """Give a new version of the specification."""
        return str(await self._update(key, "revise_spec", revise))

    def _handle(self, key: str) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(idea_id(key))

    async def _update(self, key: str, name: str, argument: Any, **options: Any) -> Any:
        return await update(
            self._handle(key), name, argument, whom=f"idea {key}", absent=_ended(key), **options
        )


async def connected(chosen: Settings) -> tuple[Client, Patience]:
    """Return a client of the server in use, and the patience that fits it."""
    options = foreign_server()
    if options is not None:
        address = options.pop("target_host")
        return await connect(address, seconds=3, plugins=[slipway_plugin()], **options), CALM
    state = running(chosen.home)
    if state is None:
        raise Unavailable(
            f"slipway is not running (home {chosen.home})",
            code="not_running",
            hint="Start it: `slipway up`, or `slipway up --detach`.",
        )
    client = await connect(state.server.address, seconds=3, plugins=[slipway_plugin()])
    return client, FAST if state.server.pid > 0 else CALM


async def update(
    handle: WorkflowHandle[Any, Any],
    name: str,
    argument: Any,
    *,
    whom: str,
    absent: Rejected,
    **options: Any,
) -> Any:
    """Send an update to a workflow; its answer. Raises `absent` when the workflow does not run."""
    try:
        return await handle.execute_update(name, argument, rpc_timeout=_UPDATE, **options)
    except WorkflowUpdateFailedError as error:
        raise Rejected(_sentence(error), code="refused") from error
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        raise Unavailable(
            f"No worker has answered for {whom} within {_UPDATE.total_seconds():.0f} s",
            code="no_worker",
            hint="`slipway doctor` says what is missing; the message may still arrive.",
        ) from error
    except RPCError as error:
        raise translated(error, absent) from error


def _attributes(idea: Idea) -> TypedSearchAttributes:
    spec = idea.spec
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(IDEA, idea.key),
        SearchAttributePair(REPO, idea.repository.id),
        SearchAttributePair(STAGE, Stage.REGISTERED.value),
        SearchAttributePair(RISK, spec.risk.level),
        SearchAttributePair(INITIATOR, idea.initiator.id),
        SearchAttributePair(PRIORITY, _priority(spec)),
        SearchAttributePair(TITLE, spec.title),
    ]
    if spec.risk.labels:
        pairs.append(SearchAttributePair(LABELS, list(spec.risk.labels)))
    return TypedSearchAttributes(pairs)


def _priority(spec: IdeaSpec) -> int:
    return spec.priority if isinstance(spec.priority, int) else 3


def _sentence(error: WorkflowUpdateFailedError) -> str:
    return str(getattr(error.cause, "message", "") or error.cause)


def _ended(key: str) -> Rejected:
    return Rejected(
        f"Idea {key} does not run (any more)",
        code="not_open",
        path=key,
        hint=f"`slipway idea show {key}` says how it ended.",
    )


def translated(error: RPCError, absent: Rejected) -> Rejected | Unavailable:
    """Return what an error of the server means to a person; `absent` where nothing was found."""
    if error.status == RPCStatusCode.NOT_FOUND:
        return absent
    if error.status in _GONE:
        return Unavailable(
            f"The Temporal server does not answer: {error.message}",
            code="server_unreachable",
            hint="`slipway doctor` says what is missing; `slipway up` starts a server.",
        )
    if "search attribute" in error.message.lower():
        return Rejected(
            f"The server does not know our search attributes: {error.message}",
            code="search_attributes",
            hint="Run `slipway init` once for this server.",
        )
    return Rejected(f"The Temporal server refused: {error.message}", code="refused")
