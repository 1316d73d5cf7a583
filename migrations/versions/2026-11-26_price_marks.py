"""A mark of changed prices tells one change from the next.

Revises: 0009_host_dates
"""

import sqlalchemy as sa
from alembic import op

revision = "0010_price_marks"
down_revision = "0009_host_dates"
branch_labels = None
depends_on = None


def upgrade() -> None:
    mark = sa.Column("mark", sa.Integer(), server_default="0", nullable=False)
    op.add_column("dirty_price", mark)


def downgrade() -> None:
    op.drop_column("dirty_price", "mark")
