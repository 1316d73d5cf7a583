"""The one chain of migrations, run by the service itself."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from carbon.bundled import bundled
from carbon.errors import Conflicting
from carbon.storage.engine import writing


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Brings the schema to `revision`.

    Raises Conflicting(`schema_newer`) where the database was written by a newer carbon.
    """
    with writing(engine) as connection:
        current = current_revision(connection)
        if current and current not in _known_revisions():
            raise Conflicting(
                "schema_newer",
                f"the database's schema ({current}) is newer than this carbon; upgrade carbon",
            )
        if revision != "head" or current != head_revision():
            command.upgrade(_config(connection), revision)


def downgrade(engine: Engine, revision: str) -> None:
    with writing(engine) as connection:
        command.downgrade(_config(connection), revision)


def current_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def head_revision() -> str:
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def _known_revisions() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(bundled("migrations")))
    config.set_main_option("file_template", "%%(year)d-%%(month).2d-%%(day).2d_%%(slug)s")
    config.attributes["connection"] = connection
    return config
