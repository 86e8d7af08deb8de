"""Ideas and orders for tests of the records: short to write, valid in every field."""

from domain.approval import Question
from domain.delivery import Stage
from domain.fact import Fact, StageReached
from domain.idea import Idea, IdeaSpec, Initiator, Trust
from domain.ledger import RecordFacts, RegisterIdea
from domain.repository import Repository

KEY = "add-health-1a2b3c4d"
WAY_TO_RUNNING = (
    Stage.VALIDATING,
    Stage.PLANNING,
    Stage.CRITIQUING,
    Stage.SCHEDULED,
    Stage.RUNNING,
)
WAY_TO_INTEGRATING = (*WAY_TO_RUNNING, Stage.REVIEWING, Stage.INTEGRATING)


def idea(key: str = KEY, digest: str = "d" * 64, title: str = "Add a health endpoint") -> Idea:
    return Idea(
        key=key,
        spec_digest=digest,
        spec=IdeaSpec(title=title),
        repository=Repository(id="shop-0a1b2c3d", name="shop", location="/srv/shop", base="main"),
        initiator=Initiator(id="ada", trust=Trust.OWNER),
    )


def start(key: str = KEY, run_id: str = "run-1", digest: str = "d" * 64) -> RegisterIdea:
    return RegisterIdea(
        idea=idea(key, digest),
        workflow_id=f"idea/{key}",
        run_id=run_id,
        op=f"{key}/register",
        at_ms=1_000,
    )


def facts(op: str, *told: Fact, key: str = KEY, at_ms: int = 2_000) -> RecordFacts:
    return RecordFacts(key=key, round=1, op=op, at_ms=at_ms, actor="ada", facts=told)


def stages(op: str, *reached: Stage, key: str = KEY) -> RecordFacts:
    return facts(op, *(StageReached(stage=stage) for stage in reached), key=key)


def question(approval: str = f"{KEY}/1/merge/1", subject: str = "a" * 64, use_by: int = 9_000):
    return Question(
        approval=approval,
        key=KEY,
        round=1,
        phase="merge",
        nonce="n1",
        subject="{}",
        subject_sha256=subject,
        requirement_sha256="b" * 64,
        text="May it be merged?",
        asked_at_ms=1_500,
        answer_by_ms=8_000,
        use_by_ms=use_by,
    )
