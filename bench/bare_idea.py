"""The rival of `DeliverIdea`: the same children and activities by the SDK alone, nothing else."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow

PATIENCE = timedelta(seconds=60)


@dataclass
class Script:
    """How many activities go at once, step by step; children run between `before` and `after`."""

    before: list[int]
    needs: dict[str, list[str]]  # child -> the children before it
    child: list[int]
    after: list[int]
    join: int  # the step of `after` whose activity answers by a signal


@activity.defn
async def do_nothing(text: str) -> str:
    return text


@activity.defn
async def signal_back(workflow_id: str) -> str:
    await activity.client().get_workflow_handle(workflow_id).signal("merged")
    return workflow_id


@workflow.defn
class BareTask:
    @workflow.run
    async def run(self, steps: list[int]) -> str:
        await _do(steps)
        return "done"


@workflow.defn
class BareIdea:
    def __init__(self) -> None:
        self._merged = False

    @workflow.signal
    def merged(self) -> None:
        self._merged = True

    @workflow.run
    async def run(self, script: Script) -> str:
        await _do(script.before)
        await self._children(script)
        await _do(script.after[: script.join])
        me = workflow.info().workflow_id
        await workflow.execute_activity(signal_back, me, start_to_close_timeout=PATIENCE)
        await workflow.wait_condition(lambda: self._merged)
        await _do(script.after[script.join + 1 :])
        return "done"

    async def _children(self, script: Script) -> None:
        done: dict[str, asyncio.Task[str]] = {}

        async def one(name: str) -> str:
            for need in script.needs[name]:
                await done[need]
            child = f"{workflow.info().workflow_id}/{name}"
            return await workflow.execute_child_workflow(BareTask.run, script.child, id=child)

        for name in script.needs:
            done[name] = asyncio.create_task(one(name))
        for task in done.values():
            await task


async def _do(steps: Sequence[int]) -> None:
    for width in steps:
        calls = [
            workflow.execute_activity(do_nothing, "x", start_to_close_timeout=PATIENCE)
            for _ in range(width)
        ]
        await asyncio.gather(*calls)
