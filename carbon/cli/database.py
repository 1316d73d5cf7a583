"""`carbon db`."""

from __future__ import annotations

import typer

from carbon.cli.up import DataDir, Db, settings_with

database = typer.Typer(help="The ledger's database.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(database, name="db")


@database.command()
def upgrade(db: Db = None, data_dir: DataDir = None) -> None:
    """Bring the schema to the newest revision; refuses one that is newer than this carbon."""
    from carbon.storage.engine import create_engine
    from carbon.storage.migrations import head_revision
    from carbon.storage.migrations import upgrade as to_head

    settings = settings_with(db_url=db, data_dir=data_dir)
    to_head(create_engine(settings.database_url))
    typer.echo(f"schema is at {head_revision()}")
