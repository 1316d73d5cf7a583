"""A salt of each report, so that names cannot be tried against the audit log.

Revises: 0010_price_marks
"""

import sqlalchemy as sa
from alembic import op

revision = "0011_report_salts"
down_revision = "0010_price_marks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("report", schema=None) as batch_op:
        batch_op.add_column(sa.Column("salt", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("report", schema=None) as batch_op:
        batch_op.drop_column("salt")
