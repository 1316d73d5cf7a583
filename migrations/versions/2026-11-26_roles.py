"""The role of a person beside the scopes that it stands for.

Revises: 0011_report_salts
"""

import sqlalchemy as sa
from alembic import op

revision = "0012_roles"
down_revision = "0011_report_salts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.add_column(sa.Column("role", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.drop_column("role")
