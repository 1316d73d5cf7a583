"""Sums of a device's hour: the ends of a window were summed from its quarter-hours.

Days before them are marked, and made by the service beside all else; until then quarter-hours are
read. A replica of before sets no hours: on PostgreSQL what begins within an hour of the migration
is read from quarter-hours, too, and by then such a replica must be gone.

Revises: 0032_job_classes
"""

import time

import sqlalchemy as sa
from alembic import op

revision = "0033_device_hours"
down_revision = "0032_job_classes"
branch_labels = None
depends_on = None

_OLD_REPLICAS_MS = 3_600_000
_INDEX = "ix_device_hour_workload_id_start_ms"


def upgrade() -> None:
    op.create_table(
        "device_hour",
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("workload_id", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("subject_id", sa.Integer(), nullable=False),
        sa.Column("method", sa.SmallInteger(), nullable=False),
        sa.Column("rating_id", sa.Integer(), nullable=False),
        sa.Column("energy_mj", sa.BigInteger(), nullable=False),
        sa.Column("operational_ng", sa.BigInteger(), nullable=False),
        sa.Column("covered_ms", sa.BigInteger(), nullable=False),
        sa.Column("reserved_ms", sa.BigInteger(), nullable=False),
        sa.Column("expected_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "start_ms",
            "workload_id",
            "device_id",
            "subject_id",
            "method",
            "rating_id",
            name=op.f("pk_device_hour"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f(_INDEX), "device_hour", ["workload_id", "start_ms"])
    with op.batch_alter_table("settled_in") as table:
        table.add_column(
            sa.Column("hours_from_ms", sa.BigInteger(), nullable=False, server_default="0")
        )
    wait_ms = _OLD_REPLICAS_MS if op.get_bind().dialect.name == "postgresql" else 0
    from_ms = int(time.time() * 1000) + wait_ms
    op.execute(f"UPDATE settled_in SET hours_from_ms = {from_ms}")
    op.execute(
        "INSERT INTO settled_in (id, timezone, hours_from_ms) "
        f"SELECT 1, '', {from_ms} WHERE NOT EXISTS (SELECT 1 FROM settled_in) "
        "AND EXISTS (SELECT 1 FROM quarter_hour)"
    )


def downgrade() -> None:
    op.drop_column("settled_in", "hours_from_ms")
    op.execute("DELETE FROM dirty_period WHERE kind = 0")
    op.drop_table("device_hour")
