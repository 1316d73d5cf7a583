"""Contracts of the market, components that no meter sees, and periods that were closed.

Revises: 0013_scheduler_pauses
"""

import sqlalchemy as sa
from alembic import op

revision = "0014_inventory"
down_revision = "0013_scheduler_pauses"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "energy_contract",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("energy_mj", sa.BigInteger(), nullable=False),
        sa.Column("g_per_kwh", sa.Float(), nullable=False),
        sa.Column("is_carbon_free", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("recorded_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_energy_contract")),
    )
    op.create_table(
        "workload_component",
        sa.Column("id", _ID, nullable=False),
        sa.Column("workload_id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("recorded_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workload_id"], ["workload.id"], name=op.f("fk_workload_component_workload_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workload_component")),
    )
    with op.batch_alter_table("workload_component", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_workload_component_workload_id_name"),
            ["workload_id", "name"],
            unique=False,
        )
    op.create_table(
        "closed_period",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("team_id", _ID, nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("closed_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_closed_period_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_closed_period")),
    )
    with op.batch_alter_table("closed_period", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_closed_period_team_id_start_ms"), ["team_id", "start_ms"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("closed_period", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_closed_period_team_id_start_ms"))
    op.drop_table("closed_period")
    with op.batch_alter_table("workload_component", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_workload_component_workload_id_name"))
    op.drop_table("workload_component")
    op.drop_table("energy_contract")
