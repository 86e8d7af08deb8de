"""Lay out releases: rollouts and their story, ticks, weights, what is served, what is barred."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables of rollouts, and note onto what a merge was put."""
    op.add_column("releases", sa.Column("parent_sha", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "quarantine",
        sa.Column("repository", sa.Text(), nullable=False),
        sa.Column("sha", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("rollout", sa.Text(), server_default="", nullable=False),
        sa.Column("key", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("at_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cure", sa.Text(), server_default="", nullable=False),
        sa.Column("cure_kind", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("repository", "sha", name="pk_quarantine"),
    )
    op.create_table(
        "rollout_ticks",
        sa.Column("rollout", sa.Text(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("tick", sa.Text(), server_default="", nullable=False),
        sa.Column("at_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("rollout", "step", "seq", name="pk_rollout_ticks"),
    )
    op.create_table(
        "served",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("current", sa.Text(), nullable=True),
        sa.Column("last_passed", sa.Text(), nullable=True),
        sa.Column("current_undone", sa.Text(), server_default="", nullable=False),
        sa.Column("passed_undone", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("target", name="pk_served"),
    )
    op.create_table(
        "weight_changes",
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column("rollout", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("weights", sa.Text(), server_default="{}", nullable=False),
        sa.Column("expected_generation", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=True),
        sa.Column("begun_at_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("done_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("op", name="pk_weight_changes"),
    )
    op.create_index("ix_weight_changes_rollout", "weight_changes", ["rollout"], unique=False)
    op.create_table(
        "rollout_story",
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("rollout", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("fact", sa.Text(), server_default="", nullable=False),
        sa.Column("at_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["key"], ["ideas.key"], name="fk_rollout_story_key"),
        sa.ForeignKeyConstraint(["seq"], ["events.seq"], name="fk_rollout_story_seq"),
        sa.PrimaryKeyConstraint("rollout", "seq", name="pk_rollout_story"),
    )
    op.create_table(
        "rollouts",
        sa.Column("rollout", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("round", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("tenant", sa.Text(), server_default="default", nullable=False),
        sa.Column("actor", sa.Text(), server_default="", nullable=False),
        sa.Column("target", sa.Text(), server_default="", nullable=False),
        sa.Column("repository", sa.Text(), server_default="", nullable=False),
        sa.Column("service", sa.Text(), server_default="", nullable=False),
        sa.Column("environment", sa.Text(), server_default="", nullable=False),
        sa.Column("sha", sa.Text(), server_default="", nullable=False),
        sa.Column("tag", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), server_default="planned", nullable=False),
        sa.Column("step", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("weight", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("first", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("exposure", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bad_since_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("undo", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("updated_at_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["key"], ["ideas.key"], name="fk_rollouts_key"),
        sa.PrimaryKeyConstraint("rollout", name="pk_rollouts"),
    )
    op.create_index("ix_rollouts_key", "rollouts", ["key"], unique=False)
    op.create_index(
        "ix_rollouts_target_created_at_ms", "rollouts", ["target", "created_at_ms"], unique=False
    )
    op.create_index(
        "ix_rollouts_tenant_created_at_ms", "rollouts", ["tenant", "created_at_ms"], unique=False
    )


def downgrade() -> None:
    """Refuse: an older release must not drop what is known of releases."""
    raise NotImplementedError("records are never downgraded; restore a copy instead")
