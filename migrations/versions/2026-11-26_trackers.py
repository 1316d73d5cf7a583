"""CodeCarbon's trackers: projects, experiments, runs and their deltas; addresses of hosts.

Revises: 0003_join_tokens
"""

import sqlalchemy as sa
from alembic import op

revision = "0004_trackers"
down_revision = "0003_join_tokens"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tracker_emission",
        sa.Column("run_number", sa.Integer(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("span_ms", sa.BigInteger(), nullable=False),
        sa.Column("energy_mj", sa.BigInteger(), nullable=False),
        sa.Column("claimed_ng", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_number", "end_ms", name=op.f("pk_tracker_emission")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "host_address",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("host_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("is_declared", sa.Integer(), nullable=False),
        sa.Column("recorded_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_host_address_host_id")),
        sa.PrimaryKeyConstraint("address", "host_id", name=op.f("pk_host_address")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tracker_project",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("team_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_tracker_project_team_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tracker_project")),
    )
    with op.batch_alter_table("tracker_project", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tracker_project_team_id"), ["team_id"], unique=False)

    op.create_table(
        "tracker_run",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("team_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("experiment_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column(
            "subject_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "source_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("machine", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("host_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("skew_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_tracker_run_host_id")),
        sa.ForeignKeyConstraint(
            ["source_id"], ["source.id"], name=op.f("fk_tracker_run_source_id")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.id"], name=op.f("fk_tracker_run_subject_id")
        ),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_tracker_run_team_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_tracker_run")),
        sa.UniqueConstraint("id", name=op.f("uq_tracker_run_id")),
    )
    with op.batch_alter_table("tracker_run", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_tracker_run_team_id_experiment_id_created_ms"),
            ["team_id", "experiment_id", "created_ms"],
            unique=False,
        )

    op.create_table(
        "tracker_experiment",
        sa.Column("team_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column(
            "workload_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["tracker_project.id"], name=op.f("fk_tracker_experiment_project_id")
        ),
        sa.ForeignKeyConstraint(
            ["team_id"], ["team.id"], name=op.f("fk_tracker_experiment_team_id")
        ),
        sa.ForeignKeyConstraint(
            ["workload_id"], ["workload.id"], name=op.f("fk_tracker_experiment_workload_id")
        ),
        sa.PrimaryKeyConstraint("team_id", "id", name=op.f("pk_tracker_experiment")),
    )
    with op.batch_alter_table("tracker_experiment", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_tracker_experiment_project_id"), ["project_id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("tracker_experiment", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tracker_experiment_project_id"))

    op.drop_table("tracker_experiment")
    with op.batch_alter_table("tracker_run", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tracker_run_team_id_experiment_id_created_ms"))

    op.drop_table("tracker_run")
    with op.batch_alter_table("tracker_project", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tracker_project_team_id"))

    op.drop_table("tracker_project")
    op.drop_table("host_address")
    op.drop_table("tracker_emission")
