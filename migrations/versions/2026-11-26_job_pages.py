"""Pages of jobs by state have indexes of their own, in place of those by age alone.

Asked for what waits, a database with a hundred thousand such jobs sorted all of them for each page.

Revises: 0029_team_salts
"""

from alembic import op

revision = "0030_job_pages"
down_revision = "0029_team_salts"
branch_labels = None
depends_on = None

_NEW = {
    "ix_job_state_created_ms_id": ["state", "created_ms", "id"],
    "ix_job_team_id_state_created_ms_id": ["team_id", "state", "created_ms", "id"],
}
_OLD = {
    "ix_job_created_ms_id": ["created_ms", "id"],
    "ix_job_team_id_created_ms": ["team_id", "created_ms"],
}


def upgrade() -> None:
    for name, columns in _NEW.items():
        op.create_index(op.f(name), "job", columns)
    for name in _OLD:
        op.drop_index(op.f(name), "job")


def downgrade() -> None:
    for name, columns in _OLD.items():
        op.create_index(op.f(name), "job", columns)
    for name in _NEW:
        op.drop_index(op.f(name), "job")
