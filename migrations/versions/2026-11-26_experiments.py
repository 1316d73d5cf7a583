"""Experiments and the runs in them.

Revises: 0006_imports
"""

import sqlalchemy as sa
from alembic import op

revision = "0007_experiments"
down_revision = "0006_imports"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "experiment",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("team_id", _ID, nullable=False),
        sa.Column("workload_id", _ID, nullable=False),
        sa.Column("technique", sa.Text(), nullable=False),
        sa.Column("recorded_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("is_published", sa.Boolean(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("statement_hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_experiment_team_id")),
        sa.ForeignKeyConstraint(
            ["workload_id"], ["workload.id"], name=op.f("fk_experiment_workload_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiment")),
    )
    op.create_index(
        op.f("ix_experiment_team_id_recorded_ms"), "experiment", ["team_id", "recorded_ms"]
    )
    op.create_index(op.f("ix_experiment_workload_id"), "experiment", ["workload_id"])
    op.create_table(
        "experiment_subject",
        sa.Column("subject_id", _ID, nullable=False),
        sa.Column("experiment_id", sa.Text(), nullable=False),
        sa.Column("technique", sa.Text(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiment.id"], name=op.f("fk_experiment_subject_experiment_id")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.id"], name=op.f("fk_experiment_subject_subject_id")
        ),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_experiment_subject")),
    )
    op.create_index(
        op.f("ix_experiment_subject_experiment_id"), "experiment_subject", ["experiment_id"]
    )


def downgrade() -> None:
    op.drop_table("experiment_subject")
    op.drop_table("experiment")
