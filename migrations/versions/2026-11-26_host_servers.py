"""The server of a host, whose making its GPUs share.

Revises: 0025_report_tables
"""

import sqlalchemy as sa
from alembic import op

revision = "0026_host_servers"
down_revision = "0025_report_tables"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("host_period") as batch:
        batch.add_column(sa.Column("server", sa.Text(), nullable=True))
        batch.add_column(sa.Column("gpus", sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("host_period") as batch:
        batch.drop_column("gpus")
        batch.drop_column("server")
