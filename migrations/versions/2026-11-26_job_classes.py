"""Jobs have a class: what their length and power are learned by beside team and name.

Those that are there get the one that they would have had unstated, so that they go on teaching.

Revises: 0031_cold_leftovers
"""

import sqlalchemy as sa
from alembic import op

revision = "0032_job_classes"
down_revision = "0031_cold_leftovers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("job_class", sa.Text(), nullable=False, server_default=""))
    op.execute(
        "UPDATE job SET job_class = executor || '/' ||"
        " (SELECT pool.name FROM pool WHERE pool.id = job.pool_id)"
    )


def downgrade() -> None:
    with op.batch_alter_table("job") as table:
        table.drop_column("job_class")
