"""What functional units mean, gross or effective, and conversions between them.

Revises: 0019_report_notices
"""

import sqlalchemy as sa
from alembic import op

revision = "0020_unit_definitions"
down_revision = "0019_report_notices"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "unit_definition",
        sa.Column("id", whole, nullable=False),
        sa.Column("unit_id", whole, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("recorded_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["unit_id"], ["workload_unit.id"], name=op.f("fk_unit_definition_unit_id_workload_unit")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit_definition")),
    )
    op.create_index(op.f("ix_unit_definition_unit_id"), "unit_definition", ["unit_id"])


def downgrade() -> None:
    op.drop_table("unit_definition")
