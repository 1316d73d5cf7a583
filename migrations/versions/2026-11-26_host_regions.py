"""The cloud region of a host, whose published PUE and WUE hold.

Revises: 0017_unit_corrections
"""

import sqlalchemy as sa
from alembic import op

revision = "0017_host_regions"
down_revision = "0017_unit_corrections"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("host_period") as batch:
        batch.add_column(sa.Column("region", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("host_period") as batch:
        batch.drop_column("region")
