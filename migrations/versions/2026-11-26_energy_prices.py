"""What energy costs in a zone, beside what it emits.

Revises: 0022_kept_findings
"""

import sqlalchemy as sa
from alembic import op

revision = "0023_energy_prices"
down_revision = "0022_kept_findings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "energy_price",
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("published_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("per_kwh", sa.Float(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("licence", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "zone", "start_ms", "source", "published_ms", name=op.f("pk_energy_price")
        ),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("energy_price")
