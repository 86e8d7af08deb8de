"""The typed client of rollouts: steer the open one, undo one that has ended."""

from datetime import timedelta
from typing import Any, Literal, Self

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from config.settings import Settings
from domain.delivery import Patience, Steer
from domain.errors import Rejected
from domain.rollout import Undo
from starter.client import connected, translated, update
from workflows.names import DELIVERY, deploy_id, rollback_id
from workflows.undo import StartRollback

_RPC = timedelta(seconds=5)

Verb = Literal["promote_rollout", "hold_rollout", "roll_back"]


class Rollouts:
    """Speaks to one server; every method raises `Unavailable` or `Rejected`, nothing else."""

    def __init__(self, client: Client, patience: Patience) -> None:
        self._client = client
        self.patience = patience

    @classmethod
    async def connect(cls, chosen: Settings) -> Self:
        """Connect to the server that the environment names, else to that of `slipway up`."""
        return cls(*await connected(chosen))

    async def steer(self, target: str, verb: Verb, steer: Steer) -> str:
        """Send a message to the open rollout of a target; what it answered.

        Raises `Rejected` with code `not_open` when none is.
        """
        handle = self._client.get_workflow_handle(deploy_id(target))
        absent = _absent(target)
        return str(await update(handle, verb, steer, whom=target, absent=absent))

    async def roll_back(self, start: StartRollback) -> None:
        """Begin an undo by hand; one that is under way already is the same."""
        place = start.plan.place
        try:
            await self._client.start_workflow(
                "RollBackRelease",
                start,
                id=rollback_id(place.target),
                task_queue=DELIVERY,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                task_timeout=timedelta(seconds=start.patience.workflow_task),
                static_summary=start.reason[:180],
                rpc_timeout=_RPC,
            )
        except RPCError as error:
            raise translated(error, _absent(place.target)) from error

    async def undone(self, target: str) -> Undo:
        """Wait for the end of an undo by hand; raises `Rejected` with the reason if it failed."""
        handle: WorkflowHandle[Any, Any] = self._client.get_workflow_handle(
            rollback_id(target), result_type=Undo
        )
        try:
            return Undo.model_validate(await handle.result())
        except WorkflowFailureError as error:
            raise Rejected(_failed(error, target), code="undo_failed", path=target) from error
        except RPCError as error:
            raise translated(error, _absent(target)) from error


def _failed(error: WorkflowFailureError, target: str) -> str:
    cause: BaseException | None = error.cause
    while cause is not None and cause.__cause__ is not None:
        cause = cause.__cause__
    return f"The undo of {target} failed: {getattr(cause, 'message', '') or cause or error}"


def _absent(target: str) -> Rejected:
    return Rejected(
        f"No rollout of {target} is open",
        code="not_open",
        path=target,
        hint="`slipway release list` says how the last ones ended.",
    )
