"""What operations would change, found out in a workspace that is thrown away."""

import json
import uuid

from domain.agent import Edit
from domain.command import CommandLimits, CommandOrder
from domain.errors import Rejected, Unavailable
from domain.operation import Operation
from domain.plan import PlanTask
from domain.rehearsal import Rehearsal
from integrations.builtin_agent import BuiltinAgent, edits
from integrations.process import Processes
from integrations.workspaces import Workspaces

LIMITS = CommandLimits(wall_seconds=600)


class DryRun:
    """Runs the builtin agent without letting it write."""

    def __init__(self, agent: BuiltinAgent, workspaces: Workspaces, processes: Processes) -> None:
        self._agent = agent
        self._workspaces = workspaces
        self._processes = processes

    async def edits(
        self,
        repository_id: str,
        base_sha: str,
        operations: tuple[Operation, ...],
        touches: tuple[str, ...] = (),
    ) -> tuple[Edit, ...]:
        """Return what the operations would do at `base_sha`; empty when there is nothing to do.

        Raises `Rejected` (code `operation_failed`) when one of them cannot be carried out.
        """
        checkout = await self._workspaces.create(
            repository_id, base_sha, f"plan-{uuid.uuid4().hex[:12]}"
        )
        try:
            home = str(self._workspaces.home(checkout))
            command = self._agent.run(operations, home, touches=touches, dry_run=True)
            await self._workspaces.fill(checkout, command.files)
            outcome = await self._processes.run(
                CommandOrder(
                    argv=command.argv,
                    folder=str(checkout),
                    home=home,
                    readable=command.readable,
                    limits=LIMITS,
                    output=str(self._workspaces.log(checkout) / "output"),
                )
            )
            if outcome.ended == "lost":
                raise Unavailable("the dry run was killed from outside", code="run_lost")
            return _told(await self._workspaces.left(checkout, command.result), outcome.ended)
        finally:
            await self._workspaces.destroy(checkout)

    async def rehearse(self, repository_id: str, base_sha: str, task: PlanTask) -> Rehearsal:
        """Return how many edits the builtin operations of `task` would make."""
        try:
            found = await self.edits(repository_id, base_sha, task.agent.operations, task.touches)
        except Rejected as error:
            return Rehearsal(error=str(error))
        return Rehearsal(edits=len(found))


def _told(data: bytes, ended: str) -> tuple[Edit, ...]:
    result = json.loads(data) if data else {"error": f"it left no result ({ended})"}
    if result.get("status") in ("changed", "no_change"):
        return edits(result)
    raise Rejected(
        f"the operations cannot be carried out: {result.get('error')}",
        code="operation_failed",
        hint=str(result.get("hint", "")),
    )
