"""When the scheduler was paused, by whom and why.

Revises: 0012_roles
"""

import sqlalchemy as sa
from alembic import op

revision = "0013_scheduler_pauses"
down_revision = "0012_roles"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scheduler_pause",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("began_ms", sa.BigInteger(), nullable=False),
        sa.Column("began_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduler_pause")),
    )


def downgrade() -> None:
    op.drop_table("scheduler_pause")
