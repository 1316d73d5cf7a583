"""A job's row says by when it is due and which span of its pool it holds.

Both were looked up in its placement at every tick and for every new job: what a hundred thousand
waiting jobs made slow. With them come the indexes that answer from themselves.

Revises: 0027_spooled
"""

import sqlalchemy as sa
from alembic import op

revision = "0028_jobs_due"
down_revision = "0027_spooled"
branch_labels = None
depends_on = None

_BY_DUE = "ix_job_state_due_ms"
_BY_POOL = "ix_job_pool_id_state_holds_from_ms_holds_until_ms"
_BY_AGE = "ix_job_created_ms_id"


def upgrade() -> None:
    with op.batch_alter_table("job") as table:
        table.add_column(sa.Column("due_ms", sa.BigInteger(), nullable=False, server_default="0"))
        table.add_column(sa.Column("holds_from_ms", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("holds_until_ms", sa.BigInteger(), nullable=True))
    for column, value in (
        (
            "due_ms",
            "CASE WHEN p.start_ms < p.latest_start_ms THEN p.start_ms ELSE p.latest_start_ms END",
        ),
        ("holds_from_ms", "p.start_ms"),
        ("holds_until_ms", "p.end_ms"),
    ):
        op.execute(
            f"UPDATE job SET {column} = (SELECT {value} FROM placement p"
            " WHERE p.id = job.placement_id) WHERE placement_id IS NOT NULL"
        )
    op.create_index(op.f(_BY_DUE), "job", ["state", "due_ms"])
    op.create_index(op.f(_BY_POOL), "job", ["pool_id", "state", "holds_from_ms", "holds_until_ms"])
    op.create_index(op.f(_BY_AGE), "job", ["created_ms", "id"])


def downgrade() -> None:
    for name in (_BY_AGE, _BY_POOL, _BY_DUE):
        op.drop_index(op.f(name), "job")
    with op.batch_alter_table("job") as table:
        for column in ("holds_until_ms", "holds_from_ms", "due_ms"):
            table.drop_column(column)
