"""`carbon up` and `carbon serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from carbon.settings import Settings

Port = Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Port to listen on.")]
Host = Annotated[str | None, typer.Option("--host", help="Address to bind.")]
Db = Annotated[str | None, typer.Option("--db", help="Database URL (SQLite or PostgreSQL).")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder for data and keys.")]


def register(app: typer.Typer) -> None:
    @app.command()
    def up(port: Port = None, host: Host = None, db: Db = None, data_dir: DataDir = None) -> None:
        """Start everything on this machine: service, pages, scheduler and agent."""
        from carbon.server import run_server

        run_server(settings_with(port=port, host=host, db_url=db, data_dir=data_dir))

    @app.command()
    def serve(
        port: Port = None, host: Host = None, db: Db = None, data_dir: DataDir = None
    ) -> None:
        """Start the service without an agent, as on a server of a fleet."""
        from carbon.server import run_server

        given = {"port": port, "host": host, "db_url": db, "data_dir": data_dir}
        run_server(settings_with(**given, agent=False))


def settings_with(**given: Any) -> Settings:
    """Settings from the environment, with what the command line states over them."""
    return Settings(**{name: value for name, value in given.items() if value is not None})
