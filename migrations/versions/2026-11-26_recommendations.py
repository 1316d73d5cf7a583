"""What people decided about recommendations.

Revises: 0014_inventory
"""

import sqlalchemy as sa
from alembic import op

revision = "0015_recommendations"
down_revision = "0014_inventory"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "recommendation_mark",
        sa.Column("id", _ID, nullable=False),
        sa.Column("recommendation", sa.Text(), nullable=False),
        sa.Column("team_id", _ID, nullable=False),
        sa.Column("workload_id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("g_per_day", sa.Float(), nullable=False),
        sa.Column("marked_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["team_id"], ["team.id"], name=op.f("fk_recommendation_mark_team_id")
        ),
        sa.ForeignKeyConstraint(
            ["workload_id"], ["workload.id"], name=op.f("fk_recommendation_mark_workload_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recommendation_mark")),
    )
    op.create_index(
        op.f("ix_recommendation_mark_recommendation"), "recommendation_mark", ["recommendation"]
    )


def downgrade() -> None:
    op.drop_table("recommendation_mark")
