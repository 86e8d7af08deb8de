"""Chronicle: how a workflow puts facts on record, each batch under its own operation id."""

from temporalio import workflow

from activities.ledger import Ledger
from domain.delivery import Patience
from domain.fact import Fact, IdeaEnded, PolicyDecided, StageReached, TaskMoved
from domain.ledger import RecordFacts
from workflows.options import quick


class Chronicle:
    """Writes facts of one idea in the order in which they are told."""

    def __init__(self, key: str, patience: Patience) -> None:
        self._key = key
        self._patience = patience
        self._told = 0

    async def tell(self, round_: int, *facts: Fact, actor: str = "slipway") -> None:
        """Record the facts in one transaction; returns when they are durable."""
        # The whole run id: its first digits are a clock, and a second go may begin within a minute.
        self._told += 1
        info = workflow.info()
        order = RecordFacts(
            key=self._key,
            round=round_,
            op=f"{info.workflow_id}/{info.run_id}/{self._told}",
            at_ms=now_ms(),
            actor=actor,
            facts=facts,
        )
        await workflow.execute_activity_method(
            Ledger.record_facts,
            order,
            **quick(self._patience, summary_of(facts)),
        )


def summary_of(facts: tuple[Fact, ...]) -> str:
    """Return what the Web UI shows of a record, in the words that a person would use."""
    return "; ".join(_words(fact) for fact in facts)


def _words(fact: Fact) -> str:
    match fact:
        case StageReached():
            return f"stage {fact.stage}"
        case TaskMoved():
            return f"{fact.task} is {fact.state}"
        case PolicyDecided():
            return f"policy at {fact.decision.phase}: {fact.decision.outcome}"
        case IdeaEnded():
            return f"ended {fact.outcome.stage}"
        case _:
            return fact.kind.replace("_", " ")


def now_ms() -> int:
    """Return the workflow's time in milliseconds since the epoch."""
    return int(workflow.now().timestamp() * 1000)
