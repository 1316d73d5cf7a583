"""Plans with their inputs, segments of jobs that pause, what a pool prefers, marginal savings.

Revises: 0020_unit_definitions
"""

import sqlalchemy as sa
from alembic import op

revision = "0021_plans"
down_revision = "0020_unit_definitions"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "plan",
        sa.Column("id", _ID, nullable=False),
        sa.Column("pool_id", _ID, nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("decided_ms", sa.BigInteger(), nullable=False),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("cost", sa.Float(), nullable=True),
        sa.Column("bound", sa.Float(), nullable=True),
        sa.Column("inputs", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_plan_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan")),
    )
    op.create_index("ix_plan_pool_id_decided_ms", "plan", ["pool_id", "decided_ms"])
    op.create_index("ix_plan_decided_ms", "plan", ["decided_ms"])
    with op.batch_alter_table("pool", schema=None) as table:
        for name in ("preference", "weights"):
            table.add_column(sa.Column(name, sa.Text(), nullable=False, server_default="{}"))
    with op.batch_alter_table("job", schema=None) as table:
        table.add_column(sa.Column("hints", sa.Text(), nullable=True))
        table.add_column(
            sa.Column("paused_ms", sa.BigInteger(), nullable=False, server_default="0")
        )
        table.add_column(sa.Column("paused_since_ms", sa.BigInteger(), nullable=True))
        table.create_index("ix_job_team_id_name_created_ms", ["team_id", "name", "created_ms"])
    with op.batch_alter_table("placement", schema=None) as table:
        table.add_column(sa.Column("segments", sa.Text(), nullable=True))
        table.add_column(sa.Column("plan_id", _ID, nullable=True))
        table.create_foreign_key(op.f("fk_placement_plan_id"), "plan", ["plan_id"], ["id"])
    with op.batch_alter_table("saving", schema=None) as table:
        for name in ("marginal_g", "marginal_counterfactual_g"):
            table.add_column(sa.Column(name, sa.Float(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("saving", schema=None) as table:
        table.drop_column("marginal_counterfactual_g")
        table.drop_column("marginal_g")
    with op.batch_alter_table("placement", schema=None) as table:
        table.drop_constraint(op.f("fk_placement_plan_id"), type_="foreignkey")
        table.drop_column("plan_id")
        table.drop_column("segments")
    with op.batch_alter_table("job", schema=None) as table:
        table.drop_index("ix_job_team_id_name_created_ms")
        for name in ("paused_since_ms", "paused_ms", "hints"):
            table.drop_column(name)
    with op.batch_alter_table("pool", schema=None) as table:
        table.drop_column("weights")
        table.drop_column("preference")
    op.drop_index("ix_plan_decided_ms", table_name="plan")
    op.drop_index("ix_plan_pool_id_decided_ms", table_name="plan")
    op.drop_table("plan")
