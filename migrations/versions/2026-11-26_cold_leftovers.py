"""Files of the cold tier that count no more, until nobody can be reading them.

Revises: 0030_job_pages
"""

import sqlalchemy as sa
from alembic import op

revision = "0031_cold_leftovers"
down_revision = "0030_job_pages"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cold_leftover",
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("left_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("file", name=op.f("pk_cold_leftover")),
    )


def downgrade() -> None:
    op.drop_table("cold_leftover")
