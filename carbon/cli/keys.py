"""`carbon key`: made on the server's machine, against its database."""

from __future__ import annotations

from typing import Annotated

import typer

from carbon.cli import people
from carbon.cli.output import print_json
from carbon.cli.up import DataDir, Db, settings_with

keys = typer.Typer(help="API keys of this deployment.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    people.register(keys)
    app.add_typer(keys, name="key")


@keys.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    team: Annotated[str | None, typer.Option(help="Team that the key belongs to.")] = None,
    admin: Annotated[bool, typer.Option(help="Everything, for every team.")] = False,
    agent: Annotated[bool, typer.Option(help="Writes energy for any team, reads nothing.")] = False,
    write_only: Annotated[
        bool, typer.Option(help="Writes energy and counts of its team, reads nothing.")
    ] = False,
    scrape: Annotated[bool, typer.Option(help="Reads /metrics alone, as Prometheus.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
    db: Db = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key; it is shown once."""
    from carbon.app import open_context
    from carbon.auth.keys import create_key
    from carbon.domain.tenancy import (
        ADMIN_SCOPES,
        AGENT_SCOPES,
        FLEET_SCOPES,
        SCRAPE_SCOPES,
        TEAM_SCOPES,
    )

    context = open_context(settings_with(db_url=db, data_dir=data_dir))
    kinds = [
        (admin, ADMIN_SCOPES),
        (agent, AGENT_SCOPES),
        (write_only, FLEET_SCOPES),
        (scrape, SCRAPE_SCOPES),
    ]
    scopes = next((scopes for wanted, scopes in kinds if wanted), TEAM_SCOPES)
    text, key_id = create_key(context, name, team or context.settings.team, scopes)
    if json:
        print_json({"key_id": key_id, "key": text, "scopes": sorted(scopes)})
    else:
        typer.echo(text)


@keys.command("list")
def list_(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
    db: Db = None,
    data_dir: DataDir = None,
) -> None:
    """List keys; their secrets are not kept."""
    from carbon.app import open_context
    from carbon.auth.keys import list_keys
    from carbon.clock import to_rfc3339

    context = open_context(settings_with(db_url=db, data_dir=data_dir))
    rows = [
        {
            "key_id": key.id,
            "name": key.name,
            "team": key.team,
            "created": to_rfc3339(key.created_ms),
            "revoked": to_rfc3339(key.revoked_ms) if key.revoked_ms else None,
        }
        for key in list_keys(context)
    ]
    if json:
        print_json({"keys": rows})
        return
    for row in rows:
        state = f"revoked {row['revoked']}" if row["revoked"] else f"since {row['created']}"
        typer.echo(f"{row['key_id']}  {row['team']}  {row['name']}  {state}")


@keys.command()
def revoke(key_id: str, db: Db = None, data_dir: DataDir = None) -> None:
    """Revoke a key, at once and for good."""
    from carbon.app import open_context
    from carbon.auth.keys import revoke_key

    revoke_key(open_context(settings_with(db_url=db, data_dir=data_dir)), key_id)
    typer.echo(f"revoked {key_id}")
