"""Runs the chain on the connection that the caller hands over (`carbon.storage.migrations`)."""

from alembic import context
from sqlalchemy import Connection

from carbon.storage.tables import metadata


def _is_ours(_object: object, name: str | None, kind: str, *_: object) -> bool:
    """Day partitions are made and dropped by the service, not by migrations."""
    return not (kind == "table" and name is not None and name.startswith("energy_interval_"))


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_object=_is_ours,
        render_as_batch=True,
        transaction_per_migration=True,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
