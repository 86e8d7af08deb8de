"""Reading rollouts for those who watch one or undo one: new ticks, and what there was before."""

from sqlalchemy import Connection, and_, or_, select

from domain.rollout import RolloutPlan
from domain.tick import Tick
from domain.way_back import PastRollout
from integrations.tables import rollout_ticks, rollouts


def ticks_after(conn: Connection, rollout: str, step: int, seq: int) -> tuple[Tick, ...]:
    """Return the ticks of a rollout that come after one, in the order of step and seq."""
    at = rollout_ticks.c
    later = or_(at.step > step, and_(at.step == step, at.seq > seq))
    query = select(at.tick).where(at.rollout == rollout, later).order_by(at.step, at.seq)
    return tuple(Tick.model_validate_json(text) for text in conn.execute(query).scalars())


def past_rollouts(conn: Connection, target: str) -> tuple[PastRollout, ...]:
    """Return all rollouts of a target that were planned, oldest first."""
    at = rollouts.c
    query = select(rollouts).where(at.target == target, at.plan.is_not(None)).order_by(at.rollout)
    found = []
    for row in conn.execute(query):
        plan = RolloutPlan.model_validate_json(row.plan)
        found.append(
            PastRollout(
                rollout=row.rollout,
                state=row.state,
                sha=row.sha,
                tag=row.tag,
                merges=plan.merges,
                anchor=plan.anchor,
            )
        )
    return tuple(found)
