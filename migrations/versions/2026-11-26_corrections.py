"""Workloads that count as another, and names that they had before.

Revises: 0015_recommendations
"""

import sqlalchemy as sa
from alembic import op

revision = "0016_corrections"
down_revision = "0015_recommendations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workload_alias",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("team_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "workload_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_workload_alias_team_id")),
        sa.ForeignKeyConstraint(
            ["workload_id"], ["workload.id"], name=op.f("fk_workload_alias_workload_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workload_alias")),
        sa.UniqueConstraint("team_id", "name", name=op.f("uq_workload_alias_team_id_name")),
    )
    op.create_table(
        "workload_merge",
        sa.Column(
            "correction_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("from_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("into_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["correction_id"], ["correction.id"], name=op.f("fk_workload_merge_correction_id")
        ),
        sa.ForeignKeyConstraint(
            ["from_id"], ["workload.id"], name=op.f("fk_workload_merge_from_id")
        ),
        sa.ForeignKeyConstraint(
            ["into_id"], ["workload.id"], name=op.f("fk_workload_merge_into_id")
        ),
        sa.PrimaryKeyConstraint("correction_id", name=op.f("pk_workload_merge")),
    )


def downgrade() -> None:
    op.drop_table("workload_merge")
    op.drop_table("workload_alias")
