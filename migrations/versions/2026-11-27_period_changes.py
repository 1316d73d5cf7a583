"""Which hours, days and months were written when: what tells whether rows in memory still stand.

It begins empty: a period without a number was not written since. A replica of before draws none:
on PostgreSQL nothing is kept in memory for an hour after the migration, and by then such a replica
must be gone.

Revises: 0035_room_for_prices
"""

import time

import sqlalchemy as sa
from alembic import op

revision = "0036_period_changes"
down_revision = "0035_room_for_prices"
branch_labels = None
depends_on = None

_OLD_REPLICAS_MS = 3_600_000
_UNNUMBERED = -1


def upgrade() -> None:
    op.create_table(
        "period_change",
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "start_ms", name=op.f("pk_period_change")),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "postgresql":
        until_ms = int(time.time() * 1000) + _OLD_REPLICAS_MS
        op.execute(
            "INSERT INTO period_change (kind, start_ms, number) "
            f"SELECT {_UNNUMBERED}, {until_ms}, 0 WHERE EXISTS (SELECT 1 FROM quarter_hour)"
        )


def downgrade() -> None:
    op.drop_table("period_change")
