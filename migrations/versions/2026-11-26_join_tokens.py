"""Join tokens, and which host joined with which of them.

Revises: 0002_factors_and_reports
"""

import sqlalchemy as sa
from alembic import op

revision = "0003_join_tokens"
down_revision = "0002_factors_and_reports"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "join_token",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hmac", sa.LargeBinary(), nullable=False),
        sa.Column("team_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_join_token_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_join_token")),
    )
    op.create_table(
        "host_join",
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("attempt_hmac", sa.LargeBinary(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_key.id"], name=op.f("fk_host_join_key_id")),
        sa.ForeignKeyConstraint(
            ["token_id"], ["join_token.id"], name=op.f("fk_host_join_token_id")
        ),
        sa.PrimaryKeyConstraint("token_id", "attempt_hmac", name=op.f("pk_host_join")),
    )
    with op.batch_alter_table("host_join", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_host_join_key_id"), ["key_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("host_join", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_host_join_key_id"))

    op.drop_table("host_join")
    op.drop_table("join_token")
