"""A salt of each team, under which its names stand in what it publishes.

Revises: 0028_jobs_due
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0029_team_salts"
down_revision = "0028_jobs_due"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("team", sa.Column("salt", sa.Text(), nullable=False, server_default=""))
    team = sa.table("team", sa.column("id", sa.BigInteger()), sa.column("salt", sa.Text()))
    connection = op.get_bind()
    for id_ in connection.scalars(sa.select(team.c.id)).all():
        salt = secrets.token_hex(32)
        connection.execute(sa.update(team).where(team.c.id == id_).values(salt=salt))


def downgrade() -> None:
    op.drop_column("team", "salt")
