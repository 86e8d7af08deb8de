"""The tables of the records; the same on SQLite and PostgreSQL."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA = "0002"  # revision of integrations/migrations that these tables are

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)


def _text(name: str, default: str | None = "") -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


def _number(name: str, default: str | None = "0") -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=default)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default="0")


def _tenant() -> Column[str]:
    return _text("tenant", "default")


def _idea() -> Column[str]:
    return Column("key", Text, ForeignKey("ideas.key"), nullable=False)


ideas = Table(
    "ideas",
    metadata,
    Column("key", Text, primary_key=True),
    _tenant(),
    _text("actor"),
    _text("op"),
    _text("workflow_id"),
    _text("run_id"),
    _text("spec_digest"),
    _text("document"),  # JSON of domain.idea.Idea, newest revision
    _number("revision", "1"),
    _text("title"),
    _text("repository"),  # its id
    _text("mode", "live"),
    _text("channel"),
    _text("stage"),
    _text("failure", "none"),
    _text("reason"),
    _text("base_sha"),
    _text("notes", "[]"),
    _text("waits", "[]"),
    _number("created_at_ms"),
    _number("updated_at_ms"),
    Column("ended_at_ms", BigInteger),
    Index(None, "tenant", "created_at_ms"),
)

revisions = Table(
    "revisions",
    metadata,
    _idea(),
    _number("revision", None),
    _tenant(),
    _text("actor"),
    _text("via"),
    _text("reason"),
    _text("spec_digest"),
    _text("document"),
    _number("at_ms"),
    PrimaryKeyConstraint("key", "revision"),
)

plans = Table(
    "plans",
    metadata,
    _idea(),
    _number("round", None),
    _number("version", None),
    _tenant(),
    _text("actor"),
    _text("plan_id"),
    _text("created_by"),
    _text("artifact"),  # JSON of the ArtifactRef of the whole plan
    _text("rationale"),
    _number("at_ms"),
    PrimaryKeyConstraint("key", "round", "version"),
)

tasks = Table(
    "tasks",
    metadata,
    _idea(),
    _number("round", None),
    _text("task", None),
    _tenant(),
    _text("actor"),
    _number("position"),
    _text("title"),
    _text("state", "Pending"),
    _text("reason"),
    _text("failure", "none"),
    _text("needs", "[]"),
    _text("covers", "[]"),
    _number("at_ms"),
    PrimaryKeyConstraint("key", "round", "task"),
)

attempts = Table(
    "attempts",
    metadata,
    _idea(),
    _number("round", None),
    _text("task", None),
    _number("attempt", None),
    _tenant(),
    _text("actor"),
    _text("backend"),
    _text("status"),
    _text("failure", "none"),
    _text("reason"),
    _text("change", None),  # JSON of domain.change.Change, or null
    _text("transcript", None),  # JSON of an ArtifactRef, or null
    _number("ms"),
    _number("tokens"),
    _number("micro_usd"),
    _text("tier", "none"),
    _number("at_ms"),
    PrimaryKeyConstraint("key", "round", "task", "attempt"),
)

runs = Table(
    "runs",
    metadata,
    _idea(),
    _number("round", None),
    _text("task", None),
    _number("attempt", None),
    _number("run", None),
    _tenant(),
    _text("status"),  # of the last run that of its attempt, of those before `lost`
    _number("at_ms"),
    PrimaryKeyConstraint("key", "round", "task", "attempt", "run"),
)

gates = Table(
    "gates",
    metadata,
    Column("seq", BigInteger, ForeignKey("events.seq"), nullable=False),
    _number("position", None),
    _idea(),
    _tenant(),
    _number("round"),
    _text("place"),  # task, review or train
    _text("task"),
    _number("attempt"),
    _text("sha"),
    _text("base_sha"),
    _text("gate"),
    _text("verdict"),
    _text("result"),  # JSON of domain.review.GateResult
    _number("at_ms"),
    PrimaryKeyConstraint("seq", "position"),
    Index(None, "key"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("approval", Text, primary_key=True),
    _idea(),
    _tenant(),
    _text("actor"),
    _number("round"),
    _text("phase"),
    _text("nonce"),
    _text("subject_sha256"),
    _text("requirement_sha256"),
    _text("question"),  # JSON of domain.approval.Question
    _text("state", "open"),
    _number("answer_by_ms"),
    _number("use_by_ms"),
    _number("asked_at_ms"),
    Column("closed_at_ms", BigInteger),
    Index(None, "key"),
    Index(None, "state"),
)

answers = Table(
    "answers",
    metadata,
    Column("approval", Text, ForeignKey("approvals.approval"), nullable=False),
    _text("answer_sha256", None),
    _idea(),
    _tenant(),
    Column("payload", LargeBinary, nullable=False),  # the bytes that count, never re-serialised
    _text("person"),
    _text("via"),
    _text("decision"),
    _text("reason"),
    _flag("self_approved"),
    _number("at_ms"),
    PrimaryKeyConstraint("approval", "answer_sha256"),
)

effects = Table(
    "effects",
    metadata,
    Column("op", Text, primary_key=True),
    _text("key"),
    _tenant(),
    _text("actor"),
    _text("kind"),
    _text("subject_sha256"),
    _text("intent"),
    Column("readback", Text),  # null: begun, and nobody knows yet whether it happened
    _number("begun_at_ms"),
    Column("done_at_ms", BigInteger),
    Index(None, "key"),
)

consumed = Table(
    "consumed",
    metadata,
    Column("approval", Text, ForeignKey("approvals.approval"), primary_key=True),
    Column("op", Text, ForeignKey("effects.op"), nullable=False),
    _tenant(),
    _number("at_ms"),
    UniqueConstraint("approval", "op"),
)

switches = Table(
    "switches",
    metadata,
    Column("scope", Text, primary_key=True),  # all, repository/<id>, idea/<key>
    _tenant(),
    _flag("off"),
    _text("actor"),
    _text("reason"),
    _number("at_ms"),
)

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _tenant(),
    _text("key"),
    _number("round"),
    _number("idea_seq", None),
    _text("op", None),
    Column("index", Integer, nullable=False),
    _number("at_ms"),
    _text("actor"),
    _text("kind"),
    Column("entry", LargeBinary, nullable=False),  # canonical bytes, hashed as stored
    _text("sha256", None),
    UniqueConstraint("op", "index"),
    UniqueConstraint("key", "idea_seq"),
)

event_texts = Table(
    "event_texts",
    metadata,
    Column("seq", BigInteger, ForeignKey("events.seq"), nullable=False),
    _text("field", None),
    _text("salt", None),
    Column("text", Text),  # null: redacted
    PrimaryKeyConstraint("seq", "field"),
)

releases = Table(
    "releases",
    metadata,
    _idea(),
    _number("round", None),
    _tenant(),
    _text("actor"),
    _text("sha"),
    _text("tree"),
    _text("branch"),
    _text("tag"),
    _flag("base_moved"),
    _text("provenance"),
    _text("parent_sha"),
    _number("at_ms"),
    PrimaryKeyConstraint("key", "round"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("seq", BigInteger, ForeignKey("events.seq"), primary_key=True, autoincrement=False),
    _idea(),
    _tenant(),
    _number("round"),
    _text("phase"),
    _text("outcome"),
    _text("decision"),  # JSON of domain.policy.Decision
    _number("at_ms"),
    Index(None, "key"),
)

inputs = Table(
    "inputs",
    metadata,
    _idea(),
    _text("question", None),
    _tenant(),
    _number("round"),
    _text("task"),
    _text("text"),
    _text("options", "[]"),
    Column("answer", Text),
    _text("actor"),
    _text("via"),
    _number("asked_at_ms"),
    Column("given_at_ms", BigInteger),
    PrimaryKeyConstraint("key", "question"),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("rollout", Text, primary_key=True),
    _idea(),
    _number("round"),
    _tenant(),
    _text("actor"),
    _text("target"),
    _text("repository"),
    _text("service"),
    _text("environment"),
    _text("sha"),
    _text("tag"),
    _text("state", "planned"),
    _number("step"),
    _number("weight"),
    _text("reason"),
    _flag("first"),
    _number("exposure"),  # basis points
    _number("bad_since_ms"),
    Column("plan", Text),  # JSON of domain.rollout.RolloutPlan; null: refused before it was made
    Column("undo", Text),  # JSON of domain.rollout.Undo
    Column("result", Text),  # JSON of domain.rollout.RolloutResult
    _number("created_at_ms"),
    Column("started_at_ms", BigInteger),
    _number("updated_at_ms"),
    Column("ended_at_ms", BigInteger),
    Index(None, "key"),
    Index(None, "target", "created_at_ms"),
    Index(None, "tenant", "created_at_ms"),
)

rollout_story = Table(
    "rollout_story",
    metadata,
    Column("seq", BigInteger, ForeignKey("events.seq"), nullable=False),
    _text("rollout", None),
    _idea(),
    _tenant(),
    _text("kind"),
    _text("fact"),  # JSON of a fact of domain.rollout_fact
    _number("at_ms"),
    PrimaryKeyConstraint("rollout", "seq"),
)

rollout_ticks = Table(
    "rollout_ticks",
    metadata,
    _text("rollout", None),
    _number("step", None),
    _number("seq", None),
    _tenant(),
    _text("tick"),  # JSON of domain.tick.Tick
    _number("at_ms"),
    PrimaryKeyConstraint("rollout", "step", "seq"),
)

weight_changes = Table(
    "weight_changes",
    metadata,
    Column("op", Text, primary_key=True),
    _text("rollout", None),
    _tenant(),
    _text("weights", "{}"),  # JSON: instance to basis points
    _number("expected_generation"),
    Column("generation", BigInteger),  # null: begun, and nobody knows yet whether it happened
    _number("begun_at_ms"),
    Column("done_at_ms", BigInteger),
    Index(None, "rollout"),
)

served = Table(
    "served",
    metadata,
    Column("target", Text, primary_key=True),
    _tenant(),
    Column("current", Text),  # JSON of domain.rollout.Served
    Column("last_passed", Text),
    _text("current_undone"),  # newest rollout that was undone there: no late word of it counts
    _text("passed_undone"),
)

quarantine = Table(
    "quarantine",
    metadata,
    _text("repository", None),
    _text("sha", None),
    _tenant(),
    _text("rollout"),
    _text("key"),
    _text("reason"),
    _number("at_ms"),
    _text("cure"),
    _text("cure_kind"),
    PrimaryKeyConstraint("repository", "sha"),
)
