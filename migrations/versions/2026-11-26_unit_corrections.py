"""Counts that a correction replaces.

Revises: 0016_corrections
"""

import sqlalchemy as sa
from alembic import op

revision = "0017_unit_corrections"
down_revision = "0016_corrections"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "unit_correction",
        sa.Column("correction_id", _ID, nullable=False),
        sa.Column("unit_id", _ID, nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["correction_id"], ["correction.id"], name=op.f("fk_unit_correction_correction_id")
        ),
        sa.ForeignKeyConstraint(
            ["unit_id"], ["workload_unit.id"], name=op.f("fk_unit_correction_unit_id")
        ),
        sa.PrimaryKeyConstraint("correction_id", name=op.f("pk_unit_correction")),
    )
    op.create_index(op.f("ix_unit_correction_unit_id"), "unit_correction", ["unit_id"])


def downgrade() -> None:
    op.drop_table("unit_correction")
