"""What agents saw an attempt draw as: the tasks of a Slurm array, the pods of a Job.

Revises: 0033_device_hours
"""

import sqlalchemy as sa
from alembic import op

revision = "0034_attempt_subjects"
down_revision = "0033_device_hours"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attempt_subject",
        sa.Column("attempt_id", sa.Text(), sa.ForeignKey("attempt.id"), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("key", sa.Text(), primary_key=True),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("attempt_subject")
