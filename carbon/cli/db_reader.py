"""`carbon db reader`: a role of PostgreSQL that reads one team's rows."""

from __future__ import annotations

from typing import Annotated

import typer

from carbon.cli.up import DataDir, Db, settings_with
from carbon.errors import InvalidInput


def reader(
    role: Annotated[str, typer.Argument(help="A role that exists, without other rights.")],
    team: Annotated[str | None, typer.Option(help="Whose rows it reads.")] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="It reads nothing any more.")] = False,
    db: Db = None,
    data_dir: DataDir = None,
) -> None:
    """Let a PostgreSQL role read one team's workloads, runs and sums, by row-level security."""
    from carbon.storage.engine import create_engine, writing
    from carbon.storage.team_readers import may_read, may_read_no_longer

    if (team is None) != revoke:
        raise InvalidInput("invalid_choice", "say either --team or --revoke")
    engine = create_engine(settings_with(db_url=db, data_dir=data_dir).database_url)
    with writing(engine) as connection:
        if team is None:
            may_read_no_longer(connection, role)
            typer.echo(f"{role} reads nothing of the ledger any more")
        else:
            tables = may_read(connection, role, team)
            typer.echo(f"{role} reads what is {team}'s in {', '.join(tables)}")
