"""Each report keeps the table that it was summed from.

Revises: 0024_packed_intervals
"""

import sqlalchemy as sa
from alembic import op

revision = "0025_report_tables"
down_revision = "0024_packed_intervals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "report_table",
        sa.Column("report_id", sa.Text(), nullable=False),
        sa.Column("team_id", whole, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["report_id"], ["report.id"], name=op.f("fk_report_table_report_id_report")
        ),
        sa.ForeignKeyConstraint(
            ["team_id"], ["team.id"], name=op.f("fk_report_table_team_id_team")
        ),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_report_table")),
    )
    op.create_index(op.f("ix_report_table_team_id"), "report_table", ["team_id"])


def downgrade() -> None:
    op.drop_table("report_table")
