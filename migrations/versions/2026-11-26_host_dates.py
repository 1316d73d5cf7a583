"""When a host came into service and left it.

Revises: 0008_budgets
"""

import sqlalchemy as sa
from alembic import op

revision = "0009_host_dates"
down_revision = "0008_budgets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("host_period", schema=None) as batch_op:
        batch_op.add_column(sa.Column("commissioned_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("retired_ms", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("host_period", schema=None) as batch_op:
        batch_op.drop_column("retired_ms")
        batch_op.drop_column("commissioned_ms")
