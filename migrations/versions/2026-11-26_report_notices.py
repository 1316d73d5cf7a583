"""Notices of restatements: for whom, and whether they were sent.

Revises: 0017_host_regions
"""

import sqlalchemy as sa
from alembic import op

revision = "0019_report_notices"
down_revision = "0017_host_regions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "report_notice",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("team_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("report_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["team_id"], ["team.id"], name=op.f("fk_report_notice_team_id_team")
        ),
        sa.ForeignKeyConstraint(
            ["report_id"], ["report.id"], name=op.f("fk_report_notice_report_id_report")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_notice")),
    )
    op.create_index(op.f("ix_report_notice_state_next_ms"), "report_notice", ["state", "next_ms"])
    op.create_index(op.f("ix_report_notice_report_id"), "report_notice", ["report_id"])


def downgrade() -> None:
    op.drop_table("report_notice")
