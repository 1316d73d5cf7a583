"""Room in the pages of PostgreSQL for rows that are priced anew: no index is touched then.

Revises: 0034_attempt_subjects
"""

from alembic import op

revision = "0035_room_for_prices"
down_revision = "0034_attempt_subjects"
branch_labels = None
depends_on = None

_TABLES = ("quarter_hour", "device_hour", "workload_hour")


def upgrade() -> None:
    """Holds for pages written from now on; readers and writers need not wait."""
    _tell("SET (fillfactor = 50)")


def downgrade() -> None:
    _tell("RESET (fillfactor)")


def _tell(option: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _TABLES:
            op.execute(f"ALTER TABLE {table} {option}")
