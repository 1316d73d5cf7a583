"""How many batches wait at each sender.

Revises: 0026_host_servers
"""

import sqlalchemy as sa
from alembic import op

revision = "0027_spooled"
down_revision = "0026_host_servers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("source", sa.Column("spooled", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("source", "spooled")
