"""How far other tools' totals were read, what was wrong with them, and families of sources.

Revises: 0005_settled_and_sealed
"""

import sqlalchemy as sa
from alembic import op

revision = "0006_imports"
down_revision = "0005_settled_and_sealed"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "import_track",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_import_track")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_import_track_seen_ms"), "import_track", ["seen_ms"])
    op.create_table(
        "import_trouble",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("source", "code", "about", name=op.f("pk_import_trouble")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_import_trouble_last_ms"), "import_trouble", ["last_ms"])
    op.add_column("source", sa.Column("family", sa.Text(), nullable=True))


def downgrade() -> None:
    # Not by copying the table, which others refer to.
    op.execute("ALTER TABLE source DROP COLUMN family")
    op.drop_index(op.f("ix_import_trouble_last_ms"), "import_trouble")
    op.drop_table("import_trouble")
    op.drop_index(op.f("ix_import_track_seen_ms"), "import_track")
    op.drop_table("import_track")
