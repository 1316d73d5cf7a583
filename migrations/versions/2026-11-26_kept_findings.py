"""Findings of a large fleet are made once an hour and kept.

Revises: 0021_plans
"""

import sqlalchemy as sa
from alembic import op

revision = "0022_kept_findings"
down_revision = "0021_plans"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kept_findings",
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("end_ms", name=op.f("pk_kept_findings")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("kept_findings")
